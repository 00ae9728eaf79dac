//! Increasing curves from one scale to another: of two forecasts, or of a score to what came of it.

use serde::{Deserialize, Serialize};

use crate::value::metrics::rank::order;
use crate::value::values::{BadValues, check, check_lengths, check_positive, sorted};

/// Knots of a map at most.
pub const KNOTS_MAX: usize = 512;

/// An increasing, piecewise linear function of values from 0 on. It passes through 0, and beyond its last
/// knot it goes on in proportion: no two customers who differ before are the same after, unless a whole
/// range was mapped to one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CurveJson")]
pub struct Curve {
    from: Vec<f64>,
    to: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CurveJson {
    from: Vec<f64>,
    to: Vec<f64>,
}

impl TryFrom<CurveJson> for Curve {
    type Error = BadValues;

    fn try_from(CurveJson { from, to }: CurveJson) -> Result<Curve, BadValues> {
        check_positive(&from)?;
        check_positive(&to)?;
        // A reader of JSON may round two neighbours to one number: that is no harm.
        match from.len() == to.len() && from.is_sorted() && to.is_sorted() {
            true => Ok(Curve { from, to }),
            false => Err(BadValues::Lengths { left: from.len(), right: to.len() }),
        }
    }
}

/// The order statistics of `values` at the places of the knots: all of a few, of many the denser the
/// higher, as money is with the few at the top.
fn knots(values: &[f64]) -> Vec<f64> {
    let (sorted, n) = (sorted(values), values.len());
    if n <= KNOTS_MAX {
        return sorted;
    }
    let last = (KNOTS_MAX - 1) as f64;
    let place = |k: usize| 1.0 - (1.0 - k as f64 / last).powi(3);
    let at = |k: usize| (place(k) * (n - 1) as f64).round() as usize;
    (0..KNOTS_MAX).map(|k| sorted[at(k).min(n - 1)]).collect()
}

/// Means of rows side by side.
struct Knot {
    rows: f64,
    from: f64,
    to: f64,
}

impl Knot {
    fn pooled(&self, next: &Knot) -> Knot {
        let rows = self.rows + next.rows;
        let mean = |a: f64, b: f64| a + (b - a) * (next.rows / rows);
        Knot { rows, from: mean(self.from, next.from), to: mean(self.to, next.to) }
    }
}

impl Curve {
    /// Maps the distribution of `from` to that of `to`: as many values of both, at least 0, in any order.
    /// Values that are the same in `from` get the mean of theirs.
    pub fn quantiles(from: &[f64], to: &[f64]) -> Result<Curve, BadValues> {
        check_positive(from)?;
        check_positive(to)?;
        check_lengths(from.len(), to.len())?;
        let pairs: Vec<(f64, f64)> = knots(from).into_iter().zip(knots(to)).collect();
        let mut map = Curve { from: Vec::new(), to: Vec::new() };
        for tie in pairs.chunk_by(|a, b| a.0 == b.0) {
            map.from.push(tie[0].0 + 0.0);
            map.to.push(tie.iter().map(|(_, to)| to).sum::<f64>() / tie.len() as f64);
        }
        // Means of ties round: the order is what counts.
        let mut least = 0.0_f64;
        for to in &mut map.to {
            *to = to.max(least);
            least = *to;
        }
        Ok(map)
    }

    /// Maps a score to the mean of what came of it, both at least 0, in any order.
    ///
    /// Rows are taken in `bins` of equal size by score (brought into 1..=512, ties in the order given), and
    /// bins whose means descend are pooled like in isotonic regression: the knots are the means of score
    /// and value of what is left, so that between them the curve ascends and makes no ties.
    pub fn calibrated(scores: &[f64], actual: &[f64], bins: usize) -> Result<Curve, BadValues> {
        check_positive(scores)?;
        check_positive(actual)?;
        check_lengths(scores.len(), actual.len())?;
        let order = order(scores);
        let size = order.len().div_ceil(bins.clamp(1, KNOTS_MAX));
        let bins = order.chunks(size).map(|bin| {
            let mean = |of: &[f64]| bin.iter().map(|at| of[*at]).sum::<f64>() / bin.len() as f64;
            Knot { rows: bin.len() as f64, from: mean(scores), to: mean(actual) }
        });
        let mut kept: Vec<Knot> = Vec::new();
        for mut knot in bins {
            while let Some(before) = kept.pop_if(|b| b.to >= knot.to || b.from >= knot.from) {
                knot = before.pooled(&knot);
            }
            kept.push(knot);
        }
        Ok(Curve {
            from: kept.iter().map(|k| k.from).collect(),
            to: kept.iter().map(|k| k.to).collect(),
        })
    }

