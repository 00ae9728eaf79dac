//! What impressions are worth to a campaign.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{draw, happens};

/// A distribution of values, in any unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Values {
    /// All the same.
    Constant { value: f64 },
    /// exp(N(ln median, sigma²)).
    LogNormal { median: f64, sigma: f64 },
    /// Heavy-tailed: P(v > x) = (least/x)^alpha from `least` on; alpha > 1.
    Pareto { least: f64, alpha: f64 },
    /// A probability: the logistic function of N(logit, sigma²), as a model of clicks says.
    Logistic { logit: f64, sigma: f64 },
    /// 0, but for a share that is log-normal.
    Sparse { share: f64, median: f64, sigma: f64 },
}

impl Values {
    pub(super) fn draw(&self, score: f64, rng: &mut impl Rng) -> f64 {
        match *self {
            Values::Constant { value } => value,
            Values::LogNormal { median, sigma } => median * (sigma * score).exp(),
            Values::Pareto { least, alpha } => {
                least * draw::normal_cdf(-score).max(1e-12).powf(-1.0 / alpha)
            }
            Values::Logistic { logit, sigma } => 1.0 / (1.0 + (-(logit + sigma * score)).exp()),
            Values::Sparse { share, median, sigma } => match happens(share, rng) {
                true => median * (sigma * score).exp(),
                false => 0.0,
            },
        }
    }

    /// The mean, or near it (that of the logistic to second order); above 0.
    pub(super) fn mean(&self) -> f64 {
        let mean = match *self {
            Values::Constant { value } => value,
            Values::LogNormal { median, sigma } => median * (sigma * sigma / 2.0).exp(),
            Values::Pareto { least, alpha } => least * alpha / (alpha - 1.0).max(1e-3),
            Values::Logistic { logit, sigma } => {
                let at = 1.0 / (1.0 + (-logit).exp());
                at + at * (1.0 - at) * (1.0 - 2.0 * at) * sigma * sigma / 2.0
            }
            Values::Sparse { share, median, sigma } => share * median * (sigma * sigma / 2.0).exp(),
        };
        mean.max(f64::MIN_POSITIVE)
    }
}
