//! By when a request must be answered: one calendar month after the day of receipt, two further
//! months if it is extended (GDPR Art. 12(3)).
//!
//! Months are counted by Regulation (EEC, Euratom) 1182/71, Art. 3(2)(c): to the end of the day of
//! the same number, or of the month's last day where it has no such day. Days are UTC's. Holidays
//! do not move the date: an answer is never later than the law wants it.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Calendar months to answer in.
pub const MONTHS: i32 = 1;
/// Calendar months from receipt when the time was extended.
pub const MONTHS_EXTENDED: i32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time is out of the calendar's range")]
pub struct OutOfRange;

/// The last microsecond of the day by which a request received at `received_us` must be answered.
pub fn due_us(received_us: i64) -> Result<i64, OutOfRange> {
    after(received_us, MONTHS)
}

/// The same for a request whose time was extended. Counted from receipt, not from the first due
/// date: 31 January gives 30 April.
pub fn extended_us(received_us: i64) -> Result<i64, OutOfRange> {
    after(received_us, MONTHS_EXTENDED)
}

/// Whether the time is over. The whole due day still counts.
pub fn overdue(due_us: i64, at_us: i64) -> bool {
    at_us > due_us
}

fn after(received_us: i64, months: i32) -> Result<i64, OutOfRange> {
    let received = Timestamp::from_microsecond(received_us).map_err(|_| OutOfRange)?;
    let day = received.to_zoned(TimeZone::UTC).date();
    // jiff cuts a day that the month does not have to its last one.
    let due = day.checked_add(months.months()).map_err(|_| OutOfRange)?;
    Ok(midnight(due.checked_add(1.day()).map_err(|_| OutOfRange)?)? - 1)
}

fn midnight(day: Date) -> Result<i64, OutOfRange> {
    let at = day.to_zoned(TimeZone::UTC).map_err(|_| OutOfRange)?;
    Ok(at.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY_US: i64 = 86_400_000_000;

    fn us(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("a time").as_microsecond()
    }

    /// Days of a month by the rule of the Gregorian calendar, for a check that does not use jiff.
    fn days_of(year: i64, month: i64) -> i64 {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        match month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// The day `months` later, as days since 1970-01-01, by counting.
    fn counted(year: i64, month: i64, day: i64, months: i64) -> i64 {
        let total = year * 12 + month - 1 + months;
        let (year, month) = (total / 12, total % 12 + 1);
        let years: i64 = (1970..year).map(|y| 337 + days_of(y, 2)).sum();
        let before: i64 = (1..month).map(|m| days_of(year, m)).sum();
        years + before + day.min(days_of(year, month)) - 1
    }

    #[test]
    fn a_month_ends_with_the_day_of_the_same_number_or_with_the_month() {
        for (received, due, extended) in [
            ("2026-11-21T09:00:00Z", "2026-12-21", "2027-02-21"),
            ("2026-01-31T23:59:59.999999Z", "2026-02-28", "2026-04-30"),
            ("2028-01-31T00:00:00Z", "2028-02-29", "2028-04-30"),
            ("2026-01-28T12:00:00Z", "2026-02-28", "2026-04-28"),
            ("2026-08-31T12:00:00Z", "2026-09-30", "2026-11-30"),
            ("2026-12-31T12:00:00Z", "2027-01-31", "2027-03-31"),
            // Already the next day in UTC.
            ("2026-03-31T23:30:00-02:00", "2026-05-01", "2026-07-01"),
        ] {
            let end = |day: &str| us(&format!("{day}T23:59:59.999999Z"));
            assert_eq!(due_us(us(received)), Ok(end(due)), "{received}");
            assert_eq!(extended_us(us(received)), Ok(end(extended)), "{received}");
        }
    }

    #[test]
    fn every_day_of_130_years_agrees_with_a_count_by_hand() {
        let mut day_number = 0;
        for year in 1970..2100 {
            for month in 1..=12 {
                for day in 1..=days_of(year, month) {
                    let received = day_number * DAY_US;
                    let want = |months| (counted(year, month, day, months) + 1) * DAY_US - 1;
                    assert_eq!(due_us(received), Ok(want(1)), "{year}-{month}-{day}");
                    assert_eq!(extended_us(received), Ok(want(3)), "{year}-{month}-{day}");
                    day_number += 1;
                }
            }
        }
        assert_eq!(day_number, 47_482);
    }

    proptest! {
        #[test]
        fn a_later_receipt_is_never_due_earlier(a in 0..4_102_444_800_000_000_i64,
                                                more in 0..100 * DAY_US) {
            prop_assert!(due_us(a)? <= due_us(a + more)?);
            prop_assert!(extended_us(a)? <= extended_us(a + more)?);
        }

        #[test]
        fn the_time_is_28_to_32_days_and_extended_89_to_93(a in 0..4_102_444_800_000_000_i64) {
            let (due, extended) = (due_us(a)? - a, extended_us(a)? - a);
            prop_assert!((28 * DAY_US - 1..32 * DAY_US).contains(&due));
            prop_assert!((89 * DAY_US - 1..93 * DAY_US).contains(&extended));
            prop_assert_eq!(due_us(a)?, due_us(a - a % DAY_US)?);
        }
    }

    #[test]
    fn the_due_day_counts_to_its_last_microsecond() {
        let due = us("2026-12-21T23:59:59.999999Z");
        assert!(!overdue(due, due));
        assert!(overdue(due, due + 1));
    }

    #[test]
    fn a_time_out_of_range_is_an_error() {
        for bad in [i64::MAX, i64::MIN, us("9999-12-30T00:00:00Z")] {
            assert_eq!(due_us(bad), Err(OutOfRange), "{bad}");
        }
    }
}
