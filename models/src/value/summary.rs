//! A customer's purchases to what the models are fitted on, cut in time: calibration and holdout.

use serde::{Deserialize, Serialize};

use super::gamma_gamma::Spender;
use super::history::History;
use super::log::amount::UNIT;
use super::log::day::Day;

/// Where the log is cut. Purchases up to the last day of calibration, inclusive, are known; those
/// after it, up to the last day of the holdout, are what a forecast is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WindowsJson")]
pub struct Windows {
    calibration_end: Day,
    holdout_end: Option<Day>,
    unit_days: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowsJson {
    calibration_end: Day,
    #[serde(default)]
    holdout_end: Option<Day>,
    unit_days: f64,
}

/// Windows that are none.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadWindows {
    #[error("the holdout ends on {holdout}, not after the calibration's {calibration}")]
    Holdout { calibration: Day, holdout: Day },
    #[error("a unit of {0} days is not between 1 and 366")]
    Unit(f64),
}

impl TryFrom<WindowsJson> for Windows {
    type Error = BadWindows;

    fn try_from(json: WindowsJson) -> Result<Windows, BadWindows> {
        Windows::new(json.calibration_end, json.holdout_end, json.unit_days)
    }
}

impl Windows {
    /// `unit_days` is the unit of time of the histories: 7 for weeks.
    pub fn new(
        calibration_end: Day,
        holdout_end: Option<Day>,
        unit_days: f64,
    ) -> Result<Windows, BadWindows> {
        if let Some(holdout) = holdout_end.filter(|end| *end <= calibration_end) {
            return Err(BadWindows::Holdout { calibration: calibration_end, holdout });
        }
        if !(1.0..=366.0).contains(&unit_days) {
            return Err(BadWindows::Unit(unit_days));
        }
        Ok(Windows { calibration_end, holdout_end, unit_days })
    }

    /// Length of the holdout in units of time; 0 without one.
    pub fn holdout(&self) -> f64 {
        self.holdout_end.map_or(0.0, |end| self.between(self.calibration_end, end))
    }

    fn between(&self, from: Day, to: Day) -> f64 {
        f64::from(to.number() - from.number()) / self.unit_days
    }
}

/// What a customer did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub first: Day,
    /// Up to the calibration's end, in the windows' unit of time. Purchases of one day are one.
    pub history: History,
    /// Spend on the first day, in micros.
    pub first_spend: i64,
    /// Spend on all repeat purchases of the calibration together, in micros.
    pub repeat_spend: i64,
    /// Days with purchases in the holdout.
    pub holdout_purchases: u32,
    /// Spend in the holdout, in micros.
    pub holdout_spend: i64,
}

impl Summary {
    /// Mean spend per repeat purchase, in units of the currency; none without repeats.
    pub fn mean_spend(&self) -> Option<f64> {
        let repeats = self.history.repeats();
        (repeats > 0).then(|| self.repeat_spend as f64 / UNIT as f64 / f64::from(repeats))
    }

    /// The history with its times rounded to hundredths, as the published tables of the CDNOW sample
    /// have them: the published figures come from those, and differ in the fifth digit.
    pub fn rounded_history(&self) -> History {
        let hundredths = |time: f64| (time * 100.0).round() / 100.0;
        let (recency, age) = (self.history.recency(), self.history.age());
        let rounded = History::new(self.history.repeats(), hundredths(recency), hundredths(age));
        rounded.unwrap_or(self.history)
    }

    /// The spender with a mean in whole cents, half a cent up, as those tables have it.
    pub fn rounded_spender(&self) -> Option<Spender> {
        let (cent, repeats) = (UNIT / 100, i64::from(self.history.repeats()));
        let part = repeats * cent;
        let cents = self.repeat_spend.saturating_add(part / 2).checked_div(part)?;
        Spender::new(self.history.repeats(), cents as f64 / 100.0).ok()
    }

    /// For the fit of spend; none without repeats, or where all of them were free.
    pub fn spender(&self) -> Option<Spender> {
        Spender::new(self.history.repeats(), self.mean_spend()?).ok()
    }
}

/// Adds up one customer's purchases in the order of their days, in constant memory.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    windows: Windows,
    first: Option<Day>,
    /// The last day of calibration, and of all, with a purchase.
    known: Option<Day>,
    last: Option<Day>,
    repeats: u32,
    first_spend: i64,
    repeat_spend: i64,
    holdout_purchases: u32,
    holdout_spend: i64,
}

/// A purchase before one that has been added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a purchase of {day} comes after one of {last}")]
pub struct OutOfOrder {
    pub day: Day,
    pub last: Day,
}