    /// The value on the other scale; of what is below 0 or none, that of 0.
    pub fn at(&self, value: f64) -> f64 {
        let value = if check(&[value]).is_ok() { value.max(0.0) } else { 0.0 };
        let above = self.from.partition_point(|knot| *knot <= value);
        let knot = |at: usize| (self.from[at], self.to[at]);
        let (low, high) = match (above.checked_sub(1), above < self.from.len()) {
            (None, _) => ((0.0, 0.0), knot(above)),
            (Some(below), true) => (knot(below), knot(above)),
            (Some(below), false) => {
                let (from, to) = knot(below);
                let factor = if from > 0.0 { (to / from).min(1e100) } else { 1.0 };
                return to + (value - from) * factor;
            }
        };
        low.1 + (high.1 - low.1) * ((value - low.0) / (high.0 - low.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_becomes_the_other() {
        let from: Vec<f64> = (1..=10_000).map(|i| f64::from(i) / 100.0).collect();
        let to: Vec<f64> = from.iter().map(|v| v * v).collect();
        let map = Curve::quantiles(&from, &to).unwrap();
        assert!((400..=KNOTS_MAX).contains(&map.from.len()));
        for v in [10.0, 30.0, 50.0, 90.0, 99.9] {
            assert!((map.at(v) / (v * v) - 1.0).abs() < 0.02, "{v}: {}", map.at(v));
        }
        assert_eq!(map.at(200.0), 20_000.0, "in proportion beyond the last");
    }

    #[test]
    fn the_order_is_kept_everywhere() {
        let from = [0.0, 0.0, 0.0, 1.0, 1.0, 4.0, 9.0];
        let to = [0.0, 1.0, 2.0, 2.0, 4.0, 5.0, 8.0];
        let map = Curve::quantiles(&from, &to).unwrap();
        assert_eq!([0.0, 1.0, 4.0, 9.0].map(|v| map.at(v)), [1.0, 3.0, 5.0, 8.0]);
        let values: Vec<f64> = (0..200).map(|i| map.at(f64::from(i) / 10.0)).collect();
        assert!(values.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_score_becomes_what_came_of_it_and_bins_that_descend_are_one() {
        let scores: Vec<f64> = (0..4_000).map(f64::from).collect();
        let actual: Vec<f64> =
            scores.iter().map(|s| if s % 2.0 == 0.0 { s / 50.0 } else { 0.0 }).collect();
        let curve = Curve::calibrated(&scores, &actual, 20).unwrap();
        assert_eq!(curve.from.len(), 20);
        for s in [300.0, 2_000.0, 3_900.0] {
            assert!((curve.at(s) / (s / 100.0) - 1.0).abs() < 0.02, "{s}: {}", curve.at(s));
        }
        let pooled = Curve::calibrated(&[1.0, 2.0, 3.0, 4.0], &[0.0, 6.0, 2.0, 9.0], 4).unwrap();
        assert_eq!((pooled.from, pooled.to), (vec![1.0, 2.5, 4.0], vec![0.0, 4.0, 9.0]));
        let flat = Curve::calibrated(&[1.0; 9], &[3.0; 9], 3).unwrap();
        assert_eq!((flat.at(1.0), flat.at(2.0)), (3.0, 6.0));
    }

    #[test]
    fn no_value_makes_it_nan() {
        let map = Curve::quantiles(&[0.0, 0.0], &[0.0, 0.0]).unwrap();
        assert_eq!((map.at(0.0), map.at(3.0)), (0.0, 3.0));
        for odd in [f64::NAN, f64::INFINITY, -1.0, 1e100] {
            assert!(map.at(odd).is_finite(), "{odd}");
        }
        let steep = Curve::quantiles(&[5e-324], &[1e100]).unwrap();
        assert!(steep.at(1e100).is_finite());
        assert!(Curve::quantiles(&[1.0], &[]).is_err());
        assert!(Curve::quantiles(&[-1.0], &[1.0]).is_err());
        assert!(serde_json::from_str::<Curve>(r#"{"from":[2.0,1.0],"to":[1.0,2.0]}"#).is_err());
    }
}
