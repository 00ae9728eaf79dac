//! Answers by account and person. People are told apart by a keyed hash over both: no id of anybody is kept.
//!
//! What a person has granted is kept for as long as the rest. That is longer than the two seconds that a grant
//! may be believed unless it is recalled, so it is: SyncShield tells of every change and of every erasure
//! before it answers ([`super::Forgetting`]), and what was asked for before such a word is not kept after it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::actors::flow::prehashed::Prehashed;
use crate::models::flow::campaign::audience::Cohort;
use crate::models::flow::targeting::{Ltv, LtvStatus};
use crate::models::shield::consent::kind::{Kind, KindSet};
use crate::models::shield::money::{Currency, Micros};
use crate::models::value::forecast::heuristic::heuristic;
use crate::models::value::forecast::hint::Hint;

const SHARDS: usize = 64;
/// A question that got no answer is asked again after so long (microseconds).
const AGAIN_US: i64 = 1_000_000;
/// Recalls that are remembered one by one: of more within one auction, all are taken to be concerned.
const RECALLED_MAX: usize = 4_096;

/// What an account knows of a person.
#[derive(Clone, Debug)]
pub struct Known {
    pub amount: Micros,
    pub currency: Currency,
    pub status: LtvStatus,
    /// Empty where the rule of thumb answered.
    pub model: Arc<str>,
    pub engagement: Option<f64>,
    pub cohort: Option<Cohort>,
    pub granted: Option<KindSet>,
    /// The inner id of a customer of whom purchases may come.
    pub person: Option<Arc<str>>,
    /// Made of what is known of this person; else it is the same for everybody.
    pub personal: bool,
}

impl Known {
    pub fn ltv(&self) -> Ltv<'_> {
        Ltv {
            amount: self.amount,
            currency: self.currency,
            status: self.status,
            model: &self.model,
            engagement: self.engagement,
            personal: self.personal,
        }
    }

    /// The documented rule of thumb, of somebody of whom nothing is known, or nothing may be used.
    pub fn thumb(currency: Currency, horizon_days: u32, granted: Option<KindSet>) -> Known {
        Known {
            // The conversion saturates, and NaN is 0.
            amount: Micros((heuristic(&Hint::NONE, horizon_days).value * 1e6).round() as i64),
            currency,
            status: LtvStatus::Fallback,
            model: Arc::default(),
            engagement: None,
            cohort: None,
            granted,
            person: None,
            personal: false,
        }
    }

    /// Whether the person may be targeted by what is known.
    pub fn is_targeted(granted: KindSet) -> bool {
        granted.contains(Kind::Targeting)
    }
}

/// A question to be asked beside the bid path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    No,
    Yes,
}

struct Kept {
    known: Option<Known>,
    /// Monotonic: until when it counts, and from when on it is asked again.
    until_us: i64,
    again_us: i64,
}

#[derive(Default)]
struct Shard {
    kept: HashMap<u128, Kept, Prehashed>,
    /// Counts what was forgotten by order: what was asked for before is not kept after.
    forgotten: u64,
}

pub struct Cache {
    shards: Vec<Mutex<Shard>>,
    /// Of one shard.
    most: usize,
    ttl_us: i64,
    hits: AtomicU64,
    misses: AtomicU64,
    recalled: Mutex<Recalled>,
}

/// Who was forgotten last, for bids that other nodes made by what they know.
#[derive(Default)]
struct Recalled {
    /// Counts all of them.
    many: u64,
    /// The newest last.
    last: VecDeque<u128>,
}

