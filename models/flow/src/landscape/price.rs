//! What the others bid.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{draw, happens};

/// A distribution of market prices, in micros an impression.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Prices {
    /// exp(N(ln median, sigma²)).
    LogNormal { median: f64, sigma: f64 },
    /// Pareto: P(p > x) = (least/x)^alpha from `least` on. Heavy-tailed: no variance for alpha ≤ 2.
    Pareto { least: f64, alpha: f64 },
    /// P(p > x) = exp(−(x/scale)^shape).
    Weibull { scale: f64, shape: f64 },
    /// Two kinds of inventory: a share of `dear` at `factor` times the price; both log-normal.
    Two { median: f64, sigma: f64, dear: f64, factor: f64 },
    /// As an exchange with floors sells: log-normal, a share of it at `floor`, nothing above `most`.
    Floored { median: f64, sigma: f64, floor: f64, share: f64, most: f64 },
}

impl Prices {
    /// The price at a normal score.
    pub(super) fn draw(&self, score: f64, rng: &mut impl Rng) -> f64 {
        // 1 − Φ, away from 0: the farthest tail that is drawn.
        let above = || draw::normal_cdf(-score).max(1e-12);
        match *self {
            Prices::LogNormal { median, sigma } => median * (sigma * score).exp(),
            Prices::Pareto { least, alpha } => least * above().powf(-1.0 / alpha),
            Prices::Weibull { scale, shape } => scale * (-above().ln()).max(0.0).powf(1.0 / shape),
            Prices::Two { median, sigma, dear, factor } => {
                let times = if happens(dear, rng) { factor } else { 1.0 };
                median * times * (sigma * score).exp()
            }
            Prices::Floored { median, sigma, floor, share, most } => match happens(share, rng) {
                true => floor,
                false => (median * (sigma * score).exp()).clamp(floor.min(most), most),
            },
        }
    }
}
