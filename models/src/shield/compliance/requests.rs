//! The tally of data-subject requests: what came, what was answered and when, what waits.

use std::collections::BTreeMap;

use serde::Serialize;

use super::period::Period;
use super::time::DAY_US;

/// Every kind has its line, also when nobody asked for it.
pub const REQUEST_KINDS: [&str; 7] =
    ["ACCESS", "RECTIFICATION", "DELETION", "RESTRICTION", "PORTABILITY", "OBJECTION", "OPT_OUT"];
/// An open request is announced when it is due within this many days.
pub const DUE_SOON_DAYS: i64 = 7;
/// Distinct (kind, status) pairs that are kept; what comes beyond is not listed by status.
const STATUSES_MAX: usize = 128;

/// One request as its row says. Times are wall micros UTC.
#[derive(Clone, Copy, Debug)]
pub struct RequestRow<'a> {
    /// One of [`REQUEST_KINDS`]; another one is gathered under its own name.
    pub kind: &'a str,
    pub status: &'a str,
    pub received_us: i64,
    /// With its extension, if it has one.
    pub due_us: i64,
    /// When it was completed, refused or withdrawn.
    pub closed_us: Option<i64>,
    /// Closed because it was done, not refused or withdrawn.
    pub completed: bool,
    pub extended_us: Option<i64>,
    /// The extension says why (GDPR Art. 12(3): the person is told the reasons).
    pub extension_reason: bool,
}

/// Counts of one kind of request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindLine {
    /// Came in the period.
    pub received: u64,
    /// Done in the period, at or before the due time.
    pub completed_in_time: u64,
    /// Done in the period, after the due time.
    pub completed_late: u64,
    /// Refused or withdrawn in the period.
    pub closed_otherwise: u64,
    /// Still open at the end of the period (or now), of whatever age.
    pub open: u64,
    /// Open ones by whole days since they came.
    pub open_0_7_days: u64,
    pub open_8_21_days: u64,
    pub open_22_30_days: u64,
    pub open_over_30_days: u64,
    /// Open ones past their due time.
    pub overdue: u64,
    /// Open ones due within [`DUE_SOON_DAYS`].
    pub due_soon: u64,
    /// Extended in the period.
    pub extended: u64,
    pub extended_without_reason: u64,
}

impl KindLine {
    /// Requests that the period had anything to do with.
    pub fn handled(&self) -> u64 {
        [self.completed_in_time, self.completed_late, self.closed_otherwise, self.open]
            .iter()
            .fold(0, |sum, n| sum.saturating_add(*n))
    }

    fn add(&mut self, other: &KindLine) {
        let pairs = [
            (&mut self.received, other.received),
            (&mut self.completed_in_time, other.completed_in_time),
            (&mut self.completed_late, other.completed_late),
            (&mut self.closed_otherwise, other.closed_otherwise),
            (&mut self.open, other.open),
            (&mut self.open_0_7_days, other.open_0_7_days),
            (&mut self.open_8_21_days, other.open_8_21_days),
            (&mut self.open_22_30_days, other.open_22_30_days),
            (&mut self.open_over_30_days, other.open_over_30_days),
            (&mut self.overdue, other.overdue),
            (&mut self.due_soon, other.due_soon),
            (&mut self.extended, other.extended),
            (&mut self.extended_without_reason, other.extended_without_reason),
        ];
        for (sum, n) in pairs {
            *sum = sum.saturating_add(n);
        }
    }
}

/// All requests of an account. Memory is bounded by the kinds, not by the rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Requests {
    pub total: KindLine,
    pub by_kind: BTreeMap<String, KindLine>,
    /// kind → status → requests that came, ended or were open in the period.
    pub by_status: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Default for Requests {
    fn default() -> Self {
        let line = |kind: &&str| ((*kind).to_owned(), KindLine::default());
        Requests {
            total: KindLine::default(),
            by_kind: REQUEST_KINDS.iter().map(line).collect(),
            by_status: BTreeMap::new(),
        }
    }
}

impl Requests {
    /// Counts one row. What happened after the period (or after now) is not seen: a request closed
    /// later was still open then, and is listed as `OPEN`.
    pub fn add(&mut self, row: &RequestRow<'_>, period: &Period, now_us: i64) {
        let seen = |at_us: i64| at_us < period.to_us && at_us <= now_us;
        if !seen(row.received_us) {
            return;
        }
        let as_of = period.as_of_us(now_us);
        let closed = row.closed_us.filter(|at| seen(*at));
        let received = period.holds(row.received_us).into();
        let mut line = KindLine { received, ..KindLine::default() };
        if row.extended_us.is_some_and(|at| seen(at) && period.holds(at)) {
            line.extended = 1;
            line.extended_without_reason = (!row.extension_reason).into();
        }
        match closed {
            Some(at) if period.holds(at) => {
                let slot = match (row.completed, at <= row.due_us) {
                    (false, _) => &mut line.closed_otherwise,
                    (true, true) => &mut line.completed_in_time,
                    (true, false) => &mut line.completed_late,
                };
                *slot = 1;
            }
            Some(_) => {}
            None => open(&mut line, row, as_of),
        }
        if line == KindLine::default() {
            return;
        }
        self.total.add(&line);
        if self.by_kind.contains_key(row.kind) || self.by_kind.len() < 2 * REQUEST_KINDS.len() {
            self.by_kind.entry(row.kind.to_owned()).or_default().add(&line);
        }
        let later = row.closed_us.is_some() && closed.is_none();
        let status = if later { "OPEN" } else { row.status };
        let statuses: usize = self.by_status.values().map(BTreeMap::len).sum();
        let known = self.by_status.get(row.kind).is_some_and(|s| s.contains_key(status));
        if known || statuses < STATUSES_MAX {
            let of_kind = self.by_status.entry(row.kind.to_owned()).or_default();
            let n = of_kind.entry(status.to_owned()).or_default();
            *n = n.saturating_add(1);
        }
    }

