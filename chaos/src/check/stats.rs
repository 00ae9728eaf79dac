//! Figures of a run, for its report: how many, how fast, how soon again.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{History, Owner};
use super::operation::{End, Key, NEVER, Operation};
use crate::history::{AtUs, Phase};

const SECOND: u64 = 1_000_000;
/// A run of more seconds is told in this many; what is later is left out.
const SECONDS_MAX: usize = 100_000;
/// A failure so long after the end of a fault is none of its any more.
const AFTER_US: AtUs = 10 * SECOND;

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
    /// Until every key that failed was served again, counted from the moment; 0 where that was before it. Of those
    /// that were served again at all; nothing where none failed.
    pub keys_us: Option<u64>,
    /// Keys that failed, were asked for again after the moment, and were never served again.
    pub never: BTreeSet<Key>,
    /// Until a second had at least 90% of the done operations of the seconds before the fault, at the median.
    pub rate_us: Option<u64>,
}

/// How soon after `at_us` (a death, or the end of a fault) clients were served again; `before_us` is when the
/// fault began, up to which the rate counts as the usual one.
///
/// A failure counts as the fault's where its operation began or ended from the beginning of the fault until
/// [`AFTER_US`] after its end, or until the next fault begins. A key is served again with the first answer after
/// the last of these: an answer in between says nothing.
pub fn recovery(history: &History, before_us: AtUs, at_us: AtUs) -> Recovery {
    #[derive(Default)]
    struct One {
        failed: bool,
        asked: bool,
        done: Option<AtUs>,
    }
    let next = history.faults.iter().filter(|it| it.phase == Phase::Began && it.at_us > at_us);
    let until = next.map(|it| it.at_us).fold(at_us.saturating_add(AFTER_US), AtUs::min);
    let of_fault = |at: AtUs| (before_us..=until).contains(&at);
    // What nobody was answered failed when it began.
    let end = |op: &Operation| if op.complete == NEVER { op.invoke } else { op.complete };
    let mut order: Vec<&Operation> =
        history.operations.iter().filter(|op| end(op) >= before_us).collect();
    order.sort_by_key(|op| end(op));
    let mut keys: BTreeMap<Key, One> = BTreeMap::new();
    for op in order {
        let Some(key) = op.what.key() else { continue };
        let one = keys.entry(key).or_default();
        one.asked |= op.invoke >= at_us;
        match op.end {
            // Neither a failure nor a decision: another request of the same key has yet to be answered.
            End::Refused { busy: true } => {}
            // A refusal is an answer: somebody is there who decides.
            End::Done(_) | End::Refused { busy: false } => {
                one.done = one.done.or(Some(end(op)));
            }
            End::Unavailable | End::Unknown | End::Wrong { .. } => {
                if of_fault(op.invoke) || of_fault(end(op)) {
                    (one.failed, one.done) = (true, None);
                }
            }
        }
    }
    keys.retain(|_, one| one.failed);
    let never = keys.iter().filter(|(_, one)| one.done.is_none() && one.asked);
    Recovery {
        keys_us: keys.values().filter_map(|one| one.done).max().map(|it| it.saturating_sub(at_us)),
        never: never.map(|(key, _)| *key).collect(),
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

/// Who owned a shard, one after the other: who, from when, and until when. A time of nobody's is in between.
pub fn owned(history: &History, shard: u16) -> Vec<(String, AtUs, Option<AtUs>)> {
    let mut seen: Vec<&Owner> = history.owners.iter().filter(|it| it.shard == shard).collect();
    seen.sort_by_key(|it| it.at_us);
    let mut newest = i64::MIN;
    let mut all: Vec<(u32, AtUs, Option<AtUs>)> = Vec::new();
    for it in seen.into_iter() {
        // What somebody says of an older epoch is late.
        if it.epoch < newest {
            continue;
        }
        newest = it.epoch;
        match (it.owner, all.last_mut()) {
            (Some(owner), Some((by, _, None))) if *by == owner => {}
            (owner, last) => {
                if let Some((_, _, until)) = last {
                    until.get_or_insert(it.at_us);
                }
                all.extend(owner.map(|owner| (owner, it.at_us, None)));
            }
        }
    }
    let name = |id: u32| history.names.text(id).to_owned();
    all.into_iter().map(|(owner, from, until)| (name(owner), from, until)).collect()
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
