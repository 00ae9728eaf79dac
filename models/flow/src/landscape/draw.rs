//! Draws from the distributions that landscapes are made of.

use rand::{Rng, RngExt};

/// 0 < u ≤ 1.
pub(super) fn unit(rng: &mut impl Rng) -> f64 {
    1.0 - rng.random::<f64>()
}

/// Standard normal (Box and Muller 1958).
pub(super) fn normal(rng: &mut impl Rng) -> f64 {
    (-2.0 * unit(rng).ln()).sqrt() * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// Exponential of mean 1.
pub(super) fn exponential(rng: &mut impl Rng) -> f64 {
    -unit(rng).ln()
}

/// The distribution function of the standard normal, to 7.5e-8 (Abramowitz and Stegun 26.2.17).
pub(super) fn normal_cdf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = poly * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    if x < 0.0 { tail } else { 1.0 - tail }
}
