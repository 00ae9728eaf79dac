//! Whether the order of a forecast is that of the actual values.

use super::pairs::Pairs;
use super::rank::{averaged, centred};
use crate::value::values::ratio;

/// Spearman's rank correlation (1904), −1 to 1: Pearson's correlation of averaged ranks. `None` where
/// either side is constant.
pub fn spearman(pairs: Pairs) -> Option<f64> {
    let (actual, predicted) = (centred(pairs.actual()), centred(pairs.predicted()));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let spread = dot(&actual, &actual).sqrt() * dot(&predicted, &predicted).sqrt();
    ratio(dot(&actual, &predicted), spread).map(|rho| rho.clamp(-1.0, 1.0))
}

/// Area under the ROC curve of "was active" (actual above 0) by the prediction, 0 to 1: the chance that
/// an active customer was predicted above one who was not, ties counted by half (Hanley & McNeil 1982).
/// `None` where everybody or nobody was active.
pub fn activity_auc(pairs: Pairs) -> Option<f64> {
    let ranks = averaged(pairs.predicted());
    let active = pairs.actual().iter().zip(ranks).filter(|(actual, _)| **actual > 0.0);
    let (count, sum) = active.fold((0.0, 0.0), |(n, sum), (_, rank)| (n + 1.0, sum + rank));
    let quiet = pairs.rows() as f64 - count;
    ratio(sum - count * (count + 1.0) / 2.0, count * quiet)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ACTUAL, PREDICTED, near};
    use super::*;

    /// Expected: scipy.stats.spearmanr and sklearn.metrics.roc_auc_score.
    #[test]
    fn correlation_and_area_are_those_of_the_libraries() {
        let pairs = Pairs::new(&ACTUAL, &PREDICTED).unwrap();
        near(spearman(pairs).unwrap(), 0.462_167_210_171_859_6);
        near(activity_auc(pairs).unwrap(), 0.734_265_734_265_734_4);
    }

    #[test]
    fn a_constant_has_no_order_and_half_an_area() {
        let flat = Pairs::new(&[0.0, 1.0, 2.0], &[4.0; 3]).unwrap();
        assert_eq!((spearman(flat), activity_auc(flat)), (None, Some(0.5)));
        let all = Pairs::new(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((spearman(all), activity_auc(all)), (None, None));
    }

    #[test]
    fn the_area_is_1_where_every_active_customer_is_above_every_other() {
        let pairs = Pairs::new(&[0.0, 5.0, 0.0, 1.0], &[1.0, 2.0, 0.0, 9.0]).unwrap();
        assert_eq!(activity_auc(pairs), Some(1.0));
    }
}
