//! Which day it is for a campaign, and when that day ends.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::entry::Day;

/// A day in one time zone with its bounds in wall-clock micros: `begins_us ≤ t < ends_us`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaySpan {
    pub day: Day,
    pub begins_us: i64,
    pub ends_us: i64,
}

impl DaySpan {
    pub fn contains(&self, wall_us: i64) -> bool {
        (self.begins_us..self.ends_us).contains(&wall_us)
    }

    /// The day of `wall_us` in a zone. Days of 23 and 25 hours come out as they are; a zone that is
    /// not known, or a time out of range, counts as UTC and as the whole range.
    pub fn at(zone: &str, wall_us: i64) -> DaySpan {
        let tz = zone_of(zone).unwrap_or(TimeZone::UTC);
        span(&tz, wall_us).unwrap_or(DaySpan {
            day: Day(0),
            begins_us: i64::MIN,
            ends_us: i64::MAX,
        })
    }
}

/// Whether the name is of a known IANA zone.
pub fn is_zone(name: &str) -> bool {
    zone_of(name).is_some()
}

fn zone_of(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    jiff::tz::db().get(name).ok()
}

fn span(tz: &TimeZone, wall_us: i64) -> Option<DaySpan> {
    let date = Timestamp::from_microsecond(wall_us).ok()?.to_zoned(tz.clone()).date();
    let midnight =
        |d: jiff::civil::Date| Some(d.to_zoned(tz.clone()).ok()?.timestamp().as_microsecond());
    Some(DaySpan {
        day: Day(i32::from(date.year()) * 10_000
            + i32::from(date.month()) * 100
            + i32::from(date.day())),
        begins_us: midnight(date)?,
        ends_us: midnight(date.checked_add(1.day()).ok()?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn a_day_is_named_and_bounded_in_its_own_zone() {
        // 2026-11-21 03:30 UTC is still the 20th in New York.
        let t = 1_795_231_800_000_000;
        assert_eq!(DaySpan::at("UTC", t).day, Day(20261121));
        let there = DaySpan::at("America/New_York", t);
        assert_eq!(there.day, Day(20261120));
        assert!(there.contains(t));
        assert_eq!(there.ends_us - there.begins_us, 24 * HOUR);
    }

    #[test]
    fn days_on_which_clocks_change_are_shorter_or_longer() {
        // 2026-03-29 12:00 UTC and 2026-10-25 12:00 UTC in Berlin.
        let spring = DaySpan::at("Europe/Berlin", 1_774_785_600_000_000);
        assert_eq!((spring.day, spring.ends_us - spring.begins_us), (Day(20260329), 23 * HOUR));
        let autumn = DaySpan::at("Europe/Berlin", 1_792_929_600_000_000);
        assert_eq!((autumn.day, autumn.ends_us - autumn.begins_us), (Day(20261025), 25 * HOUR));
    }

    #[test]
    fn times_out_of_range_and_unknown_zones_do_not_panic() {
        assert!(!is_zone("Mars/Olympus"));
        assert!(is_zone("Europe/Berlin"));
        assert_eq!(DaySpan::at("UTC", i64::MAX).day, Day(0));
        assert_eq!(DaySpan::at("Mars/Olympus", 0).day, Day(19700101));
    }
}
