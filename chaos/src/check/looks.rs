//! What those who look at a budget are told, compared with its ledger and its bounds: no search is needed for
//! that, so it is never given up.

use super::bids::Bids;
use super::booked::money;
use super::caps::Caps;
use super::found::Found;
use super::history::History;
use super::ledger::{Fate, Fates, Ledger};
use super::logical::{Asked, Group};
use super::operation::{NEVER, Operation, Told, What};
use super::record::RowKind;
use super::span::Steps;
use crate::history::{AtUs, Micros};
use crate::verdict::Invariant::Linear;

/// A hold that ran out is gone so long after its time at the latest, however busy its node is.
const LINGERS_US: u64 = 30_000_000;

struct Looks<'a> {
    history: &'a History,
    ledger: &'a Ledger<'a>,
    caps: &'a Caps,
    bids: &'a Bids,
    /// The sum of each ledger up to each row.
    sums: Vec<i128>,
    budgets: Vec<Budget>,
}

/// What may have happened to one budget by when.
#[derive(Default)]
struct Budget {
    /// When rows were acknowledged, and the largest of them by then.
    acked: Vec<(AtUs, i64)>,
    spent: Steps,
    refunded: Steps,
    granted: Steps,
    gone: Steps,
}

pub fn check(
    history: &History,
    asked: &Asked,
    (ledger, fates): (&Ledger, &Fates),
    (caps, bids): (&Caps, &Bids),
    found: &mut Found,
) {
    let budgets = budgets(history, asked, ledger, fates);
    let looks = Looks { history, ledger, caps, bids, sums: ledger.sums(), budgets };
    for op in &history.operations {
        let Some(told) = op.told() else { continue };
        match op.what {
            What::Read { budget } => {
                looks.row(budget, op, told, found);
                looks.remaining(budget, op, told, found);
            }
            What::Authorise { budget, .. } => looks.remaining(budget, op, told, found),
            _ => {}
        }
    }
}

impl Looks<'_> {
    fn wrong(&self, budget: u32, op: &Operation, found: &mut Found, what: impl FnOnce() -> String) {
        found.add(Linear, Some(op.complete), &[op.id], || {
            let (kind, of) = (op.what.kind(), self.history.budget_name(budget));
            format!("a {kind} of {of} was told {}", what())
        });
    }

    /// A look at the ledger sees what was acknowledged, and what was spent by then.
    fn row(&self, budget: u32, op: &Operation, told: Told, found: &mut Found) {
        let Some(seq) = told.seq else { return };
        let acked = &self.budgets[budget as usize].acked;
        let before = acked.partition_point(|(at, _)| *at < op.invoke);
        let newest = before.checked_sub(1).map_or(0, |last| acked[last].1);
        if seq < newest {
            self.wrong(budget, op, found, || {
                format!("of row {seq}, and {newest} was acknowledged before")
            });
        }
        let spent = match self.ledger.at(budget, seq) {
            _ if seq == 0 => 0,
            Some(row) => self.sums[row as usize],
            None => {
                self.wrong(budget, op, found, || format!("of row {seq}, which is not there"));
                return;
            }
        };
        if let Some(said) = told.amount.filter(|said| i128::from(*said) != spent) {
            self.wrong(budget, op, found, || {
                format!("that {} were spent at row {seq}, where {} were", money(said), text(spent))
            });
        }
    }

    /// What remains lies between what every cap and booking that there may have been makes of it. Who grants a
    /// hold knows what its node was told of the budget last, so of an earlier time, too.
    fn remaining(&self, budget: u32, op: &Operation, told: Told, found: &mut Found) {
        let Some(said) = told.remaining else { return };
        let caps = || self.caps.possible(budget, 0, op.complete).map(i128::from);
        let (Some(least), Some(most)) = (caps().min(), caps().max()) else { return };
        let of = &self.budgets[budget as usize];
        let most = most + of.refunded.before(op.complete);
        let held = of.granted.before(op.complete) - of.gone.before(op.invoke);
        let bids = self.bids.held(budget, op.complete);
        let least = bids.map(|bids| least - of.spent.before(op.complete) - held.max(0) - bids);
        if i128::from(said) > most {
            self.wrong(budget, op, found, || {
                format!("that {} remain, which is more than {}, the most", money(said), text(most))
            });
        } else if let Some(least) = least.filter(|least| i128::from(said) < *least) {
            self.wrong(budget, op, found, || {
                format!(
                    "that {} remain, which is less than {}, the least",
                    money(said),
                    text(least)
                )
            });
        }
    }
}

