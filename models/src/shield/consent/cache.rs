//! The holder's end of cached consent: answers of other nodes, served from memory for a short while.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use super::kind::{Kind, KindSet};
use super::lease::{MARGIN_US, TTL_US};
use super::planted::{Bug, Planted};

/// An owner's answer as it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub allowed: KindSet,
    /// The number of the last change that the answer knew of.
    pub generation: u64,
    /// The monotonic time of this node right before it sent the question.
    pub asked_us: i64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    allowed: KindSet,
    generation: u64,
    until_us: i64,
    tick: u64,
}

/// A recall that answers on their way may not have heard of.
#[derive(Clone, Copy, Debug)]
struct Floor {
    generation: u64,
    at_us: i64,
    tick: u64,
}

/// Answers by person, the oldest of them given up beyond `entries_max`. Times are microseconds of
/// this node's monotonic clock.
#[derive(Clone, Debug)]
pub struct Cache<P> {
    entries_max: usize,
    entries: HashMap<P, Entry>,
    /// tick → person, the oldest first.
    order: BTreeMap<u64, P>,
    floors: HashMap<P, Floor>,
    floor_order: BTreeMap<u64, P>,
    /// Answers to questions asked at or before this time are not kept.
    distrusted_us: i64,
    tick: u64,
    planted: Planted,
}

