//! Exact counts of everything that was asked since the start.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::models::flow::reason::Reason;
use crate::models::flow::targeting::scratch::Refused;

const REASONS: usize = Reason::ALL.len();

#[derive(Debug)]
pub struct Counts {
    requests: AtomicU64,
    malformed: AtomicU64,
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
            malformed: AtomicU64::new(0),
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

    pub fn malformed(&self) {
        self.malformed.fetch_add(1, Relaxed);
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

    /// Requests, malformed ones and bids.
    pub fn totals(&self) -> [u64; 3] {
        [&self.requests, &self.malformed, &self.bids].map(|n| n.load(Relaxed))
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
