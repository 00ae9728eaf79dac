//! The integral that Pareto/NBD rests on: of a product of two power laws.

use super::panel::panel;

/// Most panels of one integral; a range of 1e12 scales needs about 40.
const PANELS_MAX: usize = 400;
/// What is left of the integral, as part of the whole, when the sum stops.
const REST_MAX: f64 = 1e-17;

/// `f(u) = (1 + u/a)^-m (1 + u/b)^-n` for `u ≥ 0`, with `a, b > 0`, `m ≥ 0`, `n ≥ 0`, `m + n > 0`.
#[derive(Clone, Copy, Debug)]
pub struct Decay {
    pub m: f64,
    pub n: f64,
    pub a: f64,
    pub b: f64,
}

/// The integral of `f` from 0, and its derivatives' parts: `f` weighted by `ln(1 + u/a)`,
/// `ln(1 + u/b)`, `1/(a + u)` and `1/(b + u)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    pub whole: f64,
    pub ln_a: f64,
    pub ln_b: f64,
    pub by_a: f64,
    pub by_b: f64,
}

impl Decay {
    /// `∫ f` from 0 to `length`. Positive terms only, so nothing cancels; at most [`PANELS_MAX`]
    /// panels of sixteen evaluations, one or two for a usual customer.
    pub fn integral(&self, length: f64) -> f64 {
        self.sum(length, |_, _, f| [f])[0]
    }

    /// The integral with its weighted forms, at the same nodes.
    pub fn moments(&self, length: f64) -> Moments {
        let [whole, ln_a, ln_b, by_a, by_b] = self
            .sum(length, |u, (la, lb), f| [f, f * la, f * lb, f / (self.a + u), f / (self.b + u)]);
        Moments { whole, ln_a, ln_b, by_a, by_b }
    }

    /// Panels that grow with the function's own scale: each holds a decay of at most e^8 and stays
    /// at a distance from the singularities at −a and −b where sixteen nodes give 15 digits.
    fn sum<const K: usize>(
        &self,
        length: f64,
        parts: impl Fn(f64, (f64, f64), f64) -> [f64; K],
    ) -> [f64; K] {
        let Decay { m, n, a, b } = *self;
        let value = |u: f64| {
            let (la, lb) = ((u / a).ln_1p(), (u / b).ln_1p());
            ((la, lb), (-m * la - n * lb).exp())
        };
        let (mut from, mut sums) = (0.0, [0.0; K]);
        for _ in 0..PANELS_MAX {
            let slope = m / (a + from) + n / (b + from);
            let width = (8.0 / slope).min(3.0 * (a.min(b) + from)).min(length - from);
            let add = panel(from, width, |u| {
                let (logs, f) = value(u);
                parts(u, logs, f)
            });
            sums.iter_mut().zip(add).for_each(|(sum, part)| *sum += part);
            from += width;
            let left = length - from;
            if left <= 0.0 || value(from).1 * left <= REST_MAX * sums[0] {
                break;
            }
        }
        sums
    }
}
