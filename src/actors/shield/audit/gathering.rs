//! Alike things, counted together: the first of a kind is told at once, what follows within a minute
//! as one more record at its end. So neither a campaign that is refused ten thousand times a second
//! nor a stranger who tries every door fills a log that cannot be emptied.

use std::collections::HashMap;
use std::hash::Hash;

/// How long a kind that was told is only counted, micros.
pub const REST_US: i64 = 60_000_000;

/// How many there were, and the wall time of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub count: u64,
    pub first_us: i64,
}

/// Counts by kind. `now_us` are micros of one monotonic clock.
pub struct Gathering<K> {
    kinds_max: usize,
    waiting: HashMap<K, Count>,
    /// Until when a kind is only counted.
    resting: HashMap<K, i64>,
    /// When the next is to be told.
    due_us: i64,
}

impl<K: Hash + Eq + Clone> Gathering<K> {
    /// At most so many kinds wait or rest; those beyond are counted as one.
    pub fn new(kinds_max: usize) -> Gathering<K> {
        Gathering { kinds_max, waiting: HashMap::new(), resting: HashMap::new(), due_us: i64::MAX }
    }

    /// One more of this kind, at `at_us` wall time. `rest` makes the kind of those that are too many.
    pub fn add(&mut self, kind: K, at_us: i64, now_us: i64, rest: impl FnOnce(K) -> K) {
        self.add_all(kind, Count { count: 1, first_us: at_us }, now_us, rest);
    }

    /// So many more of this kind, that were counted elsewhere.
    pub fn add_all(&mut self, kind: K, all: Count, now_us: i64, rest: impl FnOnce(K) -> K) {
        let known = self.waiting.contains_key(&kind) || self.resting.contains_key(&kind);
        let kinds = self.waiting.len() + self.resting.len();
        let kind = if known || kinds < self.kinds_max { kind } else { rest(kind) };
        let due_us = self.resting.get(&kind).copied().unwrap_or(now_us);
        self.due_us = self.due_us.min(due_us);
        let first = Count { count: 0, first_us: all.first_us };
        let waiting = self.waiting.entry(kind).or_insert(first);
        waiting.count = waiting.count.saturating_add(all.count);
        waiting.first_us = waiting.first_us.min(all.first_us);
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether something is to be told now.
    pub fn is_due(&self, now_us: i64) -> bool {
        now_us >= self.due_us
    }

    /// What is to be told now, in the order of time; `all`: what only waits for its minute, too.
    pub fn take(&mut self, all: bool, now_us: i64) -> Vec<(K, Count)> {
        self.resting.retain(|_, until_us| now_us < *until_us);
        let resting = &self.resting;
        let mut taken: Vec<(K, Count)> =
            self.waiting.extract_if(|kind, _| all || !resting.contains_key(kind)).collect();
        taken.sort_by_key(|(_, count)| count.first_us);
        for (kind, _) in &taken {
            self.resting.entry(kind.clone()).or_insert(now_us.saturating_add(REST_US));
        }
        let left = self.waiting.keys().filter_map(|kind| self.resting.get(kind));
        self.due_us = left.min().copied().unwrap_or(i64::MAX);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(gathering: &mut Gathering<u32>, kind: u32, now_us: i64) {
        gathering.add(kind, 1_000 + now_us, now_us, |_| u32::MAX);
    }

    fn counts(taken: Vec<(u32, Count)>) -> Vec<(u32, u64)> {
        taken.into_iter().map(|(kind, count)| (kind, count.count)).collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_of_its_minute_together() {
        let mut gathering = Gathering::new(10);
        assert!(!gathering.is_due(i64::MAX - 1));
        add(&mut gathering, 7, 0);
        assert!(gathering.is_due(0));
        assert_eq!(counts(gathering.take(false, 0)), [(7, 1)]);
        for now in 1..=100 {
            add(&mut gathering, 7, now);
        }
        assert!(!gathering.is_due(REST_US - 1));
        assert!(gathering.take(false, REST_US - 1).is_empty());
        // another kind does not wait for it
        add(&mut gathering, 8, 500);
        assert!(gathering.is_due(500));
        assert_eq!(counts(gathering.take(false, 500)), [(8, 1)]);
        assert!(gathering.is_due(REST_US));
        let taken = gathering.take(false, REST_US);
        assert_eq!(taken, [(7, Count { count: 100, first_us: 1_001 })]);
        // and a minute from then again
        add(&mut gathering, 7, REST_US + 1);
        assert!(!gathering.is_due(2 * REST_US - 1) && gathering.is_due(2 * REST_US));
    }

    #[test]
    fn whoever_wants_all_gets_all_and_the_minute_goes_on() {
        let mut gathering = Gathering::new(10);
        add(&mut gathering, 7, 0);
        gathering.take(false, 0);
        add(&mut gathering, 7, 10);
        assert_eq!(counts(gathering.take(true, 20)), [(7, 1)]);
        add(&mut gathering, 7, 30);
        assert!(gathering.take(false, 30).is_empty());
        assert_eq!(counts(gathering.take(false, REST_US)), [(7, 1)]);
    }

    #[test]
    fn kinds_beyond_the_limit_are_one_and_none_is_lost() {
        let mut gathering = Gathering::new(16);
        let (mut told, mut records) = (0, 0);
        // an hour of a new kind every millisecond, told of every quarter of a second
        for now_ms in 0..3_600_000_u32 {
            let now_us = i64::from(now_ms) * 1_000;
            add(&mut gathering, now_ms, now_us);
            if now_ms % 250 == 0 {
                for (_, count) in gathering.take(false, now_us) {
                    told += count.count;
                    records += 1;
                }
            }
        }
        told += gathering.take(true, 0).iter().map(|(_, count)| count.count).sum::<u64>();
        assert_eq!(told, 3_600_000);
        assert!(records <= 60 * 18, "{records}");
    }
}
