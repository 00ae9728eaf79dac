//! The ledger: pages, single operations, and what a trailing window counts.

use super::page;
use crate::store::rows::{EntryRow, OperationRow};
use crate::store::write::Found;
use crate::store::{Result, Store, batch};

/// Rows that a window may count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRows {
    /// Newest first.
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

    /// The account's rows that a trailing window may count: booked at `since_at` (wall) or later,
    /// and, where they were booked under this `boot`, at `since_mono` or later. Choose `since_at`
    /// with room for jumps of the wall clock: the rows of this boot are exact whatever it did, rows
    /// of another are in doubt and the caller's to judge.
    pub async fn window(
        &self,
        account: &str,
        since_at: i64,
        (boot, since_mono): (&str, i64),
        limit: u32,
    ) -> Result<WindowRows> {
        let tail = "WHERE account = $1 AND at >= $2 AND (boot <> $3 OR mono_us >= $4) \
                    ORDER BY at DESC LIMIT $5";
        let mut rows: Vec<EntryRow> = self
            .select(tail, |args| {
                args.text(account)?;
                args.int(since_at)?;
                args.text(boot)?;
                args.int(since_mono)?;
                args.int(i64::from(limit) + 1)
            })
            .await?;
        let cut = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(WindowRows { rows, cut })
    }
}
