//! What was answered about customers a moment ago, on this node: bounded, over after a while, gone
//! with the customer's next purchase. Keys are keyed hashes: nobody can be read out of it. What is kept while the
//! account is at home here is of that epoch of its shard; elsewhere it is kept for a moment, as others may know more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::answer::History;
use super::nodes::KEPT_US;
use crate::models::value::forecast::answer::Forecast;
use crate::models::value::forecast::hint::Hint;
use crate::models::value::log::day::Day;

const SHARDS: usize = 64;
/// Customers of a shard of whom something new is known, for as long as another node may say otherwise.
const CHANGED_MAX: usize = 4_096;
/// What other nodes are told may be on its way for so long.
const ON_ITS_WAY_US: i64 = 10_000_000;
/// Answers of one customer: two arms, and a horizon or two.
const OF_ONE: usize = 4;

/// What an answer depends on beside the purchases.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub model: Arc<str>,
    pub horizon_days: u32,
    pub as_of: Day,
    /// Only of somebody without purchases.
    pub hint: Hint,
}

#[derive(Clone)]
struct Kept {
    question: Question,
    forecast: Arc<Forecast>,
    explained: bool,
}

struct Entry {
    history: Arc<History>,
    answers: SmallVec<[Kept; 2]>,
    /// Of the account's shard, where this node has it.
    epoch: Option<i64>,
    until_us: i64,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<u128, Entry>,
    /// Counts what was forgotten: what was read before is not kept after.
    forgotten: u64,
    /// Of whom nothing that is shared between nodes is believed, until when (monotonic).
    changed: HashMap<u128, i64>,
    /// The same of all of the shard, where they were too many.
    all_changed_until_us: i64,
}

impl Shard {
    fn believes_others(&self, key: u128, now_us: i64) -> bool {
        now_us >= self.all_changed_until_us
            && self.changed.get(&key).is_none_or(|until| now_us >= *until)
    }
}

/// The cache.
pub struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    of_shard_max: usize,
    ttl_us: i64,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What a look found. Give `stamp` back with what is put in.
pub struct Found {
    pub history: Option<Arc<History>>,
    pub forecast: Option<Arc<Forecast>>,
    pub stamp: u64,
    /// Whether what another node said of the customer may be given: not soon after something new.
    pub shared: bool,
}

