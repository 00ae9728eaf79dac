//! What is kept of all decisions: exact counts of everything, records of bids and changes, and of no-bids a
//! sample.

use std::collections::BinaryHeap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::frequency::key::mix;
use crate::reason::Reason;
use crate::targeting::scratch::Refused;

use super::outcome::Outcome;
use super::record::{Decision, Kind};

/// Exact counts since they were begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    pub requests: u64,
    pub bids: u64,
    refused: [u64; Reason::ALL.len()],
}

impl Default for Counters {
    fn default() -> Counters {
        Counters { requests: 0, bids: 0, refused: [0; Reason::ALL.len()] }
    }
}

impl Counters {
    /// Counts one request with its winners.
    pub fn add(&mut self, refused: &Refused, bids: usize) {
        self.requests += 1;
        self.bids += bids as u64;
        for (sum, n) in self.refused.iter_mut().zip(refused.0) {
            *sum += u64::from(n);
        }
    }

    /// Counts one refusal, such as one that comes after the decision.
    pub fn refuse(&mut self, reason: Reason) {
        if let Some(sum) = self.refused.get_mut(reason as usize) {
            *sum += 1;
        }
    }

    pub fn merge(&mut self, other: &Counters) {
        self.requests += other.requests;
        self.bids += other.bids;
        self.refused.iter_mut().zip(other.refused).for_each(|(sum, n)| *sum += n);
    }

    pub fn get(&self, reason: Reason) -> u64 {
        self.refused.get(reason as usize).copied().unwrap_or(0)
    }
}

impl Serialize for Counters {
    /// `requests`, `bids`, and each reason by its name, zeros too.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(Reason::ALL.len() + 2))?;
        map.serialize_entry("requests", &self.requests)?;
        map.serialize_entry("bids", &self.bids)?;
        for reason in Reason::ALL {
            map.serialize_entry(reason.name(), &self.get(*reason))?;
        }
        map.end()
    }
}

/// Whether something is in a sample of `millionths`: a function of its key alone, so that every node keeps
/// the same ones.
pub fn sampled(key: u64, millionths: u32) -> bool {
    let bound = u128::from(millionths.min(1_000_000)) << 64;
    u128::from(mix(key)) * 1_000_000 < bound
}

#[derive(Clone, Debug)]
struct Kept<T>(u64, T);

impl<T> PartialEq for Kept<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Kept<T> {}

impl<T> PartialOrd for Kept<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Kept<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// At most `most` of everything that is offered, each as likely as the others: those with the lowest hashes
/// (bottom-k sampling, Cohen & Kaplan 2007). Independent of the order, and of what is offered twice.
#[derive(Clone, Debug)]
pub struct Reservoir<T> {
    kept: BinaryHeap<Kept<T>>,
    most: usize,
    offered: u64,
}

impl<T> Reservoir<T> {
    pub fn new(most: usize) -> Reservoir<T> {
        Reservoir { kept: BinaryHeap::with_capacity(most.saturating_add(1)), most, offered: 0 }
    }

    /// `key` names what is offered; it is made only where it is kept.
    pub fn offer(&mut self, key: u64, make: impl FnOnce() -> T) {
        self.offered += 1;
        let hash = mix(key);
        let full = self.kept.len() >= self.most;
        if full && self.kept.peek().is_none_or(|last| last.0 <= hash) {
            return;
        }
        if self.kept.iter().any(|kept| kept.0 == hash) {
            return;
        }
        self.kept.push(Kept(hash, make()));
        if self.kept.len() > self.most {
            self.kept.pop();
        }
    }

    /// How many were offered since the last time: with what was kept, how much each stands for.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// What was kept, and begins anew.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        self.offered = 0;
        self.kept.drain().map(|Kept(_, it)| it)
    }
}

/// How long records are kept, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Bids that money was booked for, or may still be, and changes of state: as long as the audit log.
    pub booked_days: u32,
    /// Bids that were lost or expired.
    pub bids_days: u32,
    pub no_bids_days: u32,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { booked_days: 2_555, bids_days: 90, no_bids_days: 30 }
    }
}

impl Retention {
    /// When a record may be dropped, wall-clock micros.
    pub fn until_us(&self, decision: &Decision) -> i64 {
        let days = match (decision.kind, decision.outcome) {
            (Kind::NoBid, _) => self.no_bids_days,
            (Kind::Bid, Outcome::Lost { .. } | Outcome::Expired { .. }) => self.bids_days,
            (Kind::Bid | Kind::Change, _) => self.booked_days,
        };
        decision.at_us.saturating_add(i64::from(days).saturating_mul(86_400_000_000))
    }

    pub fn keeps(&self, decision: &Decision, now_us: i64) -> bool {
        now_us < self.until_us(decision)
    }
}
