//! Gauss's hypergeometric function for the arguments that purchase models ask of it.

use super::concave::Curve;
use super::gamma::ln_beta;

/// Most terms of a series before the integral is taken instead.
const TERMS_MAX: usize = 600;
/// Digits that a sum of both signs may lose, as the ratio of its largest part to itself.
const CANCEL_MAX: f64 = 1e4;

/// `₂F₁(a, b; c; z)` for `a, b ≥ 0`, `c > 0` and `z < 1`, with at least 11 digits. None where it
/// is beyond an `f64`, or where neither the series nor Euler's integral reaches it.
///
/// Below 0 by Pfaff's transformation (Abramowitz & Stegun 1964, 15.3.4), else by the series (15.1.1)
/// or its Euler transform (15.3.3), whichever falls faster; near 1 and for large parameters by Euler's
/// integral (15.3.1) over log odds, which needs `c` above `a` and `b`.
pub fn hyp2f1(a: f64, b: f64, c: f64, z: f64) -> Option<f64> {
    let known = [a, b, c, z].iter().all(|v| v.is_finite());
    if !known || a < 0.0 || b < 0.0 || c <= 0.0 || z >= 1.0 {
        return None;
    }
    if z < 0.0 {
        // z/(z − 1) is in (0, 1); the smaller parameter carries the power.
        let (a, b) = if a < b { (a, b) } else { (b, a) };
        let ratio = z / (z - 1.0);
        let inner = if c >= b { hyp2f1(a, c - b, c, ratio) } else { series(a, c - b, c, ratio) };
        return finite(inner? * (-a * (-z).ln_1p()).exp());
    }
    direct(a, b, c, z).or_else(|| integral(a, b, c, z)).or_else(|| integral(b, a, c, z))
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The series, or Euler's transform where its parameters are smaller.
fn direct(a: f64, b: f64, c: f64, z: f64) -> Option<f64> {
    let power = c - a - b;
    if power >= 0.0 {
        return series(a, b, c, z);
    }
    let transformed = series(c - a, c - b, c, z).and_then(|f| finite(f * (1.0 - z).powf(power)));
    transformed.or_else(|| series(a, b, c, z))
}

fn series(a: f64, b: f64, c: f64, z: f64) -> Option<f64> {
    let (mut term, mut sum, mut largest) = (1.0_f64, 1.0_f64, 1.0_f64);
    for k in 0..TERMS_MAX {
        let k = k as f64;
        let ratio = (a + k) * (b + k) / ((c + k) * (k + 1.0)) * z;
        term *= ratio;
        sum += term;
        largest = largest.max(term.abs());
        if !sum.is_finite() {
            return None;
        }
        // The rest of a series whose ratios stay at or below this one's bound.
        let bound = ratio.abs().max(z);
        if bound < 1.0 && term.abs() * bound <= 1e-16 * sum.abs() * (1.0 - bound) {
            return (largest <= CANCEL_MAX * sum.abs()).then_some(sum);
        }
    }
    None
}

/// Euler's integral over the odds of `1 − p` to `p`, where its integrand is log-concave.
fn integral(a: f64, b: f64, c: f64, z: f64) -> Option<f64> {
    if b <= 0.0 || c <= b || c < a {
        return None;
    }
    let (rest, power) = (c - b, -a * (-z).ln_1p());
    let curve = Curve { a: rest, b: b - a, s: a, k: 1.0 / (1.0 - z) };
    // The power within the norm: an answer that fits is never the product of one that does not.
    let norm = ln_beta(rest, b) - power;
    finite(curve.integral(norm, f64::INFINITY, 0.0, |_| 1.0))
}
