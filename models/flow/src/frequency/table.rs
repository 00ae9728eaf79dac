//! Counts of many people within a fixed memory.
//!
//! Entries lie in sets of eight, and a pair belongs to one set. Where a set is full, the entry that was seen
//! longest ago is forgotten first: its impressions go to the [`Overflow`], where they count on, together
//! with those of others. So a full table never lets anybody see more than the cap: it lets some see less, for
//! as long as the longest period of the campaigns involved. A pending bid that is forgotten counts as seen
//! there, also when it is lost. Beyond these the only error is the length of a period, which is up to a second
//! longer than asked for.

use crate::campaign::definition::{Cap, PERIOD_MAX};

use super::entry::{Entry, Stamp};
use super::key::{PersonKey, mix, pair};
use super::overflow::Overflow;

/// Entries of one set.
const WAYS: usize = 8;
/// Stamps of one entry: more than any cap counts to, whatever is late.
const STAMPS_MAX: usize = 128;

/// One table; a shell has several, each of some of the people, so that they do not wait for each other.
#[derive(Clone, Debug)]
pub struct Table {
    sets: Box<[[Entry; WAYS]]>,
    overflow: Overflow,
    forgotten: u64,
}

/// A counted impression, to be stored and put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: u64,
    pub longest_s: u32,
    pub stamp: Stamp,
}

pub(super) fn seconds(at_us: i64) -> u32 {
    u32::try_from(at_us.div_euclid(1_000_000).max(0)).unwrap_or(u32::MAX)
}

/// What a stamp has of a bid's id.
pub fn bits(bid: u128) -> u32 {
    mix(bid as u64 ^ mix((bid >> 64) as u64)) as u32
}

impl Table {
    /// Room for about `pairs` pairs. An entry takes 80 bytes and, where it counts more than four impressions,
    /// 12 more for each; the overflow takes 6 a pair.
    pub fn new(pairs: usize) -> Table {
        let sets = pairs.div_ceil(WAYS).max(1);
        let sets = (0..sets).map(|_| std::array::from_fn(|_| Entry::default())).collect();
        Table { sets, overflow: Overflow::new(pairs.div_ceil(4)), forgotten: 0 }
    }

    /// Entries that had to make room so far.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Pairs that it has room for.
    pub fn pairs(&self) -> usize {
        self.sets.len() * WAYS
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.sets.iter().flatten().filter(|entry| !entry.is_free())
    }

    pub(super) fn overflow(&self) -> &Overflow {
        &self.overflow
    }

    pub(super) fn overflow_mut(&mut self) -> &mut Overflow {
        &mut self.overflow
    }

    fn set(&self, key: u64) -> usize {
        ((u128::from(key) * self.sets.len() as u128) >> 64) as usize
    }

    fn find(&self, key: u64) -> Option<&Entry> {
        self.sets.get(self.set(key))?.iter().find(|entry| entry.key == key)
    }

    /// Impressions that the caps leave a person, wins and pending bids counted; `u16::MAX` without caps.
    pub fn room(&self, person: PersonKey, campaign: u64, caps: &[Cap], now_us: i64) -> u16 {
        let (key, now_s) = (pair(person, campaign).max(1), seconds(now_us));
        let entry = self.find(key);
        let of = |cap: &Cap| {
            let room = entry.map_or(cap.impressions, |entry| entry.room(cap, now_s));
            room.saturating_sub(self.overflow.count(key, cap.period_s, now_s))
        };
        caps.iter().map(of).min().unwrap_or(u16::MAX)
    }

    /// A bid was made: it counts until it is lost, or `until_us` without an outcome.
    pub fn bid(
        &mut self,
        person: PersonKey,
        campaign: u64,
        caps: &[Cap],
        bid: u128,
        now_us: i64,
        until_us: i64,
    ) {
        // A second that has begun counts.
        let until_s = seconds(until_us).saturating_add(1);
        let stamp = Stamp { at_s: seconds(now_us), until_s, bid: bits(bid) };
        self.count(person, campaign, caps, stamp, now_us);
    }

    /// A bid was won: it counts for the period, from when it was bid. Again: nothing changes. Also when it
    /// was over, or when it is not known here: then from `at_us`.
    pub fn won(
        &mut self,
        person: PersonKey,
        campaign: u64,
        caps: &[Cap],
        bid: u128,
        at_us: i64,
        now_us: i64,
    ) {
        let stamp = Stamp { at_s: seconds(at_us), until_s: 0, bid: bits(bid) };
        self.count(person, campaign, caps, stamp, now_us);
    }

