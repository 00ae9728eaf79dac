//! Chances of counts: the incomplete beta integral, plain and thinned by a power law.

use statrs::function::beta::beta_reg;

use super::concave::Curve;
use super::gamma::ln_beta;

/// Up to this the continued fraction has converged within its library's limit of 140 steps.
const FRACTION_MAX: f64 = 2_000.0;

/// The regularised incomplete beta function `I_z(a, b)` with `z = odds/(1 + odds)`, for
/// `a, b > 0` and `odds ≥ 0`. In [0, 1].
pub fn beta_chance(a: f64, b: f64, odds: f64) -> f64 {
    if odds <= 0.0 {
        return 0.0;
    }
    if odds == f64::INFINITY {
        return 1.0;
    }
    if a.max(b) > FRACTION_MAX {
        return thinned_chance(a, b, 0.0, 0.0, odds);
    }
    // The side of 1 that keeps its digits.
    let chance = if odds < 1.0 {
        beta_reg(a, b, odds / (1.0 + odds))
    } else {
        1.0 - beta_reg(b, a, 1.0 / (1.0 + odds))
    };
    chance.clamp(0.0, 1.0)
}

/// `∫ w^(a−1) (1 + w)^-(a+b) (1 + k w)^-s dw / B(a, b)` from 0 to `odds`, for `a, b > 0`, `s, k ≥ 0`:
/// the chance that the odds of a `Beta(a, b)` variable are below `odds` and survive a power law.
/// In [0, 1]; at most a few dozen panels of sixteen evaluations.
pub fn thinned_chance(a: f64, b: f64, s: f64, k: f64, odds: f64) -> f64 {
    if odds <= 0.0 {
        return 0.0;
    }
    let end = odds.min(1e300).ln();
    let chance = Curve { a, b, s, k }.integral(ln_beta(a, b), end, 0.0, |_| 1.0);
    chance.clamp(0.0, 1.0)
}
