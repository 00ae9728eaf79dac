//! Two moments of one log against each other.

use serde::Serialize;

use crate::models::value::drift::ks::{KsTest, ks};
use crate::models::value::drift::psi::{Shift, psi};
use crate::models::value::drift::watch::{BadWatch, Signal, Watch, WatchTerms};
use crate::models::value::forecast::customer::{Customer, Purchase};
use crate::models::value::forecast::features;
use crate::models::value::log::amount::UNIT;
use crate::models::value::log::day::Day;
use crate::models::value::values::BadValues;

/// Where the log is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Moments {
    pub reference_end: Day,
    pub current_end: Day,
    /// How far back each side looks; all the way without.
    pub window_days: Option<u32>,
}

/// An input of the models at both moments.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FeatureDrift {
    pub feature: &'static str,
    pub reference: usize,
    pub current: usize,
    pub reference_mean: f64,
    pub current_mean: f64,
    pub psi: f64,
    pub shift: Shift,
    pub ks_d: f64,
    pub ks_p: f64,
    /// The distance is large, and no chance.
    pub drifted: bool,
}

/// A stream between both moments, against the same before the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamDrift {
    pub stream: &'static str,
    pub reference: usize,
    pub values: usize,
    pub adwin_cuts: u64,
    pub page_hinkley_alarms: u64,
    /// The day of the first signal of each.
    pub adwin_first: Option<Day>,
    pub page_hinkley_first: Option<Day>,
    pub drifted: bool,
}

/// Why nothing was compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompareError {
    #[error("the current end {current} is not after the reference end {reference}")]
    Order { reference: Day, current: Day },
    #[error("no customer is known on {0}")]
    Nobody(Day),
    #[error(transparent)]
    Values(#[from] BadValues),
    #[error(transparent)]
    Watch(#[from] BadWatch),
}

impl Moments {
    /// The purchases that are known on a day.
    fn known<'a>(&self, of: &'a Customer, end: Day) -> &'a [Purchase] {
        let to = of.purchases.partition_point(|p| p.day <= end);
        let known = &of.purchases[..to];
        let Some(days) = self.window_days else { return known };
        let far = |p: &Purchase| i64::from(end.number() - p.day.number()) >= i64::from(days);
        &known[known.partition_point(far)..]
    }

    fn columns(&self, customers: &[Customer], end: Day) -> [Vec<f64>; 5] {
        let mut columns: [Vec<f64>; 5] = Default::default();
        for customer in customers {
            let values = features::of(self.known(customer, end), end);
            for (column, value) in columns.iter_mut().zip(values.into_iter().flatten()) {
                column.push(value);
            }
        }
        columns
    }

    /// Every input at both moments.
    ///
    /// # Errors
    /// The moments are in the wrong order, or nobody is known at one of them.
    pub fn features(&self, customers: &[Customer]) -> Result<Vec<FeatureDrift>, CompareError> {
        let (reference, current) = (self.reference_end, self.current_end);
        if current <= reference {
            return Err(CompareError::Order { reference, current });
        }
        let (before, now) = (self.columns(customers, reference), self.columns(customers, current));
        for (side, end) in [(&before, reference), (&now, current)] {
            if side[0].is_empty() {
                return Err(CompareError::Nobody(end));
            }
        }
        let terms = WatchTerms::default();
        let compared = features::NAMES.into_iter().zip(before.iter().zip(&now));
        compared
            .map(|(feature, (before, now))| {
                let index = psi(before, now, terms.bins)?;
                let KsTest { d, p_value } = ks(before, now)?;
                Ok(FeatureDrift {
                    feature,
                    reference: before.len(),
                    current: now.len(),
                    reference_mean: mean(before),
                    current_mean: mean(now),
                    psi: index,
                    shift: Shift::of(index),
                    ks_d: d,
                    ks_p: p_value,
                    drifted: d >= terms.d_min && p_value < terms.p_max,
                })
            })
            .collect()
    }

    /// What is bought at a time, and how often anybody buys: each in the order of days.
    ///
    /// # Errors
    /// There is nothing before the reference's end.
    pub fn streams(&self, customers: &[Customer]) -> Result<Vec<StreamDrift>, CompareError> {
        let mut purchases: Vec<(Day, &str, f64)> = Vec::new();
        for customer in customers {
            let known = self.known_to_both(customer);
            purchases.extend(known.map(|p| (p.day, &*customer.id, p.micros as f64 / UNIT as f64)));
        }
        // Within a day by id: no order of customers is a trend.
        purchases.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        let spends: Vec<(Day, f64)> =
            purchases.iter().map(|(day, _, spend)| (*day, *spend)).collect();
        let mut days: Vec<(Day, f64)> = Vec::new();
        if let Some(first) = spends.first() {
            let mut next = spends.iter().map(|(day, _)| *day).peekable();
            // A day on which nobody buys is a day.
            for number in first.0.number()..=self.current_end.number() {
                let Some(day) = Day::new(number) else { continue };
                let mut count = 0.0;
                while next.next_if_eq(&day).is_some() {
                    count += 1.0;
                }
                days.push((day, count));
            }
        }
        let streams = [("spend_per_purchase", spends), ("purchases_per_day", days)];
        streams.into_iter().map(|(name, values)| self.stream(name, &values)).collect()
    }

    /// Purchases of the reference's window and all that came after it.
    fn known_to_both<'a>(&self, of: &'a Customer) -> impl Iterator<Item = &'a Purchase> {
        let (reference, current) = (self.reference_end, self.current_end);
        let after = move |p: &&Purchase| p.day > reference && p.day <= current;
        self.known(of, reference).iter().chain(of.purchases.iter().filter(after))
    }

    fn stream(
        &self,
        stream: &'static str,
        values: &[(Day, f64)],
    ) -> Result<StreamDrift, CompareError> {
        let cut = values.partition_point(|(day, _)| *day <= self.reference_end);
        let (before, after) = values.split_at(cut);
        let reference: Vec<f64> = before.iter().map(|(_, value)| *value).collect();
        let mut watch = Watch::new(&reference, WatchTerms::default())?;
        // The detectors know the stream as it was: a change at the cut itself is one.
        before.iter().for_each(|(_, value)| drop(watch.observe(*value)));
        let known = watch.report();
        let (mut adwin_first, mut page_hinkley_first) = (None, None);
        for (day, value) in after {
            for signal in watch.observe(*value) {
                let first = match signal {
                    Signal::Adwin(_) => &mut adwin_first,
                    Signal::PageHinkley(_) => &mut page_hinkley_first,
                };
                first.get_or_insert(*day);
            }
        }
        let report = watch.report();
        let adwin_cuts = report.adwin_cuts - known.adwin_cuts;
        let page_hinkley_alarms = report.page_hinkley_alarms - known.page_hinkley_alarms;
        Ok(StreamDrift {
            stream,
            reference: before.len(),
            values: after.len(),
            adwin_cuts,
            page_hinkley_alarms,
            adwin_first,
            page_hinkley_first,
            drifted: adwin_cuts > 0 || page_hinkley_alarms > 0,
        })
    }
}

