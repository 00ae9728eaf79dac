//! Figures of the last seconds, for who watches and for probes, and of the whole run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::summary::KindSummary;
use crate::history::Outcome;

/// Seconds that are kept one by one.
const RING: u64 = 64;
/// Eight to a doubling: a time is told to 9%.
const STEPS: f64 = 8.0;
/// Up to 134 s.
const BUCKETS: usize = 27 * 8;
/// Sentences of wrong answers that are kept.
const WRONG_MAX: usize = 20;

/// Times in buckets that grow.
#[derive(Clone, Debug)]
pub struct Times([u32; BUCKETS]);

impl Default for Times {
    fn default() -> Times {
        Times([0; BUCKETS])
    }
}

impl Times {
    pub fn add(&mut self, took: Duration) {
        let us = took.as_micros().max(1) as f64;
        let at = (us.log2() * STEPS) as usize;
        self.0[at.min(BUCKETS - 1)] += 1;
    }

    pub fn merge(&mut self, other: &Times) {
        self.0.iter_mut().zip(&other.0).for_each(|(into, from)| *into += from);
    }

    /// The time that this part of all took at most, in milliseconds; 0 of none.
    pub fn quantile_ms(&self, part: f64) -> f64 {
        let all: u64 = self.0.iter().map(|n| u64::from(*n)).sum();
        let rank = ((all as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        for (at, count) in self.0.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return ((at + 1) as f64 / STEPS).exp2() / 1_000.0;
            }
        }
        0.0
    }
}

#[derive(Clone, Debug, Default)]
struct Counts {
    done: u64,
    refused: u64,
    unavailable: u64,
    unknown: u64,
    wrong: u64,
    times: Times,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome, took: Duration) {
        *match outcome {
            Outcome::Done { .. } => &mut self.done,
            Outcome::Refused { .. } => &mut self.refused,
            Outcome::Unavailable { .. } => &mut self.unavailable,
            Outcome::Unknown { .. } => &mut self.unknown,
            Outcome::Wrong { .. } => &mut self.wrong,
        } += 1;
        self.times.add(took);
    }

    fn merge(&mut self, other: &Counts) {
        self.done += other.done;
        self.refused += other.refused;
        self.unavailable += other.unavailable;
        self.unknown += other.unknown;
        self.wrong += other.wrong;
        self.times.merge(&other.times);
    }

    fn all(&self) -> u64 {
        self.done + self.refused + self.unavailable + self.unknown + self.wrong
    }
}

struct OfKind {
    ring: Vec<(u64, Counts)>,
    total: Counts,
}

/// What the last seconds were like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub operations: u64,
    pub done_per_s: f64,
    /// Done, or decided against.
    pub served_per_s: f64,
    /// Parts of all operations that ended: neither done nor decided against; without a known outcome.
    pub error_part: f64,
    pub unknown_part: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

pub struct Live {
    began: Instant,
    /// One lock a kind: clients of one kind alone meet at it, for less than a microsecond.
    kinds: [Mutex<OfKind>; Kind::ALL.len()],
    arrived: [AtomicU64; Kind::ALL.len()],
    not_sent: [AtomicU64; Kind::ALL.len()],
    cut: [AtomicU64; Kind::ALL.len()],
    wrong: Mutex<Vec<String>>,
}

