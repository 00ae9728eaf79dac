//! What is written together, and how that can end.

use super::error::StoreError;
use super::put::{Gone, Put};
use super::rows::{AccountRow, BudgetRow, EntryRow, HoldRow, OperationRow, OutboxRow, SliceRow};

/// One atomic change of one budget (or, without a `budget_row`, of its account): all of it is
/// written or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Write {
    pub account: String,
    pub budget: String,
    /// 0 to 255, with the epoch under which the writer owns it.
    pub shard: i64,
    pub epoch: i64,
    /// Look the operations of this write up before writing it: see [`Outcome::Duplicate`].
    pub check_ops: bool,
    pub entries: Vec<EntryRow>,
    pub budget_row: Option<BudgetPut>,
    /// Inserted, or (same key) updated in all but `settled`, `holder` and `day`. A sealed slice is
    /// never opened again, and a quota never falls below what is settled.
    pub slices_put: Vec<SliceRow>,
    /// Adds to `slice.settled` where the slice is open and its quota allows it, after the slices put
    /// open and before the slices put sealed.
    pub slice_settles: Vec<(String, i64)>,
    /// Slices deleted, last. One that is gone already is no error.
    pub slices_gone: Vec<String>,
    /// Inserted; finding one of its name is [`Outcome::Stale`].
    pub account_row: Option<AccountRow>,
    pub operations: Vec<OperationRow>,
    pub outbox: Vec<OutboxRow>,
    /// Journaled: inserted or overwritten, but a closed hold is never opened again.
    pub holds: Vec<HoldRow>,
    /// Rows that are written whole, each under the rule of its table.
    pub puts: Vec<Put>,
    /// Deleted, last.
    pub gone: Vec<Gone>,
}

/// The budget's row as it shall be, if its version is still the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetPut {
    /// 0 inserts, and finding a row is then [`Outcome::Stale`].
    pub expected_version: i64,
    /// `version` is ignored: the row gets `expected_version + 1`. `account`, `budget`, `shard` and
    /// `created_at` count only in an insert.
    pub row: BudgetRow,
    /// Leaves the stored terms as they are (they are large and change rarely). Not for inserts.
    pub keep_terms: bool,
}

/// How a [`Write`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Durable.
    Committed,
    /// At least one of its operations is booked already; nothing of this write was written.
    Duplicate(Vec<Found>),
    /// The shard has another epoch: this writer is not the owner any more. Nothing was written.
    Fenced,
    /// A condition did not hold (version, slice, a key that exists): reload. Nothing was written.
    Stale,
    /// Nothing was written.
    Failed(StoreError),
    /// It may be durable or not: reload through [`crate::store::Store::reload_budget`].
    Unknown(StoreError),
}

impl Outcome {
    /// Whether the store failed, rather than declined.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Unknown(_))
    }
}

/// A row that an operation has already, whole, so that its answer can be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Entry(EntryRow),
    Operation(OperationRow),
}

impl Found {
    pub fn op(&self) -> &str {
        match self {
            Self::Entry(row) => &row.op,
            Self::Operation(row) => &row.op,
        }
    }

    pub fn body_hash(&self) -> &str {
        match self {
            Self::Entry(row) => &row.body_hash,
            Self::Operation(row) => &row.body_hash,
        }
    }
}

impl Write {
    /// Rows that this write changes: the unit in which batches are counted. At least 1.
    pub fn weight(&self) -> usize {
        (self.entries.len()
            + self.operations.len()
            + self.holds.len()
            + self.slices_put.len()
            + self.puts.len())
        .max(1)
    }

    /// Roughly the bytes that it occupies while it waits.
    pub fn bytes(&self) -> usize {
        let texts = |parts: &[&str]| parts.iter().map(|t| t.len()).sum::<usize>();
        let entries: usize = self
            .entries
            .iter()
            .map(|e| 256 + texts(&[&e.account, &e.budget, &e.op, e.memo.as_deref().unwrap_or("")]))
            .sum();
        let budget = self
            .budget_row
            .as_ref()
            .map_or(0, |b| 256 + texts(&[&b.row.terms, &b.row.state, &b.row.budget]));
        let operations: usize =
            self.operations.iter().map(|o| 192 + texts(&[&o.op, &o.answer])).sum();
        let outbox: usize = self.outbox.iter().map(|o| 192 + texts(&[&o.id, &o.payload])).sum();
        let holds: usize = self
            .holds
            .iter()
            .map(|h| 288 + texts(&[&h.hold, h.memo.as_deref().unwrap_or("")]))
            .sum();
        let puts: usize = self.puts.iter().map(Put::bytes).sum();
        256 + entries + budget + operations + outbox + holds + puts + 288 * self.slices_put.len()
    }
}
