//! The time that a report covers: a calendar period in UTC, or two given bounds.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::time;

/// Calendar years of the longest period.
pub const YEARS_MAX: i64 = 3;
/// Characters of the longest bound that is read.
const TEXT_CHARS_MAX: usize = 40;

/// Why no period could be made of the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPeriod {
    #[error("is one of daily, weekly, monthly, quarterly or yearly")]
    Name,
    #[error("a bound is a date (2026-11-21) or a time (2026-11-21T07:45:00Z)")]
    Bound,
    #[error("from and to go together, and without period or at")]
    Mixed,
    #[error("must be before to")]
    Backwards,
    #[error("is more than 3 years away from to")]
    TooLong,
    #[error("the period has not begun yet")]
    Future,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeriodKind {
    Daily,
    /// From Monday (ISO 8601).
    Weekly,
    Monthly,
    Quarterly,
    Yearly,
    /// Two given bounds.
    Custom,
}

impl PeriodKind {
    /// The name in a query; `custom` is not asked for by name.
    pub fn read(name: &str) -> Result<PeriodKind, BadPeriod> {
        Ok(match name {
            "daily" => Self::Daily,
            "weekly" => Self::Weekly,
            "monthly" => Self::Monthly,
            "quarterly" => Self::Quarterly,
            "yearly" => Self::Yearly,
            _ => return Err(BadPeriod::Name),
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Quarterly => "quarterly",
            Self::Yearly => "yearly",
            Self::Custom => "custom",
        }
    }
}

/// A half-open stretch of time: `from_us <= t < to_us`, wall micros UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    pub kind: PeriodKind,
    /// For people: `November 2026`, `2026-Q4`, `week 2026-W47`.
    pub label: String,
    #[serde(rename = "from", serialize_with = "time::as_rfc3339")]
    pub from_us: i64,
    /// Exclusive.
    #[serde(rename = "to", serialize_with = "time::as_rfc3339")]
    pub to_us: i64,
}

/// The parameters of a request as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    pub period: Option<&'a str>,
    /// A date or time inside the wanted period; now when missing.
    pub at: Option<&'a str>,
    /// A date (from its midnight) or a time.
    pub from: Option<&'a str>,
    /// A date (to the end of that day) or a time (exclusive).
    pub to: Option<&'a str>,
}

impl Period {
    /// The period that was asked for; the current month when nothing was said.
    pub fn read(asked: Asked<'_>, now_us: i64) -> Result<Period, BadPeriod> {
        let period = match (asked.from, asked.to) {
            (None, None) => {
                let kind = asked.period.map_or(Ok(PeriodKind::Monthly), PeriodKind::read)?;
                let at_us = asked.at.map_or(Ok(now_us), |text| bound(text, false))?;
                Period::around(kind, at_us)?
            }
            (Some(from), Some(to)) if asked.period.is_none() && asked.at.is_none() => {
                Period::between(bound(from, false)?, bound(to, true)?)?
            }
            _ => return Err(BadPeriod::Mixed),
        };
        if period.from_us > now_us { Err(BadPeriod::Future) } else { Ok(period) }
    }

    /// The calendar period of this kind that holds `at_us`.
    pub fn around(kind: PeriodKind, at_us: i64) -> Result<Period, BadPeriod> {
        let at = Timestamp::from_microsecond(at_us).map_err(|_| BadPeriod::Bound)?;
        let day = at.to_zoned(TimeZone::UTC).date();
        let quarter = (day.month() - 1) / 3;
        let (from, span, label) = match kind {
            PeriodKind::Daily | PeriodKind::Custom => (day, 1.day(), day.to_string()),
            PeriodKind::Weekly => {
                let back = i64::from(day.weekday().to_monday_zero_offset());
                let from = day.checked_sub(back.days()).map_err(|_| BadPeriod::Bound)?;
                let iso = day.iso_week_date();
                (from, 1.week(), format!("week {}-W{:02}", iso.year(), iso.week()))
            }
            PeriodKind::Monthly => {
                (day.first_of_month(), 1.month(), day.strftime("%B %Y").to_string())
            }
            PeriodKind::Quarterly => {
                let from = date(day.year(), quarter * 3 + 1, 1);
                (from, 3.months(), format!("{}-Q{}", day.year(), quarter + 1))
            }
            PeriodKind::Yearly => (day.first_of_year(), 1.year(), day.year().to_string()),
        };
        let to = from.checked_add(span).map_err(|_| BadPeriod::Bound)?;
        Ok(Period { kind, label, from_us: midnight(from)?, to_us: midnight(to)? })
    }

