//! Reads: each within the read limit, each page bounded.

mod access;
mod account;
mod audit;
mod budget;
mod decisions;
mod delivery;
mod flow;
mod ledger;
mod outbox;
mod person;
mod value;

use sqlx::AnyConnection;

pub use access::API_KEYS_MAX;
pub use audit::{Behind, BlockSummary};
pub use budget::{BudgetList, Loaded, Reloaded};
pub use decisions::FlowDecisionList;
pub use flow::{FlowActual, FlowCampaignList, FlowCounted};
pub use ledger::WindowRows;
pub use person::{CHANGES_MAX, DsrList};
pub use value::{Bought, ForecastCounts, PURCHASES_PAGE};

use super::Store;
use super::error::Result;
use super::record::{Args, Record};

/// Rows of a page at most.
pub const PAGE_MAX: u32 = 1000;

/// A page's limit as asked for, brought into range.
fn page(limit: u32) -> i64 {
    i64::from(limit.clamp(1, PAGE_MAX))
}

impl Store {
    /// The rows of `R`'s table under a tail made of constants (`WHERE … ORDER BY … LIMIT …`).
    pub(crate) async fn select<R: Record>(
        &self,
        tail: &'static str,
        bind: impl FnOnce(&mut Args) -> sqlx::Result<()>,
    ) -> Result<Vec<R>> {
        self.read_limited(R::TABLE, async |conn| select(conn, tail, bind).await).await
    }

    /// The one row, if there is one.
    pub(crate) async fn select_one<R: Record>(
        &self,
        tail: &'static str,
        bind: impl FnOnce(&mut Args) -> sqlx::Result<()>,
    ) -> Result<Option<R>> {
        Ok(self.select(tail, bind).await?.pop())
    }
}

pub(crate) async fn select<R: Record>(
    conn: &mut AnyConnection,
    tail: &'static str,
    bind: impl FnOnce(&mut Args) -> sqlx::Result<()>,
) -> sqlx::Result<Vec<R>> {
    let sql = format!("SELECT {} FROM {} {tail}", R::columns(""), R::TABLE);
    let mut args = Args::default();
    bind(&mut args)?;
    let rows = args.query(sql.into()).fetch_all(conn).await?;
    rows.iter().map(|row| R::read(row, 0)).collect()
}
