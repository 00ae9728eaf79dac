//! Leaving auctions out by chance.

use serde::{Deserialize, Serialize};

/// r: by what share the probability changes at each step.
const STEP: f64 = 0.1;
/// Where it begins: low, so that too little is spent before too much is.
const START: f64 = 0.1;
const LEAST: f64 = 1e-4;
/// Steps in a day.
const STEPS: i64 = 1_440;
const MINUTE_US: i64 = 60_000_000;

/// The probability to take part, moved each minute (each 1,440th of a period that is shorter than a day): up
/// by a tenth while no more is spent than is due, else down by a tenth (Agarwal, Ghosh, Wei and You, "Budget
/// pacing for targeted online advertisements at LinkedIn", KDD 2014, §3.3). Due is the budget's share that
/// the traffic so far has in the forecast of all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Throttle {
    pub pass: f64,
    /// When it was last moved.
    moved_us: Option<i64>,
}

impl Default for Throttle {
    fn default() -> Self {
        Throttle { pass: START, moved_us: None }
    }
}

impl Throttle {
    /// Moves the probability by the steps that are due at `now_us`. `period_us` is the period's length,
    /// amounts are in micros.
    pub fn advance(&mut self, now_us: i64, period_us: i64, spent: f64, due: f64) {
        let step_us = (period_us / STEPS).clamp(1, MINUTE_US);
        let Some(moved_us) = self.moved_us else {
            self.moved_us = Some(now_us);
            return;
        };
        if now_us < moved_us {
            self.moved_us = Some(now_us);
        }
        let steps = now_us.saturating_sub(moved_us) / step_us;
        if steps <= 0 {
            return;
        }
        self.moved_us = Some(now_us);
        let factor = if spent <= due { 1.0 + STEP } else { 1.0 - STEP };
        // More than 200 steps lead from one bound to the other.
        let moved = self.pass * factor.powi(steps.min(200) as i32);
        self.pass = moved.clamp(LEAST, 1.0);
    }

    /// The time until `at_us` moves nothing.
    pub fn resume(&mut self, at_us: i64) {
        self.moved_us = self.moved_us.map(|moved_us| moved_us.max(at_us));
    }

    pub fn is_sound(&self) -> bool {
        (LEAST..=1.0).contains(&self.pass)
    }
}
