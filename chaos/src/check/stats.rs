//! Figures of a run, for its report: how many, how fast, how soon again.

use std::collections::BTreeMap;

use super::history::History;
use super::operation::{End, Key, NEVER, Operation};
use crate::history::{AtUs, Phase};

const SECOND: u64 = 1_000_000;
/// A run of more seconds is told in this many; what is later is left out.
const SECONDS_MAX: usize = 100_000;

/// How long done operations took, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    pub count: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

impl Latency {
    /// By nearest rank. Sorts what it is given.
    fn of(all: &mut [u64]) -> Latency {
        all.sort_unstable();
        let rank = |percent: usize| {
            let place = (all.len() * percent).div_ceil(100).saturating_sub(1);
            all.get(place).copied().unwrap_or_default()
        };
        Latency {
            count: all.len() as u64,
            p50_us: rank(50),
            p99_us: rank(99),
            max_us: all.last().copied().unwrap_or_default(),
        }
    }
}

fn took(op: &Operation) -> u64 {
    op.complete.saturating_sub(op.invoke)
}

/// Of each kind of operation, those that were done.
pub fn latencies(history: &History) -> BTreeMap<&'static str, Latency> {
    let mut all: BTreeMap<&'static str, Vec<u64>> = BTreeMap::new();
    for op in history.operations.iter().filter(|op| op.is_done()) {
        all.entry(op.what.kind()).or_default().push(took(op));
    }
    all.into_iter().map(|(kind, mut list)| (kind, Latency::of(&mut list))).collect()
}

/// What ended in one second of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    pub done: Latency,
    pub refused: u64,
    pub unavailable: u64,
    /// Counted where they began: they have no end.
    pub unknown: u64,
}

/// The run second by second.
pub fn seconds(history: &History) -> Vec<Second> {
    let mut all: Vec<(Second, Vec<u64>)> = Vec::new();
    for op in &history.operations {
        let at = if op.complete == NEVER { op.invoke } else { op.complete };
        let place = (at / SECOND) as usize;
        if place >= SECONDS_MAX {
            continue;
        }
        if all.len() <= place {
            all.resize_with(place + 1, Default::default);
        }
        let (second, took_us) = &mut all[place];
        match op.end {
            End::Done(_) => took_us.push(took(op)),
            End::Refused { .. } => second.refused += 1,
            End::Unavailable => second.unavailable += 1,
            End::Unknown | End::Wrong { .. } => second.unknown += 1,
        }
    }
    let each =
        |(second, mut list): (Second, Vec<u64>)| Second { done: Latency::of(&mut list), ..second };
    all.into_iter().map(each).collect()
}

/// The share of operations of which nobody knows what became, from 0 to 1.
pub fn unknown_ratio(history: &History) -> f64 {
    let unknown =
        history.operations.iter().filter(|op| matches!(op.end, End::Unknown | End::Wrong { .. }));
    unknown.count() as f64 / history.operations.len().max(1) as f64
}

/// How long after a moment things were well again, in microseconds. `None`: not within the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Until every key that failed after the moment was served again, counted from the moment; of
    /// those that succeeded at all.
    pub keys_us: Option<u64>,
    /// Keys that failed and were not served again.
    pub never: u64,
    /// Until a second had at least 90% of the done operations of the seconds before the fault, at the median.
    pub rate_us: Option<u64>,
}

/// How soon after `at_us` (a death, or the end of a fault) clients were served again; `before_us` is when the
/// fault began, up to which the rate counts as the usual one.
pub fn recovery(history: &History, before_us: AtUs, at_us: AtUs) -> Recovery {
    #[derive(Default)]
    struct One {
        failed: bool,
        done: Option<AtUs>,
    }
    let mut keys: BTreeMap<Key, One> = BTreeMap::new();
    for op in history.operations.iter().filter(|op| op.invoke >= at_us) {
        let Some(key) = op.what.key() else { continue };
        let one = keys.entry(key).or_default();
        match op.end {
            // A refusal is an answer: somebody is there who decides.
            End::Done(_) | End::Refused { .. } => {
                one.done = Some(one.done.map_or(op.complete, |done| done.min(op.complete)));
            }
            End::Unavailable | End::Unknown | End::Wrong { .. } => one.failed = true,
        }
    }
    let affected: Vec<&One> = keys.values().filter(|one| one.failed).collect();
    Recovery {
        keys_us: affected.iter().filter_map(|one| one.done).max().map(|done| done - at_us),
        never: affected.iter().filter(|one| one.done.is_none()).count() as u64,
        rate_us: rate(history, before_us, at_us),
    }
}

fn rate(history: &History, before_us: AtUs, at_us: AtUs) -> Option<u64> {
    let seconds = seconds(history);
    let mut usual: Vec<u64> =
        seconds.iter().take((before_us / SECOND) as usize).map(|s| s.done.count).collect();
    usual.sort_unstable();
    let usual = *usual.get(usual.len() / 2)?;
    // The last second of a run is rarely whole.
    let after = seconds.iter().enumerate().skip(at_us.div_ceil(SECOND) as usize);
    let mut after = after.take(seconds.len().saturating_sub(at_us.div_ceil(SECOND) as usize + 1));
    let (second, _) = after.find(|(_, second)| second.done.count * 10 >= usual * 9)?;
    Some(second as u64 * SECOND - at_us)
}

/// When each fault of the run began and ended, by its number.
pub fn faults(history: &History) -> BTreeMap<u32, (AtUs, Option<AtUs>)> {
    let mut all: BTreeMap<u32, (AtUs, Option<AtUs>)> = BTreeMap::new();
    for fault in &history.faults {
        match fault.phase {
            Phase::Began => {
                all.entry(fault.fault).or_insert((fault.at_us, None));
            }
            Phase::Ended | Phase::Failed => {
                all.entry(fault.fault).and_modify(|(_, ended)| *ended = Some(fault.at_us));
            }
        }
    }
    all
}

/// One change of who owns a shard, when the first node told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    pub at_us: AtUs,
    pub shard: u16,
    pub epoch: i64,
    pub from: String,
    pub to: String,
}

pub fn handovers(history: &History) -> Vec<Handover> {
    let mut first: BTreeMap<(u16, i64), (AtUs, u32)> = BTreeMap::new();
    for seen in &history.owners {
        let Some(owner) = seen.owner else { continue };
        let known = first.entry((seen.shard, seen.epoch)).or_insert((seen.at_us, owner));
        known.0 = known.0.min(seen.at_us);
    }
    let mut all = Vec::new();
    let mut last: Option<(u16, u32)> = None;
    for ((shard, epoch), (at_us, owner)) in first {
        let before = last.filter(|(of, _)| *of == shard).map(|(_, owner)| owner);
        if let Some(from) = before.filter(|from| *from != owner) {
            let [from, to] = [from, owner].map(|name| history.names.text(name).to_owned());
            all.push(Handover { at_us, shard, epoch, from, to });
        }
        last = Some((shard, owner));
    }
    all.sort_by_key(|change| (change.at_us, change.shard));
    all
}
