//! Bookings and refusals as lines of the log.

use std::fmt::Write as _;

use super::feed::{Denied, Turned, Turning};
use crate::models::shield::audit::month::time_text;
use crate::models::shield::audit::record::{Brief, Event, Outcome, Record, RecordError};
use crate::models::shield::entry::{Entry, Kind};

pub const SETTLED: Event = Event::fixed("budget.settled");
pub const LATE: Event = Event::fixed("budget.settled_late");
pub const SPENT: Event = Event::fixed("budget.spent");
pub const REFUNDED: Event = Event::fixed("budget.refunded");
pub const TURNED: Event = Event::fixed("access.denied");
pub const CONSENT_DENIED: Event = Event::fixed("consent.denied");
pub const CONSENT_ALLOWED: Event = Event::fixed("consent.allowed");
pub const DENIED: Event = Event::fixed("budget.denied");

/// Who books: the caller of a settle is known by its hold.
const SYSTEM: &str = "system";

fn event(kind: Kind) -> Event {
    match kind {
        Kind::Settle => SETTLED,
        Kind::Late => LATE,
        Kind::Spend => SPENT,
        Kind::Refund => REFUNDED,
    }
}

/// The line of a booking. Written by hand: it is made for each booking, and all of its texts are
/// names, numbers and codes that need no escapes. The memo is free text of others and stays out.
pub fn booked(budget: &str, entry: &Entry) -> Result<String, RecordError> {
    let mut line = String::with_capacity(288);
    let at = time_text(entry.at.wall_us)?;
    let event = event(entry.kind);
    // writing to a String cannot fail
    let _ = write!(
        line,
        "{{\"at\":\"{at}\",\"event\":\"{}\",\"actor\":\"{SYSTEM}\",\"subject\":\"{budget}\",\
         \"outcome\":\"ok\",\"data\":{{\"amount\":\"{}\",\"currency\":\"{}\"",
        event.as_str(),
        entry.amount,
        entry.currency,
    );
    if let Some(hold) = entry.hold {
        let _ = write!(line, ",\"hold\":\"{hold}.{budget}\"");
    }
    let _ = write!(line, ",\"op\":\"{}\",\"seq\":{}}}}}", entry.op, entry.seq);
    Ok(line)
}

/// What the line of a booking says in brief.
pub fn brief(entry: &Entry) -> Brief<'static> {
    let event = match entry.kind {
        Kind::Settle => "budget.settled",
        Kind::Late => "budget.settled_late",
        Kind::Spend => "budget.spent",
        Kind::Refund => "budget.refunded",
    };
    Brief { at_us: entry.at.wall_us, event, outcome: Outcome::Ok, person: None, count: 1 }
}

/// The line of alike refusals.
pub fn denied(denied: &Denied) -> Result<String, RecordError> {
    let data = serde_json::json!({ "reason": denied.reason.code() });
    let record = Record {
        at_us: denied.first_us,
        event: DENIED,
        actor: SYSTEM.to_owned(),
        subject: denied.budget.as_deref().map(str::to_owned),
        person: None,
        outcome: Outcome::Denied,
        count: denied.count,
        data: data.as_object().cloned(),
        sealed: None,
    };
    record.line()
}

/// The line of alike answers.
pub fn turned(turned: Turned) -> Result<String, RecordError> {
    let data = serde_json::json!({ "reason": turned.reason });
    let (event, outcome) = match turned.turning {
        Turning::Access => (TURNED, Outcome::Denied),
        Turning::ConsentDenied => (CONSENT_DENIED, Outcome::Denied),
        Turning::ConsentAllowed => (CONSENT_ALLOWED, Outcome::Ok),
    };
    let record = Record {
        at_us: turned.first_us,
        event,
        actor: turned.actor.to_string(),
        subject: Some(turned.subject).filter(|subject| !subject.is_empty()),
        person: None,
        outcome,
        count: turned.count,
        data: if turned.reason.is_empty() { None } else { data.as_object().cloned() },
        sealed: None,
    };
    record.line()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::shield::entry::{Day, Now, Op};
    use crate::models::shield::money::Micros;

    #[test]
    fn the_line_of_a_booking_is_that_of_its_record() {
        let op = Op::of(&["a", "settle", "k"]);
        let hold = Op::of(&["a", "check", "k"]);
        let entry = Entry {
            seq: 7,
            op,
            kind: Kind::Settle,
            amount: Micros(12_500_000),
            currency: "USD".parse().expect("a currency"),
            window_amount: Micros(12_500_000),
            at: Now { mono_us: 5, wall_us: 1_795_239_660_000_001 },
            day: Day(20_261_121),
            hold: Some(hold),
            slice: None,
            window_slice: None,
            body: 9,
            memo: Some("for \"Ann\"".to_owned()),
        };
        let line = booked("camp_001", &entry).expect("a line");
        let record = Record::parse(&line).expect("a record");
        assert_eq!(record.line().as_deref(), Ok(line.as_str()));
        assert_eq!(Brief::parse(&line), Ok(brief(&entry)));
        assert_eq!(record.event.as_str(), "budget.settled");
        assert_eq!(record.subject.as_deref(), Some("camp_001"));
        let data = record.data.expect("data");
        assert_eq!(data["amount"], "12.5");
        assert_eq!(data["hold"], format!("{hold}.camp_001"));
        assert!(!line.contains("Ann"));
        let refund = Entry { kind: Kind::Refund, hold: None, ..entry };
        let line = booked("@account", &refund).expect("a line");
        assert!(Record::parse(&line).is_ok() && line.contains("budget.refunded"));
    }
}
