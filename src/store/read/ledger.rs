//! The ledger: pages, single operations, and what a trailing window counts.

use super::{page, select};
use crate::store::record::Args;
use crate::store::rows::{EntryRow, OperationRow};
use crate::store::write::Found;
use crate::store::{Result, Store, batch};

/// Rows that a window may count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRows {
    /// Those of this boot newest first, then those of others newest first.
    pub rows: Vec<EntryRow>,
    /// There were more than the limit: treat the window as full.
    pub cut: bool,
}

impl Store {
    /// A page of a budget's ledger, by sequence, after `after`.
    pub async fn ledger(
        &self,
        account: &str,
        budget: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<EntryRow>> {
        let tail = "WHERE account = $1 AND budget = $2 AND seq > $3 ORDER BY seq LIMIT $4";
        self.select(tail, |args| {
            args.text(account)?;
            args.text(budget)?;
            args.int(after)?;
            args.int(page(limit))
        })
        .await
    }

    /// The ledger row of an operation.
    pub async fn entry(&self, account: &str, op: &str) -> Result<Option<EntryRow>> {
        self.select_one("WHERE account = $1 AND op = $2", |args| {
            args.text(account)?;
            args.text(op)
        })
        .await
    }

    /// The stored answer of an operation that booked no ledger row.
    pub async fn operation(&self, account: &str, op: &str) -> Result<Option<OperationRow>> {
        self.select_one("WHERE account = $1 AND op = $2", |args| {
            args.text(account)?;
            args.text(op)
        })
        .await
    }

    /// What an operation has booked, wherever it is: at most one ledger row and one stored answer.
    pub async fn found(&self, account: &str, op: &str) -> Result<Vec<Found>> {
        self.read_limited("an operation", async |conn| batch::found_rows(conn, account, op).await)
            .await
    }

    /// The account's rows that a trailing window may count: of this `boot` those booked at
    /// `since_mono` or later, whatever the wall clock did, and of other boots those booked at
    /// `since_at` (wall) or later. Choose `since_at` with room for jumps of the wall clock: the rows
    /// of other boots are in doubt and the caller's to judge.
    pub async fn window(
        &self,
        account: &str,
        since_at: i64,
        (boot, since_mono): (&str, i64),
        limit: u32,
    ) -> Result<WindowRows> {
        // two statements, each with its index: over an OR of both, PostgreSQL may read all rows
        let own =
            "WHERE account = $1 AND boot = $2 AND mono_us >= $3 ORDER BY mono_us DESC LIMIT $4";
        let others = "WHERE account = $1 AND boot <> $2 AND at >= $3 ORDER BY at DESC LIMIT $4";
        let most = i64::from(limit) + 1;
        let rows = self
            .read_limited("a window", async |conn| {
                let mut rows: Vec<EntryRow> = Vec::new();
                for (tail, since) in [(own, since_mono), (others, since_at)] {
                    // what is booked in between is of this boot or the next, and in none twice
                    let left = most - i64::try_from(rows.len()).unwrap_or(most);
                    let bind = |args: &mut Args| {
                        args.text(account)?;
                        args.text(boot)?;
                        args.int(since)?;
                        args.int(left)
                    };
                    rows.extend(select::<EntryRow>(conn, tail, bind).await?);
                }
                Ok(rows)
            })
            .await?;
        Ok(WindowRows::cut(rows, limit))
    }

    /// What [`Store::window`] gives, of one budget. It reads from the newest row back to the first
    /// that is out for certain: a budget's rows are in the order of their booking, so all before it
    /// are out too.
    pub async fn budget_window(
        &self,
        account: &str,
        budget: &str,
        since_at: i64,
        (boot, since_mono): (&str, i64),
        limit: u32,
    ) -> Result<WindowRows> {
        let tail = "WHERE account = $1 AND budget = $2 AND seq > COALESCE((\
                    SELECT o.seq FROM ledger o WHERE o.account = $3 AND o.budget = $4 \
                    AND ((o.boot = $5 AND o.mono_us < $6) OR (o.boot <> $7 AND o.at < $8)) \
                    ORDER BY o.seq DESC LIMIT 1), 0) ORDER BY seq DESC LIMIT $9";
        let rows = self
            .select(tail, |args| {
                for text in [account, budget, account, budget, boot] {
                    args.text(text)?;
                }
                args.int(since_mono)?;
                args.text(boot)?;
                args.int(since_at)?;
                args.int(i64::from(limit) + 1)
            })
            .await?;
        Ok(WindowRows::cut(rows, limit))
    }
}

impl WindowRows {
    fn cut(mut rows: Vec<EntryRow>, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let cut = rows.len() > limit;
        rows.truncate(limit);
        Self { rows, cut }
    }
}
