//! The bids that are waited for, and the wins that were counted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use kiki_models::shield::money::{AMOUNT_MAX, Micros};

/// Wins that are remembered, so that a second notice of one is not counted.
const WINS_MAX: usize = 4_096;
/// A hundred-millionth of a unit is a hundredth of a micro: sums of what is expected are whole, so that
/// what was added is taken away again exactly.
const FINE: f64 = 100.0;

/// A bid that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    pub at_us: i64,
    pub value: f64,
    pub bid: f64,
    /// ln of what was bid for a unit of value.
    pub ln_per_value: f64,
    /// What it is expected to cost, in hundredths of a micro.
    expected: u64,
    /// What it may cost beyond what its value covers (of a ROAS floor), in micros.
    pub beyond: i64,
    /// The most that it may cost, in micros.
    hold: i64,
}

/// Bounded: `open_max` bids and 4,096 wins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ledger {
    open: BTreeMap<u64, Open>,
    /// Ids as the bids were made; those that are no longer open are passed over.
    order: VecDeque<u64>,
    won: BTreeSet<u64>,
    won_order: VecDeque<u64>,
    /// The sums are wider than their parts, so that they are exact.
    expected: u128,
    beyond: i128,
    held: i128,
}

impl Open {
    pub fn new(at_us: i64, value: f64, bid: f64, ln_per_value: f64) -> Open {
        Open { at_us, value, bid, ln_per_value, expected: 0, beyond: 0, hold: 0 }
    }

    /// With the most that it may cost, and what it is expected to cost, in micros.
    pub fn costing(self, hold: Micros, expected: f64) -> Open {
        let hold = hold.0.clamp(0, AMOUNT_MAX);
        let expected = (expected.clamp(0.0, hold as f64) * FINE) as u64;
        Open { hold, expected, ..self }
    }
}

impl Ledger {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// What open bids are expected to cost, in micros.
    pub fn expected(&self) -> f64 {
        self.expected as f64 / FINE
    }

    /// What is reserved for open bids, in micros.
    pub fn held(&self) -> f64 {
        self.held as f64
    }

    /// What open bids may cost beyond what their values cover.
    pub fn beyond(&self) -> f64 {
        self.beyond as f64
    }

    /// Whether this bid is known, open or won.
    pub fn knows(&self, id: u64) -> bool {
        self.open.contains_key(&id) || self.won.contains(&id)
    }

    pub fn insert(&mut self, id: u64, open: Open) {
        self.expected += u128::from(open.expected);
        self.beyond += i128::from(open.beyond);
        self.held += i128::from(open.hold);
        self.open.insert(id, open);
        self.order.push_back(id);
        // Bids that went out of order leave their ids behind.
        if self.order.len() > 2 * self.open.len() + 64 {
            let open = &self.open;
            self.order.retain(|id| open.contains_key(id));
        }
    }

    pub fn remove(&mut self, id: u64) -> Option<Open> {
        let open = self.open.remove(&id)?;
        self.expected -= u128::from(open.expected);
        self.beyond -= i128::from(open.beyond);
        self.held -= i128::from(open.hold);
        if self.order.front() == Some(&id) {
            self.order.pop_front();
        }
        Some(open)
    }

    /// The oldest bid, if there are more than `max` or it was made before `before_us`.
    pub fn overdue(&mut self, max: usize, before_us: i64) -> Option<u64> {
        while let Some(id) = self.order.front().copied() {
            match self.open.get(&id) {
                None => self.order.pop_front(),
                Some(open) if self.open.len() > max || open.at_us < before_us => return Some(id),
                Some(_) => return None,
            };
        }
        None
    }

    /// Notes a win; `false`: it was noted before.
    pub fn win(&mut self, id: u64) -> bool {
        if !self.won.insert(id) {
            return false;
        }
        self.won_order.push_back(id);
        if self.won_order.len() > WINS_MAX
            && let Some(oldest) = self.won_order.pop_front()
        {
            self.won.remove(&oldest);
        }
        true
    }

    /// Whether its sums are those of its bids, and it is within its bounds.
    pub fn is_sound(&self, open_max: usize) -> bool {
        let finite = |o: &Open| {
            o.value.is_finite()
                && o.bid.is_finite()
                && o.ln_per_value.abs() < 1e3
                && o.beyond >= 0
                && o.hold >= 0
        };
        let expected = self.open.values().map(|open| u128::from(open.expected)).sum::<u128>();
        let beyond = self.open.values().map(|open| i128::from(open.beyond)).sum::<i128>();
        let held = self.open.values().map(|open| i128::from(open.hold)).sum::<i128>();
        self.open.values().all(finite)
            && self.open.len() <= open_max
            && self.order.len() <= 2 * open_max + 65
            && self.won_order.len() <= WINS_MAX
            && self.won.len() == self.won_order.len()
            && expected == self.expected
            && held == self.held
            && beyond == self.beyond
    }
}

/// What a bid may cost beyond `covered` micros.
pub(super) fn beyond(hold: Micros, covered: f64) -> i64 {
    // Rounded against us: `as` saturates, so nothing overflows.
    hold.0.max(0).saturating_sub(covered.max(0.0).floor() as i64).max(0)
}
