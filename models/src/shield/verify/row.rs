//! Rows of a store as they were read: text and numbers that nobody has judged yet.

/// One row. Money is micros of the budget's currency.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    Budget(BudgetRow<'a>),
    Slice(SliceRow<'a>),
    Hold(HoldRow<'a>),
    Entry(EntryRow<'a>),
    Order(OrderRow<'a>),
}

/// A budget's running totals.
#[derive(Clone, Copy, Debug)]
pub struct BudgetRow<'a> {
    pub account: &'a str,
    pub budget: &'a str,
    /// JSON of [`crate::shield::terms::Terms`].
    pub terms: &'a str,
    pub funded: i64,
    pub refunded: i64,
    pub settled: i64,
    pub facts: i64,
    pub late: i64,
    /// Sequence of the newest ledger row.
    pub seq: i64,
    /// JSON; its `days` are what was used of each day that is kept.
    pub state: &'a str,
}

#[derive(Clone, Copy, Debug)]
pub struct SliceRow<'a> {
    pub account: &'a str,
    pub budget: &'a str,
    pub slice: &'a str,
    pub quota: i64,
    pub settled: i64,
    pub day: &'a str,
    /// Sequence of the newest ledger row when it was taken: its bookings come after.
    pub since_seq: i64,
}

/// A journaled hold; it may be behind the ledger, never ahead of it.
#[derive(Clone, Copy, Debug)]
pub struct HoldRow<'a> {
    pub account: &'a str,
    pub budget: &'a str,
    pub hold: &'a str,
    pub amount: i64,
    /// What it was settled with, once it was.
    pub settled: Option<i64>,
}

/// A ledger row.
#[derive(Clone, Copy, Debug)]
pub struct EntryRow<'a> {
    pub account: &'a str,
    pub budget: &'a str,
    pub seq: i64,
    pub op: &'a str,
    pub kind: &'a str,
    pub amount: i64,
    pub window_amount: i64,
    pub currency: &'a str,
    pub hold: Option<&'a str>,
    pub slice: Option<&'a str>,
    pub day: &'a str,
}

/// The stored answer of an operation that booked no ledger row.
#[derive(Clone, Copy, Debug)]
pub struct OrderRow<'a> {
    pub account: &'a str,
    pub budget: &'a str,
    /// JSON; of an allocation it has the `budget` and the `version` that it led to.
    pub answer: &'a str,
}

impl<'a> Row<'a> {
    pub fn account(&self) -> &'a str {
        self.name().0
    }

    /// The account and the budget.
    pub(super) fn name(&self) -> (&'a str, &'a str) {
        match self {
            Row::Budget(r) => (r.account, r.budget),
            Row::Slice(r) => (r.account, r.budget),
            Row::Hold(r) => (r.account, r.budget),
            Row::Entry(r) => (r.account, r.budget),
            Row::Order(r) => (r.account, r.budget),
        }
    }
}
