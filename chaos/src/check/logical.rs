//! What clients meant: all attempts under one key, or at one hold, are one operation.

use std::ops::Range;

use super::history::History;
use super::operation::{NEVER, Operation, What};
use crate::history::{AtUs, Micros};

/// All attempts of one thing, in the order in which they began.
#[derive(Clone, Debug)]
pub struct Logical {
    pub budget: u32,
    /// The key of an authorisation or spend, the hold of a settle, release or billing.
    pub name: u32,
    /// Of the attempt that was answered first, else of the first.
    pub amount: Micros,
    pub first: AtUs,
    /// When it was first answered as done.
    pub acked: AtUs,
    /// The ledger's sequence number and the hold, by the first answer that has them.
    pub seq: Option<i64>,
    pub hold: Option<u32>,
    /// An attempt may have had its effect without an answer that says so.
    pub maybe: bool,
    attempts: Range<usize>,
}

impl Logical {
    pub fn is_acked(&self) -> bool {
        self.acked != NEVER
    }
}

/// The logical operations of one kind.
#[derive(Debug, Default)]
pub struct Group {
    pub list: Vec<Logical>,
    places: Vec<u32>,
}

impl Group {
    /// Gathers what `pick` names: by scope and name.
    fn of(
        history: &History,
        pick: impl Fn(&Operation) -> Option<(u32, u32, u32, Micros)>,
    ) -> Group {
        let mut order: Vec<(u32, u32, u32)> = Vec::new();
        for (place, op) in history.operations.iter().enumerate() {
            if let Some((scope, name, ..)) = pick(op) {
                order.push((scope, name, place as u32));
            }
        }
        order.sort_unstable_by_key(|(scope, name, place)| {
            (*scope, *name, history.operations[*place as usize].invoke, *place)
        });
        let mut group =
            Group { list: Vec::new(), places: order.iter().map(|(.., place)| *place).collect() };
        let mut start = 0;
        for chunk in order.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let attempts = start..start + chunk.len();
            start = attempts.end;
            let ops = chunk.iter().map(|(.., place)| &history.operations[*place as usize]);
            if let Some(logical) = gather(ops, attempts, &pick) {
                group.list.push(logical);
            }
        }
        group
    }

    pub fn attempts<'a>(
        &'a self,
        logical: &Logical,
        history: &'a History,
    ) -> impl Iterator<Item = &'a Operation> + Clone {
        let places = &self.places[logical.attempts.clone()];
        places.iter().map(|place| &history.operations[*place as usize])
    }

    /// The history's ids of its attempts, for people; the first few.
    pub fn ids(&self, logical: &Logical, history: &History) -> Vec<u64> {
        self.attempts(logical, history).take(8).map(|op| op.id).collect()
    }
}

fn gather<'a>(
    ops: impl Iterator<Item = &'a Operation>,
    attempts: Range<usize>,
    pick: &impl Fn(&Operation) -> Option<(u32, u32, u32, Micros)>,
) -> Option<Logical> {
    let mut logical: Option<Logical> = None;
    for op in ops {
        let (_, name, budget, amount) = pick(op)?;
        let logical = logical.get_or_insert(Logical {
            budget,
            name,
            amount,
            first: op.invoke,
            acked: NEVER,
            seq: None,
            hold: None,
            maybe: false,
            attempts: attempts.clone(),
        });
        match op.told() {
            Some(told) => {
                if op.complete < logical.acked {
                    (logical.acked, logical.amount, logical.budget) = (op.complete, amount, budget);
                }
                logical.seq = logical.seq.or(told.seq);
                logical.hold = logical.hold.or(told.hold);
            }
            None => logical.maybe |= op.may_have_happened(),
        }
    }
    logical
}

/// All logical operations that are about money.
#[derive(Debug, Default)]
pub struct Asked {
    pub grants: Group,
    pub settles: Group,
    pub releases: Group,
    pub spends: Group,
    pub billings: Group,
}

impl Asked {
    pub fn of(history: &History) -> Asked {
        Asked {
            grants: Group::of(history, |op| match op.what {
                What::Authorise { budget, key, amount } => Some((budget, key, budget, amount)),
                _ => None,
            }),
            settles: Group::of(history, |op| match op.what {
                What::Settle { budget, hold, amount } => Some((0, hold, budget, amount)),
                _ => None,
            }),
            releases: Group::of(history, |op| match op.what {
                What::Release { budget, hold } => Some((0, hold, budget, 0)),
                _ => None,
            }),
            // A spend's key counts within its account, whatever campaign it is for.
            spends: Group::of(history, |op| match op.what {
                What::Spend { budget, key, amount } => {
                    Some((history.account_of(budget), key, budget, amount))
                }
                _ => None,
            }),
            billings: Group::of(history, |op| match op.what {
                What::Billing { budget, hold, amount } => Some((0, hold, budget, amount)),
                _ => None,
            }),
        }
    }
}
