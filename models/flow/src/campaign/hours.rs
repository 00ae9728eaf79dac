//! Hours of the week in which a campaign bids.

use serde::{Deserialize, Serialize};

use super::mistake::Mistakes;

/// Parts of one week that may be named.
pub const PARTS_MAX: usize = 64;
pub const MINUTES_A_DAY: u16 = 1_440;
pub const MINUTES_A_WEEK: u16 = 7 * MINUTES_A_DAY;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Weekday {
    pub const ALL: [Weekday; 7] = [
        Weekday::Mon,
        Weekday::Tue,
        Weekday::Wed,
        Weekday::Thu,
        Weekday::Fri,
        Weekday::Sat,
        Weekday::Sun,
    ];
}

/// Whose clock is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// That of the schedule's time zone.
    #[default]
    Campaign,
    /// That of who sees it; where the request does not tell it, the campaign's.
    Person,
}

/// The hours, as users write them; no parts: always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    #[serde(default)]
    pub clock: Clock,
    #[serde(default)]
    pub parts: Vec<Part>,
}

/// `from ≤ time < until` on each of the days; an `until` that is not after `from` is on the next day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Empty: every day.
    #[serde(default)]
    pub days: Vec<Weekday>,
    /// `HH:MM`, 00:00 to 23:59.
    pub from: String,
    /// `HH:MM`, 00:01 to 24:00.
    pub until: String,
}

/// The same as half-open intervals of minutes since Monday 00:00, sorted and apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Week {
    intervals: Vec<(u16, u16)>,
    /// Intervals make no difference.
    always: bool,
}

impl Hours {
    pub fn is_always(&self) -> bool {
        self.parts.is_empty()
    }

    /// Parts that cannot be read are left out; [`Hours::check`] has refused them before.
    pub fn week(&self) -> Week {
        let mut intervals = Vec::new();
        for part in &self.parts {
            let (Some(from), Some(until)) = (minute(&part.from), minute(&part.until)) else {
                continue;
            };
            let days = if part.days.is_empty() { &Weekday::ALL[..] } else { &part.days };
            for day in days {
                let begins = *day as u16 * MINUTES_A_DAY + from;
                let length = if until > from { until - from } else { until + MINUTES_A_DAY - from };
                let ends = begins + length;
                intervals.push((begins, ends.min(MINUTES_A_WEEK)));
                if ends > MINUTES_A_WEEK {
                    intervals.push((0, ends - MINUTES_A_WEEK));
                }
            }
        }
        intervals.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::with_capacity(intervals.len());
        for (begins, ends) in intervals {
            match merged.last_mut() {
                Some(last) if begins <= last.1 => last.1 = last.1.max(ends),
                _ => merged.push((begins, ends)),
            }
        }
        let always = self.parts.is_empty() || merged == [(0, MINUTES_A_WEEK)];
        Week { intervals: merged, always }
    }

    pub(super) fn check(&self, path: &str, wrong: &mut Mistakes) {
        let few = self.parts.len() <= PARTS_MAX;
        wrong.unless(few, &format!("{path}.parts"), "are more than 64");
        for (i, part) in self.parts.iter().enumerate().take(PARTS_MAX) {
            let from = minute(&part.from).is_some_and(|m| m < MINUTES_A_DAY);
            wrong.unless(from, &format!("{path}.parts[{i}].from"), "is not 00:00 to 23:59");
            let until = minute(&part.until).is_some_and(|m| m > 0);
            wrong.unless(until, &format!("{path}.parts[{i}].until"), "is not 00:01 to 24:00");
            let days = part.days.len() <= 7;
            wrong.unless(days, &format!("{path}.parts[{i}].days"), "are more than 7");
        }
    }
}

impl Week {
    pub fn is_always(&self) -> bool {
        self.always
    }

    /// `minute`: since Monday 00:00 on the clock in question.
    pub fn holds(&self, minute: u16) -> bool {
        if self.always {
            return true;
        }
        let after = self.intervals.partition_point(|(begins, _)| *begins <= minute);
        after.checked_sub(1).and_then(|at| self.intervals.get(at)).is_some_and(|(_, e)| minute < *e)
    }
}

