//! How a model is fitted, and what is told of it.

use serde::{Deserialize, Serialize};

use crate::value::fit::report::{Estimate, FitError as Unfitted};
use crate::value::learned::terms::LearnTerms;
use crate::value::log::day::Day;
use crate::value::registry::version::Kind;
use crate::value::values::BadValues;

/// Longest horizon, in days: ten years.
pub const HORIZON_DAYS_MAX: u32 = 3_653;

/// What is fitted, on what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitTerms {
    pub kind: Kind,
    /// The last day of which anything is known: what is after it is not looked at. A learned part
    /// learns to foretell the last `horizon_days` up to here.
    pub cut: Day,
    /// The horizon that will mostly be asked for, 1 to [`HORIZON_DAYS_MAX`].
    pub horizon_days: u32,
    pub seed: u64,
    /// Whether times count in hundredths of a week and mean spends in whole cents, as in the
    /// published tables of CDNOW; else both count as they are.
    pub rounded: bool,
    /// How each network of the learned kinds is trained; their seeds come from `seed`.
    pub learn: LearnTerms,
}

impl FitTerms {
    /// Seed 0, times and amounts as they are, networks as the notes of [`LearnTerms`] say.
    pub fn new(kind: Kind, cut: Day, horizon_days: u32) -> FitTerms {
        // As found on the calibration period of the CDNOW log, where rows of three cuts have the better levels.
        let cut_step_days = (horizon_days / 6).max(7);
        let learn = LearnTerms { ensemble: 3, cuts: 3, cut_step_days, ..LearnTerms::default() };
        FitTerms { kind, cut, horizon_days, seed: 0, rounded: false, learn }
    }
}

/// Where a fit is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub what: &'static str,
    /// Of the whole fit, 0 to 1; never falls.
    pub done: f64,
}

/// A part of a model that was fitted by maximum likelihood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub kind: Kind,
    pub parameters: Vec<Estimate>,
    /// In nats.
    pub log_likelihood: f64,
    pub customers: u64,
    pub iterations: u64,
}

/// What a fit came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FitReport {
    pub customers: u64,
    /// Those who bought again.
    pub repeaters: u64,
    pub parts: Vec<Part>,
    /// Weight of the probabilistic part in a blend's order of customers, 0 to 1.
    pub weight: Option<f64>,
    /// Factor that brought the total to what it was on the inner holdout.
    pub ratio: Option<f64>,
    /// Customers of the inner holdout.
    pub calibrated_on: u64,
    /// What could not be done, and what was done instead.
    pub notes: Vec<String>,
}

/// Why there is no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    #[error("the horizon of {0} days is not between 1 and 3653")]
    Horizon(u32),
    #[error("there are no purchases up to {0}")]
    Empty(Day),
    #[error("{kind}: {why}", kind = kind.as_str())]
    Part { kind: Kind, why: Unfitted },
    #[error("the learned part: {0}")]
    Learned(String),
    #[error(transparent)]
    Values(#[from] BadValues),
}
