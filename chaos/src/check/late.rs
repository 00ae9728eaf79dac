//! When a booking may be late: the hold had run out or was given back, or what held its money was disturbed while
//! it was open.

use std::collections::HashMap;

use super::history::History;
use super::logical::{Asked, Group, Logical};
use super::operation::{NEVER, Operation, What};
use super::overspend::less;
use crate::history::{AtUs, Phase};

/// A shard may have moved so long before the first node tells of it.
const UNTOLD_US: u64 = 10_000_000;
/// Nodes that have not heard of a move go on as before for so long.
const UNHEARD_US: u64 = 2_000_000;

#[derive(Debug)]
pub struct Late {
    /// When each hold was first asked for.
    begun: HashMap<u32, AtUs>,
    /// When somebody first asked to give it back, which may have been done.
    released: HashMap<u32, AtUs>,
    /// When something happened that may end holds before their time; sorted, none touches another.
    disturbed: Vec<(AtUs, AtUs)>,
    hold_us: u64,
    /// A clock was struck: nobody knows when a hold runs out.
    unclear: bool,
}

impl Late {
    pub fn of(history: &History, asked: &Asked) -> Late {
        let mut begun: HashMap<u32, AtUs> = HashMap::new();
        let mut begins = |hold: u32, at: AtUs| {
            let first = begun.entry(hold).or_insert(at);
            *first = at.min(*first);
        };
        for grant in &asked.grants.list {
            let given = asked.grants.attempts(grant, history).filter_map(|op| op.told()?.hold);
            given.for_each(|hold| begins(hold, grant.first));
        }
        for op in history.operations.iter().filter(|op| matches!(op.what, What::Bid { .. })) {
            if let Some(hold) = op.told().and_then(|told| told.hold) {
                begins(hold, op.invoke);
            }
        }
        let released = asked.releases.list.iter().filter(|end| end.is_acked() || end.maybe);
        let released = released.map(|end| (end.name, end.first)).collect();
        let hold_us = history.begin.hold_us;
        let disturbed = joined([faults(history, hold_us), moves(history)].concat());
        Late { begun, released, disturbed, hold_us, unclear: history.clocks_were_struck() }
    }

    /// Whether this settle or billing may have found its hold over.
    pub fn may_be(&self, history: &History, group: &Group, logical: &Logical) -> bool {
        // Of a hold that nobody was given there is no time to count from.
        let Some(begun) = self.begun.get(&logical.name).filter(|_| !self.unclear) else {
            return true;
        };
        // What was never answered may have been done at any later time.
        let settled = |op: &Operation| match op.is_done() || !op.may_have_happened() {
            true => op.complete,
            false => NEVER,
        };
        let last = group.attempts(logical, history).map(settled).max().unwrap_or(NEVER);
        let released = self.released.get(&logical.name).is_some_and(|from| *from <= last);
        if released || last >= begun.saturating_add(less(self.hold_us)) {
            return true;
        }
        let next = self.disturbed.partition_point(|(_, to)| to < begun);
        self.disturbed.get(next).is_some_and(|(from, _)| *from <= last)
    }
}

/// From the beginning of each fault until whatever it did to holds of its time is over.
fn faults(history: &History, hold_us: u64) -> Vec<(AtUs, AtUs)> {
    let mut ends: HashMap<u32, (AtUs, AtUs)> = HashMap::new();
    for fault in &history.faults {
        let span = ends.entry(fault.fault).or_insert((fault.at_us, NEVER));
        if fault.phase != Phase::Began {
            span.1 = fault.at_us.saturating_add(2 * hold_us);
        }
    }
    ends.into_values().collect()
}

/// Each time in which a shard may have changed its owner. Nodes are asked twice a second and what is new is
/// written down; where nobody was asked at all, and after the last call, anything may have happened.
fn moves(history: &History) -> Vec<(AtUs, AtUs)> {
    if history.owners.is_empty() {
        return vec![(0, NEVER)];
    }
    let told = history.owners.iter().map(|seen| seen.at_us);
    let moved = told.map(|at| (at.saturating_sub(UNTOLD_US), at.saturating_add(UNHEARD_US)));
    let last = history.operations.iter().map(|op| op.invoke).max().unwrap_or_default();
    moved.chain([(last.saturating_sub(UNTOLD_US), NEVER)]).collect()
}

fn joined(mut all: Vec<(AtUs, AtUs)>) -> Vec<(AtUs, AtUs)> {
    all.sort_unstable();
    let mut joined: Vec<(AtUs, AtUs)> = Vec::new();
    for (from, to) in all {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}
