//! All figures of one forecast.

use serde::{Deserialize, Serialize};

use super::pairs::Pairs;
use super::{decile, gini, loss, order};

/// What is known of a forecast after its horizon. Totals and errors are in the unit of the values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    pub rows: u64,
    pub actual_total: f64,
    pub predicted_total: f64,
    /// See [`gini::normalised`]; missing where all actual values are the same.
    pub normalised_gini: Option<f64>,
    /// See [`decile::mape`].
    pub decile_mape: f64,
    /// See [`loss::total_bias`].
    pub total_bias: Option<f64>,
    pub mae: f64,
    pub rmse: f64,
    /// See [`order::spearman`] and [`order::activity_auc`].
    pub spearman: Option<f64>,
    pub activity_auc: Option<f64>,
}

impl Scores {
    pub fn of(pairs: Pairs) -> Scores {
        Scores {
            rows: pairs.rows() as u64,
            actual_total: pairs.actual().iter().sum(),
            predicted_total: pairs.predicted().iter().sum(),
            normalised_gini: gini::normalised(pairs),
            decile_mape: decile::mape(pairs),
            total_bias: loss::total_bias(pairs),
            mae: loss::mae(pairs),
            rmse: loss::rmse(pairs),
            spearman: order::spearman(pairs),
            activity_auc: order::activity_auc(pairs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ACTUAL, PREDICTED};
    use super::*;

    #[test]
    fn scores_come_back_from_their_json_and_name_what_is_missing() {
        let scores = Scores::of(Pairs::new(&ACTUAL, &PREDICTED).unwrap());
        let json = serde_json::to_string(&scores).unwrap();
        assert_eq!(serde_json::from_str::<Scores>(&json).unwrap(), scores);
        let none = Scores::of(Pairs::new(&[0.0; 3], &[1.0; 3]).unwrap());
        let missing = (none.normalised_gini, none.total_bias, none.spearman, none.activity_auc);
        assert_eq!(missing, (None, None, None, None));
        assert_eq!((none.rows, none.decile_mape, none.mae), (3, 1.0, 1.0));
    }

    proptest::proptest! {
        #[test]
        fn no_figure_is_ever_nan_or_infinite(
            rows in proptest::collection::vec((value(), value()), 1..40)
        ) {
            let (actual, predicted): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            let s = Scores::of(Pairs::new(&actual, &predicted).unwrap());
            let sure = [s.actual_total, s.predicted_total, s.decile_mape, s.mae, s.rmse];
            let perhaps = [s.normalised_gini, s.total_bias, s.spearman, s.activity_auc];
            let all = sure.into_iter().chain(perhaps.into_iter().flatten());
            proptest::prop_assert!(all.clone().all(f64::is_finite), "{s:?}");
            let within = [s.normalised_gini, s.spearman].into_iter().flatten();
            proptest::prop_assert!(within.clone().all(|v| v.abs() <= 1.0), "{s:?}");
        }
    }

    /// Few values, so that ties are common; the ends of the range, so that sums are large.
    fn value() -> impl proptest::strategy::Strategy<Value = f64> {
        proptest::prelude::prop_oneof![
            proptest::sample::select(vec![0.0, -0.0, 1.0, 2.0, 5e-324, 1e-300, 1e100, -1e100]),
            -1e3..1e3_f64,
        ]
    }
}