impl Cache {
    /// `max` of 0 keeps nothing.
    pub fn new(max: usize, ttl_us: i64) -> Cache {
        Cache {
            shards: std::array::from_fn(|_| Mutex::default()),
            of_shard_max: max.div_ceil(SHARDS),
            ttl_us,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    fn shard(&self, key: u128) -> MutexGuard<'_, Shard> {
        let at = (key as usize) % SHARDS;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The history, if it is known, and the answer that `question` makes of it, if that is. `epoch`: that of the
    /// account's shard, where this node has it.
    pub fn look(
        &self,
        (key, epoch): (u128, Option<i64>),
        now_us: i64,
        explained: bool,
        question: impl FnOnce(&History) -> Option<Question>,
    ) -> Found {
        let shard = self.shard(key);
        let stamp = shard.forgotten;
        let shared = shard.believes_others(key, now_us);
        let fits = |entry: &&Entry| now_us < entry.until_us && entry.epoch == epoch;
        let entry = shard.entries.get(&key).filter(fits);
        let Some(entry) = entry else {
            self.misses.fetch_add(1, Ordering::Relaxed);
            return Found { history: None, forecast: None, stamp, shared };
        };
        let fits = |question: &Question| {
            let fits = |kept: &&Kept| kept.question == *question && (kept.explained || !explained);
            entry.answers.iter().find(fits).map(|kept| Arc::clone(&kept.forecast))
        };
        let forecast = question(&entry.history).and_then(|question| fits(&question));
        let counter = if forecast.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        Found { history: Some(Arc::clone(&entry.history)), forecast, stamp, shared }
    }

    /// Keeps an answer, unless something was forgotten since the look.
    pub fn put(
        &self,
        (key, epoch): (u128, Option<i64>),
        (stamp, now_us): (u64, i64),
        history: &Arc<History>,
        answer: Option<(Question, Arc<Forecast>, bool)>,
    ) {
        if self.of_shard_max == 0 {
            return;
        }
        let mut shard = self.shard(key);
        if shard.forgotten != stamp {
            return;
        }
        if !shard.entries.contains_key(&key) && shard.entries.len() >= self.of_shard_max {
            shard.entries.retain(|_, entry| now_us < entry.until_us);
            while shard.entries.len() >= self.of_shard_max {
                // any: the order of the map is one of chance
                let Some(victim) = shard.entries.keys().next().copied() else { break };
                shard.entries.remove(&victim);
            }
        }
        // Whoever the customer's actor is with may not have reached this node.
        let ttl_us = if epoch.is_some() { self.ttl_us } else { self.ttl_us.min(KEPT_US) };
        let fresh = || Entry {
            history: Arc::clone(history),
            answers: SmallVec::new(),
            epoch,
            until_us: now_us.saturating_add(ttl_us),
        };
        let entry = shard.entries.entry(key).or_insert_with(fresh);
        let other = entry.epoch != epoch || !Arc::ptr_eq(&entry.history, history);
        if now_us >= entry.until_us || other {
            *entry = fresh();
        }
        let Some((question, forecast, explained)) = answer else { return };
        entry.answers.retain(|kept| kept.question != question);
        if entry.answers.len() >= OF_ONE {
            entry.answers.remove(0);
        }
        entry.answers.push(Kept { question, forecast, explained });
    }

    /// Whether nothing was forgotten since the look that gave this stamp.
    pub fn is_current(&self, key: u128, stamp: u64) -> bool {
        self.shard(key).forgotten == stamp
    }

    /// Something new is known of the customer: neither this node nor, from here, another one gives an
    /// answer of before.
    pub fn forget(&self, key: u128, now_us: i64) {
        let mut shard = self.shard(key);
        shard.forgotten += 1;
        shard.entries.remove(&key);
        let until = now_us.saturating_add(self.ttl_us).saturating_add(ON_ITS_WAY_US);
        if shard.changed.len() >= CHANGED_MAX {
            shard.changed.retain(|_, until| now_us < *until);
            if shard.changed.len() >= CHANGED_MAX {
                shard.changed.clear();
                shard.all_changed_until_us = until;
            }
        }
        shard.changed.insert(key, until);
    }

    /// Customers, hits, misses.
    pub fn counts(&self) -> (usize, u64, u64) {
        let lock = |shard: &Mutex<Shard>| {
            shard.lock().unwrap_or_else(PoisonError::into_inner).entries.len()
        };
        let entries = self.shards.iter().map(lock).sum();
        (entries, self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::value::forecast::heuristic::heuristic;

    /// The epoch of the account's shard.
    const HERE: Option<i64> = Some(1);

    fn question(model: &str) -> Question {
        let as_of = Day::new(0).expect("a day");
        Question { model: model.into(), horizon_days: 90, as_of, hint: Hint::NONE }
    }

    fn keep(cache: &Cache, key: u128, stamp: u64, now_us: i64, explained: bool) {
        let history = Arc::new(History::default());
        let forecast = Arc::new(heuristic(&Hint::NONE, 90));
        let kept = Some((question("a"), forecast, explained));
        cache.put((key, HERE), (stamp, now_us), &history, kept);
    }

    fn knows(cache: &Cache, key: u128, now_us: i64, explained: bool) -> bool {
        cache.look((key, HERE), now_us, explained, |_| Some(question("a"))).forecast.is_some()
    }

    #[test]
    fn an_answer_is_kept_for_its_time_and_its_question_alone() {
        let cache = Cache::new(100, 1_000);
        keep(&cache, 1, 0, 0, false);
        assert!(knows(&cache, 1, 999, false));
        assert!(!knows(&cache, 1, 1_000, false), "its time is over");
        assert!(!knows(&cache, 1, 10, true), "it explains nothing");
        assert!(cache.look((1, HERE), 10, false, |_| Some(question("b"))).forecast.is_none());
        keep(&cache, 2, 0, 0, true);
        assert!(knows(&cache, 2, 10, false), "an explained answer is one");
    }

    #[test]
    fn what_was_asked_before_a_purchase_is_not_kept_after_it() {
        let cache = Cache::new(100, 1_000);
        let stamp = cache.look((1, HERE), 0, false, |_| None).stamp;
        cache.forget(1, 0);
        assert!(!cache.is_current(1, stamp));
        keep(&cache, 1, stamp, 0, false);
        assert!(!knows(&cache, 1, 1, false));
        let stamp = cache.look((1, HERE), 0, false, |_| None).stamp;
        keep(&cache, 1, stamp, 0, false);
        assert!(knows(&cache, 1, 1, false));
        cache.forget(1, 0);
        assert!(!knows(&cache, 1, 1, false));
    }

    #[test]
    fn what_is_kept_is_of_one_stay_of_the_account_and_elsewhere_for_a_moment() {
        let cache = Cache::new(100, 10 * KEPT_US);
        let knows = |epoch: Option<i64>, now_us| {
            cache.look((1, epoch), now_us, false, |_| Some(question("a"))).forecast.is_some()
        };
        keep(&cache, 1, 0, 0, false);
        assert!(knows(HERE, 2 * KEPT_US) && !knows(None, 1), "it went");
        assert!(!knows(Some(2), 1), "it was away");
        let (history, forecast) = (Arc::default(), Arc::new(heuristic(&Hint::NONE, 90)));
        cache.put((1, None), (0, 0), &history, Some((question("a"), forecast, false)));
        assert!(knows(None, KEPT_US - 1) && !knows(None, KEPT_US) && !knows(HERE, 1));
    }

    #[test]
    fn other_nodes_are_not_believed_until_what_they_may_know_is_over() {
        let cache = Cache::new(100, 1_000);
        let believes = |key: u128, now_us| cache.look((key, HERE), now_us, false, |_| None).shared;
        assert!(believes(1, 0));
        cache.forget(1, 0);
        assert!(!believes(1, 1_000 + ON_ITS_WAY_US - 1) && believes(2, 0));
        assert!(believes(1, 1_000 + ON_ITS_WAY_US));
        // more than are noted one by one: then it is none of the shard
        for n in 0..=CHANGED_MAX {
            cache.forget((n * SHARDS) as u128, 0);
        }
        assert!(cache.shard(0).changed.len() <= CHANGED_MAX);
        assert!(!believes((2 * CHANGED_MAX * SHARDS) as u128, 0) && believes(3, 0));
    }

    #[test]
    fn it_never_holds_more_than_it_may() {
        let cache = Cache::new(128, 1_000_000);
        for key in 0..10_000 {
            keep(&cache, key, 0, 0, false);
        }
        assert!(cache.counts().0 <= 128);
        let none = Cache::new(0, 1_000_000);
        keep(&none, 1, 0, 0, false);
        assert_eq!(none.counts().0, 0);
    }
}
