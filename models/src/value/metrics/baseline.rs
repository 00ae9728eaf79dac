//! Forecasts that need no model. A model that does not beat them is not worth serving.

use crate::value::values::{BadValues, check_lengths, check_positive, mean};

/// Nothing is bought any more: `customers` zeros.
pub fn zero(customers: usize) -> Vec<f64> {
    vec![0.0; customers]
}

/// Everybody gets the mean of `past` (values of an earlier period of the same length).
pub fn mean_of(past: &[f64]) -> Result<Vec<f64>, BadValues> {
    check_positive(past)?;
    Ok(vec![mean(past); past.len()])
}

/// Everybody does the same again: `past` (repeat purchases or spend of the last `past_length`) times
/// `horizon / past_length`, both in the same unit of time and above 0.
pub fn repeat_last_period(
    past: &[f64],
    past_length: f64,
    horizon: f64,
) -> Result<Vec<f64>, BadValues> {
    check_positive(past)?;
    let scale = scale(past_length, horizon)?;
    Ok(past.iter().map(|value| value * scale).collect())
}

fn scale(length: f64, horizon: f64) -> Result<f64, BadValues> {
    let scale = horizon / length;
    match (0.0..=1e9).contains(&scale) {
        true => Ok(scale),
        false => Err(BadValues::OutOfRange { at: 0 }),
    }
}

/// What the recency and frequency heuristic looks at, per customer; times in one unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habit {
    /// Value (purchases or spend) since the first purchase, which itself does not count.
    pub value: f64,
    /// From the first to the last purchase.
    pub recency: f64,
    /// From the first purchase to the cut.
    pub age: f64,
}

/// The hiatus heuristic (Wübben & von Wangenheim 2008): who has not bought for longer than `hiatus` is
/// gone and gets 0, all others go on at the rate of their past, `value / age`. A customer of age 0 gets 0.
pub fn hiatus(habits: &[Habit], hiatus: f64, horizon: f64) -> Result<Vec<f64>, BadValues> {
    for pick in [|h: &Habit| h.value, |h: &Habit| h.recency, |h: &Habit| h.age] {
        check_positive(&habits.iter().map(pick).collect::<Vec<_>>())?;
    }
    check_positive(&[hiatus, horizon])?;
    let one = |h: &Habit| match h.age > 0.0 && h.age - h.recency <= hiatus {
        true => h.value * (horizon / h.age).min(1e9),
        false => 0.0,
    };
    Ok(habits.iter().map(one).collect())
}

/// The `hiatus` among `candidates` by which the past would best have predicted `actual` (smallest sum of
/// absolute errors, the first of equals). To be asked with an earlier cut than the one that is forecast.
pub fn best_hiatus(
    habits: &[Habit],
    actual: &[f64],
    horizon: f64,
    candidates: &[f64],
) -> Result<f64, BadValues> {
    check_lengths(habits.len(), actual.len())?;
    check_positive(actual)?;
    let mut best: Option<(f64, f64)> = None;
    for candidate in candidates {
        let forecast = hiatus(habits, *candidate, horizon)?;
        let off: f64 = forecast.iter().zip(actual).map(|(f, a)| (f - a).abs()).sum();
        if best.is_none_or(|(least, _)| off < least) {
            best = Some((off, *candidate));
        }
    }
    best.map(|(_, hiatus)| hiatus).ok_or(BadValues::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn habit(value: f64, recency: f64, age: f64) -> Habit {
        Habit { value, recency, age }
    }

    #[test]
    fn the_same_again_is_scaled_to_the_horizon() {
        assert_eq!(repeat_last_period(&[0.0, 4.0], 52.0, 13.0), Ok(vec![0.0, 1.0]));
        assert_eq!(mean_of(&[0.0, 4.0]), Ok(vec![2.0, 2.0]));
        assert_eq!(zero(2), [0.0, 0.0]);
    }

    #[test]
    fn who_paused_longer_than_the_hiatus_is_gone() {
        let habits = [habit(4.0, 30.0, 40.0), habit(4.0, 29.0, 40.0), habit(0.0, 0.0, 0.0)];
        assert_eq!(hiatus(&habits, 10.0, 20.0), Ok(vec![2.0, 0.0, 0.0]));
    }

    #[test]
    fn the_hiatus_that_would_have_been_best_is_found() {
        let habits = [habit(4.0, 30.0, 40.0), habit(4.0, 15.0, 40.0), habit(4.0, 5.0, 40.0)];
        let actual = [4.0, 4.0, 0.0];
        assert_eq!(best_hiatus(&habits, &actual, 40.0, &[5.0, 20.0, 25.0, 40.0]), Ok(25.0));
        assert_eq!(best_hiatus(&habits, &actual, 40.0, &[]), Err(BadValues::Empty));
    }

    #[test]
    fn times_and_values_below_0_or_without_a_quotient_are_refused() {
        assert!(repeat_last_period(&[1.0], 0.0, 0.0).is_err());
        assert!(repeat_last_period(&[1.0], 0.0, 1.0).is_err());
        assert!(repeat_last_period(&[-1.0], 1.0, 1.0).is_err());
        assert!(hiatus(&[habit(1.0, f64::NAN, 1.0)], 1.0, 1.0).is_err());
        assert!(hiatus(&[habit(1.0, 1.0, 1.0)], -1.0, 1.0).is_err());
        let young = hiatus(&[habit(1e100, 0.0, 5e-324)], 1.0, 1e100).unwrap();
        assert!(young[0].is_finite());
    }
}
