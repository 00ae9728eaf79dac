//! Days, as purchases are dated.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::reject::Reason;

/// A day, counted from 1970-01-01 (day 0); from 1900 to 2199.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(i32);

const FIRST: i32 = -25_567;
const LAST: i32 = 84_005;

impl Day {
    /// None for days before 1900 or after 2199.
    pub fn new(days: i32) -> Option<Day> {
        (FIRST..=LAST).contains(&days).then_some(Day(days))
    }

    /// Days since 1970-01-01.
    pub fn number(self) -> i32 {
        self.0
    }

    /// `YYYYMMDD`, eight digits.
    pub fn compact(text: &str) -> Result<Day, Reason> {
        if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Reason::Date);
        }
        let part = |from: usize, to: usize| text[from..to].parse::<i16>().map_err(|_| Reason::Date);
        let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
        let date = Date::new(year, month as i8, day as i8).map_err(|_| Reason::Date)?;
        Day::of(date)
    }

    /// `YYYYMMDD`, `YYYY-MM-DD`, a date with a time (`2024-02-29T23:59:00`, its own day), or a time
    /// with an offset (`…Z`, `…+02:00`: the day in UTC).
    pub fn any(text: &str) -> Result<Day, Reason> {
        if text.len() > 40 {
            return Err(Reason::Date);
        }
        if text.len() == 8 {
            return Day::compact(text);
        }
        if text.len() > 10
            && let Ok(time) = text.parse::<Timestamp>()
        {
            return Day::of(time.to_zoned(TimeZone::UTC).date());
        }
        let own = match text.len() {
            10 => text.parse::<Date>(),
            // A bracketed zone is not asked for: a civil time only.
            _ if text.contains('[') => return Err(Reason::Date),
            _ => text.parse::<DateTime>().map(|time| time.date()),
        };
        Day::of(own.map_err(|_| Reason::Date)?)
    }

    fn of(date: Date) -> Result<Day, Reason> {
        let span = date.duration_since(Date::constant(1970, 1, 1));
        i32::try_from(span.as_hours() / 24).ok().and_then(Day::new).ok_or(Reason::Date)
    }

    fn date(self) -> Date {
        let days = jiff::SignedDuration::from_hours(24 * i64::from(self.0));
        Date::constant(1970, 1, 1).saturating_add(days)
    }
}

impl fmt::Display for Day {
    /// `YYYY-MM-DD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

impl TryFrom<String> for Day {
    type Error = Reason;

    fn try_from(text: String) -> Result<Day, Reason> {
        Day::any(&text)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> String {
        day.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_from_every_form_and_printed_in_one() {
        for (text, printed) in [
            ("19970101", "1997-01-01"),
            ("1997-01-01", "1997-01-01"),
            ("2024-02-29T23:59:00", "2024-02-29"),
            ("2024-02-29 23:59:00", "2024-02-29"),
            ("2024-02-29T23:30:00Z", "2024-02-29"),
            ("2024-02-29T23:30:00-02:00", "2024-03-01"),
            ("1900-01-01", "1900-01-01"),
            ("2199-12-31", "2199-12-31"),
        ] {
            assert_eq!(Day::any(text).map(|d| d.to_string()).as_deref(), Ok(printed), "{text}");
        }
        let days = |text| Day::any(text).unwrap().number();
        assert_eq!(days("19970930") - days("19970101"), 272);
        assert_eq!((days("1970-01-01"), days("1969-12-31")), (0, -1));
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "19970229",
            "1997-13-01",
            "1899-12-31",
            "2200-01-01",
            "97-01-01",
            "1997/01/01",
            "19970101x",
            "１９９７0101",
            "2024-02-29T25:00:00Z",
            "2024-02-29T10:00:00[Nowhere]",
            "0",
        ] {
            assert_eq!(Day::any(text), Err(Reason::Date), "{text}");
        }
    }

    #[test]
    fn a_day_in_json_is_its_text() {
        let day = Day::any("1997-09-30").unwrap();
        assert_eq!(serde_json::to_string(&day).unwrap(), "\"1997-09-30\"");
        assert_eq!(serde_json::from_str::<Day>("\"1997-09-30\"").unwrap(), day);
        assert!(serde_json::from_str::<Day>("\"1997-09-31\"").is_err());
    }
}
