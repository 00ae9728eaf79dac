//! Isotonic regression: the non-decreasing function that is nearest to what came of predictions.

use serde::{Deserialize, Serialize};

use super::values::{BadValues, check, check_lengths, is_value};

/// A non-decreasing, piecewise linear function, constant outside of its knots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "IsotonicJson")]
pub struct Isotonic {
    x: Vec<f64>,
    y: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IsotonicJson {
    x: Vec<f64>,
    y: Vec<f64>,
}

/// Knots that are no such function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("knots are finite, neither x nor y descends, and both are as many")]
pub struct BadKnots;

impl TryFrom<IsotonicJson> for Isotonic {
    type Error = BadKnots;

    fn try_from(IsotonicJson { x, y }: IsotonicJson) -> Result<Isotonic, BadKnots> {
        let finite = check(&x).and(check(&y)).and(check_lengths(x.len(), y.len())).is_ok();
        // A reader of JSON may round two neighbours to one number: that is no harm.
        let ascending = x.is_sorted() && y.is_sorted();
        if finite && ascending { Ok(Isotonic { x, y }) } else { Err(BadKnots) }
    }
}

/// Rows side by side that have one value.
struct Block {
    from: f64,
    to: f64,
    weight: f64,
    mean: f64,
}

impl Block {
    fn absorb(&mut self, next: Block) {
        let weight = self.weight + next.weight;
        self.mean += (next.mean - self.mean) * (next.weight / weight);
        (self.to, self.weight) = (next.to, weight);
    }
}

impl Isotonic {
    /// The function f that minimises `Σ wᵢ (yᵢ − f(xᵢ))²` among the non-decreasing ones, by pooling
    /// adjacent violators (Ayer et al. 1955; Best & Chakravarti 1990). Rows of the same x count with their
    /// mean. The order of rows does not matter.
    ///
    /// # Errors
    /// No rows, other lengths, values that are not finite, weights that are not between 1e-100 and 1e100.
    pub fn fit(x: &[f64], y: &[f64], weights: Option<&[f64]>) -> Result<Isotonic, BadValues> {
        check(x)?;
        check(y)?;
        check_lengths(x.len(), y.len())?;
        if let Some(weights) = weights {
            check_lengths(x.len(), weights.len())?;
            let sound = |w: f64| is_value(w) && w >= 1e-100;
            if let Some(at) = weights.iter().position(|w| !sound(*w)) {
                return Err(BadValues::OutOfRange { at });
            }
        }
        let weight = |at: usize| weights.map_or(1.0, |weights| weights[at]);
        let block = |at: usize| {
            let place = x[at] + 0.0;
            Block { from: place, to: place, weight: weight(at), mean: y[at] }
        };
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.sort_by(|a, b| (x[*a] + 0.0).total_cmp(&(x[*b] + 0.0)).then(y[*a].total_cmp(&y[*b])));
        let mut rows: Vec<Block> = Vec::new();
        for at in order {
            match rows.last_mut() {
                Some(last) if last.from == block(at).from => last.absorb(block(at)),
                _ => rows.push(block(at)),
            }
        }
        let mut blocks: Vec<Block> = Vec::new();
        for mut block in rows {
            while let Some(before) = blocks.pop_if(|before| before.mean >= block.mean) {
                let next = std::mem::replace(&mut block, before);
                block.absorb(next);
            }
            blocks.push(block);
        }
        let mut fitted = Isotonic { x: Vec::new(), y: Vec::new() };
        for block in blocks {
            let ends = if block.from < block.to { 2 } else { 1 };
            fitted.x.extend([block.from, block.to].iter().take(ends));
            fitted.y.extend(std::iter::repeat_n(block.mean, ends));
        }
        Ok(fitted)
    }

    /// The value at `x`: linear between knots, that of the first or last knot outside. NaN counts as
    /// below all.
    pub fn at(&self, x: f64) -> f64 {
        let above = self.x.partition_point(|knot| *knot <= x);
        match (above.checked_sub(1), above < self.x.len()) {
            (None, _) => self.y[0],
            (Some(below), false) => self.y[below],
            (Some(below), true) => {
                let part = (x - self.x[below]) / (self.x[above] - self.x[below]);
                self.y[below] + (self.y[above] - self.y[below]) * part
            }
        }
    }