fn mean(values: &[f64]) -> f64 {
    crate::models::value::values::mean(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i32) -> Day {
        Day::new(10_000 + number).expect("a day")
    }

    /// Everybody buys every tenth day; amounts are as `amount` says of a day.
    fn customers(amount: impl Fn(i32) -> i64) -> Vec<Customer> {
        let of = |id: i32| {
            let bought = (0..40).map(|k| (id % 10) + 10 * k).map(|at| Purchase {
                day: day(at),
                micros: (amount(at) + i64::from(id % 7)) * UNIT,
            });
            Customer { id: format!("c{id:03}").into(), purchases: bought.collect() }
        };
        (0..200).map(of).collect()
    }

    fn moments(window_days: Option<u32>) -> Moments {
        Moments { reference_end: day(199), current_end: day(399), window_days }
    }

    #[test]
    fn in_windows_of_one_length_what_did_not_change_does_not_show() {
        let all = customers(|_| 20);
        let windowed = moments(Some(100)).features(&all).expect("compared");
        assert!(windowed.iter().all(|of| !of.drifted && of.psi < 1e-9), "{windowed:?}");
        let whole = moments(None).features(&all).expect("compared");
        let drifted: Vec<&str> =
            whole.iter().filter(|of| of.drifted).map(|of| of.feature).collect();
        assert_eq!(drifted, ["frequency", "age_days", "total_spend"]);
        let streams = moments(None).streams(&all).expect("watched");
        assert!(streams.iter().all(|of| !of.drifted), "{streams:?}");
        assert_eq!((streams[0].reference, streams[0].values), (4_000, 4_000));
        assert_eq!((streams[1].reference, streams[1].values), (200, 200));
    }

    #[test]
    fn amounts_that_rise_are_seen_in_the_inputs_and_on_the_day_they_rise() {
        let all = customers(|at| if at < 300 { 20 } else { 30 });
        let found = moments(Some(100)).features(&all).expect("compared");
        let drifted: Vec<&str> =
            found.iter().filter(|of| of.drifted).map(|of| of.feature).collect();
        assert_eq!(drifted, ["mean_spend", "total_spend"]);
        let streams = moments(Some(100)).streams(&all).expect("watched");
        assert!(streams[0].drifted && !streams[1].drifted, "{streams:?}");
        let first = streams[0].adwin_first.expect("seen");
        assert!((day(300)..day(310)).contains(&first), "{first}");
    }

    #[test]
    fn moments_in_the_wrong_order_and_moments_without_anybody_are_refused() {
        let all = customers(|_| 20);
        let wrong = Moments { reference_end: day(9), current_end: day(9), window_days: None };
        assert!(matches!(wrong.features(&all), Err(CompareError::Order { .. })));
        let early = Moments { reference_end: day(-5), ..moments(None) };
        assert_eq!(early.features(&all), Err(CompareError::Nobody(day(-5))));
        assert!(early.streams(&all).is_err());
    }
}
