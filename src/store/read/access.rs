//! Keys, secrets and corrections.

use super::page;
use crate::store::rows::{ApiKeyRow, CorrectionRow, KeyringRow};
use crate::store::sql::{Conflict, insert};
use crate::store::{Result, Store};

/// API keys of an installation at most.
pub const API_KEYS_MAX: u32 = 10_000;

impl Store {
    /// Every API key, by id.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>> {
        self.select("WHERE account = '*' ORDER BY key LIMIT $1", |args| {
            args.int(i64::from(API_KEYS_MAX))
        })
        .await
    }

    pub async fn api_key(&self, key: &str) -> Result<Option<ApiKeyRow>> {
        self.select_one("WHERE account = '*' AND key = $1", |args| args.text(key)).await
    }

    /// The secrets of a purpose, newest first.
    pub async fn keyring(&self, purpose: &str) -> Result<Vec<KeyringRow>> {
        let tail = "WHERE account = '*' AND purpose = $1 ORDER BY created_at DESC, key LIMIT 1000";
        self.select(tail, |args| args.text(purpose)).await
    }

    pub async fn correction(&self, account: &str, id: &str) -> Result<Option<CorrectionRow>> {
        self.select_one("WHERE account = $1 AND correction = $2", |args| {
            args.text(account)?;
            args.text(id)
        })
        .await
    }

    /// A page of an account's corrections, newest first; an empty status means all.
    pub async fn corrections(
        &self,
        account: &str,
        (status, before): (&str, &str),
        limit: u32,
    ) -> Result<Vec<CorrectionRow>> {
        let tail = "WHERE account = $1 AND ($2 = '' OR status = $3) \
                    AND ($4 = '' OR correction < $5) ORDER BY correction DESC LIMIT $6";
        self.select(tail, |args| {
            args.text(account)?;
            for text in [status, before] {
                args.text(text)?;
                args.text(text)?;
            }
            args.int(page(limit))
        })
        .await
    }

    /// Corrections of all accounts that are approved and not booked yet.
    pub async fn corrections_approved(&self, limit: u32) -> Result<Vec<CorrectionRow>> {
        let tail = "WHERE status = 'approved' ORDER BY account, correction LIMIT $1";
        self.select(tail, |args| args.int(page(limit))).await
    }
}

impl Store {
    /// Adds a secret to the keyring. One of this name is left as it is.
    pub async fn put_keyring(&self, row: KeyringRow) -> Result<()> {
        let dialect = self.dialect();
        let conflict = Conflict { name: "keyring_first", sql: "ON CONFLICT DO NOTHING" };
        self.write_limited("the keyring", async |conn| {
            insert(conn, dialect, &[&row], conflict).await.map(|_| ())
        })
        .await
    }
}
