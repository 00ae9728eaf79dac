//! The purchases of many customers, in any order.

use std::collections::HashMap;

use super::log::day::Day;
use super::summary::{Summary, Tally, Windows};

/// Keeps 16 bytes for each purchase. Of a log that comes sorted by customer and day a [`Tally`] per
/// customer needs none of it.
#[derive(Clone, Debug, Default)]
pub struct Book {
    customers: HashMap<Box<str>, Vec<(Day, i64)>>,
}

impl Book {
    /// Adds a purchase; `amount` in micros.
    pub fn add(&mut self, customer: &str, day: Day, amount: i64) {
        match self.customers.get_mut(customer) {
            Some(purchases) => purchases.push((day, amount)),
            None => {
                self.customers.insert(customer.into(), vec![(day, amount)]);
            }
        }
    }

    /// Customers, of any time.
    pub fn customers(&self) -> usize {
        self.customers.len()
    }

    /// Those whose first purchase is before the calibration's end, sorted by id.
    pub fn summaries(mut self, windows: Windows) -> Vec<(Box<str>, Summary)> {
        for purchases in self.customers.values_mut() {
            purchases.sort_unstable_by_key(|(day, _)| *day);
        }
        let summary = |purchases: &[(Day, i64)]| {
            let mut tally = Tally::new(windows);
            for (day, amount) in purchases {
                tally.add(*day, *amount).ok()?;
            }
            tally.summary()
        };
        let all = self.customers.into_iter();
        let mut known: Vec<(Box<str>, Summary)> =
            all.filter_map(|(id, purchases)| Some((id, summary(&purchases)?))).collect();
        known.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_log_does_not_matter() {
        let day = |text| Day::any(text).unwrap();
        let windows = Windows::new(day("2024-03-31"), Some(day("2024-06-30")), 7.0).unwrap();
        let purchases = [
            ("b", "2024-01-03", 5),
            ("a", "2024-02-01", 7),
            ("b", "2024-05-01", 11),
            ("a", "2024-01-01", 13),
            ("c", "2024-04-01", 17),
            ("a", "2024-02-01", 19),
        ];
        let (mut book, mut back) = (Book::default(), Book::default());
        for (customer, text, amount) in purchases {
            book.add(customer, day(text), amount);
        }
        for (customer, text, amount) in purchases.into_iter().rev() {
            back.add(customer, day(text), amount);
        }
        assert_eq!(book.customers(), 3);
        let summaries = book.summaries(windows);
        assert_eq!(summaries, back.summaries(windows));
        let names: Vec<&str> = summaries.iter().map(|(id, _)| &**id).collect();
        assert_eq!(names, ["a", "b"]);
        let a = &summaries[0].1;
        assert_eq!((a.history.repeats(), a.first_spend, a.repeat_spend), (1, 13, 26));
        assert_eq!((summaries[1].1.holdout_purchases, summaries[1].1.holdout_spend), (1, 11));
    }
}
