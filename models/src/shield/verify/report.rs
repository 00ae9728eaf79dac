//! What a check found.

use std::fmt;

use serde::Serialize;

use crate::shield::money::Micros;

/// Violations that are kept; more are only counted.
pub const VIOLATIONS_MAX: usize = 1000;

/// The numbered invariants of the architecture that a store at rest can be checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Invariant {
    /// No grant beyond a cap.
    #[serde(rename = "BG-1")]
    Bg1,
    /// What was acknowledged is in the ledger, with its amount.
    #[serde(rename = "BG-2")]
    Bg2,
    /// One operation, one row; dense sequences.
    #[serde(rename = "BG-3")]
    Bg3,
    /// Totals that add up to the micro.
    #[serde(rename = "BG-4")]
    Bg4,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Invariant::Bg1 => "BG-1",
            Invariant::Bg2 => "BG-2",
            Invariant::Bg3 => "BG-3",
            Invariant::Bg4 => "BG-4",
        })
    }
}

/// One place where an invariant does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub invariant: Invariant,
    pub account: String,
    pub budget: String,
    /// Which row of the budget: `ledger row 17`, `slice …`, `hold …`; none for its totals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { invariant, account, budget, row, what } = self;
        write!(f, "{invariant} {account}/{budget}")?;
        if let Some(row) = row {
            write!(f, " {row}")?;
        }
        write!(f, ": {what}")
    }
}

/// A budget, added up from its ledger rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Total {
    pub account: String,
    pub budget: String,
    /// Empty where the budget's terms cannot be read.
    pub currency: String,
    pub rows: u64,
    /// The lifetime cap with its top-ups.
    pub funded: Micros,
    /// Settles, spends and late settles, less refunds.
    pub spent: Micros,
    pub settled: Micros,
    pub facts: Micros,
    pub late: Micros,
    pub refunded: Micros,
    /// Escrow of its slices, held and unheld.
    pub escrow: Micros,
    /// Funded and refunded, less settled, facts and escrow.
    pub available: Micros,
}

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every invariant holds.
    pub holds: bool,
    /// Ledger rows.
    pub rows: u64,
    /// By account and name; the budgets of accounts themselves, which book nothing, are left out.
    pub budgets: Vec<Total>,
    pub violations: Vec<Violation>,
    /// Violations beyond [`VIOLATIONS_MAX`].
    pub violations_left_out: u64,
}

/// Violations, collected.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub list: Vec<Violation>,
    pub left_out: u64,
}

impl Findings {
    pub fn add(
        &mut self,
        invariant: Invariant,
        (account, budget): (&str, &str),
        row: Option<String>,
        what: String,
    ) {
        if self.list.len() >= VIOLATIONS_MAX {
            self.left_out += 1;
            return;
        }
        let (account, budget) = (account.to_owned(), budget.to_owned());
        self.list.push(Violation { invariant, account, budget, row, what });
    }
}
