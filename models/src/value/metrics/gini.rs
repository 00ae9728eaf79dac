//! The normalised Gini coefficient: how well a forecast orders customers by what they came to spend.

use super::pairs::Pairs;
use super::rank::centred;
use crate::value::values::ratio;

/// Gini of the actual values in the order of the predicted ones over Gini of the actual values in
/// their own order.
///
/// The Gini of values y in the order of p is 1 − 2 ∫ L, where L is the Lorenz curve of y with
/// customers by ascending p (trapezoids), and customers with the same p share their mean y: what it
/// says does not depend on the order of rows. With R the averaged ranks it is
/// `2 Σ yᵢ (Rᵢ − (n + 1)/2) / (n Σ y)`, therefore the quotient is `cov(y, R(p)) / cov(y, R(y))`
/// (Lerman & Yitzhaki 1984 for the covariance form; Wang, Liu & Miao 2019 for the quotient as a measure
/// of forecasts of value).
///
/// 1: the order is that of the actual values; 0: no better than none; −1: reversed. A constant
/// forecast has 0. `None` where all actual values are the same: nobody is before another.
pub fn normalised(pairs: Pairs) -> Option<f64> {
    let covariance = |ranks: Vec<f64>| -> f64 {
        pairs.actual().iter().zip(ranks).map(|(actual, rank)| actual * rank).sum()
    };
    let first = pairs.actual()[0];
    if pairs.actual().iter().all(|a| *a == first) {
        return None;
    }
    let best = covariance(centred(pairs.actual()));
    ratio(covariance(centred(pairs.predicted())), best).map(|g| g.clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ACTUAL, PREDICTED, near};
    use super::*;

    fn of(actual: &[f64], predicted: &[f64]) -> Option<f64> {
        normalised(Pairs::new(actual, predicted).unwrap())
    }

    /// Expected: both Lorenz curves by numpy.trapezoid, ties replaced by their mean.
    #[test]
    fn it_is_the_quotient_of_two_areas_below_lorenz_curves() {
        near(of(&ACTUAL, &PREDICTED).unwrap(), 0.105_178_088_632_890_59);
    }

    #[test]
    fn it_is_1_in_order_minus_1_reversed_and_0_where_nobody_is_before_another() {
        let actual = [0.0, 0.0, 3.0, 1.0];
        assert_eq!(of(&actual, &[0.0, 0.0, 9.0, 2.0]), Some(1.0));
        assert_eq!(of(&actual, &[0.0, 0.0, -9.0, -2.0]), Some(-1.0));
        assert_eq!(of(&actual, &[5.0; 4]), Some(0.0));
        assert_eq!(of(&[5.0; 4], &actual), None);
        assert_eq!(of(&[0.0], &[1.0]), None);
        assert_eq!(of(&[0.0, 5e-324], &[0.0, 1.0]), None, "too small to tell");
    }

    #[test]
    fn it_does_not_depend_on_the_order_of_rows_in_a_tie() {
        let one = of(&[9.0, 0.0, 4.0, 1.0], &[1.0, 1.0, 2.0, 2.0]);
        let other = of(&[0.0, 9.0, 1.0, 4.0], &[1.0, 1.0, 2.0, 2.0]);
        assert_eq!(one, other);
    }
}
