//! Pareto/NBD (Schmittlein, Morrison & Colombo 1987, "Counting your customers").

mod likelihood;
mod purchases;

use serde::{Deserialize, Serialize};

use super::cohort::Cohort;
use super::fit::maximise::Search;
use super::fit::report::{Fit, FitError};
use super::model::{BadParameter, checked};

/// `λ ~ Gamma(r, α)` purchases and `μ ~ Gamma(s, β)` endings per unit of time: customers may leave at
/// any moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Json")]
pub struct ParetoNbd {
    r: f64,
    alpha: f64,
    s: f64,
    beta: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    r: f64,
    alpha: f64,
    s: f64,
    beta: f64,
}

impl TryFrom<Json> for ParetoNbd {
    type Error = BadParameter;

    fn try_from(json: Json) -> Result<Self, BadParameter> {
        ParetoNbd::new(json.r, json.alpha, json.s, json.beta)
    }
}

impl ParetoNbd {
    pub const NAMES: [&'static str; 4] = ["r", "alpha", "s", "beta"];

    /// `r` and `s` without unit, `alpha` and `beta` in units of time; each from 1e-9 to 1e15.
    pub fn new(r: f64, alpha: f64, s: f64, beta: f64) -> Result<Self, BadParameter> {
        checked(Self::NAMES, [r, alpha, s, beta]).map(Self::of)
    }

    fn of([r, alpha, s, beta]: [f64; 4]) -> Self {
        ParetoNbd { r, alpha, s, beta }
    }

    /// `[r, α, s, β]`.
    pub fn parameters(&self) -> [f64; 4] {
        [self.r, self.alpha, self.s, self.beta]
    }

    /// The most likely parameters for these customers.
    pub fn fit(cohort: &Cohort) -> Result<Fit<Self>, FitError> {
        let (repeats, age) = cohort.fit_means(4)?;
        let rate = 0.5 * age / repeats;
        Search {
            names: Self::NAMES,
            scales: [1.0, age, 1.0, age],
            starts: &[[0.5, rate, 0.5, age / 3.0], [1.0, age, 1.0, age]],
            customers: cohort.customers(),
            groups: cohort.groups().len() as u64,
            value: |theta: &[f64; 4]| Self::of(*theta).slopes(cohort),
        }
        .run(Self::of)
    }
}