    /// Two bounds in wall micros UTC, `to_us` exclusive.
    pub fn between(from_us: i64, to_us: i64) -> Result<Period, BadPeriod> {
        if from_us >= to_us {
            return Err(BadPeriod::Backwards);
        }
        let read = |us| Timestamp::from_microsecond(us).map_err(|_| BadPeriod::Bound);
        let (from, to) = (read(from_us)?, read(to_us)?);
        let latest = from.to_zoned(TimeZone::UTC).checked_add(YEARS_MAX.years());
        if latest.map_err(|_| BadPeriod::Bound)?.timestamp() < to {
            return Err(BadPeriod::TooLong);
        }
        let label = format!("{} – {}", time::minute(from_us), time::minute(to_us));
        Ok(Period { kind: PeriodKind::Custom, label, from_us, to_us })
    }

    pub fn holds(&self, at_us: i64) -> bool {
        (self.from_us..self.to_us).contains(&at_us)
    }

    /// The moment that the report speaks of: the end of the period, or now while it still runs.
    pub fn as_of_us(&self, now_us: i64) -> i64 {
        self.to_us.min(now_us)
    }
}

fn midnight(day: Date) -> Result<i64, BadPeriod> {
    let zoned = day.to_zoned(TimeZone::UTC).map_err(|_| BadPeriod::Bound)?;
    Ok(zoned.timestamp().as_microsecond())
}

