//! The durable state of a budget.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::{Day, SliceId};
use super::money::{Micros, TOTAL_MAX};
use super::slice::Slice;
use super::terms::{Status, Terms};

/// Days whose usage is kept: today's, and those on which open holds may still settle.
const DAYS_KEPT: usize = 4;

/// The durable state of a budget, without its ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    pub terms: Arc<Terms>,
    pub status: Status,
    /// The account's stop-all switch (only on the budget of an account).
    pub stopped: bool,
    /// Counts the durable changes; 0 is a budget that is not stored yet.
    pub version: i64,
    /// Number of the newest ledger row.
    pub seq: i64,
    /// The lifetime cap with its top-ups.
    pub funded: Micros,
    pub refunded: Micros,
    pub settled: Micros,
    /// Spends and late settles.
    pub facts: Micros,
    /// The part of `facts` that were settles beyond their slice.
    pub late: Micros,
    pub days: BTreeMap<Day, Micros>,
    /// Thresholds that have raised their event.
    pub raised: Vec<u8>,
    pub slices: BTreeMap<SliceId, Slice>,
}

impl Core {
    pub fn new(terms: Terms) -> Core {
        Core {
            funded: terms.lifetime.unwrap_or(Micros::ZERO),
            terms: Arc::new(terms),
            status: Status::Active,
            stopped: false,
            version: 0,
            seq: 0,
            refunded: Micros::ZERO,
            settled: Micros::ZERO,
            facts: Micros::ZERO,
            late: Micros::ZERO,
            days: BTreeMap::new(),
            raised: Vec::new(),
            slices: BTreeMap::new(),
        }
    }

    /// Escrow of all slices: held and unheld.
    pub fn reserved(&self) -> Micros {
        self.slices.values().map(Slice::reserved).sum()
    }

    /// Whether a total has become so large that nothing may be added to any.
    pub fn is_full(&self) -> bool {
        let totals = [self.funded, self.refunded, self.settled, self.facts];
        totals.iter().any(|total| total.0.unsigned_abs() > TOTAL_MAX.unsigned_abs())
    }

    /// What was spent in the end: bookings less refunds.
    pub fn spent(&self) -> Micros {
        self.settled + self.facts - self.refunded
    }

    /// BG-4 read as a definition. May be negative: facts are never refused.
    pub fn available(&self) -> Micros {
        self.funded + self.refunded - self.settled - self.facts - self.reserved()
    }

    pub fn day_used(&self, day: Day) -> Micros {
        self.days.get(&day).copied().unwrap_or_default()
    }

    pub(super) fn use_day(&mut self, day: Day, amount: Micros) {
        let used = self.days.entry(day).or_default();
        *used = (*used + amount).max(Micros::ZERO);
        while self.days.len() > DAYS_KEPT {
            self.days.pop_first();
        }
    }
}