impl<P: Copy + Eq + Hash> Cache<P> {
    /// `entries_max` also bounds the recalls that are remembered; at least 1.
    pub fn new(entries_max: usize) -> Cache<P> {
        Cache {
            entries_max: entries_max.max(1),
            entries: HashMap::new(),
            order: BTreeMap::new(),
            floors: HashMap::new(),
            floor_order: BTreeMap::new(),
            distrusted_us: i64::MIN,
            tick: 0,
            planted: Planted::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn with_planted(mut self, planted: Planted) -> Cache<P> {
        self.planted = planted;
        self
    }

    /// None: nothing is known in time, the owner must be asked; whoever cannot ask takes it for no.
    pub fn allows(&self, person: P, kind: Kind, now_us: i64) -> Option<bool> {
        let entry = self.entries.get(&person)?;
        (now_us < entry.until_us).then(|| entry.allowed.contains(kind))
    }

    /// Keeps an answer, unless it is too old to be of use or a recall has overtaken it. Was it kept?
    pub fn put(&mut self, person: P, answer: Answer, now_us: i64) -> bool {
        let until_us = answer.asked_us.saturating_add(TTL_US - MARGIN_US);
        let overtaken = answer.asked_us <= self.distrusted_us
            || self.floors.get(&person).is_some_and(|f| answer.generation < f.generation);
        if until_us <= now_us || (overtaken && !self.planted.has(Bug::LateAnswerEnters)) {
            return false;
        }
        // Of two answers the one that knew more counts; of equal ones the one that lasts longer.
        if let Some(old) = self.entries.get(&person)
            && (old.generation, old.until_us) > (answer.generation, until_us)
            && now_us < old.until_us
        {
            return false;
        }
        self.remove(person);
        if self.entries.len() >= self.entries_max
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        let Answer { allowed, generation, .. } = answer;
        self.tick += 1;
        self.entries.insert(person, Entry { allowed, generation, until_us, tick: self.tick });
        self.order.insert(self.tick, person);
        true
    }

    /// Drops what is known of a person from before `generation`, and what is still on its way. After
    /// this the recall may be confirmed to the owner.
    pub fn recall(&mut self, person: P, generation: u64, now_us: i64) {
        if self.entries.get(&person).is_some_and(|e| e.generation < generation) {
            self.remove(person);
        }
        self.forget_floors(now_us);
        let known = self.floors.remove(&person).map(|f| {
            self.floor_order.remove(&f.tick);
            f.generation
        });
        if self.floors.len() >= self.entries_max
            && let Some((_, oldest)) = self.floor_order.pop_first()
            && let Some(floor) = self.floors.remove(&oldest)
        {
            // No room to remember whose recall it was: then nothing asked before it is trusted.
            self.distrusted_us = self.distrusted_us.max(floor.at_us);
        }
        self.tick += 1;
        let generation = known.unwrap_or(0).max(generation);
        self.floors.insert(person, Floor { generation, at_us: now_us, tick: self.tick });
        self.floor_order.insert(self.tick, person);
    }

    /// Forgets everything, on its way or here: the machine was paused, or the owner moved.
    pub fn clear(&mut self, now_us: i64) {
        self.entries.clear();
        self.order.clear();
        self.floors.clear();
        self.floor_order.clear();
        self.distrusted_us = self.distrusted_us.max(now_us);
    }

    /// Answers in memory, in time or not.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn remove(&mut self, person: P) {
        if let Some(entry) = self.entries.remove(&person) {
            self.order.remove(&entry.tick);
        }
    }

    /// What was asked before a recall is over by itself a ttl later, so the recall can be forgotten.
    fn forget_floors(&mut self, now_us: i64) {
        while let Some(first) = self.floor_order.first_entry()
            && let Some(floor) = self.floors.get(first.get())
            && floor.at_us.saturating_add(TTL_US) <= now_us
        {
            let person = first.remove();
            self.floors.remove(&person);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: KindSet = KindSet::ALL;

    fn answer(generation: u64, asked_us: i64) -> Answer {
        Answer { allowed: YES, generation, asked_us }
    }

    fn says(cache: &Cache<u128>, person: u128, now_us: i64) -> Option<bool> {
        cache.allows(person, Kind::Marketing, now_us)
    }

    #[test]
    fn an_answer_is_served_from_before_it_was_asked_for_until_the_ttl_less_the_margin() {
        let mut cache = Cache::new(8);
        assert_eq!(says(&cache, 1, 0), None);
        assert!(cache.put(1, answer(1, 100), 5_000));
        let end = 100 + TTL_US - MARGIN_US;
        assert_eq!(says(&cache, 1, end - 1), Some(true));
        assert_eq!(says(&cache, 1, end), None);
        assert!(!cache.put(2, answer(1, 100), end), "it came too late");
        let no = Answer { allowed: KindSet::EMPTY, ..answer(2, 100) };
        assert!(cache.put(1, no, 5_001));
        assert_eq!(says(&cache, 1, 5_001), Some(false), "a no is known too");
    }

    #[test]
    fn a_recall_removes_the_answer_and_bars_the_ones_on_their_way() {
        let mut cache = Cache::new(8);
        cache.put(1, answer(1, 0), 10);
        cache.recall(1, 2, 20);
        assert_eq!(says(&cache, 1, 20), None);
        assert!(!cache.put(1, answer(1, 15), 30));
        assert!(cache.put(1, answer(2, 15), 30), "this one knew of the change");
        cache.recall(1, 1, 40);
        assert_eq!(says(&cache, 1, 40), Some(true), "an old recall said twice");
        assert!(!cache.put(1, answer(1, 15), 50), "and it lowers nothing");
    }

    #[test]
    fn of_two_answers_the_one_that_knew_more_stays() {
        let mut cache = Cache::new(8);
        let no = Answer { allowed: KindSet::EMPTY, ..answer(2, 0) };
        assert!(cache.put(1, no, 10));
        assert!(!cache.put(1, answer(1, 5), 11));
        assert_eq!(says(&cache, 1, 12), Some(false));
    }

    #[test]
    fn the_oldest_answer_makes_room() {
        let mut cache = Cache::new(2);
        for (asked_us, person) in [1, 2, 1, 3].into_iter().enumerate() {
            cache.put(person, answer(1, asked_us as i64), 10);
        }
        assert_eq!(cache.len(), 2);
        let known = [1, 2, 3].map(|p| says(&cache, p, 11).is_some());
        assert_eq!(known, [true, false, true], "1 was heard of anew");
        cache.put(4, answer(1, 20), 20);
        assert_eq!([1, 3, 4].map(|p| says(&cache, p, 21).is_some()), [false, true, true]);
    }

    #[test]
    fn a_recall_that_is_forgotten_for_want_of_room_still_bars_what_was_asked_before_it() {
        let mut cache = Cache::new(1);
        cache.recall(1, 2, 20);
        cache.recall(2, 2, 30);
        assert!(!cache.put(1, answer(1, 20), 40));
        assert!(cache.put(1, answer(2, 21), 40));
        assert!(!cache.put(2, answer(1, 25), 40));
    }

    #[test]
    fn recalls_are_forgotten_when_nothing_asked_before_them_can_still_arrive_in_time() {
        let mut cache = Cache::new(8);
        cache.recall(1, 2, 0);
        cache.recall(2, 2, TTL_US - 1);
        assert_eq!(cache.floors.len(), 2);
        cache.recall(2, 3, TTL_US);
        assert_eq!((cache.floors.len(), cache.floor_order.len()), (1, 1));
        assert!(!cache.put(1, answer(1, 0), TTL_US));
    }

    #[test]
    fn a_cleared_cache_takes_nothing_that_was_asked_before() {
        let mut cache = Cache::new(8);
        cache.put(1, answer(1, 0), 10);
        cache.clear(20);
        assert!(cache.is_empty());
        assert!(!cache.put(1, answer(1, 20), 30));
        assert!(cache.put(1, answer(1, 21), 30));
    }
}
