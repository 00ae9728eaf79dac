//! The way from one host to another: what becomes of each packet, as a pure function of the rule, the seed, the
//! packets before it and the time.

use std::collections::VecDeque;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::super::host::HostName;
use super::rule::{Counts, Rule};

/// Most packets of one path that wait at a time.
const HELD_MAX: usize = 16_384;
/// What a line may have sent ahead of time: without it, a line could send only when its clock is looked at.
const BURST: Duration = Duration::from_millis(2);

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It passes so many times, all at this time; `None` is at once.
    Pass { due: Option<Duration>, copies: u8 },
    /// Nobody hears of it again.
    Lost,
    /// Both ends are told that the connection is over.
    Reset,
}

/// One direction between two hosts. Times count from when the network began.
pub struct Path {
    rule: Rule,
    rng: ChaCha8Rng,
    /// When the line has sent all that it was given.
    free_at: Duration,
    /// When those that wait are due, in their order.
    held: VecDeque<Duration>,
    pub counts: Counts,
    from: HostName,
    to: HostName,
    seed: u64,
    /// How many rules it has had.
    rules: u64,
}

impl Path {
    pub fn new(seed: u64, from: HostName, to: HostName) -> Path {
        Path {
            rule: Rule::default(),
            rng: rng(seed, from, to, 0),
            free_at: Duration::ZERO,
            held: VecDeque::new(),
            counts: Counts::default(),
            from,
            to,
            seed,
            rules: 0,
        }
    }

    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The fate of the nth packet after the kth rule depends on seed, pair, n and k alone, whatever passed before
    /// and whatever other pairs do.
    pub fn set(&mut self, rule: Rule) {
        self.rule = rule;
        self.rules += 1;
        self.rng = rng(self.seed, self.from, self.to, self.rules);
        self.free_at = Duration::ZERO;
    }

    /// What becomes of a packet of so many bytes that is sent now.
    pub fn fate(&mut self, now: Duration, bytes: usize) -> Fate {
        // Always three draws, so that no packet's fate changes those after it.
        let draws: [f64; 3] = [self.rng.random(), self.rng.random(), self.rng.random()];
        if self.rule.partition {
            self.counts.partitioned += 1;
            return Fate::Lost;
        }
        if self.rule.reset {
            self.counts.reset += 1;
            return Fate::Reset;
        }
        if draws[0] < self.rule.drop {
            self.counts.dropped += 1;
            return Fate::Lost;
        }
        while self.held.front().is_some_and(|due| *due <= now) {
            self.held.pop_front();
        }
        let Some(sent_at) = self.line(now, bytes) else {
            self.counts.overflowed += 1;
            return Fate::Lost;
        };
        if self.held.len() >= HELD_MAX {
            self.counts.overflowed += 1;
            return Fate::Lost;
        }
        let spread = self.rule.jitter.mul_f64(draws[1] * 2.0);
        let due = sent_at + self.rule.latency + spread - self.rule.jitter;
        // Nobody overtakes those that wait.
        let due = self.held.back().map_or(due, |last| due.max(*last));
        let copies = if draws[2] < self.rule.duplicate { 2 } else { 1 };
        self.counts.forwarded += u64::from(copies);
        self.counts.bytes += bytes as u64 * u64::from(copies);
        self.counts.duplicated += u64::from(copies) - 1;
        if due <= now {
            return Fate::Pass { due: None, copies };
        }
        self.counts.delayed += 1;
        self.held.push_back(due);
        Fate::Pass { due: Some(due), copies }
    }

    /// When the line will have sent it; `None` where too much waits for the line.
    fn line(&mut self, now: Duration, bytes: usize) -> Option<Duration> {
        let Some(bandwidth) = self.rule.bandwidth else { return Some(now) };
        let time_of = |bytes: u64| {
            let ns = u128::from(bytes) * 8_000_000_000 / u128::from(bandwidth.bits_per_s.max(1));
            Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
        };
        let free_at = self.free_at.max(now.saturating_sub(BURST));
        let done = free_at + time_of(bytes as u64);
        if done.saturating_sub(now) > time_of(u64::from(bandwidth.queue_bytes)) {
            return None;
        }
        self.free_at = done;
        Some(done.max(now))
    }
}

