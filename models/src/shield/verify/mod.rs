//! Whether a store at rest keeps the invariants: fed with its rows one by one, in the order of an
//! export (budgets, slices, holds, the ledger, stored answers), it tells every place where not.
//!
//! It adds everything up again and believes no total. What it keeps is bounded by the budgets, the
//! journaled holds and one key for each ledger row: some 40 bytes a row.

mod report;
mod row;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

pub use report::{Invariant, Report, Total, VIOLATIONS_MAX, Violation};
pub use row::{BudgetRow, EntryRow, HoldRow, OrderRow, Row, SliceRow};

use super::entry::{Kind, Op};
use super::hold::settle_op;
use super::money::Micros;
use Invariant::{Bg1, Bg2, Bg3, Bg4};
use report::Findings;
use tally::Tally;

/// Checks rows; see the module.
#[derive(Debug, Default)]
pub struct Checker {
    accounts: BTreeMap<String, Account>,
    findings: Findings,
    rows: u64,
}

#[derive(Debug, Default)]
struct Account {
    budgets: BTreeMap<String, Tally>,
    /// Every operation that has a ledger row.
    ops: HashSet<u128>,
    holds: HashMap<u128, Journaled>,
}

/// What the journal says of a hold.
#[derive(Debug)]
struct Journaled {
    budget: String,
    amount: i64,
    /// Its settle, until the ledger's row was seen.
    settled: Option<i64>,
}

impl Checker {
    /// Looks at one row.
    pub fn feed(&mut self, row: &Row<'_>) {
        let Checker { accounts, findings, rows } = self;
        let (account_name, name) = row.name();
        // requests about personal data keep the answers of their keyed calls among those of budgets
        if matches!(row, Row::Order(_)) && name.starts_with("@dsr/") {
            return;
        }
        if !accounts.contains_key(account_name) {
            accounts.insert(account_name.to_owned(), Account::default());
        }
        let Some(account) = accounts.get_mut(account_name) else { return };
        if let Row::Hold(hold) = row {
            account.hold(hold, findings);
            return;
        }
        if !account.budgets.contains_key(name) {
            account.budgets.insert(name.to_owned(), Tally::default());
        }
        let Some(tally) = account.budgets.get_mut(name) else { return };
        match row {
            Row::Budget(row) => tally.budget(row, findings),
            Row::Slice(row) => tally.slice(row, findings),
            Row::Order(row) => tally.order(row),
            Row::Entry(row) => {
                *rows += 1;
                let kind = tally.entry(row, findings);
                account.booked(row, kind, findings);
            }
            Row::Hold(_) => {}
        }
    }

    /// Adds up, when every row was fed.
    pub fn finish(mut self) -> Report {
        let mut budgets = Vec::new();
        for (name, account) in &self.accounts {
            for (budget, tally) in &account.budgets {
                tally.finish((name, budget), &mut self.findings);
                if !tally.is_account() {
                    budgets.push(tally.total(name, budget));
                }
            }
            let mut missing: Vec<_> =
                account.holds.iter().filter_map(|(id, h)| Some((id, h, h.settled?))).collect();
            missing.sort_by_key(|(id, ..)| **id);
            for (id, hold, amount) in missing {
                let what = format!("was settled with {} and has no ledger row", Micros(amount));
                let row = Some(format!("hold {}", Op(*id)));
                self.findings.add(Bg2, (name, &hold.budget), row, what);
            }
        }
        let Findings { list: violations, left_out: violations_left_out } = self.findings;
        let holds = violations.is_empty();
        Report { holds, rows: self.rows, budgets, violations, violations_left_out }
    }
}

impl Account {
    fn hold(&mut self, row: &HoldRow<'_>, findings: &mut Findings) {
        let mut wrong = |invariant, what| {
            let id = Some(format!("hold {}", row.hold));
            findings.add(invariant, (row.account, row.budget), id, what);
        };
        let Some(id) = Op::from_hex(row.hold) else {
            return wrong(Bg3, "is no hold's name".to_owned());
        };
        if row.amount < 0 || row.settled.is_some_and(|settled| settled > row.amount) {
            let (settled, amount) = (Micros(row.settled.unwrap_or(0)), Micros(row.amount));
            wrong(Bg1, format!("was settled with {settled} of {amount}"));
        }
        let (budget, amount, settled) = (row.budget.to_owned(), row.amount, row.settled);
        if self.holds.insert(id.0, Journaled { budget, amount, settled }).is_some() {
            wrong(Bg3, "is there twice".to_owned());
        }
    }

    /// What a ledger row must be among all of its account.
    fn booked(&mut self, row: &EntryRow<'_>, kind: Option<Kind>, findings: &mut Findings) {
        let mut wrong = |invariant, what| {
            let name = (row.account, row.budget);
            findings.add(invariant, name, Some(format!("ledger row {}", row.seq)), what);
        };
        let Some(op) = Op::from_hex(row.op) else {
            return wrong(Bg3, format!("{:?} is no operation's key", row.op));
        };
        if !self.ops.insert(op.0) {
            wrong(Bg3, format!("operation {op} has a row already"));
        }
        let of_hold = matches!(kind, Some(Kind::Settle | Kind::Late));
        let (Some(hold), true) = (row.hold, of_hold) else { return };
        let Some(hold) = Op::from_hex(hold) else {
            return wrong(Bg3, format!("{hold:?} is no hold's name"));
        };
        // One hold has one settle because the hold alone names the operation.
        if settle_op(hold) != op {
            wrong(Bg3, format!("settles hold {hold} under a key that is not the hold's own"));
        }
        let Some(journaled) = self.holds.get_mut(&hold.0) else { return };
        if row.amount > journaled.amount {
            let (amount, held) = (Micros(row.amount), Micros(journaled.amount));
            wrong(Bg1, format!("settles {amount} of hold {hold}, which was of {held}"));
        }
        if journaled.budget != row.budget {
            wrong(Bg4, format!("settles hold {hold}, which is of {}", journaled.budget));
        }
        if let Some(settled) = journaled.settled.take().filter(|settled| *settled != row.amount) {
            let (amount, settled) = (Micros(row.amount), Micros(settled));
            wrong(Bg2, format!("books {amount} for hold {hold}, which was settled with {settled}"));
        }
    }
}