/// The minute of the week at a time, on a clock that is `offset_s` seconds ahead of UTC.
pub fn minute_of_week(at_us: i64, offset_s: i32) -> u16 {
    let minutes = at_us.div_euclid(1_000_000).saturating_add(i64::from(offset_s)).div_euclid(60);
    // 1970-01-01 was a Thursday: three days after a Monday.
    let since_monday = minutes.saturating_add(3 * i64::from(MINUTES_A_DAY));
    since_monday.rem_euclid(i64::from(MINUTES_A_WEEK)) as u16
}

/// Minutes since midnight of `HH:MM`, to 24:00.
fn minute(text: &str) -> Option<u16> {
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let of_day = 60 * hours + minutes;
    (minutes < 60 && of_day <= MINUTES_A_DAY).then_some(of_day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(days: &[Weekday], from: &str, until: &str) -> Part {
        Part { days: days.to_vec(), from: from.into(), until: until.into() }
    }

    fn week(parts: Vec<Part>) -> Week {
        Hours { clock: Clock::Campaign, parts }.week()
    }

    #[test]
    fn a_night_part_goes_on_into_the_next_day_and_the_next_week() {
        let nights = week(vec![part(&[Weekday::Sun], "22:00", "02:00")]);
        let sunday = 6 * MINUTES_A_DAY;
        assert!(!nights.holds(sunday + 21 * 60 + 59) && nights.holds(sunday + 22 * 60));
        assert!(nights.holds(0) && nights.holds(119) && !nights.holds(120));
        let all = week(vec![part(&[], "00:00", "24:00")]);
        assert!(all.is_always() && all.holds(0) && all.holds(MINUTES_A_WEEK - 1));
        assert!(week(Vec::new()).is_always());
    }

    #[test]
    fn the_minute_of_the_week_is_that_of_the_clock() {
        // 2026-11-21 03:30 UTC, a Saturday; still Friday 22:30 in New York.
        let at = 1_795_231_800_000_000;
        assert_eq!(minute_of_week(at, 0), 5 * MINUTES_A_DAY + 210);
        assert_eq!(minute_of_week(at, -5 * 3_600), 4 * MINUTES_A_DAY + 22 * 60 + 30);
        assert_eq!(minute_of_week(0, 0), 3 * MINUTES_A_DAY);
        assert!(minute_of_week(i64::MIN, i32::MIN) < MINUTES_A_WEEK);
        assert!(minute_of_week(i64::MAX, i32::MAX) < MINUTES_A_WEEK);
    }

    #[test]
    fn a_part_that_is_no_time_is_named() {
        let bad = [("24:00", "24:00"), ("8:00", "09:00"), ("08:60", "09:00"), ("08:00", "24:01")];
        for (from, until) in bad {
            let mut wrong = Mistakes::default();
            let hours = Hours { clock: Clock::Person, parts: vec![part(&[], from, until)] };
            hours.check("hours", &mut wrong);
            assert!(!wrong.is_empty(), "{from} {until}");
        }
    }

    proptest! {
        #[test]
        fn a_week_holds_a_minute_if_one_of_its_parts_does(
            parts in proptest::collection::vec((0_usize..8, 0_u16..1_440, 1_u16..=1_440), 1..6),
            minute in 0..MINUTES_A_WEEK,
        ) {
            let time = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
            let days = |d: usize| if d == 7 { Vec::new() } else { vec![Weekday::ALL[d]] };
            let week = week(parts.iter().map(|(d, f, u)| part(&days(*d), &time(*f), &time(*u))).collect());
            let by_hand = parts.iter().any(|(d, from, until)| {
                (0..7_u16).filter(|day| *d == 7 || usize::from(*day) == *d).any(|day| {
                    let begins = i32::from(day) * 1_440 + i32::from(*from);
                    let length = (i32::from(*until) - i32::from(*from) + 1_439).rem_euclid(1_440) + 1;
                    let since = (i32::from(minute) - begins).rem_euclid(7 * 1_440);
                    since < length
                })
            });
            prop_assert_eq!(week.holds(minute), by_hand);
        }
    }
}
