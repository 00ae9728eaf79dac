//! People, what they decided, and their requests.

use super::page;
use crate::store::rows::{AttributeRow, ConsentRow, DsrPackageRow, DsrRow, PersonRow};
use crate::store::{Result, Store};

/// Changes of one person that are read at most: more are refused when they are made.
pub const CHANGES_MAX: u32 = 10_000;

/// Which requests to list. Empty texts mean no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DsrList {
    pub account: String,
    pub status: String,
    pub kind: String,
    /// The last request of the page before: ids are ordered by time, newest first.
    pub before: String,
    /// At most 1,000.
    pub limit: u32,
}

impl Store {
    /// The person that this lookup means today: an erased one is meant by none.
    pub async fn person_by_lookup(&self, account: &str, lookup: &str) -> Result<Option<PersonRow>> {
        self.select_one("WHERE account = $1 AND lookup = $2 AND erased_at IS NULL", |args| {
            args.text(account)?;
            args.text(lookup)
        })
        .await
    }

    pub async fn person(&self, account: &str, person: &str) -> Result<Option<PersonRow>> {
        self.select_one("WHERE account = $1 AND person = $2", |args| {
            args.text(account)?;
            args.text(person)
        })
        .await
    }

    /// A person's whole history, oldest first.
    pub async fn consents(&self, account: &str, person: &str) -> Result<Vec<ConsentRow>> {
        self.select("WHERE account = $1 AND person = $2 ORDER BY seq LIMIT $3", |args| {
            args.text(account)?;
            args.text(person)?;
            args.int(i64::from(CHANGES_MAX))
        })
        .await
    }

    /// What the platform was told about a person, by name.
    pub async fn attributes(&self, account: &str, person: &str) -> Result<Vec<AttributeRow>> {
        self.select("WHERE account = $1 AND person = $2 ORDER BY name LIMIT 1000", |args| {
            args.text(account)?;
            args.text(person)
        })
        .await
    }

    pub async fn dsr(&self, account: &str, dsr: &str) -> Result<Option<DsrRow>> {
        self.select_one("WHERE account = $1 AND dsr = $2", |args| {
            args.text(account)?;
            args.text(dsr)
        })
        .await
    }

    /// A page of an account's requests, newest first.
    pub async fn dsrs(&self, list: &DsrList) -> Result<Vec<DsrRow>> {
        let tail = "WHERE account = $1 AND ($2 = '' OR status = $3) AND ($4 = '' OR kind = $5) \
                    AND ($6 = '' OR dsr < $7) ORDER BY dsr DESC LIMIT $8";
        self.select(tail, |args| {
            args.text(&list.account)?;
            for text in [&list.status, &list.kind, &list.before] {
                args.text(text)?;
                args.text(text)?;
            }
            args.int(page(list.limit))
        })
        .await
    }

    /// Requests in one of two states, of all accounts, by account and id, after this one.
    pub async fn dsrs_open(&self, (account, dsr): (&str, &str), limit: u32) -> Result<Vec<DsrRow>> {
        let tail = "WHERE status IN ('awaiting_verification', 'in_progress') \
                    AND (account > $1 OR (account = $2 AND dsr > $3)) \
                    ORDER BY account, dsr LIMIT $4";
        self.select(tail, |args| {
            args.text(account)?;
            args.text(account)?;
            args.text(dsr)?;
            args.int(page(limit))
        })
        .await
    }

    /// Requests of an account that touch a period (wall): received in it, ended in it, or open. At
    /// most 100,000.
    pub async fn dsrs_of_period(&self, account: &str, from: i64, to: i64) -> Result<Vec<DsrRow>> {
        let tail = "WHERE account = $1 AND created_at < $2 AND (created_at >= $3 OR updated_at >= $4 \
                    OR status IN ('awaiting_verification', 'in_progress')) ORDER BY dsr LIMIT 100000";
        self.select(tail, |args| {
            args.text(account)?;
            args.int(to)?;
            args.int(from)?;
            args.int(from)
        })
        .await
    }

    /// All requests of a person, oldest first. At most 1,000.
    pub async fn dsrs_of_person(&self, account: &str, person: &str) -> Result<Vec<DsrRow>> {
        self.select("WHERE account = $1 AND person = $2 ORDER BY dsr LIMIT 1000", |args| {
            args.text(account)?;
            args.text(person)
        })
        .await
    }

    /// The parts of a request's package, in order.
    pub async fn dsr_package(&self, account: &str, dsr: &str) -> Result<Vec<DsrPackageRow>> {
        self.select("WHERE account = $1 AND dsr = $2 ORDER BY part LIMIT 1000", |args| {
            args.text(account)?;
            args.text(dsr)
        })
        .await
    }
}

impl Store {
    /// The first parts of a person's packages.
    pub async fn dsr_packages_of_person(
        &self,
        account: &str,
        person: &str,
    ) -> Result<Vec<DsrPackageRow>> {
        let tail = "WHERE account = $1 AND person = $2 AND part = 0 ORDER BY dsr LIMIT 1000";
        self.select(tail, |args| {
            args.text(account)?;
            args.text(person)
        })
        .await
    }

    /// The first parts of packages that were made before this time (wall).
    pub async fn dsr_packages_before(&self, at: i64, limit: u32) -> Result<Vec<DsrPackageRow>> {
        let tail = "WHERE created_at < $1 AND part = 0 ORDER BY created_at LIMIT $2";
        self.select(tail, |args| {
            args.int(at)?;
            args.int(page(limit))
        })
        .await
    }
}
