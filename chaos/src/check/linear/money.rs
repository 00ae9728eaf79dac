//! What remains of a budget, as bookings and caps make it and as those who look are told.

use super::super::bids::Bids;
use super::super::history::History;
use super::super::ledger::{Fate, Fates, Ledger};
use super::super::logical::{Asked, Group};
use super::super::operation::{NEVER, What};
use super::super::span::Steps;
use super::search::{Call, Model};
use crate::history::{AtUs, Micros};

/// What a budget has after some operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    pub cap: i128,
    pub booked: i128,
    /// The next booking of those whose place in the ledger is known.
    pub next: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// `rank`: its place among the bookings whose rows are known.
    Book {
        amount: Micros,
        rank: Option<u32>,
    },
    Cap(Micros),
    /// Holds that were open on the node that answered are taken off what remains: `held` at most.
    Saw {
        remaining: Micros,
        held: i128,
    },
}

impl Model for Money {
    type State = Money;
    type Action = Act;

    fn step(state: Money, act: Act) -> Option<Money> {
        match act {
            Act::Book { amount, rank } => {
                if rank.is_some_and(|rank| rank != state.next) {
                    return None;
                }
                let next = state.next + u32::from(rank.is_some());
                Some(Money { booked: state.booked + i128::from(amount), next, ..state })
            }
            Act::Cap(cap) => Some(Money { cap: i128::from(cap), ..state }),
            Act::Saw { remaining, held } => {
                let most = state.cap - state.booked;
                let fits = (most - held..=most).contains(&i128::from(remaining));
                fits.then_some(state)
            }
        }
    }

    fn looks(act: Act) -> bool {
        matches!(act, Act::Saw { .. })
    }
}

/// The calls of each budget that somebody looked at. `None`: its ledger has bookings that this history
/// does not explain, as wins are whose holds ended, so it cannot be searched.
pub fn budgets(
    history: &History,
    asked: &Asked,
    (ledger, fates): (&Ledger, &Fates),
    bids: &Bids,
) -> Vec<Option<Vec<Call<Act>>>> {
    let mut looked = vec![false; history.budgets.len()];
    for op in &history.operations {
        if let What::Read { budget } = op.what {
            looked[budget as usize] |= op.told().is_some_and(|told| told.remaining.is_some());
        }
    }
    let mut all: Vec<Option<Vec<Call<Act>>>> = vec![Some(Vec::new()); looked.len()];
    let mut known = vec![false; ledger.rows.len()];
    // Row, budget, call: those of one budget are put in the order of the ledger.
    let mut booked: Vec<(u32, i64, Call<Act>)> = Vec::new();
    let groups = [
        (&asked.settles, &fates.settles),
        (&asked.spends, &fates.spends),
        (&asked.billings, &fates.billings),
    ];
    for (group, fates) in groups {
        for (logical, fate) in group.list.iter().zip(fates) {
            let id = group.attempts(logical, history).next().map_or(0, |op| op.id);
            let (first, acked) = (logical.first, logical.acked);
            let (budget, seq, amount, acked) = match fate {
                Fate::Never => continue,
                Fate::Row(row) => {
                    known[*row as usize] = true;
                    let row = &ledger.rows[*row as usize];
                    (row.budget, row.seq, row.amount, acked)
                }
                Fate::Possible(_) => (logical.budget, i64::MAX, logical.amount, acked),
            };
            let action = Act::Book { amount, rank: None };
            booked.push((budget, seq, Call { first, acked, action, id }));
        }
    }
    for (row, known) in ledger.rows.iter().zip(known) {
        if row.hold.is_some() && !known && looked[row.budget as usize] {
            all[row.budget as usize] = None;
        }
    }
    booked.sort_by_key(|(budget, seq, _)| (*budget, *seq));
    for chunk in booked.chunk_by_mut(|a, b| a.0 == b.0) {
        for (rank, (_, seq, call)) in chunk.iter_mut().enumerate() {
            if let Act::Book { rank: place, .. } = &mut call.action
                && *seq != i64::MAX
            {
                *place = Some(rank as u32);
            }
        }
    }
    let calls = booked.into_iter().map(|(budget, _, call)| (budget, call));
    for (budget, call) in calls.chain(others(history, asked, bids)) {
        if looked[budget as usize]
            && let Some(list) = &mut all[budget as usize]
        {
            list.push(call);
        }
    }
    all
}

/// Caps that were set, and looks.
fn others(history: &History, asked: &Asked, bids: &Bids) -> Vec<(u32, Call<Act>)> {
    let holds = held(history, asked);
    let mut calls = Vec::new();
    for op in history.operations.iter().filter(|op| op.may_have_happened()) {
        let (budget, action) = match op.what {
            What::SetCap { budget, cap } => (budget, Act::Cap(cap)),
            What::Read { budget } => {
                let Some(remaining) = op.told().and_then(|told| told.remaining) else { continue };
                let (granted, ended) = &holds[budget as usize];
                let held = granted.before(op.complete) - ended.before(op.invoke);
                let bids = bids.held(budget, op.complete).unwrap_or(i128::from(i64::MAX));
                let held = held.max(0) + bids;
                (budget, Act::Saw { remaining, held })
            }
            _ => continue,
        };
        let (first, acked, id) = (op.invoke, op.certain_from(), op.id);
        calls.push((budget, Call { first, acked, action, id }));
    }
    calls
}

/// By budget, what may have been held from when on, and what was certainly held no more.
fn held(history: &History, asked: &Asked) -> Vec<(Steps, Steps)> {
    let mut granted: Vec<Vec<(AtUs, i128)>> = vec![Vec::new(); history.budgets.len()];
    let mut ended = granted.clone();
    let ends = |group: &Group| -> Vec<(u32, AtUs)> {
        group.list.iter().filter(|end| end.is_acked()).map(|end| (end.name, end.acked)).collect()
    };
    let mut ends = [ends(&asked.settles), ends(&asked.releases)].concat();
    ends.sort_unstable();
    for grant in asked.grants.list.iter().filter(|grant| grant.is_acked() || grant.maybe) {
        let amount = i128::from(grant.amount);
        granted[grant.budget as usize].push((grant.first, amount));
        let attempts = asked.grants.attempts(grant, history);
        let last = attempts.map(|op| op.complete).max().unwrap_or(NEVER);
        let Some(hold) = grant.hold else { continue };
        // Asked for once more after its end, it may be held once more.
        let from = ends.partition_point(|end| *end < (hold, last));
        if let Some((_, acked)) = ends.get(from).filter(|(other, _)| *other == hold) {
            ended[grant.budget as usize].push((*acked, amount));
        }
    }
    granted.into_iter().zip(ended).map(|(g, e)| (Steps::of(g), Steps::of(e))).collect()
}
