//! People, what they decided, and their requests.

use sqlx::Row;

use super::{PAGE_MAX, page};
use crate::store::record::Args;
use crate::store::rows::{AttributeRow, ConsentRow, DsrPackageRow, DsrRow, PersonRow};
use crate::store::{Result, Store, StoreError};

/// Changes of one person that are read at once.
pub const CHANGES_MAX: u32 = PAGE_MAX;

/// Whether a page may have another behind it.
fn full<T>(rows: &[T]) -> bool {
    rows.len() == PAGE_MAX as usize
}

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

    /// A person's whole history with what was shown, oldest first.
    pub async fn consents(&self, account: &str, person: &str) -> Result<Vec<ConsentRow>> {
        let tail = "WHERE account = $1 AND person = $2 AND seq > $3 ORDER BY seq LIMIT $4";
        let mut all: Vec<ConsentRow> = Vec::new();
        loop {
            let after = all.last().map_or(0, |row| row.seq);
            let rows: Vec<ConsentRow> = self
                .select(tail, |args| {
                    args.text(account)?;
                    args.text(person)?;
                    args.int(after)?;
                    args.int(page(CHANGES_MAX))
                })
                .await?;
            let more = full(&rows);
            all.extend(rows);
            if !more {
                return Ok(all);
            }
        }
    }

    /// The changes of a person behind number `after`, without what was shown: up to
    /// [`CHANGES_MAX`] of them, each with its number.
    pub async fn changes(
        &self,
        account: &str,
        person: &str,
        after: i64,
    ) -> Result<Vec<(i64, String)>> {
        const WHAT: &str = "a history";
        let sql = "SELECT seq, change FROM consent \
                   WHERE account = $1 AND person = $2 AND seq > $3 ORDER BY seq LIMIT $4";
        let rows = self
            .read_limited(WHAT, async |conn| {
                let mut args = Args::default();
                args.text(account)?;
                args.text(person)?;
                args.int(after)?;
                args.int(page(CHANGES_MAX))?;
                args.query(sql.into()).fetch_all(conn).await
            })
            .await?;
        let read = |row: &sqlx::any::AnyRow| -> sqlx::Result<(i64, String)> {
            Ok((row.try_get(0)?, row.try_get(1)?))
        };
        rows.iter()
            .map(read)
            .collect::<sqlx::Result<_>>()
            .map_err(|error| StoreError::sql(WHAT, &error))
    }

    /// How many rows of a table (of [`Store::person_tables`]) are about a person.
    pub async fn count_of_person(
        &self,
        table: &'static str,
        account: &str,
        person: &str,
    ) -> Result<u64> {
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE account = $1 AND person = $2");
        let counted = self
            .read_limited(table, async |conn| {
                let mut args = Args::default();
                args.text(account)?;
                args.text(person)?;
                args.query(sql.into()).fetch_one(conn).await?.try_get::<i64, _>(0)
            })
            .await?;
        Ok(u64::try_from(counted).unwrap_or(0))
    }

    /// Everything that the platform was told about a person, by name.
    pub async fn attributes(&self, account: &str, person: &str) -> Result<Vec<AttributeRow>> {
        let tail = "WHERE account = $1 AND person = $2 AND name > $3 ORDER BY name LIMIT $4";
        let mut all: Vec<AttributeRow> = Vec::new();
        loop {
            let after = all.last().map_or("", |row| row.name.as_str());
            let rows: Vec<AttributeRow> = self
                .select(tail, |args| {
                    args.text(account)?;
                    args.text(person)?;
                    args.text(after)?;
                    args.int(page(PAGE_MAX))
                })
                .await?;
            let more = full(&rows);
            all.extend(rows);
            if !more {
                return Ok(all);
            }
        }
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

    /// All requests of a person, oldest first.
    pub async fn dsrs_of_person(&self, account: &str, person: &str) -> Result<Vec<DsrRow>> {
        let tail = "WHERE account = $1 AND person = $2 AND dsr > $3 ORDER BY dsr LIMIT $4";
        let mut all: Vec<DsrRow> = Vec::new();
        loop {
            let after = all.last().map_or("", |row| row.dsr.as_str());
            let rows: Vec<DsrRow> = self
                .select(tail, |args| {
                    args.text(account)?;
                    args.text(person)?;
                    args.text(after)?;
                    args.int(page(PAGE_MAX))
                })
                .await?;
            let more = full(&rows);
            all.extend(rows);
            if !more {
                return Ok(all);
            }
        }
    }

    /// The requests that erase a person and are under way, oldest first: up to 1,000.
    pub async fn dsrs_erasing(&self, account: &str, person: &str) -> Result<Vec<DsrRow>> {
        let tail = "WHERE account = $1 AND person = $2 AND kind = 'DELETION' \
                    AND status = 'in_progress' ORDER BY dsr LIMIT $3";
        self.select(tail, |args| {
            args.text(account)?;
            args.text(person)?;
            args.int(page(PAGE_MAX))
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
    /// A person's packages by request, each with the time (wall) when it was made.
    pub async fn dsr_packages_of_person(
        &self,
        account: &str,
        person: &str,
    ) -> Result<Vec<(String, i64)>> {
        const WHAT: &str = "a person's packages";
        let sql = "SELECT dsr, created_at FROM dsr_package WHERE account = $1 AND person = $2 \
                   AND part = 0 AND dsr > $3 ORDER BY dsr LIMIT $4";
        let mut all: Vec<(String, i64)> = Vec::new();
        loop {
            let after = all.last().map_or("", |(dsr, _)| dsr.as_str());
            let rows = self
                .read_limited(WHAT, async |conn| {
                    let mut args = Args::default();
                    args.text(account)?;
                    args.text(person)?;
                    args.text(after)?;
                    args.int(page(PAGE_MAX))?;
                    args.query(sql.into()).fetch_all(conn).await
                })
                .await?;
            let read = |row: &sqlx::any::AnyRow| -> sqlx::Result<(String, i64)> {
                Ok((row.try_get(0)?, row.try_get(1)?))
            };
            let rows: sqlx::Result<Vec<(String, i64)>> = rows.iter().map(read).collect();
            let rows = rows.map_err(|error| StoreError::sql(WHAT, &error))?;
            let more = full(&rows);
            all.extend(rows);
            if !more {
                return Ok(all);
            }
        }
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