/// A date as its midnight (`end`: the midnight after it), or an RFC 3339 time.
fn bound(text: &str, end: bool) -> Result<i64, BadPeriod> {
    if text.len() > TEXT_CHARS_MAX {
        return Err(BadPeriod::Bound);
    }
    // The date reader would also take a whole time and forget its zone.
    if text.len() == 10 {
        let day: Date = text.parse().map_err(|_| BadPeriod::Bound)?;
        let day = if end { day.tomorrow().map_err(|_| BadPeriod::Bound)? } else { day };
        return midnight(day);
    }
    let at: Timestamp = text.parse().map_err(|_| BadPeriod::Bound)?;
    Ok(at.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T07:45:00Z, a Saturday.
    fn now() -> i64 {
        bound("2026-11-21T07:45:00Z", false).unwrap()
    }

    fn bounds(asked: Asked<'_>) -> (String, String) {
        let p = Period::read(asked, now()).unwrap();
        (time::rfc3339(p.from_us), time::rfc3339(p.to_us))
    }

    #[test]
    fn each_name_is_the_calendar_period_that_holds_the_moment() {
        for (name, from, to, label) in [
            ("daily", "2026-11-21", "2026-11-22", "2026-11-21"),
            ("weekly", "2026-11-16", "2026-11-23", "week 2026-W47"),
            ("monthly", "2026-11-01", "2026-12-01", "November 2026"),
            ("quarterly", "2026-10-01", "2027-01-01", "2026-Q4"),
            ("yearly", "2026-01-01", "2027-01-01", "2026"),
        ] {
            let p = Period::read(Asked { period: Some(name), ..Asked::default() }, now()).unwrap();
            assert_eq!(p.kind.as_str(), name);
            assert_eq!(time::rfc3339(p.from_us), format!("{from}T00:00:00Z"));
            assert_eq!(time::rfc3339(p.to_us), format!("{to}T00:00:00Z"));
            assert_eq!(p.label, label);
        }
        assert_eq!(Period::read(Asked::default(), now()).unwrap().kind, PeriodKind::Monthly);
    }

    #[test]
    fn another_period_is_named_by_a_moment_inside_it() {
        let ask = |period, at| Asked { period: Some(period), at: Some(at), ..Asked::default() };
        let day = |a: &str, b: &str| (format!("{a}T00:00:00Z"), format!("{b}T00:00:00Z"));
        assert_eq!(bounds(ask("monthly", "2024-02-29")), day("2024-02-01", "2024-03-01"));
        assert_eq!(bounds(ask("weekly", "2021-01-03")), day("2020-12-28", "2021-01-04"));
        assert_eq!(bounds(ask("quarterly", "2025-06-30")), day("2025-04-01", "2025-07-01"));
        // 01:00 in Paris on 1 March is still February in UTC.
        let paris = "2026-03-01T00:30:00+01:00";
        assert_eq!(bounds(ask("monthly", paris)), day("2026-02-01", "2026-03-01"));
    }

    #[test]
    fn a_last_day_counts_whole_and_a_last_moment_does_not_count() {
        let ask = |from, to| Asked { from: Some(from), to: Some(to), ..Asked::default() };
        let p = Period::read(ask("2026-03-01", "2026-03-31"), now()).unwrap();
        assert_eq!(time::rfc3339(p.to_us), "2026-04-01T00:00:00Z");
        let one = Period::read(ask("2026-03-01", "2026-03-01"), now()).unwrap();
        assert_eq!(one.to_us - one.from_us, time::DAY_US);
        let p = Period::read(ask("2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z"), now()).unwrap();
        assert!(p.holds(p.from_us) && p.holds(p.to_us - 1) && !p.holds(p.to_us));
        assert!(!p.holds(p.from_us - 1));
        assert_eq!(p.as_of_us(now()), p.to_us);
        assert_eq!(p.as_of_us(p.from_us + 5), p.from_us + 5);
    }

    #[test]
    fn what_is_backwards_too_long_half_or_unreadable_is_refused() {
        let long = "9".repeat(10_000);
        let ask = |from, to| {
            let asked = Asked { from: Some(from), to: Some(to), ..Asked::default() };
            Period::read(asked, now()).unwrap_err()
        };
        assert_eq!(ask("2026-03-02", "2026-03-01"), BadPeriod::Backwards);
        let t = "2026-03-01T00:00:00Z";
        assert_eq!(ask(t, t), BadPeriod::Backwards);
        assert_eq!(ask("2023-01-01", "2026-01-01"), BadPeriod::TooLong);
        for bad in ["", "yesterday", "2026-13-01", "2026-02-30", "2026-03-01T00:00:00", "20260301"]
        {
            assert_eq!(ask(bad, "2026-03-01"), BadPeriod::Bound, "{bad}");
        }
        assert_eq!(ask(long.as_str(), "2026-03-01"), BadPeriod::Bound);
        assert_eq!(ask("2027-01-01", "2027-02-01"), BadPeriod::Future);
        let read = |asked| Period::read(asked, now()).unwrap_err();
        let half = Asked { from: Some("2026-03-01"), ..Asked::default() };
        assert_eq!(read(half), BadPeriod::Mixed);
        let both = Asked { period: Some("daily"), to: Some("2026-03-01"), ..half };
        assert_eq!(read(both), BadPeriod::Mixed);
        for name in ["", "Monthly", "custom", "hourly"] {
            assert_eq!(read(Asked { period: Some(name), ..Asked::default() }), BadPeriod::Name);
        }
        for at in ["9999-12-31", "-009999-01-01T00:00:00Z"] {
            for period in ["weekly", "yearly"] {
                let asked = Asked { period: Some(period), at: Some(at), ..Asked::default() };
                let _ = Period::read(asked, now()); // any answer but a panic
            }
        }
        let three = Asked { from: Some("2023-01-01"), to: Some("2025-12-31"), ..Asked::default() };
        assert!(Period::read(three, now()).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn no_text_and_no_moment_breaks_the_reader(text in ".{0,40}", at in proptest::num::i64::ANY) {
            let _ = bound(&text, true);
            let _ = Period::between(at, at.saturating_add(1));
            for kind in ["daily", "weekly", "monthly", "quarterly", "yearly"] {
                if let Ok(p) = Period::around(PeriodKind::read(kind).unwrap(), at) {
                    proptest::prop_assert!(p.holds(at));
                }
            }
        }
    }
}
