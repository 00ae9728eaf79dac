//! The offline checker over the simulated store: what it says of rows must agree with the rules.

use super::store::Store;
use super::world::ACCOUNT;
use crate::shield::verify::{BudgetRow, Checker, EntryRow, Report, Row, SliceRow};

/// Checks all rows as `kiki ledger verify` would.
pub fn verify(store: &Store) -> Report {
    let mut checker = Checker::default();
    let account = "acme";
    let name = |b: usize| if b == ACCOUNT { "@account".to_owned() } else { format!("camp_{b}") };
    for (b, core) in store.cores.iter().enumerate() {
        let days: Vec<String> =
            core.days.iter().map(|(d, used)| format!("\"{}\":{}", d.0, used.0)).collect();
        checker.feed(&Row::Budget(BudgetRow {
            account,
            budget: &name(b),
            terms: &serde_json::to_string(&*core.terms).expect("JSON"),
            funded: core.funded.0,
            refunded: core.refunded.0,
            settled: core.settled.0,
            facts: core.facts.0,
            late: core.late.0,
            seq: core.seq,
            state: &format!("{{\"days\":{{{}}}}}", days.join(",")),
        }));
        for slice in core.slices.values() {
            checker.feed(&Row::Slice(SliceRow {
                account,
                budget: &name(b),
                slice: &slice.id.to_string(),
                quota: slice.quota.0,
                settled: slice.settled.0,
                day: &slice.day.0.to_string(),
                since_seq: slice.since_seq,
            }));
        }
    }
    for (b, rows) in store.ledger.iter().enumerate() {
        for entry in rows.iter().map(|row| &row.entry) {
            checker.feed(&Row::Entry(EntryRow {
                account,
                budget: &name(b),
                seq: entry.seq,
                op: &entry.op.to_string(),
                kind: entry.kind.as_str(),
                amount: entry.amount.0,
                window_amount: entry.window_amount.0,
                currency: entry.currency.as_str(),
                hold: entry.hold.map(|hold| hold.to_string()).as_deref(),
                slice: entry.slice.map(|slice| slice.to_string()).as_deref(),
                day: &entry.day.0.to_string(),
            }));
        }
    }
    checker.finish()
}
