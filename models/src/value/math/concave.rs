//! Integrals under log-concave curves over the log odds of a chance.
//!
//! Eleven digits; with parameters in the millions, whose logarithms of gamma functions are as large, seven.

use super::logs::sigmoid;
use super::panel::panel;

/// Most panels to either side of the peak.
const PANELS_MAX: usize = 400;
/// The sum ends where the curve has fallen by e^-46 (1e-20) below its peak.
const FALL_MAX: f64 = 46.0;

/// The curve `w^a (1 + w)^-(a+b) (1 + k w)^-s` over `u = ln w`: the density of a Beta variable's
/// odds, thinned by a power law. `a > 0`, `s, k ≥ 0`, `a + b ≥ 0`, `b + s > 0`; then it is
/// log-concave and falls to both sides.
#[derive(Clone, Copy, Debug)]
pub struct Curve {
    pub a: f64,
    pub b: f64,
    pub s: f64,
    pub k: f64,
}

impl Curve {
    /// The density of the odds of `p ~ Beta(a, b)`, times `B(a, b)`.
    pub fn beta(a: f64, b: f64) -> Curve {
        Curve { a, b, s: 0.0, k: 0.0 }
    }

    fn thinned(&self) -> bool {
        self.s > 0.0 && self.k > 0.0
    }

    /// Its log at `u`, with its first two derivatives.
    fn log(&self, u: f64) -> (f64, f64, f64) {
        let (p, q) = (sigmoid(u), sigmoid(-u));
        let (value, slope, bend) = (
            -self.a * softplus(-u) - self.b * softplus(u),
            self.a * q - self.b * p,
            -(self.a + self.b) * p * q,
        );
        if !self.thinned() {
            return (value, slope, bend);
        }
        let thin = u + self.k.ln();
        let (p, q) = (sigmoid(thin), sigmoid(-thin));
        (value - self.s * softplus(thin), slope - self.s * p, bend - self.s * p * q)
    }

    /// Where it is largest, in `u`.
    pub fn peak(&self) -> f64 {
        if !self.thinned() {
            return (self.a / self.b).ln();
        }
        let (mut low, mut high) = (-800.0_f64, 800.0_f64);
        for _ in 0..64 {
            let middle = (low + high) / 2.0;
            if self.log(middle).1 > 0.0 { low = middle } else { high = middle }
        }
        (low + high) / 2.0
    }

    /// `∫ curve(u) h(u) e^-norm du` up to `end`, for an `h` of moderate slope whose own scale ends at
    /// `reach`: to the left of it `h` is smooth over any distance from there.
    ///
    /// Panels of sixteen nodes, from the peak away to both sides: each as wide as the curve's slope,
    /// its bend and the nearest singularity (at odds of −1 and of −1/k) let 13 digits be; far from all
    /// of them they widen in proportion, so the cost is some dozen panels for any shape.
    pub fn integral(&self, norm: f64, end: f64, reach: f64, h: impl Fn(f64) -> f64) -> f64 {
        let peak = self.peak();
        let walk = Walk { curve: self, norm, reach, h: &h };
        let left = walk.sum(end.min(peak), f64::NEG_INFINITY);
        if end > peak { left + walk.sum(peak, end) } else { left }
    }
}

/// `ln(1 + e^u)`.
fn softplus(u: f64) -> f64 {
    if u > 0.0 { u + (-u).exp().ln_1p() } else { u.exp().ln_1p() }
}

struct Walk<'a, H> {
    curve: &'a Curve,
    norm: f64,
    reach: f64,
    h: &'a H,
}

impl<H: Fn(f64) -> f64> Walk<'_, H> {
    /// From `from`, at or beyond the peak, away from it to `to`.
    fn sum(&self, from: f64, to: f64) -> f64 {
        let side = if to < from { -1.0 } else { 1.0 };
        let bend_at = if self.curve.thinned() { -self.curve.k.ln() } else { 0.0 };
        let edge = if side < 0.0 { bend_at.min(self.reach).min(0.0) } else { bend_at.max(0.0) };
        let top = self.curve.log(from).0;
        let (mut u, mut sum) = (from, 0.0);
        for _ in 0..PANELS_MAX {
            let (value, slope, bend) = self.curve.log(u);
            let left = (to - u) * side;
            if left <= 0.0 || top - value > FALL_MAX {
                break;
            }
            let clear = 2.0 * ((u - edge) * side).max(1.0);
            let width = (8.0 / slope.abs().max(1e-300))
                .min(4.0 / (-bend).max(1e-300).sqrt())
                .min(clear)
                .min(left);
            let start = if side > 0.0 { u } else { u - width };
            let part = |u: f64| [(self.curve.log(u).0 - self.norm).exp() * (self.h)(u)];
            sum += panel(start, width, part)[0];
            u += side * width;
        }
        sum
    }
}