impl Default for Live {
    fn default() -> Live {
        Live::new()
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counts that somebody left half-added are still counts.
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub fn new() -> Live {
        let ring = || vec![(u64::MAX, Counts::default()); RING as usize];
        let kind = || Mutex::new(OfKind { ring: ring(), total: Counts::default() });
        Live {
            began: Instant::now(),
            kinds: std::array::from_fn(|_| kind()),
            arrived: Default::default(),
            not_sent: Default::default(),
            cut: Default::default(),
            wrong: Mutex::default(),
        }
    }

    pub fn arrived(&self, kind: Kind) {
        self.arrived[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn not_sent(&self, kind: Kind) {
        self.not_sent[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// So many were still under way when the run was over.
    pub fn cut(&self, kind: Kind, flows: u64) {
        self.cut[kind as usize].fetch_add(flows, Ordering::Relaxed);
    }

    pub fn ended(&self, kind: Kind, outcome: &Outcome, took: Duration) {
        let second = self.began.elapsed().as_secs();
        self.add(second, kind, outcome, took);
        if let Outcome::Wrong { status, what } = outcome {
            let mut wrong = held(&self.wrong);
            if wrong.len() < WRONG_MAX {
                wrong.push(format!("{}: {status} {what}", kind.as_str()));
            }
        }
    }

    fn add(&self, second: u64, kind: Kind, outcome: &Outcome, took: Duration) {
        let mut of = held(&self.kinds[kind as usize]);
        of.total.add(outcome, took);
        let slot = &mut of.ring[(second % RING) as usize];
        if slot.0 != second {
            *slot = (second, Counts::default());
        }
        slot.1.add(outcome, took);
    }

    /// Of the last whole seconds, at most a minute: of one kind, or of all.
    pub fn last(&self, seconds: u64, kind: Option<Kind>) -> Figures {
        self.before(self.began.elapsed().as_secs(), seconds, kind)
    }

    fn before(&self, now: u64, seconds: u64, kind: Option<Kind>) -> Figures {
        let seconds = seconds.clamp(1, RING - 2).min(now.max(1));
        let mut counts = Counts::default();
        for of in Kind::ALL.into_iter().filter(|of| kind.is_none_or(|kind| kind == *of)) {
            let of = held(&self.kinds[of as usize]);
            let wanted = |at: u64| at < now && at + seconds >= now;
            of.ring.iter().filter(|(at, _)| wanted(*at)).for_each(|(_, c)| counts.merge(c));
        }
        let part = |n: u64| if counts.all() == 0 { 0.0 } else { n as f64 / counts.all() as f64 };
        Figures {
            operations: counts.all(),
            done_per_s: counts.done as f64 / seconds as f64,
            served_per_s: (counts.done + counts.refused) as f64 / seconds as f64,
            error_part: part(counts.unavailable + counts.unknown + counts.wrong),
            unknown_part: part(counts.unknown),
            p50_ms: counts.times.quantile_ms(0.5),
            p99_ms: counts.times.quantile_ms(0.99),
        }
    }

    /// Of the whole run.
    pub fn total(&self, kind: Kind) -> KindSummary {
        let total = held(&self.kinds[kind as usize]).total.clone();
        KindSummary {
            arrived: self.arrived[kind as usize].load(Ordering::Relaxed),
            not_sent: self.not_sent[kind as usize].load(Ordering::Relaxed),
            cut: self.cut[kind as usize].load(Ordering::Relaxed),
            operations: total.all(),
            done: total.done,
            refused: total.refused,
            unavailable: total.unavailable,
            unknown: total.unknown,
            wrong: total.wrong,
            p50_ms: total.times.quantile_ms(0.5),
            p99_ms: total.times.quantile_ms(0.99),
        }
    }

    pub fn wrong(&self) -> Vec<String> {
        held(&self.wrong).clone()
    }

    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Answer;

    fn done() -> Outcome {
        Outcome::Done { status: 200, answer: Answer::default() }
    }

    #[test]
    fn a_quantile_is_told_to_nine_percent() {
        let mut times = Times::default();
        (1..=1_000).for_each(|ms| times.add(Duration::from_millis(ms)));
        for (part, want) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let was = times.quantile_ms(part);
            assert!(was >= want && was <= want * 1.095, "{part}: {was}");
        }
        assert_eq!(Times::default().quantile_ms(0.5), 0.0);
    }

    #[test]
    fn the_last_seconds_are_those_that_are_over_and_no_older_ones() {
        let live = Live::new();
        let ms = Duration::from_millis(1);
        for second in 0..200 {
            live.add(second, Kind::Budget, &done(), ms);
        }
        live.add(199, Kind::Spend, &Outcome::Unknown { why: "timeout".into() }, ms);
        let figures = live.before(200, 10, Some(Kind::Budget));
        assert_eq!((figures.operations, figures.done_per_s, figures.error_part), (10, 1.0, 0.0));
        let all = live.before(200, 1, None);
        assert_eq!((all.operations, all.unknown_part, all.error_part), (2, 0.5, 0.5));
        assert_eq!(live.before(300, 10, None).operations, 0);
        assert_eq!(live.total(Kind::Budget).done, 200);
    }
}