impl Tally {
    pub fn new(windows: Windows) -> Tally {
        Tally {
            windows,
            first: None,
            known: None,
            last: None,
            repeats: 0,
            first_spend: 0,
            repeat_spend: 0,
            holdout_purchases: 0,
            holdout_spend: 0,
        }
    }

    /// Adds a purchase of this day or after the last one; `amount` in micros. Sums saturate.
    pub fn add(&mut self, day: Day, amount: i64) -> Result<(), OutOfOrder> {
        if let Some(last) = self.last.filter(|last| day < *last) {
            return Err(OutOfOrder { day, last });
        }
        let another_day = self.last.replace(day) != Some(day);
        if day > self.windows.calibration_end {
            if self.windows.holdout_end.is_some_and(|end| day <= end) {
                self.holdout_purchases += u32::from(another_day);
                self.holdout_spend = self.holdout_spend.saturating_add(amount);
            }
            return Ok(());
        }
        self.known = Some(day);
        if *self.first.get_or_insert(day) == day {
            self.first_spend = self.first_spend.saturating_add(amount);
        } else {
            self.repeats += u32::from(another_day);
            self.repeat_spend = self.repeat_spend.saturating_add(amount);
        }
        Ok(())
    }

    /// None for a customer whose first purchase is not before the calibration's end.
    pub fn summary(&self) -> Option<Summary> {
        let (first, last) = (self.first?, self.known?);
        let windows = &self.windows;
        let recency = windows.between(first, last);
        let age = windows.between(first, windows.calibration_end);
        Some(Summary {
            first,
            history: History::new(self.repeats, recency, age).ok()?,
            first_spend: self.first_spend,
            repeat_spend: self.repeat_spend,
            holdout_purchases: self.holdout_purchases,
            holdout_spend: self.holdout_spend,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::any(text).unwrap()
    }

    fn windows() -> Windows {
        Windows::new(day("1997-09-30"), Some(day("1998-06-30")), 7.0).unwrap()
    }

    #[test]
    fn purchases_of_one_day_are_one_and_the_cut_days_belong_to_their_windows() {
        let mut tally = Tally::new(windows());
        for (text, amount) in [
            ("1997-01-01", 1),
            ("1997-01-01", 10),
            ("1997-01-18", 100),
            ("1997-09-30", 1_000),
            ("1997-09-30", 10_000),
            ("1997-10-01", 100_000),
            ("1998-06-30", 1_000_000),
            ("1998-06-30", 10_000_000),
            ("1998-07-01", 100_000_000),
        ] {
            tally.add(day(text), amount).unwrap();
        }
        let summary = tally.summary().unwrap();
        let history = summary.history;
        assert_eq!(
            (history.repeats(), history.age(), history.recency()),
            (2, 272.0 / 7.0, 272.0 / 7.0)
        );
        assert_eq!((summary.first_spend, summary.repeat_spend), (11, 11_100));
        assert_eq!((summary.holdout_purchases, summary.holdout_spend), (2, 11_100_000));
        assert_eq!(summary.mean_spend(), Some(0.00555));
        assert_eq!(windows().holdout(), 39.0);
    }

    #[test]
    fn the_future_changes_nothing_that_is_known() {
        let (mut with, mut without) = (Tally::new(windows()), Tally::new(windows()));
        for tally in [&mut with, &mut without] {
            tally.add(day("1997-01-05"), 7).unwrap();
            tally.add(day("1997-03-05"), 9).unwrap();
        }
        with.add(day("1997-10-02"), 500).unwrap();
        let (with, without) = (with.summary().unwrap(), without.summary().unwrap());
        assert_eq!((with.history, with.repeat_spend), (without.history, without.repeat_spend));
        assert_eq!((with.holdout_purchases, without.holdout_purchases), (1, 0));
    }

    #[test]
    fn a_purchase_out_of_order_is_refused_and_a_later_customer_is_none() {
        let mut tally = Tally::new(windows());
        tally.add(day("1997-10-02"), 1).unwrap();
        assert_eq!(tally.summary(), None);
        let (day, last) = (day("1997-10-01"), day("1997-10-02"));
        assert_eq!(tally.add(day, 1), Err(OutOfOrder { day, last }));
    }

    #[test]
    fn windows_that_are_none_are_refused() {
        let end = day("1997-09-30");
        assert!(Windows::new(end, Some(end), 7.0).is_err());
        for unit in [0.0, -7.0, f64::NAN, f64::INFINITY, 400.0] {
            assert!(Windows::new(end, None, unit).is_err(), "{unit}");
        }
        let json = r#"{"calibration_end":"1997-09-30","holdout_end":"1997-09-01","unit_days":7}"#;
        assert!(serde_json::from_str::<Windows>(json).is_err());
    }
}
