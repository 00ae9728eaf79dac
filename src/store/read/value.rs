//! Purchases, models and forecasts.

use sqlx::Row;

use super::{PAGE_MAX, page};
use crate::store::put::put_forecasts;
use crate::store::record::{Args, Kind};
use crate::store::rows::{
    LtvCustomerRow, LtvDriftRow, LtvExperimentRow, LtvForecastRow, LtvImportRow, LtvModelPartRow,
    LtvModelRow, LtvPurchaseRow, LtvRegistryRow,
};
use crate::store::sql::Template;
use crate::store::{Result, Store, StoreError};

/// Purchases of a page where all of an account are read.
pub const PURCHASES_PAGE: u32 = 8_192;

/// One purchase of somebody, as fits read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bought {
    pub person: String,
    pub purchase: String,
    pub day: i64,
    pub amount: i64,
}

/// What became of the forecasts of one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForecastCounts {
    /// They wait for their day.
    pub open: i64,
    pub closed: i64,
}

const CLOSE: Template = Template {
    name: "ltv_forecast_close",
    sql: "WITH v(a, p, m, d, n_actual, n_at) AS (VALUES {values}) \
          UPDATE ltv_forecast SET actual = v.n_actual, closed_at = v.n_at FROM v \
          WHERE ltv_forecast.account = v.a AND ltv_forecast.person = v.p \
          AND ltv_forecast.model = v.m AND ltv_forecast.period = v.d",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Int, Kind::Int, Kind::Int],
};

impl Store {
    pub async fn ltv_customer(
        &self,
        account: &str,
        person: &str,
    ) -> Result<Option<LtvCustomerRow>> {
        self.select_one("WHERE account = $1 AND person = $2", |args| {
            args.text(account)?;
            args.text(person)
        })
        .await
    }

    /// A page of one person's purchases behind this one, in the order of their ids.
    pub async fn ltv_purchases(
        &self,
        (account, person): (&str, &str),
        after: &str,
        limit: u32,
    ) -> Result<Vec<LtvPurchaseRow>> {
        let tail =
            "WHERE account = $1 AND person = $2 AND purchase > $3 ORDER BY purchase LIMIT $4";
        self.select(tail, |args| {
            args.text(account)?;
            args.text(person)?;
            args.text(after)?;
            args.int(page(limit))
        })
        .await
    }

    /// A page of an account's purchases behind this one, by person: up to [`PURCHASES_PAGE`].
    pub async fn ltv_bought(
        &self,
        account: &str,
        (person, purchase): (&str, &str),
    ) -> Result<Vec<Bought>> {
        const WHAT: &str = "the purchases of an account";
        let sql = "SELECT person, purchase, day, amount FROM ltv_purchase \
                   WHERE account = $1 AND (person, purchase) > ($2, $3) \
                   ORDER BY person, purchase LIMIT $4";
        let rows = self
            .read_limited(WHAT, async |conn| {
                let mut args = Args::default();
                args.text(account)?;
                args.text(person)?;
                args.text(purchase)?;
                args.int(i64::from(PURCHASES_PAGE))?;
                args.query(sql.into()).fetch_all(conn).await
            })
            .await?;
        let read = |row: &sqlx::any::AnyRow| -> sqlx::Result<Bought> {
            Ok(Bought {
                person: row.try_get(0)?,
                purchase: row.try_get(1)?,
                day: row.try_get(2)?,
                amount: row.try_get(3)?,
            })
        };
        rows.iter()
            .map(read)
            .collect::<sqlx::Result<_>>()
            .map_err(|error| StoreError::sql(WHAT, &error))
    }

    /// What a person spent on the days after `after` up to and with `to`; what is beyond the largest sum
    /// there is, is that.
    pub async fn ltv_spent(
        &self,
        (account, person): (&str, &str),
        after: i64,
        to: i64,
    ) -> Result<i64> {
        const WHAT: &str = "what a customer spent";
        // Units and the rest by themselves: the sum of as many amounts as a customer may have would not
        // fit, and one that does not would fail for all.
        let sql = "SELECT CAST(COALESCE(SUM(amount / 1000000), 0) AS BIGINT), \
                   CAST(COALESCE(SUM(amount % 1000000), 0) AS BIGINT) FROM ltv_purchase \
                   WHERE account = $1 AND person = $2 AND day > $3 AND day <= $4";
        self.read_limited(WHAT, async |conn| {
            let mut args = Args::default();
            args.text(account)?;
            args.text(person)?;
            args.int(after)?;
            args.int(to)?;
            let row = args.query(sql.into()).fetch_one(conn).await?;
            let (units, rest): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            Ok(units.saturating_mul(1_000_000).saturating_add(rest))
        })
        .await
    }

