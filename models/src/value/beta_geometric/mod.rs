//! The family of BG/NBD and MBG/NBD: Poisson purchases with a Gamma rate, and a Beta coin after
//! purchases that decides whether the customer leaves.

mod likelihood;
mod purchases;

use serde::{Deserialize, Serialize};

use super::cohort::Cohort;
use super::fit::maximise::Search;
use super::fit::report::{Fit, FitError};
use super::model::{BadParameter, checked};

/// `λ ~ Gamma(r, α)` purchases per unit of time while alive, `p ~ Beta(a, b)` to leave at each coin.
/// `FIRST` coins are thrown at the first purchase: 0 in BG/NBD, 1 in MBG/NBD.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Json")]
pub struct BetaGeometric<const FIRST: u32> {
    r: f64,
    alpha: f64,
    a: f64,
    b: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    r: f64,
    alpha: f64,
    a: f64,
    b: f64,
}

impl<const FIRST: u32> TryFrom<Json> for BetaGeometric<FIRST> {
    type Error = BadParameter;

    fn try_from(json: Json) -> Result<Self, BadParameter> {
        Self::new(json.r, json.alpha, json.a, json.b)
    }
}

impl<const FIRST: u32> BetaGeometric<FIRST> {
    pub const NAMES: [&'static str; 4] = ["r", "alpha", "a", "b"];

    /// `r`, `a`, `b` without unit, `alpha` in units of time; each from 1e-9 to 1e15.
    pub fn new(r: f64, alpha: f64, a: f64, b: f64) -> Result<Self, BadParameter> {
        checked(Self::NAMES, [r, alpha, a, b]).map(Self::of)
    }

    fn of([r, alpha, a, b]: [f64; 4]) -> Self {
        BetaGeometric { r, alpha, a, b }
    }

    /// `[r, α, a, b]`.
    pub fn parameters(&self) -> [f64; 4] {
        [self.r, self.alpha, self.a, self.b]
    }

    /// The most likely parameters for these customers.
    pub fn fit(cohort: &Cohort) -> Result<Fit<Self>, FitError> {
        let (repeats, age) = cohort.fit_means(4)?;
        let rate = 0.25 * age / repeats;
        Search {
            names: Self::NAMES,
            scales: [1.0, age, 1.0, 1.0],
            starts: &[[0.25, rate, 0.8, 2.5], [1.0, age, 1.0, 1.0]],
            customers: cohort.customers(),
            groups: cohort.groups().len() as u64,
            value: |theta: &[f64; 4]| Self::of(*theta).slopes(cohort),
        }
        .run(Self::of)
    }
}
