//! Accounts, exchange rates and named facts.

use super::page;
use crate::store::rows::{AccountRow, MetaRow, RateRow};
use crate::store::sql::{Conflict, insert};
use crate::store::{Result, Store};

const RATES: Conflict = Conflict {
    name: "put_rate",
    sql: "ON CONFLICT (account, currency, day) DO UPDATE SET rate_e9 = excluded.rate_e9",
};

const META: Conflict = Conflict {
    name: "put_meta",
    sql: "ON CONFLICT (account, name) DO UPDATE SET value = excluded.value",
};

impl Store {
    pub async fn account(&self, account: &str) -> Result<Option<AccountRow>> {
        self.select_one("WHERE account = $1", |args| args.text(account)).await
    }

    /// A page of accounts, by name (bytes), after `after`.
    pub async fn accounts(&self, after: &str, limit: u32) -> Result<Vec<AccountRow>> {
        self.select("WHERE account > $1 ORDER BY account LIMIT $2", |args| {
            args.text(after)?;
            args.int(page(limit))
        })
        .await
    }

    /// All rates of an account, by currency and day: at most 100,000.
    pub async fn rates(&self, account: &str) -> Result<Vec<RateRow>> {
        self.select("WHERE account = $1 ORDER BY currency, day LIMIT 100000", |args| {
            args.text(account)
        })
        .await
    }

    /// Sets rates; a rate of the same account, currency and day is replaced.
    pub async fn put_rates(&self, rates: &[RateRow]) -> Result<()> {
        let rows: Vec<_> = rates.iter().collect();
        let dialect = self.dialect();
        self.write_limited("exchange rates", async |conn| {
            insert(conn, dialect, &rows, RATES).await.map(|_| ())
        })
        .await
    }

    /// A named fact of an account, or of the installation (account `*`).
    pub async fn meta(&self, account: &str, name: &str) -> Result<Option<String>> {
        let row: Option<MetaRow> = self
            .select_one("WHERE account = $1 AND name = $2", |args| {
                args.text(account)?;
                args.text(name)
            })
            .await?;
        Ok(row.map(|row| row.value))
    }

    /// Sets a named fact, or removes it with `None`.
    pub async fn put_meta(&self, account: &str, name: &str, value: Option<&str>) -> Result<()> {
        let dialect = self.dialect();
        self.write_limited("a named fact", async |conn| {
            let Some(value) = value else {
                let mut args = crate::store::record::Args::default();
                args.text(account)?;
                args.text(name)?;
                let sql = "DELETE FROM meta WHERE account = $1 AND name = $2";
                args.query(sql.into()).execute(&mut *conn).await?;
                return Ok(());
            };
            let row = MetaRow {
                account: account.to_owned(),
                name: name.to_owned(),
                value: value.to_owned(),
            };
            insert(conn, dialect, &[&row], META).await.map(|_| ())
        })
        .await
    }
}