    /// The answer that was given to an import.
    pub async fn ltv_import(&self, account: &str, import: &str) -> Result<Option<LtvImportRow>> {
        self.select_one("WHERE account = $1 AND import = $2", |args| {
            args.text(account)?;
            args.text(import)
        })
        .await
    }

    /// Deletes up to `limit` answers to imports from before `before` (wall); returns how many.
    pub async fn ltv_imports_prune(&self, before: i64, limit: u32) -> Result<u64> {
        let sql = "DELETE FROM ltv_import WHERE (account, import) IN \
                   (SELECT account, import FROM ltv_import WHERE created_at < $1 LIMIT $2)";
        self.prune(sql, before, limit).await
    }

    pub async fn ltv_model(&self, account: &str, model: &str) -> Result<Option<LtvModelRow>> {
        self.select_one("WHERE account = $1 AND model = $2", |args| {
            args.text(account)?;
            args.text(model)
        })
        .await
    }

    /// The parts of a model's bytes from this one on, in order; a page is few, for they are large.
    pub async fn ltv_model_parts(
        &self,
        (account, model): (&str, &str),
        from: i64,
    ) -> Result<Vec<LtvModelPartRow>> {
        let tail = "WHERE account = $1 AND model = $2 AND part >= $3 ORDER BY part LIMIT 16";
        self.select(tail, |args| {
            args.text(account)?;
            args.text(model)?;
            args.int(from)
        })
        .await
    }

    /// A registry's history behind this line: up to 1,000.
    pub async fn ltv_registry(&self, account: &str, after: i64) -> Result<Vec<LtvRegistryRow>> {
        self.select("WHERE account = $1 AND seq > $2 ORDER BY seq LIMIT $3", |args| {
            args.text(account)?;
            args.int(after)?;
            args.int(page(PAGE_MAX))
        })
        .await
    }

    /// Accounts with a registry, behind this one.
    pub async fn ltv_accounts(&self, after: &str, limit: u32) -> Result<Vec<String>> {
        const WHAT: &str = "accounts with models";
        let sql = "SELECT account FROM ltv_registry WHERE seq = 1 AND account > $1 \
                   ORDER BY account LIMIT $2";
        let rows = self
            .read_limited(WHAT, async |conn| {
                let mut args = Args::default();
                args.text(after)?;
                args.int(page(limit))?;
                args.query(sql.into()).fetch_all(conn).await
            })
            .await?;
        rows.iter()
            .map(|row| row.try_get(0))
            .collect::<sqlx::Result<_>>()
            .map_err(|error| StoreError::sql(WHAT, &error))
    }

    /// The experiment of an account that runs.
    pub async fn ltv_experiment_open(&self, account: &str) -> Result<Option<LtvExperimentRow>> {
        let tail = "WHERE account = $1 AND ended_at IS NULL ORDER BY started_at DESC LIMIT 1";
        self.select_one(tail, |args| args.text(account)).await
    }

    /// An account's experiments, the newest first.
    pub async fn ltv_experiments(
        &self,
        account: &str,
        limit: u32,
    ) -> Result<Vec<LtvExperimentRow>> {
        let tail = "WHERE account = $1 ORDER BY started_at DESC, experiment LIMIT $2";
        self.select(tail, |args| {
            args.text(account)?;
            args.int(page(limit))
        })
        .await
    }