fn text(amount: i128) -> String {
    Micros::try_from(amount).map_or_else(|_| amount.to_string(), money)
}

fn budgets(history: &History, asked: &Asked, ledger: &Ledger, fates: &Fates) -> Vec<Budget> {
    #[derive(Clone, Default)]
    struct One {
        acked: Vec<(AtUs, i64)>,
        spent: Vec<(AtUs, i128)>,
        refunded: Vec<(AtUs, i128)>,
        granted: Vec<(AtUs, i128)>,
        gone: Vec<(AtUs, i128)>,
    }
    let mut all = vec![One::default(); history.budgets.len()];
    // Holds whose settles certainly ended them where they were held, and when.
    let mut ended: Vec<(u32, AtUs)> = Vec::new();
    let groups: [(&Group, &[Fate]); 3] = [
        (&asked.settles, &fates.settles),
        (&asked.spends, &fates.spends),
        (&asked.billings, &fates.billings),
    ];
    let mut asked_for = vec![false; ledger.rows.len()];
    for (group, fates) in groups {
        for (logical, fate) in group.list.iter().zip(fates) {
            let (budget, amount) = match fate {
                Fate::Never => continue,
                Fate::Possible(_) => (logical.budget, logical.amount),
                Fate::Row(place) => {
                    let row = &ledger.rows[*place as usize];
                    asked_for[*place as usize] = true;
                    if logical.is_acked() {
                        all[row.budget as usize].acked.push((logical.acked, row.seq));
                        if row.kind == RowKind::Settle {
                            ended.push((logical.name, logical.acked));
                        }
                    }
                    (row.budget, row.amount)
                }
            };
            let (one, first) = (&mut all[budget as usize], logical.first);
            match amount < 0 {
                true => one.refunded.push((first, -i128::from(amount))),
                false => one.spent.push((first, i128::from(amount))),
            }
        }
    }
    // Of wins nobody knows when they were booked.
    for (row, asked_for) in ledger.rows.iter().zip(asked_for) {
        if row.hold.is_some() && !asked_for {
            all[row.budget as usize].spent.push((0, i128::from(row.amount)));
        }
    }
    ended.sort_unstable();
    let lives = history.begin.hold_us.saturating_mul(2).saturating_add(LINGERS_US);
    let lives = if history.clocks_were_struck() { NEVER } else { lives };
    for grant in asked.grants.list.iter().filter(|grant| grant.is_acked() || grant.maybe) {
        let (one, amount) = (&mut all[grant.budget as usize], i128::from(grant.amount));
        one.granted.push((grant.first, amount));
        // Asked for once more after its end, it may be held once more.
        let last = asked.grants.attempts(grant, history).map(|op| op.complete).max();
        let last = last.unwrap_or(NEVER);
        let settled = grant.hold.and_then(|hold| {
            let from = ended.partition_point(|end| *end < (hold, last));
            ended.get(from).filter(|(of, _)| *of == hold).map(|(_, acked)| *acked)
        });
        let over = settled.unwrap_or(NEVER).min(last.saturating_add(lives));
        if over != NEVER {
            one.gone.push((over, amount));
        }
    }
    let budget = |mut one: One| {
        one.acked.sort_unstable();
        let mut newest = 0;
        for (_, seq) in &mut one.acked {
            newest = newest.max(*seq);
            *seq = newest;
        }
        Budget {
            acked: one.acked,
            spent: Steps::of(one.spent),
            refunded: Steps::of(one.refunded),
            granted: Steps::of(one.granted),
            gone: Steps::of(one.gone),
        }
    };
    all.into_iter().map(budget).collect()
}