    /// Knots (x, y), ascending.
    pub fn knots(&self) -> impl Iterator<Item = (f64, f64)> {
        self.x.iter().copied().zip(self.y.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: [f64; 10] = [1.0, 2.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.0, 7.0, 8.0];
    const Y: [f64; 10] = [1.0, 3.0, 2.0, 2.5, 2.0, 4.0, 3.0, 5.0, 4.5, 7.0];
    const W: [f64; 10] = [1.0, 2.0, 1.0, 1.0, 3.0, 1.0, 1.0, 1.0, 2.0, 1.0];

    /// Expected: sklearn.isotonic.IsotonicRegression(out_of_bounds="clip").
    #[test]
    fn knots_and_predictions_are_those_of_the_library() {
        let fitted = Isotonic::fit(&X, &Y, Some(&W)).unwrap();
        let pooled = 2.357_142_857_142_857;
        for (x, want) in [
            (0.0, 1.0),
            (1.0, 1.0),
            (1.5, 1.678_571_428_571_428_6),
            (2.0, pooled),
            (3.3, pooled),
            (4.5, 3.178_571_428_571_429),
            (5.0, 4.0),
            (5.5, 4.0),
            (6.2, 4.1),
            (7.5, 5.75),
            (8.0, 7.0),
            (9.0, 7.0),
        ] {
            assert!((fitted.at(x) - want).abs() < 1e-12, "{x}: {}", fitted.at(x));
        }
        let x: Vec<f64> = fitted.knots().map(|(x, _)| x).collect();
        assert_eq!(x, [1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    }

    #[test]
    fn the_order_of_rows_changes_nothing() {
        let reversed = |v: &[f64]| v.iter().rev().copied().collect::<Vec<_>>();
        let other = Isotonic::fit(&reversed(&X), &reversed(&Y), Some(&reversed(&W))).unwrap();
        let one = Isotonic::fit(&X, &Y, Some(&W)).unwrap();
        for k in 0..100 {
            let x = f64::from(k) / 10.0;
            assert!((one.at(x) - other.at(x)).abs() < 1e-12);
        }
    }

    #[test]
    fn a_descending_sample_has_its_mean_everywhere() {
        let fitted = Isotonic::fit(&[1.0, 2.0, 3.0], &[9.0, 6.0, 3.0], None).unwrap();
        assert!(fitted.knots().eq([(1.0, 6.0), (3.0, 6.0)]));
        assert_eq!(
            [f64::NEG_INFINITY, 2.0, f64::INFINITY, f64::NAN].map(|x| fitted.at(x)),
            [6.0; 4]
        );
    }

    #[test]
    fn what_no_function_is_fitted_to_is_refused() {
        assert_eq!(Isotonic::fit(&[], &[], None), Err(BadValues::Empty));
        assert!(Isotonic::fit(&[1.0], &[f64::NAN], None).is_err());
        assert!(Isotonic::fit(&[1.0], &[1.0, 2.0], None).is_err());
        for weight in [0.0, -1.0, f64::NAN] {
            let refused = Isotonic::fit(&[1.0], &[1.0], Some(&[weight]));
            assert_eq!(refused, Err(BadValues::OutOfRange { at: 0 }));
        }
        for bad in [
            r#"{"x":[2.0,1.0],"y":[1.0,2.0]}"#,
            r#"{"x":[1.0,2.0],"y":[2.0,1.0]}"#,
            r#"{"x":[],"y":[]}"#,
        ] {
            assert!(serde_json::from_str::<Isotonic>(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn it_never_descends_keeps_the_mean_and_no_step_would_be_better(
            rows in proptest::collection::vec((0..12_u8, -50..50_i8, 1..5_u8), 1..40)
        ) {
            let x: Vec<f64> = rows.iter().map(|r| f64::from(r.0)).collect();
            let y: Vec<f64> = rows.iter().map(|r| f64::from(r.1)).collect();
            let w: Vec<f64> = rows.iter().map(|r| f64::from(r.2)).collect();
            let fitted = Isotonic::fit(&x, &y, Some(&w)).unwrap();
            let at: Vec<f64> = x.iter().map(|x| fitted.at(*x)).collect();
            proptest::prop_assert!(fitted.y.is_sorted() && fitted.x.is_sorted_by(|a, b| a < b));
            // The conditions of optimality: residuals sum to 0, and from any x on to at most 0.
            let from = |cut: f64| -> f64 {
                (0..x.len()).filter(|i| x[*i] >= cut).map(|i| w[i] * (y[i] - at[i])).sum()
            };
            proptest::prop_assert!(from(f64::NEG_INFINITY).abs() < 1e-6);
            proptest::prop_assert!(x.iter().all(|cut| from(*cut) < 1e-6));
            let product: f64 = (0..x.len()).map(|i| w[i] * (y[i] - at[i]) * at[i]).sum();
            proptest::prop_assert!(product.abs() < 1e-5);
        }
    }
}
