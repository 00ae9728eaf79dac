//! How the report writes times. All of them are wall micros since the epoch, in UTC.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Micros of one day of 24 hours.
pub const DAY_US: i64 = 86_400_000_000;

/// RFC 3339 in UTC; a time out of the calendar's range is written as its micros.
pub fn rfc3339(us: i64) -> String {
    Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |t| t.to_string())
}

/// For people: `2026-11-21 07:45 UTC`.
pub fn minute(us: i64) -> String {
    Timestamp::from_microsecond(us)
        .map_or_else(|_| us.to_string(), |t| t.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// A time as serde writes it into the JSON report.
pub fn as_rfc3339<S: Serializer>(us: &i64, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&rfc3339(*us))
}

/// The same for a time that may be missing.
pub fn as_rfc3339_opt<S: Serializer>(us: &Option<i64>, s: S) -> Result<S::Ok, S::Error> {
    us.map(rfc3339).serialize(s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_and_no_number_breaks_the_writer() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_500_000), "1970-01-01T00:00:01.5Z");
        assert_eq!(minute(86_399_999_999), "1970-01-01 23:59 UTC");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
        assert_eq!(minute(i64::MIN), i64::MIN.to_string());
    }
}
