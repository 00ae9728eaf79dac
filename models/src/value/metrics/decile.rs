//! Tenths of the customers by prediction: whether the levels are right from the lowest to the highest.

use serde::{Deserialize, Serialize};

use super::pairs::Pairs;
use super::rank::order;

/// Groups of a table.
pub const DECILES: usize = 10;

/// The largest error of a group: a total that is next to nothing must not drown all others.
pub const ERROR_MAX: f64 = 1e6;

/// One tenth of the customers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decile {
    /// 1 has the lowest predictions, 10 the highest.
    pub decile: u8,
    pub customers: u64,
    pub predicted_total: f64,
    pub actual_total: f64,
    /// |predicted − actual| / |actual| of the totals, at most [`ERROR_MAX`]. Where the actual total is 0:
    /// 0 if nothing was predicted either, else 1 (the quotient has no value; an error of 100 % keeps such
    /// a group in the mean without ruling it).
    pub error: f64,
}

/// The groups from the lowest to the highest predictions.
///
/// The customer of rank r of n (by prediction, ties in the order given) is in the group k for which
/// (n − 1) (k − 1)/10 < r − 1 ≤ (n − 1) k/10, the first in group 1: ten equal steps of rank. Customers
/// who are predicted the same may thus be in different groups: give them in the order of their ids, and
/// the table is the same each time. Groups without customers (n < 11) are left out.
pub fn table(pairs: Pairs) -> Vec<Decile> {
    let (order, last) = (order(pairs.predicted()), (pairs.rows() - 1).max(1));
    let group = |place: usize| (place * DECILES).div_ceil(last).saturating_sub(1);
    let mut table: Vec<Decile> = Vec::with_capacity(DECILES);
    for (place, at) in order.into_iter().enumerate() {
        let decile = group(place) as u8 + 1;
        if table.last().is_none_or(|last| last.decile != decile) {
            let (predicted_total, actual_total) = (0.0, 0.0);
            table.push(Decile { decile, customers: 0, predicted_total, actual_total, error: 0.0 });
        }
        if let Some(current) = table.last_mut() {
            current.customers += 1;
            current.predicted_total += pairs.predicted()[at];
            current.actual_total += pairs.actual()[at];
        }
    }
    for decile in &mut table {
        decile.error = error(decile.predicted_total, decile.actual_total);
    }
    table
}

fn error(predicted: f64, actual: f64) -> f64 {
    let off = (predicted - actual).abs();
    match actual == 0.0 {
        true if off == 0.0 => 0.0,
        true => 1.0,
        false => (off / actual.abs()).min(ERROR_MAX),
    }
}

/// Decile MAPE: the mean of the groups' errors, at least 0 (Wang, Liu & Miao 2019). The forecast of
/// nothing has 1.
pub fn mape(pairs: Pairs) -> f64 {
    let table = table(pairs);
    table.iter().map(|d| d.error).sum::<f64>() / table.len() as f64
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ACTUAL, PREDICTED, near};
    use super::*;

    /// Expected: groups by numpy, cut like pandas.qcut of scipy.stats.rankdata(method="ordinal").
    #[test]
    fn tenths_are_cut_by_rank_with_ties_in_their_order() {
        let pairs = Pairs::new(&ACTUAL, &PREDICTED).unwrap();
        let got: Vec<_> = table(pairs)
            .iter()
            .map(|d| (d.decile, d.customers, d.predicted_total, d.actual_total))
            .collect();
        let want = [
            (1, 3, 0.0, 174.75),
            (2, 2, 3.0, 0.0),
            (3, 2, 3.0, 1.25),
            (4, 3, 7.0, 2.0),
            (5, 2, 12.0, 0.0),
            (6, 2, 17.0, 27.75),
            (7, 3, 35.5, 0.0),
            (8, 2, 43.0, 37.25),
            (9, 2, 56.0, 52.0),
            (10, 3, 118.0, 155.5),
        ];
        assert_eq!(got, want);
        near(mape(pairs), 0.875_983_043_668_794_3);
    }

    #[test]
    fn a_tenth_that_bought_nothing_has_an_error_of_0_or_1() {
        let errors = |a: &[f64], p: &[f64]| -> Vec<f64> {
            table(Pairs::new(a, p).unwrap()).iter().map(|d| d.error).collect()
        };
        assert_eq!(errors(&[0.0, 0.0], &[0.0, 3.0]), [0.0, 1.0]);
        assert_eq!(errors(&[2.0, 5e-324], &[0.0, 1e100]), [1.0, ERROR_MAX]);
        assert_eq!(errors(&[-2.0], &[-1.0]), [0.5], "a group of refunds");
    }

    #[test]
    fn the_forecast_of_nothing_is_wrong_by_all_of_it() {
        let actual: Vec<f64> = (0..100).map(|i| f64::from(i % 7)).collect();
        assert_eq!(mape(Pairs::new(&actual, &[0.0; 100]).unwrap()), 1.0);
    }

    #[test]
    fn every_customer_is_in_one_group_whatever_their_number() {
        for n in 1..60 {
            let values: Vec<f64> = (0..n).map(f64::from).collect();
            let table = table(Pairs::new(&values, &values).unwrap());
            assert_eq!(table.iter().map(|d| d.customers).sum::<u64>(), n as u64);
            assert_eq!(table.len(), (n as usize).min(DECILES), "{n}");
            let sizes = table.iter().map(|d| d.customers);
            assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 2, "{n}");
        }
    }
}
