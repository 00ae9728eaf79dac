//! The impressions of one campaign that one person has seen, or may yet see.

use smallvec::SmallVec;

use crate::campaign::definition::Cap;

/// One impression, or a bid for one. Whole seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub at_s: u32,
    /// Until when a bid without an outcome counts; 0: it was won.
    pub until_s: u32,
    /// 32 bits of the bid's id: its outcome finds it by them.
    pub bid: u32,
}

impl Stamp {
    /// Whether it counts for a period. The second that a period ends in still belongs to it: seconds are cut
    /// off, so that a period is up to one second longer than asked for, and never shorter.
    pub fn counts(&self, period_s: u32, now_s: u32) -> bool {
        let fresh = now_s.saturating_sub(self.at_s) <= period_s;
        fresh && (self.until_s == 0 || now_s <= self.until_s)
    }
}

/// Counts of one pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Of the pair; 0: the place is free.
    pub key: u64,
    /// The longest period that a cap asks for.
    pub longest_s: u32,
    pub stamps: SmallVec<[Stamp; 4]>,
}

impl Entry {
    pub fn is_free(&self) -> bool {
        self.key == 0
    }

    /// Drops what no cap asks for any more; an entry without impressions is free.
    pub fn tidy(&mut self, now_s: u32) {
        let longest = self.longest_s;
        self.stamps.retain(|stamp| stamp.counts(longest, now_s));
        if self.stamps.is_empty() {
            *self = Entry::default();
        }
    }

    /// When it was seen last.
    pub fn newest_s(&self) -> u32 {
        self.stamps.iter().map(|stamp| stamp.at_s).max().unwrap_or(0)
    }

    /// Impressions that one cap leaves.
    pub fn room(&self, cap: &Cap, now_s: u32) -> u16 {
        let seen = self.stamps.iter().filter(|stamp| stamp.counts(cap.period_s, now_s)).count();
        cap.impressions.saturating_sub(u16::try_from(seen).unwrap_or(u16::MAX))
    }
}