    /// The line of one kind.
    pub fn kind(&self, kind: &str) -> KindLine {
        self.by_kind.get(kind).copied().unwrap_or_default()
    }
}

fn open(line: &mut KindLine, row: &RequestRow<'_>, as_of_us: i64) {
    line.open = 1;
    let slot = match as_of_us.saturating_sub(row.received_us).div_euclid(DAY_US) {
        ..8 => &mut line.open_0_7_days,
        8..22 => &mut line.open_8_21_days,
        22..31 => &mut line.open_22_30_days,
        31.. => &mut line.open_over_30_days,
    };
    *slot = 1;
    if row.due_us < as_of_us {
        line.overdue = 1;
    } else if row.due_us.saturating_sub(as_of_us) <= DUE_SOON_DAYS * DAY_US {
        line.due_soon = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: i64 = DAY_US;

    fn row(received: i64, due: i64) -> RequestRow<'static> {
        RequestRow {
            kind: "ACCESS",
            status: "IN_PROGRESS",
            received_us: received,
            due_us: due,
            closed_us: None,
            completed: false,
            extended_us: None,
            extension_reason: false,
        }
    }

    fn tally(rows: &[RequestRow<'_>], now: i64) -> Requests {
        let period = Period::between(100 * D, 130 * D).unwrap();
        let mut all = Requests::default();
        rows.iter().for_each(|r| all.add(r, &period, now));
        all
    }

    #[test]
    fn open_requests_fall_into_their_age_by_whole_days() {
        let now = 120 * D;
        for (age, want) in [
            (0, [1, 0, 0, 0]),
            (8 * D - 1, [1, 0, 0, 0]),
            (8 * D, [0, 1, 0, 0]),
            (22 * D - 1, [0, 1, 0, 0]),
            (22 * D, [0, 0, 1, 0]),
            (31 * D - 1, [0, 0, 1, 0]),
            (31 * D, [0, 0, 0, 1]),
        ] {
            let t = tally(&[row(now - age, now + 90 * D)], now).total;
            let ages = [t.open_0_7_days, t.open_8_21_days, t.open_22_30_days, t.open_over_30_days];
            assert_eq!((ages, t.open), (want, 1), "{age}");
        }
    }

    #[test]
    fn a_request_is_overdue_after_its_due_time_and_announced_a_week_before() {
        let now = 120 * D;
        let due = |due| {
            let t = tally(&[row(95 * D, due)], now).total;
            (t.overdue, t.due_soon)
        };
        assert_eq!(due(now - 1), (1, 0));
        assert_eq!(due(now), (0, 1));
        assert_eq!(due(now + 7 * D), (0, 1));
        assert_eq!(due(now + 7 * D + 1), (0, 0));
    }

    #[test]
    fn an_answer_counts_in_the_period_in_which_it_was_given() {
        let now = 140 * D;
        let done = |closed, due, completed| {
            let r = RequestRow { closed_us: Some(closed), completed, ..row(99 * D, due) };
            tally(&[r], now).total
        };
        assert_eq!(done(110 * D, 110 * D, true).completed_in_time, 1);
        assert_eq!(done(110 * D, 110 * D - 1, true).completed_late, 1);
        assert_eq!(done(110 * D, 120 * D, false).closed_otherwise, 1);
        // Closed before the period: not its business.
        assert_eq!(done(99 * D, 120 * D, true), KindLine::default());
        // Closed after it: at its end the request was open, and overdue.
        let then = done(135 * D, 125 * D, true);
        assert_eq!((then.open, then.overdue, then.completed_late), (1, 1, 0));
        let r = RequestRow { closed_us: Some(135 * D), status: "COMPLETED", ..row(99 * D, 0) };
        assert_eq!(tally(&[r], now).by_status["ACCESS"]["OPEN"], 1);
    }

    #[test]
    fn what_came_after_the_period_is_not_in_it() {
        assert_eq!(tally(&[row(130 * D, 160 * D)], 140 * D), Requests::default());
        assert_eq!(tally(&[row(121 * D, 160 * D)], 120 * D), Requests::default());
    }

    #[test]
    fn extensions_are_counted_with_those_that_give_no_reason() {
        let with = |reason| RequestRow {
            extended_us: Some(105 * D),
            extension_reason: reason,
            ..row(99 * D, 190 * D)
        };
        let t = tally(&[with(true), with(false)], 120 * D).total;
        assert_eq!((t.extended, t.extended_without_reason, t.open), (2, 1, 2));
    }

    #[test]
    fn names_from_anywhere_do_not_grow_the_tally_without_end() {
        let names: Vec<String> = (0..1_000).map(|i| format!("k{i}")).collect();
        let rows: Vec<_> =
            names.iter().map(|n| RequestRow { kind: n, ..row(101 * D, 131 * D) }).collect();
        let t = tally(&rows, 120 * D);
        assert_eq!(t.total.open, 1_000, "the total stays true");
        assert!(t.by_kind.len() <= 14 && t.by_status.len() <= STATUSES_MAX);
    }
}
