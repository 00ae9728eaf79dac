//! What a forecast is made from: a customer's purchases, by day.

use serde::{Deserialize, Serialize};

use crate::value::log::day::Day;
use crate::value::summary::{Summary, Tally, Windows};

/// All purchases of one day, as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    pub day: Day,
    /// Micros of the one currency of all customers, at least 0.
    pub micros: i64,
}

/// A customer with purchases in the order of their days, one per day ([`merged`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    pub id: Box<str>,
    pub purchases: Vec<Purchase>,
}

/// A question: what this customer is worth from the day after `as_of` on. Purchases in the order of their
/// days; those after `as_of` are not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    pub purchases: &'a [Purchase],
    pub as_of: Day,
}

/// Purchases in any order to one per day, in order. Sums saturate.
pub fn merged(mut purchases: Vec<Purchase>) -> Vec<Purchase> {
    purchases.sort_unstable_by_key(|p| p.day);
    purchases.dedup_by(|next, kept| {
        let same = next.day == kept.day;
        if same {
            kept.micros = kept.micros.saturating_add(next.micros);
        }
        same
    });
    purchases
}

impl<'a> Input<'a> {
    /// The purchases up to and on the day of the question: nothing else reaches a model.
    pub fn known(&self) -> &'a [Purchase] {
        &self.purchases[..self.purchases.partition_point(|p| p.day <= self.as_of)]
    }
}

/// What these windows make of the purchases; none for who comes later than the calibration's end.
pub fn summary(purchases: &[Purchase], windows: Windows) -> Option<Summary> {
    let mut tally = Tally::new(windows);
    for purchase in purchases {
        tally.add(purchase.day, purchase.micros).ok()?;
    }
    tally.summary()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bought(text: &str, micros: i64) -> Purchase {
        Purchase { day: Day::any(text).unwrap(), micros }
    }

    #[test]
    fn purchases_of_a_day_are_one_and_come_in_order() {
        let all = vec![bought("2024-02-02", 5), bought("2024-01-01", 1), bought("2024-02-02", 7)];
        assert_eq!(merged(all), [bought("2024-01-01", 1), bought("2024-02-02", 12)]);
        assert_eq!(merged(Vec::new()), []);
    }

    #[test]
    fn what_comes_after_the_question_is_not_known() {
        let all = [bought("2024-01-01", 1), bought("2024-02-02", 2), bought("2024-02-03", 3)];
        let as_of = all[1].day;
        assert_eq!(Input { purchases: &all, as_of }.known(), &all[..2]);
        let before = Input { purchases: &all[1..], as_of: all[0].day };
        assert_eq!(before.known(), []);
    }
}