    /// All forecasts about a person, by version and day.
    pub async fn ltv_forecasts_of_person(
        &self,
        account: &str,
        person: &str,
    ) -> Result<Vec<LtvForecastRow>> {
        let tail = "WHERE account = $1 AND person = $2 AND (model, period) > ($3, $4) \
                    ORDER BY model, period LIMIT $5";
        let mut all: Vec<LtvForecastRow> = Vec::new();
        loop {
            let (model, day) =
                all.last().map_or(("", i64::MIN), |row| (row.model.as_str(), row.period));
            let rows: Vec<LtvForecastRow> = self
                .select(tail, |args| {
                    args.text(account)?;
                    args.text(person)?;
                    args.text(model)?;
                    args.int(day)?;
                    args.int(page(PAGE_MAX))
                })
                .await?;
            let more = rows.len() == PAGE_MAX as usize;
            all.extend(rows);
            if !more {
                return Ok(all);
            }
        }
    }

    /// Forecasts whose day is over and that wait for what came true: up to 1,000, the oldest first.
    pub async fn ltv_forecasts_due(&self, day: i64) -> Result<Vec<LtvForecastRow>> {
        let tail = "WHERE actual IS NULL AND due_day < $1 ORDER BY due_day LIMIT $2";
        self.select(tail, |args| {
            args.int(day)?;
            args.int(page(PAGE_MAX))
        })
        .await
    }

    /// The forecasts of a version that were closed last.
    pub async fn ltv_forecasts_closed(
        &self,
        (account, model): (&str, &str),
        limit: u32,
    ) -> Result<Vec<LtvForecastRow>> {
        let tail = "WHERE account = $1 AND model = $2 AND actual IS NOT NULL \
                    ORDER BY closed_at DESC LIMIT $3";
        self.select(tail, |args| {
            args.text(account)?;
            args.text(model)?;
            args.int(i64::from(limit.clamp(1, 50_000)))
        })
        .await
    }

    pub async fn ltv_forecast_counts(&self, account: &str, model: &str) -> Result<ForecastCounts> {
        const WHAT: &str = "forecasts";
        let sql = "SELECT COUNT(*), COUNT(actual) FROM ltv_forecast \
                   WHERE account = $1 AND model = $2";
        self.read_limited(WHAT, async |conn| {
            let mut args = Args::default();
            args.text(account)?;
            args.text(model)?;
            let row = args.query(sql.into()).fetch_one(conn).await?;
            let (all, closed): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            Ok(ForecastCounts { open: all - closed, closed })
        })
        .await
    }

    /// Keeps forecasts; how many. One of the same customer, version and week is left as it is, and of somebody who
    /// was erased none is kept.
    pub async fn ltv_forecasts_put(&self, rows: &[LtvForecastRow]) -> Result<u64> {
        let dialect = self.dialect();
        let rows: Vec<&LtvForecastRow> = rows.iter().collect();
        self.write_limited("forecasts", async |conn| put_forecasts(conn, dialect, &rows).await)
            .await
    }

    /// Deletes up to `limit` forecasts that were closed before `before` (wall); returns how many.
    pub async fn ltv_forecasts_prune(&self, before: i64, limit: u32) -> Result<u64> {
        let sql = "DELETE FROM ltv_forecast WHERE (account, person, model, period) IN \
                   (SELECT account, person, model, period FROM ltv_forecast \
                   WHERE actual IS NOT NULL AND closed_at < $1 LIMIT $2)";
        self.prune(sql, before, limit).await
    }

    /// Notes what came true; a forecast that is gone meanwhile stays so.
    pub async fn ltv_forecasts_close(&self, rows: &[LtvForecastRow]) -> Result<u64> {
        let dialect = self.dialect();
        self.write_limited("forecasts", async |conn| {
            let bind = |row: &LtvForecastRow, args: &mut Args| {
                for text in [&row.account, &row.person, &row.model] {
                    args.text(text)?;
                }
                args.int(row.period)?;
                args.int(row.actual.unwrap_or(0))?;
                args.int(row.closed_at.unwrap_or(0))
            };
            Ok(CLOSE.run(conn, dialect, rows, bind).await?.affected)
        })
        .await
    }

    /// The watches of a version.
    pub async fn ltv_drift(&self, account: &str, model: &str) -> Result<Vec<LtvDriftRow>> {
        let tail = "WHERE account = $1 AND model = $2 ORDER BY feature LIMIT 256";
        self.select(tail, |args| {
            args.text(account)?;
            args.text(model)
        })
        .await
    }
}