    /// A bid was lost: it counts no more. What was won is not undone.
    pub fn lost(&mut self, person: PersonKey, campaign: u64, bid: u128, now_us: i64) {
        let (key, bid, now_s) = (pair(person, campaign).max(1), bits(bid), seconds(now_us));
        let at = self.set(key);
        let Some(set) = self.sets.get_mut(at) else { return };
        if let Some(entry) = set.iter_mut().find(|entry| entry.key == key) {
            entry.stamps.retain(|stamp| stamp.bid != bid || stamp.until_s == 0);
            entry.tidy(now_s);
        }
    }

    fn count(&mut self, person: PersonKey, campaign: u64, caps: &[Cap], stamp: Stamp, now_us: i64) {
        let Some(longest_s) = caps.iter().map(|cap| cap.period_s.min(PERIOD_MAX)).max() else {
            return;
        };
        let record = Record { key: pair(person, campaign).max(1), longest_s, stamp };
        self.put(record, seconds(now_us));
    }

    fn put(&mut self, Record { key, longest_s, stamp }: Record, now_s: u32) {
        let at = self.set(key);
        let Some(set) = self.sets.get_mut(at) else { return };
        let place = match set.iter().position(|entry| entry.key == key) {
            Some(place) => place,
            None => {
                set.iter_mut().for_each(|entry| entry.tidy(now_s));
                let free = set.iter().position(Entry::is_free);
                free.unwrap_or_else(|| {
                    let oldest = set.iter().enumerate().min_by_key(|(_, entry)| entry.newest_s());
                    let place = oldest.map_or(0, |(place, _)| place);
                    if let Some(entry) = set.get_mut(place) {
                        forget(entry, &mut self.overflow, now_s);
                        self.forgotten = self.forgotten.saturating_add(1);
                    }
                    place
                })
            }
        };
        let Some(entry) = set.get_mut(place) else { return };
        entry.key = key;
        entry.longest_s = entry.longest_s.max(longest_s);
        match entry.stamps.iter_mut().find(|known| known.bid == stamp.bid) {
            // A win makes a pending bid one that was seen; nothing makes a win pending again.
            Some(known) if stamp.until_s == 0 => known.until_s = 0,
            Some(_) => {}
            None => {
                let longest = entry.longest_s;
                if entry.stamps.len() >= STAMPS_MAX {
                    entry.stamps.retain(|known| known.counts(longest, now_s));
                }
                if entry.stamps.len() >= STAMPS_MAX {
                    // More than any cap allows: the oldest makes no difference.
                    let oldest = entry.stamps.iter().enumerate().min_by_key(|(_, s)| s.at_s);
                    let oldest = oldest.map_or(0, |(oldest, _)| oldest);
                    entry.stamps.swap_remove(oldest);
                }
                entry.stamps.push(stamp);
            }
        }
    }

    /// Everything that counts, to be stored; what was forgotten is not among it.
    pub fn records(&self, now_us: i64) -> impl Iterator<Item = Record> {
        let now_s = seconds(now_us);
        self.sets.iter().flatten().flat_map(move |entry| {
            let &Entry { key, longest_s, .. } = entry;
            let fresh = move |stamp: &&Stamp| stamp.counts(longest_s, now_s);
            entry.stamps.iter().filter(fresh).map(move |stamp| Record {
                key,
                longest_s,
                stamp: *stamp,
            })
        })
    }

    /// Puts back what was stored.
    pub fn restore(&mut self, record: Record, now_us: i64) {
        let now_s = seconds(now_us);
        if record.key != 0 && record.stamp.counts(record.longest_s, now_s) {
            let longest_s = record.longest_s.min(PERIOD_MAX);
            self.put(Record { longest_s, ..record }, now_s);
        }
    }
}

fn forget(entry: &mut Entry, overflow: &mut Overflow, now_s: u32) {
    let longest_s = entry.longest_s;
    let counted = entry.stamps.iter().filter(|stamp| stamp.counts(longest_s, now_s)).count();
    let counted = u16::try_from(counted).unwrap_or(u16::MAX);
    overflow.put(entry.key, counted, entry.newest_s(), longest_s, now_s);
    *entry = Entry::default();
}
