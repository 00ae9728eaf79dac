//! Errors in the unit of the values, and of their total.

use super::pairs::Pairs;
use crate::value::values::ratio;

/// Mean absolute error.
pub fn mae(pairs: Pairs) -> f64 {
    pairs.iter().map(|(a, p)| (a - p).abs()).sum::<f64>() / pairs.rows() as f64
}

/// Root of the mean squared error.
pub fn rmse(pairs: Pairs) -> f64 {
    (pairs.iter().map(|(a, p)| (a - p).powi(2)).sum::<f64>() / pairs.rows() as f64).sqrt()
}

/// Predicted over actual total, minus 1: −0.26 is 26 % low. 0 where both totals are 0; `None` where only
/// the actual one is, or where it is below 0.
pub fn total_bias(pairs: Pairs) -> Option<f64> {
    let actual: f64 = pairs.actual().iter().sum();
    let predicted: f64 = pairs.predicted().iter().sum();
    if actual == 0.0 && predicted == 0.0 {
        return Some(0.0);
    }
    ratio(predicted, actual).map(|r| r - 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ACTUAL, PREDICTED, near};
    use super::*;

    /// Expected: sklearn.metrics.mean_absolute_error, root of mean_squared_error; totals by numpy.
    #[test]
    fn errors_are_those_of_the_library() {
        let pairs = Pairs::new(&ACTUAL, &PREDICTED).unwrap();
        near(mae(pairs), 14.291_666_666_666_666);
        near(rmse(pairs), 37.452_817_539_761_504);
        near(total_bias(pairs).unwrap(), -0.346_281_908_990_011_1);
    }

    #[test]
    fn a_total_of_nothing_has_a_bias_only_where_nothing_was_predicted() {
        let bias = |a: &[f64], p: &[f64]| total_bias(Pairs::new(a, p).unwrap());
        assert_eq!(bias(&[0.0, 0.0], &[0.0, 0.0]), Some(0.0));
        assert_eq!(bias(&[0.0, 0.0], &[0.0, 1.0]), None);
        assert_eq!(bias(&[-3.0, 0.0], &[0.0, 1.0]), None);
    }

    #[test]
    fn the_largest_values_have_a_finite_error() {
        let pairs = Pairs::new(&[1e100, -1e100], &[-1e100, 1e100]).unwrap();
        assert!(mae(pairs).is_finite() && rmse(pairs).is_finite());
    }
}
