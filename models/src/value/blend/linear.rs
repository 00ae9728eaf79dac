//! Weights of two forecasts by least squares on a holdout (Bates & Granger 1969; Breiman 1996 for the
//! constraint that no weight is below 0).

use serde::{Deserialize, Serialize};

use crate::value::values::{BadValues, check, check_lengths};

/// `first · a + second · b`, both at least 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    pub first: f64,
    pub second: f64,
}

impl Weights {
    /// The joined forecast of one customer.
    pub fn join(&self, first: f64, second: f64) -> f64 {
        self.first * first + self.second * second
    }
}

fn check_all(actual: &[f64], first: &[f64], second: &[f64]) -> Result<f64, BadValues> {
    for side in [first, second] {
        check_lengths(actual.len(), side.len())?;
        check(side)?;
    }
    check(actual)?;
    // Everything is divided by the largest magnitude: no square vanishes or overflows.
    let all = actual.iter().chain(first).chain(second);
    Ok(all.fold(0.0_f64, |max, v| max.max(v.abs())))
}

fn dot(a: impl Iterator<Item = f64>, b: impl Iterator<Item = f64>) -> f64 {
    a.zip(b).map(|(a, b)| a * b).sum()
}

/// Weights that sum to 1 and minimise `Σ (actual − w first − (1 − w) second)²` over w in 0..=1. One half
/// each where both forecasts are the same.
pub fn convex(actual: &[f64], first: &[f64], second: &[f64]) -> Result<Weights, BadValues> {
    let scale = check_all(actual, first, second)?.max(f64::MIN_POSITIVE);
    let off = || first.iter().zip(second).map(|(a, b)| a / scale - b / scale);
    let rest = actual.iter().zip(second).map(|(y, b)| y / scale - b / scale);
    let (product, square) = (dot(rest, off()), dot(off(), off()));
    let weight = if square > 0.0 { (product / square).clamp(0.0, 1.0) } else { 0.5 };
    Ok(Weights { first: weight, second: 1.0 - weight })
}

/// Weights of any sum, each at least 0, that minimise `Σ (actual − w first − v second)²` (Lawson & Hanson
/// 1974, in two dimensions: the free solution, or the better one on an edge). Both 0 where neither forecast
/// says anything.
pub fn non_negative(actual: &[f64], first: &[f64], second: &[f64]) -> Result<Weights, BadValues> {
    let scale = check_all(actual, first, second)?.max(f64::MIN_POSITIVE);
    let of = |v: &'_ [f64]| v.iter().map(|v| v / scale).collect::<Vec<f64>>();
    let (y, a, b) = (of(actual), of(first), of(second));
    let product = |a: &[f64], b: &[f64]| dot(a.iter().copied(), b.iter().copied());
    let (aa, bb, ab) = (product(&a, &a), product(&b, &b), product(&a, &b));
    let (ya, yb) = (product(&y, &a), product(&y, &b));
    let determinant = aa * bb - ab * ab;
    if determinant > 1e-12 * aa * bb {
        let (first, second) = (bb * ya - ab * yb, aa * yb - ab * ya);
        if first >= 0.0 && second >= 0.0 {
            return Ok(Weights { first: first / determinant, second: second / determinant });
        }
    }
    let edge = |product: f64, square: f64| match square > f64::MIN_POSITIVE {
        true => (product / square).max(0.0),
        false => 0.0,
    };
    let (first, second) = (edge(ya, aa), edge(yb, bb));
    // What an edge takes off the sum of squares.
    match first * ya >= second * yb {
        true => Ok(Weights { first, second: 0.0 }),
        false => Ok(Weights { first: 0.0, second }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::metrics::sample::{ACTUAL, OTHER, PREDICTED, near};
    use super::*;

    fn loss(w: Weights) -> f64 {
        let rows = ACTUAL.iter().zip(PREDICTED.iter().zip(OTHER));
        rows.map(|(y, (a, b))| (y - w.join(*a, b)).powi(2)).sum()
    }

    /// Expected: scipy.optimize.nnls.
    #[test]
    fn weights_are_those_of_the_library() {
        let w = non_negative(&ACTUAL, &PREDICTED, &OTHER).unwrap();
        near(w.first, 0.972_530_177_637_272_9);
        near(w.second, 0.136_122_140_025_675_08);
    }

    #[test]
    fn weights_that_sum_to_1_stay_between_the_two() {
        // Free, it would be 1.0924.
        let w = convex(&ACTUAL, &PREDICTED, &OTHER).unwrap();
        assert_eq!(w, Weights { first: 1.0, second: 0.0 });
        let half: Vec<f64> = PREDICTED.iter().zip(OTHER).map(|(a, b)| 0.3 * a + 0.7 * b).collect();
        near(convex(&half, &PREDICTED, &OTHER).unwrap().first, 0.3);
    }

    #[test]
    fn no_weights_nearby_are_better() {
        let best = loss(non_negative(&ACTUAL, &PREDICTED, &OTHER).unwrap());
        let w = non_negative(&ACTUAL, &PREDICTED, &OTHER).unwrap();
        for (a, b) in [(0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01), (0.01, -0.01)] {
            assert!(loss(Weights { first: w.first + a, second: w.second + b }) > best);
        }
    }

    #[test]
    fn a_forecast_that_only_hurts_has_no_weight() {
        let against: Vec<f64> = ACTUAL.iter().map(|y| 200.0 - y).collect();
        let w = non_negative(&ACTUAL, &ACTUAL, &against).unwrap();
        near(w.first, 1.0);
        near(w.second, 0.0);
        let w = non_negative(&[1.0, 0.0], &[0.0, 1.0], &[-1.0, 0.0]).unwrap();
        assert_eq!(w, Weights { first: 0.0, second: 0.0 });
    }

    #[test]
    fn forecasts_that_are_the_same_or_nothing_have_weights_all_the_same() {
        let half = Weights { first: 0.5, second: 0.5 };
        assert_eq!(convex(&ACTUAL, &OTHER, &OTHER), Ok(half));
        assert_eq!(convex(&[0.0], &[0.0], &[0.0]), Ok(half));
        let nothing = Weights { first: 0.0, second: 0.0 };
        assert_eq!(non_negative(&[1.0], &[0.0], &[0.0]), Ok(nothing));
        let same = non_negative(&[2.0, 4.0], &[1.0, 2.0], &[1.0, 2.0]).unwrap();
        near(same.join(1.0, 1.0), 2.0);
        let w = non_negative(&[1e100, 1.0], &[1e100, 1e-300], &[5e-324, 1e100]).unwrap();
        assert!(w.first.is_finite() && w.second.is_finite());
        assert_eq!(convex(&[], &[], &[]), Err(BadValues::Empty));
    }
}
