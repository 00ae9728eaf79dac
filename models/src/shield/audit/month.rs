//! Calendar months in UTC, the unit of retention, and the one form of time in a record.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Characters of a time: `2026-11-21T05:41:00.123456Z`.
pub const TIME_CHARS: usize = 27;

/// A time that is not of the years 1970 to 9999, or a text that is not such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a time of the years 1970 to 9999 with microseconds, in UTC")]
pub struct BadTime;

/// RFC 3339 with microseconds in UTC, of micros since the epoch.
pub fn time_text(at_us: i64) -> Result<String, BadTime> {
    let time = Timestamp::from_microsecond(at_us).map_err(|_| BadTime)?;
    let text = DateTimePrinter::new().precision(Some(6)).timestamp_to_string(&time);
    if at_us < 0 || text.len() != TIME_CHARS { Err(BadTime) } else { Ok(text) }
}

/// Micros since the epoch, of the text that [`time_text`] makes of them and of no other.
pub fn time_parse(text: &str) -> Result<i64, BadTime> {
    let bytes = text.as_bytes();
    let shape = b"0000-00-00T00:00:00.000000Z";
    let fits = |(have, want): (&u8, &u8)| match want {
        b'0' => have.is_ascii_digit(),
        _ => have == want,
    };
    // A leap second would come back as the second before it.
    let leap = bytes.get(17) == Some(&b'6');
    if bytes.len() != TIME_CHARS || leap || !bytes.iter().zip(shape).all(fits) {
        return Err(BadTime);
    }
    let at_us = text.parse::<Timestamp>().map_err(|_| BadTime)?.as_microsecond();
    if at_us < 0 { Err(BadTime) } else { Ok(at_us) }
}

/// A month in UTC; text is `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    year: i16,
    month: i8,
}

/// A text that is not a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a month like 2026-11")]
pub struct BadMonth;

impl Month {
    /// The month of a time (micros since the epoch; years 1970 to 9999).
    pub fn of(at_us: i64) -> Result<Month, BadTime> {
        let time = Timestamp::from_microsecond(at_us).map_err(|_| BadTime)?;
        let date = TimeZone::UTC.to_datetime(time).date();
        if at_us < 0 { Err(BadTime) } else { Ok(Month { year: date.year(), month: date.month() }) }
    }

    /// The month after this one; the last of all is followed by itself.
    pub fn next(self) -> Month {
        match (self.year, self.month) {
            (9999, 12) => self,
            (year, 12) => Month { year: year + 1, month: 1 },
            (year, month) => Month { year, month: month + 1 },
        }
    }

    /// Its first moment, micros since the epoch.
    pub fn start_us(self) -> i64 {
        Date::new(self.year, self.month, 1)
            .and_then(|date| date.to_zoned(TimeZone::UTC))
            .map_or(i64::MAX, |start| start.timestamp().as_microsecond())
    }

    /// The moment after its last one, micros since the epoch.
    pub fn end_us(self) -> i64 {
        if self.next() == self { i64::MAX } else { self.next().start_us() }
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl std::str::FromStr for Month {
    type Err = BadMonth;

    fn from_str(text: &str) -> Result<Month, BadMonth> {
        let digits = text.bytes().enumerate().all(|(i, c)| i == 4 || c.is_ascii_digit());
        let (year, month) = text.split_once('-').ok_or(BadMonth)?;
        let year = year.parse().map_err(|_| BadMonth)?;
        let month = month.parse().map_err(|_| BadMonth)?;
        let fits = digits && text.len() == 7 && (1970..=9999).contains(&year);
        if fits && (1..=12).contains(&month) { Ok(Month { year, month }) } else { Err(BadMonth) }
    }
}

impl TryFrom<String> for Month {
    type Error = BadMonth;

    fn try_from(text: String) -> Result<Month, BadMonth> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> String {
        month.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_one_text_and_only_that_text_is_the_time() {
        let at_us = 1_795_239_660_123_456;
        let text = time_text(at_us).unwrap();
        assert_eq!(text, "2026-11-21T05:41:00.123456Z");
        assert_eq!(time_parse(&text), Ok(at_us));
        assert_eq!(time_text(0).unwrap(), "1970-01-01T00:00:00.000000Z");
        for bad in [
            "",
            "2026-11-21T05:41:00Z",
            "2026-11-21T05:41:00.123456+00:00",
            "2026-11-21 05:41:00.123456Z",
            "2026-11-21t05:41:00.123456z",
            "2026-13-21T05:41:00.123456Z",
            "2026-11-21T05:41:60.123456Z",
            "1969-11-21T05:41:00.123456Z",
        ] {
            assert_eq!(time_parse(bad), Err(BadTime), "{bad}");
        }
        for bad in [-1, i64::MIN, i64::MAX, 253_402_300_800_000_000] {
            assert_eq!(time_text(bad), Err(BadTime), "{bad}");
        }
    }

    #[test]
    fn a_month_starts_where_the_one_before_it_ends() {
        let november = Month::of(1_795_239_660_123_456).unwrap();
        assert_eq!(november.to_string(), "2026-11");
        assert_eq!("2026-11".parse(), Ok(november));
        assert_eq!(time_text(november.start_us()).unwrap(), "2026-11-01T00:00:00.000000Z");
        assert_eq!(time_text(november.end_us()).unwrap(), "2026-12-01T00:00:00.000000Z");
        assert_eq!(Month::of(november.end_us()), Ok(november.next()));
        assert_eq!(Month::of(november.end_us() - 1), Ok(november));
        assert_eq!(november.next().next().to_string(), "2027-01");
        for bad in ["", "2026", "2026-0", "2026-13", "2026-00", "+026-11", "2026-+1", "26-11-1"] {
            assert_eq!(bad.parse::<Month>(), Err(BadMonth), "{bad}");
        }
    }
}
