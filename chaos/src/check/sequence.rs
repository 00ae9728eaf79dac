//! BG-3: sequences without gaps, one row for each operation, the same answer to the same question, and the
//! order in which clients were answered.

use std::collections::HashMap;

use super::found::Found;
use super::history::History;
use super::ledger::{Fate, Fates, Ledger};
use super::logical::{Asked, Group, Logical};
use super::operation::NEVER;
use crate::history::AtUs;
use crate::verdict::Invariant::Bg3;

pub fn rows(history: &History, ledger: &Ledger, found: &mut Found) {
    for rows in ledger.budgets() {
        let mut want = 1;
        for row in rows {
            if row.seq != want {
                found.add(Bg3, None, &[], || {
                    let of = history.budget_name(row.budget);
                    match row.seq < want {
                        true => format!("the ledger of {of} has {} more than once", row.seq),
                        false => {
                            format!("the ledger of {of} has {} where {want} should be", row.seq)
                        }
                    }
                });
            }
            want = row.seq.saturating_add(1);
        }
    }
    let mut operations: Vec<(u32, u32)> =
        ledger.rows.iter().map(|row| (history.account_of(row.budget), row.op)).collect();
    operations.sort_unstable();
    for pair in operations.windows(2).filter(|pair| pair[0] == pair[1]) {
        let op = history.names.text(pair[0].1);
        found.add(Bg3, None, &[], || format!("operation {op} has more than one row"));
    }
    for row in ledger.held_twice() {
        found.add(Bg3, None, &[], || {
            let hold = row.hold.map_or("?", |hold| history.names.text(hold));
            format!("hold {hold} is in the ledger more than once, again as {}", row.seq)
        });
    }
}

/// Every answer of the same is the same.
pub fn replays(history: &History, asked: &Asked, found: &mut Found) {
    let mut keys: HashMap<u32, u32> = HashMap::new();
    for grant in &asked.grants.list {
        differing(history, &asked.grants, grant, found);
        let Some(hold) = grant.hold else { continue };
        if keys.insert(hold, grant.name).is_some_and(|key| key != grant.name) {
            let ids = asked.grants.ids(grant, history);
            let hold = history.names.text(hold);
            found.add(Bg3, Some(grant.acked), &ids, || format!("two keys were given hold {hold}"));
        }
    }
    for group in [&asked.settles, &asked.spends] {
        for logical in &group.list {
            differing(history, group, logical, found);
        }
    }
}

fn differing(history: &History, group: &Group, logical: &Logical, found: &mut Found) {
    for op in group.attempts(logical, history) {
        let Some(told) = op.told() else { continue };
        let seq = told.seq.zip(logical.seq).is_some_and(|(a, b)| a != b);
        let hold = told.hold.zip(logical.hold).is_some_and(|(a, b)| a != b);
        // A hold's amount is the first one's; a booking's is what was asked.
        let booked = matches!(op.what.kind(), "settle" | "spend");
        let amount = booked && told.amount.is_some_and(|amount| amount != logical.amount);
        if seq || hold || amount {
            found.add(Bg3, Some(op.complete), &[op.id], || {
                let name = history.names.text(logical.name);
                let what = if seq {
                    "row"
                } else if hold {
                    "hold"
                } else {
                    "amount"
                };
                format!("{} {name} was answered with another {what} than before", op.what.kind())
            });
        }
    }
}

/// What was acknowledged before something else began has the smaller number.
pub fn order(history: &History, asked: &Asked, fates: &Fates, ledger: &Ledger, found: &mut Found) {
    struct One {
        budget: u32,
        first: AtUs,
        acked: AtUs,
        seq: i64,
        id: u64,
    }
    let mut all: Vec<One> = Vec::new();
    let groups = [(&asked.settles, &fates.settles), (&asked.spends, &fates.spends)];
    for (group, fates) in groups {
        for (logical, fate) in group.list.iter().zip(fates) {
            let Fate::Row(row) = fate else { continue };
            let row = &ledger.rows[*row as usize];
            let id = group.attempts(logical, history).next().map_or(0, |op| op.id);
            let Logical { first, acked, .. } = *logical;
            all.push(One { budget: row.budget, first, acked, seq: row.seq, id });
        }
    }
    all.sort_unstable_by_key(|one| (one.budget, one.first));
    for budget in all.chunk_by(|a, b| a.budget == b.budget) {
        let mut acked: Vec<&One> = budget.iter().filter(|one| one.acked != NEVER).collect();
        acked.sort_unstable_by_key(|one| one.acked);
        let mut before = acked.into_iter().peekable();
        let mut newest: Option<&One> = None;
        for one in budget {
            while let Some(next) = before.next_if(|next| next.acked < one.first) {
                newest = newest.filter(|newest| newest.seq > next.seq).or(Some(next));
            }
            if let Some(earlier) = newest.filter(|earlier| earlier.seq > one.seq) {
                found.add(Bg3, Some(one.first), &[earlier.id, one.id], || {
                    let of = history.budget_name(one.budget);
                    let (a, b) = (earlier.seq, one.seq);
                    format!("{of}: {a} was acknowledged before what is booked as {b} was asked for")
                });
            }
        }
    }
}
