//! The ROAS floor.

use serde::{Deserialize, Serialize};

/// α: how far λ moves by a win whose value covers nothing of its price.
const STEP: f64 = 0.05;
const LEAST: f64 = 1e-6;
const MOST: f64 = 1e6;
/// Where λ begins: bids are a tenth above what the floor would have of each of them.
const START: f64 = 10.0;
/// How fast the mean price fades, by win.
const PRICE_STEP: f64 = 0.01;

/// The dual λ of Σ value ≥ τ Σ price over the wins, by entropic descent (Feng, Padmanabhan and Wang 2022,
/// algorithm 1): `λ ← λ exp(−α (v/τ − z) / z̄)` at each win with value v and price z, z̄ the mean price. A
/// bid is then at most `v (1 + λ) / (τ λ)`.
///
/// Descent alone keeps the floor in the limit. So that it is kept at all times, what the wins brought beyond
/// it is kept as `slack`, and while that would not cover the worst that open bids may cost beyond their
/// values, a bid is at most v/τ, which cannot cost more than its own value covers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Floor {
    /// τ.
    roas: f64,
    pub lambda: f64,
    /// Σ (v/τ − z) over all wins, in micros.
    slack: f64,
    price_mean: f64,
    /// How far the largest bid of late went beyond its value's cover, in micros.
    reach: f64,
}

impl Floor {
    pub fn new(roas: f64) -> Floor {
        Floor { roas, lambda: START, slack: 0.0, price_mean: 0.0, reach: 0.0 }
    }

    /// What a value covers, in micros.
    pub fn covers(&self, value: f64) -> f64 {
        value / self.roas
    }

    /// A bid was made that may cost this much beyond its cover.
    pub fn bid(&mut self, beyond: i64) {
        self.reach = (self.reach * (1.0 - PRICE_STEP)).max(beyond as f64).min(1e15);
    }

    pub fn won(&mut self, value: f64, price: f64) {
        let over = (value / self.roas).clamp(0.0, 1e15) - price.clamp(0.0, 1e15);
        self.slack = (self.slack + over).clamp(-1e18, 1e18);
        self.price_mean = match self.price_mean {
            mean if mean > 0.0 => mean + PRICE_STEP * (price - mean),
            _ => price,
        };
        self.price_mean = self.price_mean.clamp(0.0, 1e15);
        if self.price_mean > 0.0 {
            let step = (STEP * over / self.price_mean).clamp(-1.0, 1.0);
            self.lambda = (self.lambda * (-step).exp()).clamp(LEAST, MOST);
        }
    }

    /// The most that may be bid for a unit of value, while open bids may cost `beyond` more than their values
    /// cover.
    pub fn per_value_max(&self, beyond: f64) -> f64 {
        // One more bid like the largest of late has to fit as well.
        let covered = self.slack - beyond - 2.0 * self.reach;
        let lambda = if covered > 0.0 { self.lambda } else { MOST };
        (1.0 + lambda) / (self.roas * lambda)
    }

    pub fn is_sound(&self) -> bool {
        let numbers = [self.slack, self.price_mean, self.reach];
        (LEAST..=MOST).contains(&self.lambda)
            && self.roas > 0.0
            && self.roas.is_finite()
            && numbers.iter().all(|v| v.is_finite())
    }
}
