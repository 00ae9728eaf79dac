//! What a budget's actor needs to start, and the list of budgets.

use sqlx::AnyConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::{page, select};
use crate::store::rows::{BudgetRow, HoldRow, SliceRow};
use crate::store::{Result, Store, batch};

/// A budget with its slices, read from one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    pub budget: BudgetRow,
    pub slices: Vec<SliceRow>,
}

/// What is true after an unknown outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The state as it is now; no earlier batch can change it any more. `None`: no such budget.
    Current(Option<Box<Loaded>>),
    /// The shard has another owner.
    Fenced,
}

/// Which budgets to list. Empty texts mean no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetList {
    pub account: String,
    pub prefix: String,
    pub status: String,
    /// The last budget of the page before.
    pub after: String,
    /// At most 1,000.
    pub limit: u32,
}

impl Store {
    /// Loads a budget and its slices.
    pub async fn load_budget(&self, account: &str, budget: &str) -> Result<Option<Loaded>> {
        let begin = self.dialect().begin_snapshot();
        self.read_limited("a budget", async |conn| {
            let mut tx = conn.begin_with(AssertSqlSafe(begin)).await?;
            let loaded = load(&mut tx, account, budget).await?;
            tx.rollback().await?;
            Ok(loaded)
        })
        .await
    }

    /// Loads a budget after an unknown outcome: first waits until no batch of its shard is still on
    /// its way, so that what it returns is final. Use it wherever [`crate::store::Outcome::Unknown`]
    /// was met; a plain load could see the state from before a commit that still lands.
    pub async fn reload_budget(
        &self,
        account: &str,
        budget: &str,
        shard: i64,
        epoch: i64,
    ) -> Result<Reloaded> {
        let dialect = self.dialect();
        self.write_limited("a budget", async |conn| {
            let mut tx = conn.begin_with(AssertSqlSafe(dialect.begin_write())).await?;
            let epochs = batch::fence_shards(&mut tx, dialect, &[shard]).await?;
            let reloaded = if epochs.get(&shard) == Some(&epoch) {
                Reloaded::Current(load(&mut tx, account, budget).await?.map(Box::new))
            } else {
                Reloaded::Fenced
            };
            tx.rollback().await?;
            Ok(reloaded)
        })
        .await
    }

    /// One budget's row.
    pub async fn budget(&self, account: &str, budget: &str) -> Result<Option<BudgetRow>> {
        self.select_one("WHERE account = $1 AND budget = $2", |args| {
            args.text(account)?;
            args.text(budget)
        })
        .await
    }

    /// A page of budgets, by name (bytes).
    pub async fn budgets(&self, list: &BudgetList) -> Result<Vec<BudgetRow>> {
        let tail = "WHERE account = $1 AND budget > $2 AND budget >= $3 AND budget < $4 \
                    AND ($5 = '' OR status = $6) ORDER BY budget LIMIT $7";
        self.select(tail, |args| {
            args.text(&list.account)?;
            args.text(&list.after)?;
            args.text(&list.prefix)?;
            // no character sorts behind the last one of Unicode
            args.text(&format!("{}\u{10FFFF}", list.prefix))?;
            args.text(&list.status)?;
            args.text(&list.status)?;
            args.int(page(list.limit))
        })
        .await
    }

    /// The names of all budgets of one shard, a page at a time: (account, budget) after this pair.
    pub async fn budgets_of_shard(
        &self,
        shard: i64,
        after: (&str, &str),
        limit: u32,
    ) -> Result<Vec<BudgetRow>> {
        let tail = "WHERE (account, budget) > ($1, $2) AND shard = $3 \
                    ORDER BY account, budget LIMIT $4";
        self.select(tail, |args| {
            args.text(after.0)?;
            args.text(after.1)?;
            args.int(shard)?;
            args.int(page(limit))
        })
        .await
    }

    /// All slices of an account's budget.
    pub async fn slices(&self, account: &str, budget: &str) -> Result<Vec<SliceRow>> {
        self.select("WHERE account = $1 AND budget = $2 ORDER BY slice", |args| {
            args.text(account)?;
            args.text(budget)
        })
        .await
    }

    /// One hold as journaled.
    pub async fn hold(&self, account: &str, hold: &str) -> Result<Option<HoldRow>> {
        self.select_one("WHERE account = $1 AND hold = $2", |args| {
            args.text(account)?;
            args.text(hold)
        })
        .await
    }
}

async fn load(
    conn: &mut AnyConnection,
    account: &str,
    budget: &str,
) -> sqlx::Result<Option<Loaded>> {
    let key = |args: &mut crate::store::record::Args| {
        args.text(account)?;
        args.text(budget)
    };
    let rows = select(conn, "WHERE account = $1 AND budget = $2", key).await?;
    let Some(row) = rows.into_iter().next() else {
        return Ok(None);
    };
    let slices = select(conn, "WHERE account = $1 AND budget = $2 ORDER BY slice", key).await?;
    Ok(Some(Loaded { budget: row, slices }))
}
