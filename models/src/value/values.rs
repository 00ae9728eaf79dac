//! Which numbers the rules take: finite and of a magnitude whose squares and sums stay finite, so that
//! no formula behind them can answer NaN or infinity.

/// The largest magnitude of a value. The sum of 2^53 squares of it is still finite.
pub const MAGNITUDE_MAX: f64 = 1e100;

/// Values that no figure is computed from. `at` counts from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadValues {
    #[error("there are no values")]
    Empty,
    #[error("{left} values stand against {right}")]
    Lengths { left: usize, right: usize },
    #[error("value {at} is not a number, or beyond ±1e100")]
    OutOfRange { at: usize },
    #[error("value {at} is negative")]
    Negative { at: usize },
}

/// Whether a single value is one.
pub fn is_value(value: f64) -> bool {
    value.abs() <= MAGNITUDE_MAX
}

/// At least one value, each finite and within [`MAGNITUDE_MAX`].
pub fn check(values: &[f64]) -> Result<(), BadValues> {
    match values.iter().position(|v| !is_value(*v)) {
        Some(at) => Err(BadValues::OutOfRange { at }),
        None if values.is_empty() => Err(BadValues::Empty),
        None => Ok(()),
    }
}

/// Like [`check`], and none below 0.
pub fn check_positive(values: &[f64]) -> Result<(), BadValues> {
    check(values)?;
    match values.iter().position(|v| *v < 0.0) {
        Some(at) => Err(BadValues::Negative { at }),
        None => Ok(()),
    }
}

/// As many on the left as on the right.
pub fn check_lengths(left: usize, right: usize) -> Result<(), BadValues> {
    if left == right { Ok(()) } else { Err(BadValues::Lengths { left, right }) }
}

/// The quotient where it says something: the denominator is above 0 and the quotient finite.
pub fn ratio(numerator: f64, denominator: f64) -> Option<f64> {
    let quotient = numerator / denominator;
    (denominator > 0.0 && quotient.is_finite()).then_some(quotient)
}

/// The mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Quantile `q` (brought into 0..=1) of ascending values by linear interpolation between order
/// statistics at (n − 1) q (Hyndman & Fan 1996, definition 7); 0 of nothing.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = (place as usize).min(last);
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    low + (high - low) * (place - below as f64)
}

/// The values in ascending order.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_finite_number_of_a_usual_magnitude_is_refused_by_its_place() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.1e100, -1.1e100] {
            assert_eq!(check(&[0.0, bad]), Err(BadValues::OutOfRange { at: 1 }));
        }
        assert_eq!(check(&[1e100, -1e100]), Ok(()));
        assert_eq!(check(&[]), Err(BadValues::Empty));
        assert_eq!(check_positive(&[0.0, -0.0, -1.0]), Err(BadValues::Negative { at: 2 }));
        assert_eq!(check_lengths(1, 2), Err(BadValues::Lengths { left: 1, right: 2 }));
    }

    #[test]
    fn a_ratio_over_nothing_is_none_and_never_nan() {
        for (n, d) in [(0.0, 0.0), (1.0, 0.0), (1.0, -1.0), (1e100, 1e-300), (f64::NAN, 1.0)] {
            assert_eq!(ratio(n, d), None);
        }
        assert_eq!(ratio(1.0, 4.0), Some(0.25));
    }

    /// Expected: numpy.quantile of the same, method "linear".
    #[test]
    fn a_quantile_lies_between_the_order_statistics_around_it() {
        let v = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0];
        for (q, want) in [(0.4, 1.0), (0.3, 0.0), (0.5, 2.5), (0.7, 5.5), (0.9, 8.5), (1.0, 10.0)] {
            assert!((quantile(&v, q) - want).abs() < 1e-12, "{q}");
        }
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(quantile(&[3.0], 0.99), 3.0);
    }
}