fn rng(seed: u64, from: HostName, to: HostName, rules: u64) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(b"kiki-chaos path");
    hash.update(seed.to_be_bytes());
    hash.update([from.octet(), to.octet()]);
    hash.update(rules.to_be_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn path(seed: u64, rule: Rule) -> Path {
        let mut path = Path::new(seed, HostName::Node(1), HostName::Node(2));
        path.set(rule);
        path
    }

    #[test]
    fn without_a_rule_everything_passes_at_once() {
        let mut path = Path::new(1, HostName::Suite, HostName::Database);
        for n in 0..1000 {
            assert_eq!(path.fate(MS * n, 1500), Fate::Pass { due: None, copies: 1 });
        }
        assert_eq!(path.counts.forwarded, 1000);
        assert_eq!(path.counts.bytes, 1_500_000);
        assert_eq!(path.counts.delayed, 0);
    }

    #[test]
    fn the_same_seed_gives_the_same_fates_and_another_seed_others() {
        let rule = Rule { drop: 0.3, duplicate: 0.2, ..Rule::slow(MS * 5, MS * 5) };
        let fates = |seed| {
            let mut path = path(seed, rule);
            (0..500).map(|n| path.fate(MS * n, 100)).collect::<Vec<_>>()
        };
        assert_eq!(fates(7), fates(7));
        assert_ne!(fates(7), fates(8));
    }

    #[test]
    fn what_passed_before_a_rule_changes_nothing_of_it() {
        let rule = Rule::lossy(0.5);
        let lost = |before: u32| {
            let mut path = Path::new(3, HostName::Node(1), HostName::Node(2));
            for _ in 0..before {
                path.fate(MS, 100);
            }
            path.set(rule);
            (0..200).map(|_| path.fate(MS, 100) == Fate::Lost).collect::<Vec<_>>()
        };
        assert_eq!(lost(0), lost(17));
    }

    #[test]
    fn losses_and_copies_come_as_often_as_they_should() {
        let mut path = path(5, Rule { duplicate: 0.1, ..Rule::lossy(0.2) });
        for _ in 0..20_000 {
            path.fate(MS, 100);
        }
        let counts = path.counts;
        assert!((3_800..4_200).contains(&counts.dropped), "{counts:?}");
        assert!((1_450..1_750).contains(&counts.duplicated), "{counts:?}");
        assert_eq!(counts.dropped + counts.forwarded - counts.duplicated, 20_000);
    }

    #[test]
    fn a_partition_and_a_reset_let_nothing_pass() {
        for (rule, fate) in [(Rule::partition(), Fate::Lost), (Rule::reset(), Fate::Reset)] {
            let mut path = path(1, rule);
            assert!((0..100).all(|n| path.fate(MS * n, 60) == fate));
            assert_eq!(path.counts.partitioned + path.counts.reset, 100);
            path.set(Rule::default());
            assert_eq!(path.fate(MS, 60), Fate::Pass { due: None, copies: 1 });
        }
    }

    #[test]
    fn a_narrow_line_sends_at_its_rate_and_loses_what_its_queue_does_not_hold() {
        // 1000 bytes take 8 ms; ten of them may wait.
        let mut path = path(1, Rule::narrow(1_000_000, 10_000));
        let start = Duration::from_secs(1);
        let fates: Vec<Fate> = (0..20).map(|_| path.fate(start, 1000)).collect();
        let dues: Vec<Duration> = fates
            .iter()
            .filter_map(|fate| match fate {
                Fate::Pass { due, .. } => *due,
                _ => None,
            })
            .collect();
        assert_eq!(dues.len(), 10, "{fates:?}");
        assert!(dues.windows(2).all(|two| two[1] - two[0] == MS * 8), "{dues:?}");
        assert_eq!(path.counts.overflowed, 10);
        // When the line is free again, it takes the next one.
        let later = start + Duration::from_secs(1);
        assert!(matches!(path.fate(later, 1000), Fate::Pass { due: Some(_), .. }));
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let mut path = path(1, Rule::slow(Duration::from_secs(60), Duration::ZERO));
        let passed = (0..20_000).filter(|_| path.fate(MS, 60) != Fate::Lost).count();
        assert_eq!((passed, path.counts.overflowed), (HELD_MAX, 20_000 - HELD_MAX as u64));
    }

    proptest! {
        #[test]
        fn delays_stay_within_their_bounds_and_nobody_overtakes(
            seed: u64, latency in 0_u64..50, jitter in 0_u64..50, gaps in prop::collection::vec(0_u64..3000, 1..200),
        ) {
            let (latency, jitter) = (MS * latency as u32, MS * jitter.min(latency) as u32);
            let mut path = path(seed, Rule::slow(latency, jitter));
            let (mut now, mut last) = (Duration::ZERO, Duration::ZERO);
            for gap in gaps {
                now += Duration::from_micros(gap);
                let Fate::Pass { due, copies: 1 } = path.fate(now, 100) else {
                    return Err(TestCaseError::fail("lost"));
                };
                let due = due.unwrap_or(now);
                prop_assert!(due >= last && due + jitter >= now + latency);
                prop_assert!(due <= (now + latency + jitter).max(last));
                last = due;
            }
        }
    }
}
