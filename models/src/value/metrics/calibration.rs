//! Predicted and actual values by how often customers had bought before: the classic picture of a
//! model of repeat buying (Fader, Hardie & Lee 2005, figure 3).

use serde::{Deserialize, Serialize};

use super::pairs::Pairs;
use crate::value::values::{BadValues, check_lengths};

/// Classes of a table at most.
pub const CLASSES_MAX: usize = 1_000;

/// Customers with the same number of repeat purchases.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrequencyClass {
    /// Repeat purchases; of the last class, these or more.
    pub frequency: u64,
    pub customers: u64,
    /// Means per customer; 0 of a class without customers.
    pub predicted: f64,
    pub actual: f64,
}

/// Classes 0, 1, … and "`last` or more" (at most 999), each present. `frequencies` are repeat purchases
/// before the cut.
pub fn by_frequency(
    frequencies: &[u64],
    pairs: Pairs,
    last: u64,
) -> Result<Vec<FrequencyClass>, BadValues> {
    check_lengths(frequencies.len(), pairs.rows())?;
    let last = last.min(CLASSES_MAX as u64 - 1);
    let empty = |frequency| FrequencyClass { frequency, customers: 0, predicted: 0.0, actual: 0.0 };
    let mut classes: Vec<_> = (0..=last).map(empty).collect();
    for (frequency, (actual, predicted)) in frequencies.iter().zip(pairs.iter()) {
        let class = &mut classes[*frequency.min(&last) as usize];
        class.customers += 1;
        class.predicted += predicted;
        class.actual += actual;
    }
    for class in &mut classes {
        let customers = class.customers.max(1) as f64;
        class.predicted /= customers;
        class.actual /= customers;
    }
    Ok(classes)
}

/// The mean over customers of |predicted − actual| of their classes, in the unit of the values: 0 where
/// every class is right on average.
pub fn error(classes: &[FrequencyClass]) -> f64 {
    let customers: u64 = classes.iter().map(|c| c.customers).sum();
    let off = classes.iter().map(|c| (c.predicted - c.actual).abs() * c.customers as f64);
    off.sum::<f64>() / customers.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_class_takes_all_who_bought_more_often() {
        let pairs = Pairs::new(&[0.0, 2.0, 1.0, 5.0, 9.0], &[0.5, 0.5, 3.0, 4.0, 8.0]).unwrap();
        let got = by_frequency(&[0, 0, 1, 3, 700], pairs, 3).unwrap();
        let class = |frequency, customers, predicted, actual| FrequencyClass {
            frequency,
            customers,
            predicted,
            actual,
        };
        let want = [class(0, 2, 0.5, 1.0), class(1, 1, 3.0, 1.0), class(2, 0, 0.0, 0.0)];
        assert_eq!(got, [&want[..], &[class(3, 2, 6.0, 7.0)]].concat());
        assert_eq!(error(&got), (2.0 * 0.5 + 2.0 + 2.0 * 1.0) / 5.0);
    }

    #[test]
    fn the_number_of_classes_has_a_limit_and_nothing_has_no_error() {
        let pairs = Pairs::new(&[1.0], &[1.0]).unwrap();
        assert_eq!(by_frequency(&[u64::MAX], pairs, u64::MAX).unwrap().len(), CLASSES_MAX);
        assert!(by_frequency(&[], pairs, 1).is_err());
        assert_eq!(error(&[]), 0.0);
    }
}
