//! What a fit keeps of one customer, in constant memory however many purchases there were.

use crate::value::log::amount::UNIT;
use crate::value::log::day::Day;
use crate::value::summary::{OutOfOrder, Summary, Tally, Windows};

/// Days of a unit of time: histories are in weeks.
pub const WEEK: f64 = 7.0;

/// Where a fit cuts time: what is known ends at `cut`; an inner holdout is its last `inner_days`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cuts {
    pub cut: Day,
    /// None where what is known is too short to be cut in two.
    pub inner: Option<Inner>,
}

/// The inner holdout: after `cut`, for `days`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    pub cut: Day,
    pub days: u32,
}

impl Cuts {
    /// The inner holdout is as long as the horizon, or half of all that is known where that is shorter.
    /// Shorter than a week there is none.
    pub fn new(first: Day, cut: Day, horizon_days: u32) -> Cuts {
        let known = u32::try_from(cut.number() - first.number()).unwrap_or(0);
        let days = horizon_days.min(known / 2);
        let inner = (days >= 7).then(|| back(cut, days).map(|cut| Inner { cut, days })).flatten();
        Cuts { cut, inner }
    }
}

/// So many days before; none before 1900.
pub fn back(day: Day, days: u32) -> Option<Day> {
    Day::new(day.number().checked_sub(i32::try_from(days).ok()?)?)
}

/// Adds up one customer's purchases in the order of their days.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    cuts: Cuts,
    full: Tally,
    inner: Option<Tally>,
    first: Option<Day>,
    /// Spend within the inner holdout's length after the first day.
    after: i64,
}

/// What a fit knows of a customer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    pub full: Summary,
    /// At the inner cut, with what came in the inner holdout.
    pub inner: Option<Summary>,
    pub start: Option<Start>,
}

/// How a customer began, of whom as much as an inner holdout is known after that. In units of the currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// Spend on the first day.
    pub spend: f64,
    /// Spend after it, within the length of the inner holdout.
    pub after: f64,
}

fn windows(end: Day, holdout: Option<Day>) -> Option<Windows> {
    Windows::new(end, holdout, WEEK).ok()
}

/// What is known at the end of a day.
pub fn until(end: Day) -> Option<Windows> {
    windows(end, None)
}

impl Account {
    /// None where the cuts are none.
    pub fn new(cuts: Cuts) -> Option<Account> {
        let inner = cuts.inner.and_then(|inner| windows(inner.cut, Some(cuts.cut)));
        let full = Tally::new(until(cuts.cut)?);
        Some(Account { cuts, full, inner: inner.map(Tally::new), first: None, after: 0 })
    }

    /// Adds a purchase of this day or after the last one; what is after the cut is not looked at.
    pub fn add(&mut self, day: Day, micros: i64) -> Result<(), OutOfOrder> {
        if day > self.cuts.cut {
            return Ok(());
        }
        self.full.add(day, micros)?;
        if let Some(inner) = &mut self.inner {
            inner.add(day, micros)?;
        }
        let first = *self.first.get_or_insert(day);
        let passed = u32::try_from(day.number() - first.number()).unwrap_or(0);
        if self.cuts.inner.is_some_and(|inner| (1..=inner.days).contains(&passed)) {
            self.after = self.after.saturating_add(micros);
        }
        Ok(())
    }

    /// None for who is not known at the cut.
    pub fn known(&self) -> Option<Known> {
        let full = self.full.summary()?;
        let began =
            |inner: Inner| back(self.cuts.cut, inner.days).is_some_and(|day| full.first <= day);
        let units = |micros: i64| micros as f64 / UNIT as f64;
        let start = self
            .cuts
            .inner
            .filter(|inner| began(*inner))
            .map(|_| Start { spend: units(full.first_spend), after: units(self.after) });
        Some(Known { full, inner: self.inner.and_then(|tally| tally.summary()), start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::any(text).unwrap()
    }

    #[test]
    fn an_account_knows_both_cuts_and_the_start_and_nothing_after_the_cut() {
        let cuts = Cuts::new(day("2024-01-01"), day("2024-04-10"), 30);
        assert_eq!(cuts.inner, Some(Inner { cut: day("2024-03-11"), days: 30 }));
        let mut account = Account::new(cuts).unwrap();
        for (text, amount) in [
            ("2024-01-01", 2),
            ("2024-01-01", 3),
            ("2024-01-31", 4),
            ("2024-02-01", 5),
            ("2024-03-12", 6),
            ("2024-04-10", 7),
            ("2024-04-11", 1_000),
        ] {
            account.add(day(text), amount * UNIT).unwrap();
        }
        let known = account.known().unwrap();
        assert_eq!((known.full.history.repeats(), known.full.repeat_spend), (4, 22 * UNIT));
        let inner = known.inner.unwrap();
        assert_eq!((inner.history.repeats(), inner.holdout_spend), (2, 13 * UNIT));
        assert_eq!(known.start, Some(Start { spend: 5.0, after: 4.0 }));
    }

    #[test]
    fn what_is_too_short_has_no_inner_holdout() {
        assert_eq!(Cuts::new(day("2024-01-01"), day("2024-01-10"), 90).inner, None);
        let half = Cuts::new(day("2024-01-01"), day("2024-02-10"), 90).inner.unwrap();
        assert_eq!(half.days, 20);
        assert_eq!(Cuts::new(day("2024-02-01"), day("2024-01-10"), 90).inner, None);
    }
}
