//! Actual against predicted values, checked once.

use crate::value::values::{BadValues, check, check_lengths};

/// At least one pair of finite values, within ±1e100 each.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    actual: &'a [f64],
    predicted: &'a [f64],
}

impl<'a> Pairs<'a> {
    /// Both in the same order of customers and in the same unit (money or counts).
    pub fn new(actual: &'a [f64], predicted: &'a [f64]) -> Result<Pairs<'a>, BadValues> {
        check_lengths(actual.len(), predicted.len())?;
        check(actual)?;
        check(predicted)?;
        Ok(Pairs { actual, predicted })
    }

    pub fn actual(&self) -> &'a [f64] {
        self.actual
    }

    pub fn predicted(&self) -> &'a [f64] {
        self.predicted
    }

    /// Pairs, at least 1.
    pub fn rows(&self) -> usize {
        self.actual.len()
    }

    /// (actual, predicted) of each customer.
    pub fn iter(&self) -> impl Iterator<Item = (f64, f64)> + 'a {
        self.actual.iter().copied().zip(self.predicted.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_as_many_on_both_sides_and_finite() {
        let refused = |a: &[f64], p: &[f64]| Pairs::new(a, p).err();
        assert_eq!(refused(&[], &[]), Some(BadValues::Empty));
        assert_eq!(refused(&[1.0], &[]), Some(BadValues::Lengths { left: 1, right: 0 }));
        assert_eq!(refused(&[1.0], &[f64::NAN]), Some(BadValues::OutOfRange { at: 0 }));
        assert_eq!(refused(&[f64::INFINITY], &[1.0]), Some(BadValues::OutOfRange { at: 0 }));
        assert_eq!(refused(&[1.0], &[1.0]), None);
    }
}
