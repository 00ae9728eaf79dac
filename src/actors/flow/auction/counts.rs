//! Exact counts of everything that was asked since the start.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use crate::models::flow::openrtb::Fault;
use crate::models::flow::reason::Reason;
use crate::models::flow::targeting::scratch::Refused;

const REASONS: usize = Reason::ALL.len();
const FAULTS: usize = Fault::ALL.len();
/// Time between two lines of the log about requests that are none.
const SAY_EVERY_US: i64 = 10_000_000;

#[derive(Debug)]
pub struct Counts {
    requests: AtomicU64,
    /// Those that are none, by what is wrong with them.
    malformed: [AtomicU64; FAULTS],
    /// Of them, those that no line of the log speaks of yet, and when there may be the next one (monotonic).
    unsaid: AtomicU64,
    say_from_us: AtomicI64,
    bids: AtomicU64,
    /// Pairs of a slot and a campaign that did not win it, by reason.
    refused: [AtomicU64; REASONS],
    /// Requests without a bid, by the reason that came nearest to one.
    no_bids: [AtomicU64; REASONS],
    /// Decisions that the journal's mailbox had no room for.
    left_out: AtomicU64,
}

impl Default for Counts {
    fn default() -> Counts {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Counts {
            requests: AtomicU64::new(0),
            malformed: std::array::from_fn(|_| AtomicU64::new(0)),
            unsaid: AtomicU64::new(0),
            say_from_us: AtomicI64::new(i64::MIN),
            bids: AtomicU64::new(0),
            refused: zeros(),
            no_bids: zeros(),
            left_out: AtomicU64::new(0),
        }
    }
}

impl Counts {
    pub fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Counts a request that is none. Where the log is to say so: how many there were since it said so last.
    pub fn malformed(&self, fault: Fault, now_us: i64) -> Option<u64> {
        if let Some(n) = self.malformed.get(fault as usize) {
            n.fetch_add(1, Relaxed);
        }
        self.unsaid.fetch_add(1, Relaxed);
        let from_us = self.say_from_us.load(Relaxed);
        let next_us = now_us.saturating_add(SAY_EVERY_US);
        let due = now_us >= from_us
            && self.say_from_us.compare_exchange(from_us, next_us, Relaxed, Relaxed).is_ok();
        due.then(|| self.unsaid.swap(0, Relaxed))
    }

    /// Requests that are none, by what is wrong with them.
    pub fn faults(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.into_iter().zip(self.malformed.iter().map(|n| n.load(Relaxed)))
    }

    pub fn bids(&self, n: usize) {
        self.bids.fetch_add(n as u64, Relaxed);
    }

    pub fn no_bid(&self, reason: Reason) {
        if let Some(n) = self.no_bids.get(reason as usize) {
            n.fetch_add(1, Relaxed);
        }
    }

    pub fn refused(&self, refused: &Refused) {
        for (sum, n) in self.refused.iter().zip(refused.0) {
            if n > 0 {
                sum.fetch_add(u64::from(n), Relaxed);
            }
        }
    }

    pub fn left_out(&self, decisions: usize) {
        self.left_out.fetch_add(decisions as u64, Relaxed);
    }

    /// Decisions that never reached the journal.
    pub fn never_told(&self) -> u64 {
        self.left_out.load(Relaxed)
    }

    /// Requests and bids.
    pub fn totals(&self) -> [u64; 2] {
        [&self.requests, &self.bids].map(|n| n.load(Relaxed))
    }

    /// Refused pairs and requests without a bid, by reason.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64, u64)> {
        let get = |of: &[AtomicU64; REASONS], at: usize| of.get(at).map_or(0, |n| n.load(Relaxed));
        Reason::ALL.iter().map(move |reason| {
            let at = *reason as usize;
            (*reason, get(&self.refused, at), get(&self.no_bids, at))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_malformed_is_counted_by_what_is_wrong_and_said_every_ten_seconds() {
        let counts = Counts::default();
        let said = [(0, Some(1)), (1, None), (9_999_999, None), (10_000_000, Some(3)), (1, None)];
        for (now_us, said) in said {
            assert_eq!(counts.malformed(Fault::Missing, now_us), said, "{now_us}");
        }
        assert_eq!(counts.malformed(Fault::Coding, 10_000_001), None);
        let of = |wanted: Fault| counts.faults().find(|(fault, _)| *fault == wanted);
        assert_eq!(of(Fault::Missing), Some((Fault::Missing, 5)));
        assert_eq!(of(Fault::Coding), Some((Fault::Coding, 1)));
        assert_eq!(counts.faults().map(|(_, n)| n).sum::<u64>(), 6);
    }
}
