//! Predicted against actual totals, period by period and since the start.

use serde::{Deserialize, Serialize};

use crate::value::values::{BadValues, check, check_lengths, ratio};

/// One period (a week, a month) of the chart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracked {
    /// Counts from 1.
    pub period: u64,
    pub actual: f64,
    pub predicted: f64,
    /// Sums since the first period.
    pub actual_cumulative: f64,
    pub predicted_cumulative: f64,
}

/// Totals per period of all customers, in order of time.
pub fn track(actual: &[f64], predicted: &[f64]) -> Result<Vec<Tracked>, BadValues> {
    check_lengths(actual.len(), predicted.len())?;
    check(actual)?;
    check(predicted)?;
    let (mut actual_cumulative, mut predicted_cumulative) = (0.0, 0.0);
    let periods = (1..).zip(actual.iter().zip(predicted));
    let tracked = periods.map(|(period, (&actual, &predicted))| {
        actual_cumulative += actual;
        predicted_cumulative += predicted;
        Tracked { period, actual, predicted, actual_cumulative, predicted_cumulative }
    });
    Ok(tracked.collect())
}

/// The mean of |predicted − actual| / actual of the cumulative totals over the periods whose actual
/// cumulative total is above 0; `None` where there is no such period.
pub fn mape(tracked: &[Tracked]) -> Option<f64> {
    let errors = tracked.iter().filter_map(|t| {
        ratio((t.predicted_cumulative - t.actual_cumulative).abs(), t.actual_cumulative)
    });
    let (count, sum) = errors.fold((0.0, 0.0), |(count, sum), error| (count + 1.0, sum + error));
    ratio(sum, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_run_from_the_first_period() {
        let tracked = track(&[0.0, 2.0, 3.0], &[1.0, 2.0, 1.0]).unwrap();
        let sums: Vec<_> = tracked
            .iter()
            .map(|t| (t.period, t.actual_cumulative, t.predicted_cumulative))
            .collect();
        assert_eq!(sums, [(1, 0.0, 1.0), (2, 2.0, 3.0), (3, 5.0, 4.0)]);
        let want = f64::midpoint(0.5, 0.2);
        assert_eq!(mape(&tracked), Some(want), "the first period had nothing to compare with");
    }

    #[test]
    fn periods_without_a_sale_have_no_relative_error() {
        assert_eq!(mape(&track(&[0.0, 0.0], &[1.0, 1.0]).unwrap()), None);
        assert_eq!(track(&[], &[]), Err(BadValues::Empty));
        assert!(track(&[1.0], &[f64::NAN]).is_err());
    }
}
