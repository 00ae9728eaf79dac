//! Which level a predictive distribution has to be asked for, so that its intervals hold what is promised.

use serde::{Deserialize, Serialize};

use super::account::Known;
use super::probable::{Case, Probable, weeks};
use crate::value::conformal::tally::Tally;
use crate::value::log::amount::UNIT;
use crate::value::split::place;

/// The promise of every interval.
pub const COVERAGE: f64 = 0.95;
/// Steps of a level from 0 to 1.
const STEPS: f64 = 2_000.0;
/// Beyond this an interval would reach to no end.
const LEVEL_MAX: f64 = 0.9995;
/// Customers that are asked: more do not make the level more exact than it is needed.
const CUSTOMERS_MAX: usize = 4_000;
/// Customers that a group needs for a level of its own.
const ROWS_MIN: u64 = 200;
/// Groups of customers, by their repeats.
pub const GROUPS: usize = 4;

/// The group of a customer: 0, 1, 2 or 3, and more repeats. Promises are held in each.
pub fn group(repeats: u32) -> usize {
    match repeats {
        0 | 1 => repeats as usize,
        2 | 3 => 2,
        _ => 3,
    }
}

/// Whether what was measured over `days` says something of a horizon: one that differs by a quarter at most.
/// Of others nobody knows what their intervals hold.
pub fn speaks_of(days: u32, horizon_days: u32) -> bool {
    u64::from(days.abs_diff(horizon_days)) * 4 <= u64::from(days)
}

/// The levels that would have held the actual spend of an inner holdout (conformal prediction on the
/// predictive distribution; Chernozhukov, Wüthrich & Zhu 2021).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levels {
    groups: [Tally; GROUPS],
    all: Tally,
    /// The length of the holdout.
    days: u32,
}

impl Levels {
    /// From a model that was fitted at the inner cut, on what came in the `days` after it.
    pub fn fit(model: &Probable, known: &[(Box<str>, Known)], days: u32) -> Levels {
        let mut asked: Vec<_> = known
            .iter()
            .filter_map(|(id, known)| Some((place("level", id), known.inner?)))
            .collect();
        // Which ones is chance, and the same each time.
        asked.sort_unstable_by_key(|(place, _)| *place);
        asked.truncate(CUSTOMERS_MAX);
        let mut levels = Levels { days, ..Levels::default() };
        for (_, inner) in asked {
            let actual = inner.holdout_spend as f64 / UNIT as f64;
            let level = model.level_of(&Case::of(&inner), weeks(days), actual);
            let score = (level * STEPS).ceil() as usize;
            levels.groups[group(inner.history.repeats())].add(score);
            levels.all.add(score);
        }
        levels
    }

    /// The level to ask for, and the share that it holds; a share of 0 where nobody knows.
    pub fn of(&self, repeats: u32, horizon_days: u32) -> (f64, f64) {
        let own = &self.groups[group(repeats)];
        let tally = if own.rows() >= ROWS_MIN { own } else { &self.all };
        if tally.rows() == 0 {
            return (COVERAGE, 0.0);
        }
        let most = (LEVEL_MAX * STEPS) as usize;
        let score = tally.score_at(COVERAGE).unwrap_or(most).min(most);
        let known = speaks_of(self.days, horizon_days);
        (score as f64 / STEPS, if known { tally.share(score) } else { 0.0 })
    }

    /// Customers behind it.
    pub fn rows(&self) -> u64 {
        self.all.rows()
    }
}