impl Cache {
    /// Room for about `most` pairs of an account and a person.
    pub fn new(most: usize, ttl_us: i64) -> Cache {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let (hits, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        let recalled = Mutex::default();
        Cache { shards, most: most.div_ceil(SHARDS), ttl_us, hits, misses, recalled }
    }

    fn shard(&self, person: u128) -> Option<MutexGuard<'_, Shard>> {
        let shard = self.shards.get(person as usize % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known, and whether it is to be asked for. `person`: the number of the name that the account has
    /// for the person.
    pub fn look(&self, person: u128, now_us: i64) -> (Option<Known>, Wanted) {
        let Some(mut shard) = self.shard(person) else { return (None, Wanted::No) };
        let kept = &mut shard.kept;
        match kept.get_mut(&person) {
            Some(it) if it.known.is_some() && now_us < it.until_us => {
                self.hits.fetch_add(1, Relaxed);
                (it.known.clone(), Wanted::No)
            }
            Some(it) if now_us < it.again_us => {
                self.misses.fetch_add(1, Relaxed);
                (None, Wanted::No)
            }
            Some(it) => {
                self.misses.fetch_add(1, Relaxed);
                (it.known, it.again_us) = (None, now_us.saturating_add(AGAIN_US));
                (None, Wanted::Yes)
            }
            None => {
                self.misses.fetch_add(1, Relaxed);
                if kept.len() >= self.most {
                    kept.retain(|_, it| now_us < it.until_us);
                }
                if kept.len() >= self.most {
                    // All are in use: half of them make room, whichever they are.
                    let mut n = 0_u32;
                    kept.retain(|_, _| {
                        n = n.wrapping_add(1);
                        n.is_multiple_of(2)
                    });
                }
                if self.most > 0 {
                    let again_us = now_us.saturating_add(AGAIN_US);
                    kept.insert(person, Kept { known: None, until_us: again_us, again_us });
                }
                (None, Wanted::Yes)
            }
        }
    }

    /// To be taken before somebody is asked for, and given back with the answer.
    pub fn stamp(&self, person: u128) -> u64 {
        self.shard(person).map_or(0, |shard| shard.forgotten)
    }

    /// Keeps an answer, for no longer than until `most_us` (monotonic), unless something was forgotten since it was asked for: then it is asked for again.
    pub fn put(&self, person: u128, known: Known, (stamp, now_us): (u64, i64), most_us: i64) {
        let Some(mut shard) = self.shard(person) else { return };
        if shard.forgotten != stamp {
            return;
        }
        if let Some(it) = shard.kept.get_mut(&person) {
            let until_us = now_us.saturating_add(self.ttl_us).min(most_us);
            *it = Kept { known: Some(known), until_us, again_us: until_us };
        }
    }

    /// Whether what a person had granted is still what is known.
    pub fn stands(&self, person: u128, granted: KindSet, now_us: i64) -> bool {
        let Some(shard) = self.shard(person) else { return false };
        let kept = shard.kept.get(&person).filter(|it| now_us < it.until_us);
        let known = kept.and_then(|it| it.known.as_ref());
        known.is_some_and(|known| known.granted == Some(granted))
    }

    /// What is known of a person is not true any more, or may not be known.
    pub fn forget(&self, person: u128) {
        if let Some(mut shard) = self.shard(person) {
            shard.forgotten = shard.forgotten.wrapping_add(1);
            shard.kept.remove(&person);
        }
        let mut recalled = self.recalled();
        recalled.many += 1;
        if recalled.last.len() >= RECALLED_MAX {
            recalled.last.pop_front();
        }
        recalled.last.push_back(person);
    }

    /// Nothing of what is known of anybody may be gone by any more: whose changes this node hears of is another
    /// question from here on.
    pub fn forget_all(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.forgotten = shard.forgotten.wrapping_add(1);
            shard.kept.clear();
        }
        // More than are remembered by name: it may have been anybody.
        let mut recalled = self.recalled();
        recalled.many += 1 + RECALLED_MAX as u64;
        recalled.last.clear();
    }

    fn recalled(&self) -> MutexGuard<'_, Recalled> {
        self.recalled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many were forgotten since the start.
    pub fn recalls(&self) -> u64 {
        self.recalled().many
    }

    /// Whether a person was forgotten since there were so many recalls; also where there were too many to say.
    pub fn recalled_since(&self, person: u128, recalls: u64) -> bool {
        let recalled = self.recalled();
        let since = usize::try_from(recalled.many.saturating_sub(recalls)).unwrap_or(usize::MAX);
        since > recalled.last.len()
            || recalled.last.iter().rev().take(since).any(|it| *it == person)
    }

    /// Hits and misses since the start.
    pub fn counts(&self) -> (u64, u64) {
        (self.hits.load(Relaxed), self.misses.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: i64 = 300_000_000;

    fn known() -> Known {
        Known::thumb(Currency::USD, 90, Some(KindSet::ALL))
    }

    fn look(cache: &Cache, person: u128, at: i64) -> (bool, Wanted) {
        let (known, wanted) = cache.look(person, at);
        (known.is_some(), wanted)
    }

    #[test]
    fn an_answer_is_kept_for_its_time_and_asked_for_once() {
        let cache = Cache::new(640, TTL);
        assert_eq!(look(&cache, 7, 0), (false, Wanted::Yes));
        assert_eq!(look(&cache, 7, 1), (false, Wanted::No), "it was asked for a moment ago");
        cache.put(7, known(), (cache.stamp(7), 2), i64::MAX);
        assert_eq!(look(&cache, 7, TTL + 1), (true, Wanted::No));
        assert_eq!(look(&cache, 7, TTL + 2), (false, Wanted::Yes), "its time is over");
        assert_eq!(look(&cache, 7, TTL + 3), (false, Wanted::No));
        assert_eq!(cache.counts(), (1, 4));
    }

    #[test]
    fn a_revocation_ends_what_is_kept_and_what_was_asked_for_before_it() {
        let cache = Cache::new(640, TTL);
        look(&cache, 7, 0);
        let stamp = cache.stamp(7);
        cache.put(7, known(), (stamp, 1), i64::MAX);
        assert_eq!(look(&cache, 7, 2), (true, Wanted::No));
        assert!(cache.stands(7, KindSet::ALL, 6) && !cache.stands(7, KindSet::EMPTY, 6));
        cache.forget(7);
        assert!(!cache.stands(7, KindSet::ALL, 6), "also for who looked before");
        assert_eq!(look(&cache, 7, 3), (false, Wanted::Yes), "asked for at once");
        // An answer of before the word comes after it.
        cache.put(7, known(), (stamp, 4), i64::MAX);
        assert_eq!(look(&cache, 7, 5), (false, Wanted::No));
        cache.put(7, known(), (cache.stamp(7), 6), i64::MAX);
        assert_eq!(look(&cache, 7, 7), (true, Wanted::No));
    }

    #[test]
    fn more_people_than_there_is_room_for_make_room() {
        let cache = Cache::new(128, TTL);
        for n in 0..5_000 {
            cache.look(n, 0);
        }
        let held: usize = cache.shards.iter().map(|s| s.lock().map_or(0, |s| s.kept.len())).sum();
        assert!(held <= 128, "{held}");
    }

    #[test]
    fn who_was_forgotten_since_an_auction_began_is_known() {
        let cache = Cache::new(100, 1);
        cache.forget(1);
        let began = cache.recalls();
        assert!(!cache.recalled_since(1, began), "that was before");
        cache.forget(2);
        assert!(cache.recalled_since(2, began) && !cache.recalled_since(1, began));
        (0..RECALLED_MAX as u128).for_each(|n| cache.forget(n + 10));
        assert!(cache.recalled_since(1, began), "nobody can say any more");
        assert!(!cache.recalled_since(2, began + 1));
    }

    #[test]
    fn when_everybody_is_forgotten_nothing_stands_and_no_answer_under_way_is_kept() {
        let cache = Cache::new(640, TTL);
        look(&cache, 7, 0);
        cache.put(7, known(), (cache.stamp(7), 1), i64::MAX);
        let (stamp, recalls) = (cache.stamp(7), cache.recalls());
        assert!(cache.stands(7, KindSet::ALL, 2));
        cache.forget_all();
        assert!(!cache.stands(7, KindSet::ALL, 2) && cache.recalled_since(7, recalls));
        look(&cache, 7, 3);
        cache.put(7, known(), (stamp, 4), i64::MAX);
        assert!(!cache.stands(7, KindSet::ALL, 5));
    }

    #[test]
    fn what_is_leased_stands_for_no_longer_than_its_lease() {
        let cache = Cache::new(640, TTL);
        look(&cache, 7, 0);
        cache.put(7, known(), (cache.stamp(7), 1), 10);
        assert!(cache.stands(7, KindSet::ALL, 9) && !cache.stands(7, KindSet::ALL, 10));
    }
}
