//! The durable state of one request.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::due::{OutOfRange, due_us};
use super::event::{Event, Telling};
use super::kind::{ConsentType, Kind, Status};
use super::step::{Evidence, Step};
use super::words::Words;

/// Characters of a request's id and of an account's name.
pub const NAME_CHARS_MAX: usize = 128;
/// Characters of a person's id: 128 bits in lower-case hex.
pub const PERSON_CHARS: usize = 32;
/// Characters of an error that is kept; longer ones are cut.
pub const ERROR_CHARS_MAX: usize = 300;
/// Corrections of one request.
pub const CORRECTIONS_MAX: usize = 100;
/// Characters of all corrections, sealed.
pub const SEALED_CHARS_MAX: usize = 128 * 1_024;
/// Tables in an outcome; what is beyond counts under `other`.
pub const TABLES_MAX: usize = 1_000;

/// Why processing is restricted (GDPR Art. 18(1)(a) to (d)). A closed set: free text could say who
/// the person is, and a request outlives the erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    AccuracyContested,
    UnlawfulProcessing,
    LegalClaims,
    ObjectionPending,
}

/// What a request asks for beyond its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Details {
    /// ACCESS, PORTABILITY, DELETION.
    None,
    /// RECTIFICATION. What is corrected and to which values: both are personal and stand in `sealed`,
    /// under the person's key.
    Corrections { sealed: String },
    /// OBJECTION and OPT_OUT: the purposes concerned, at least one.
    Purposes(BTreeSet<ConsentType>),
    /// RESTRICTION.
    Restriction(Ground),
}

/// More time, with the reason that the person is told (GDPR Art. 12(3)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    pub at: i64,
    pub reason: Words,
    pub until: i64,
}

/// The end of a restriction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lift {
    /// When somebody decided it.
    pub at: i64,
    pub reason: Words,
    /// When it took effect.
    pub done_at: Option<i64>,
}

/// How the step that is next has gone so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Failures in a row.
    pub failures: u32,
    /// When it is tried again.
    pub retry_at: Option<i64>,
    pub last_error: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Rows of each table: in the package, or found before erasing.
    pub rows: BTreeMap<String, u64>,
    pub package: Option<String>,
}

/// Everything about a request that is saved, as JSON. Times are wall micros.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub id: String,
    pub account: String,
    /// The person's inner id: after an erasure it means nobody.
    pub person: String,
    pub kind: Kind,
    pub details: Details,
    pub status: Status,
    /// One more with each change. A save is refused unless it follows what is stored: of two that
    /// drive one request by mistake, one stops.
    pub version: u64,
    pub received_at: i64,
    /// Who made it, as the audit names callers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<String>,
    pub due_at: i64,
    pub extension: Option<Extension>,
    /// Set and saved before the first step: from then on it has acted.
    pub started_at: Option<i64>,
    pub done: Vec<Step>,
    pub trouble: Trouble,
    /// The same for the event that is next to be told.
    pub untold: Trouble,
    pub overdue_told: bool,
    /// When it was completed, rejected or cancelled.
    pub completed_at: Option<i64>,
    /// Why it was rejected or cancelled.
    pub reason: Option<Words>,
    pub outcome: Outcome,
    pub lift: Option<Lift>,
    /// What happened and may not have been told, oldest first.
    pub outbox: Vec<Telling>,
    /// Number of the next event.
    pub events: u32,
}

/// Why there is no such request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    #[error("id, account or person is not a name of that sort")]
    Name,
    #[error("{} requests do not take these details", .0.as_str())]
    Details(Kind),
    #[error("corrections are empty, too many or too long")]
    Corrections,
    #[error(transparent)]
    Time(#[from] OutOfRange),
}

/// What makes a request.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub id: String,
    pub account: String,
    pub person: String,
    pub kind: Kind,
    pub details: Details,
    /// Whether the caller has shown already that the person is who asks.
    pub verified: bool,
    pub received_at: i64,
    /// Who makes it, as the audit names callers.
    pub asked_by: String,
}

impl Request {
    /// A new request, to be saved. The time to answer runs from receipt, verified or not.
    pub fn new(receipt: Receipt) -> Result<Request, BadRequest> {
        let Receipt { id, account, person, kind, details, verified, received_at, asked_by } =
            receipt;
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        let named = |name: &str| !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX;
        let is_person = person.len() == PERSON_CHARS && person.chars().all(hex);
        if !named(&id) || !named(&account) || !is_person {
            return Err(BadRequest::Name);
        }
        check(kind, &details)?;
        let status = if verified { Status::InProgress } else { Status::AwaitingVerification };
        let mut request = Request {
            due_at: due_us(received_at)?,
            id,
            account,
            person,
            kind,
            details,
            status,
            version: 1,
            received_at,
            asked_by: Some(asked_by.clone()),
            extension: None,
            started_at: None,
            done: Vec::new(),
            trouble: Trouble::default(),
            untold: Trouble::default(),
            overdue_told: false,
            completed_at: None,
            reason: None,
            outcome: Outcome::default(),
            lift: None,
            outbox: Vec::new(),
            events: 0,
        };
        request.tell(Event::Received, Some(&asked_by), received_at);
        Ok(request)
    }

    /// Every free text in it.
    pub fn words_mut(&mut self) -> impl Iterator<Item = &mut Words> {
        let extension = self.extension.as_mut().map(|extension| &mut extension.reason);
        let lift = self.lift.as_mut().map(|lift| &mut lift.reason);
        self.reason.as_mut().into_iter().chain(extension).chain(lift)
    }

    /// The reason that was given for what an event tells of.
    pub fn words_of(&self, event: &Event) -> Option<&Words> {
        match event {
            Event::Rejected | Event::Cancelled => self.reason.as_ref(),
            Event::Extended => self.extension.as_ref().map(|extension| &extension.reason),
            Event::Lifting => self.lift.as_ref().map(|lift| &lift.reason),
            _ => None,
        }
    }

    /// Whether it erases the person by itself, whatever stops it in between.
    pub fn erases(&self) -> bool {
        self.kind == Kind::Deletion && self.status == Status::InProgress
    }

    /// Whether nothing new may be kept about the person: it is being erased. It follows from what is
    /// saved, so that it outlives whoever refuses new data.
    pub fn has_stopped(&self) -> bool {
        self.erases() && self.done.contains(&Step::StopProcessing)
    }

    /// Whether it is open and its time is over.
    pub fn is_overdue(&self, now: i64) -> bool {
        self.status.is_open() && super::due::overdue(self.due_at, now)
    }

    /// The state that follows this one, to be changed and saved.
    pub(super) fn following(&self) -> Request {
        Request { version: self.version.saturating_add(1), ..self.clone() }
    }

    pub(super) fn tell(&mut self, event: Event, by: Option<&str>, at: i64) {
        let by = by.map(str::to_owned);
        self.outbox.push(Telling { number: self.events, at, event, by });
        self.events = self.events.saturating_add(1);
    }

    pub(super) fn close(
        &mut self,
        status: Status,
        reason: Option<Words>,
        by: Option<&str>,
        now: i64,
    ) {
        self.status = status;
        self.reason = reason;
        self.completed_at = Some(now);
        self.trouble = Trouble::default();
        let event = match status {
            Status::Rejected => Event::Rejected,
            Status::Cancelled => Event::Cancelled,
            _ => Event::Completed,
        };
        self.tell(event, by, now);
    }

    /// Books what a step found. A step that runs again finds the same.
    pub(super) fn prove(&mut self, evidence: Evidence) {
        let rows = &mut self.outcome.rows;
        for (table, count) in evidence.rows {
            if rows.len() < TABLES_MAX || rows.contains_key(&table) {
                rows.insert(table, count);
            } else {
                let other = rows.entry("other".to_owned()).or_default();
                *other = other.saturating_add(count);
            }
        }
        if evidence.package.is_some() {
            self.outcome.package = evidence.package;
        }
    }
}

/// Whether one request can correct these, by name; to be asked before they are sealed.
pub fn check_corrections(values: &BTreeMap<String, String>) -> Result<(), BadRequest> {
    let short = |name: &String| !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX;
    let fits = (1..=CORRECTIONS_MAX).contains(&values.len()) && values.keys().all(short);
    if fits { Ok(()) } else { Err(BadRequest::Corrections) }
}

fn check(kind: Kind, details: &Details) -> Result<(), BadRequest> {
    match (kind, details) {
        (Kind::Access | Kind::Portability | Kind::Deletion, Details::None)
        | (Kind::Restriction, Details::Restriction(_)) => Ok(()),
        (Kind::Objection | Kind::OptOut, Details::Purposes(types)) if !types.is_empty() => Ok(()),
        (Kind::Rectification, Details::Corrections { sealed }) => {
            let fits = (1..=SEALED_CHARS_MAX).contains(&sealed.len());
            if fits { Ok(()) } else { Err(BadRequest::Corrections) }
        }
        _ => Err(BadRequest::Details(kind)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// 2026-11-21T00:00:00Z.
    pub const RECEIVED: i64 = 1_795_219_200_000_000;

    /// A request of each kind with details that fit.
    pub fn receipt(kind: Kind) -> Receipt {
        let details = match kind {
            Kind::Access | Kind::Portability | Kind::Deletion => Details::None,
            Kind::Rectification => Details::Corrections { sealed: "c2VhbGVk".to_owned() },
            Kind::Restriction => Details::Restriction(Ground::AccuracyContested),
            Kind::Objection | Kind::OptOut => {
                Details::Purposes(BTreeSet::from([ConsentType::Marketing]))
            }
        };
        Receipt {
            id: "dsr_1".to_owned(),
            account: "default".to_owned(),
            person: "0123456789abcdef0123456789abcdef".to_owned(),
            kind,
            details,
            verified: true,
            received_at: RECEIVED,
            asked_by: "key:asker".to_owned(),
        }
    }

    #[test]
    fn a_request_of_each_kind_reads_back_from_its_json() {
        for kind in Kind::ALL {
            let request = Request::new(receipt(kind)).expect("good");
            let text = serde_json::to_string(&request).expect("json");
            assert_eq!(serde_json::from_str::<Request>(&text).expect("reads"), request);
            assert_eq!(request.outbox.len(), 1);
            assert!(!request.is_overdue(request.due_at) && request.is_overdue(request.due_at + 1));
        }
    }

    #[test]
    fn a_request_of_before_texts_were_sealed_reads() {
        let request = Request::new(receipt(Kind::Rectification)).expect("good");
        let mut old = serde_json::to_value(&request).expect("json");
        old["reason"] = "moved away".into();
        old["extension"] = serde_json::json!({"at": 1, "reason": "many", "until": 2});
        old["details"]["corrections"]["names"] = serde_json::json!(["email"]);
        let fields = old.as_object_mut().expect("an object");
        fields.remove("asked_by");
        fields["outbox"][0].as_object_mut().expect("an object").remove("by");
        let read: Request = serde_json::from_value(old).expect("reads");
        assert_eq!(read.reason, Some(Words::plain("moved away")));
        assert_eq!(read.details, request.details);
        assert_eq!((read.asked_by, read.outbox[0].by.clone()), (None, None));
    }

    #[test]
    fn each_reason_is_found_by_its_event_and_among_all_words() {
        let mut r = Request::new(receipt(Kind::Restriction)).expect("good");
        assert_eq!(r.words_mut().count(), 0);
        let words = Words::plain;
        r.extension = Some(Extension { at: 1, reason: words("more time"), until: 2 });
        r.lift = Some(Lift { at: 1, reason: words("settled"), done_at: None });
        r.reason = Some(words("a slip"));
        assert_eq!(r.words_of(&Event::Extended), Some(&words("more time")));
        assert_eq!(r.words_of(&Event::Lifting), Some(&words("settled")));
        assert_eq!(r.words_of(&Event::Rejected), Some(&words("a slip")));
        assert_eq!(r.words_of(&Event::Completed), None);
        r.words_mut().for_each(|said| *said = words("x"));
        assert_eq!(r.words_of(&Event::Extended), r.words_of(&Event::Lifting));
        assert_eq!(r.words_mut().count(), 3);
    }

    #[test]
    fn a_deletion_that_runs_says_so_until_it_has_ended() {
        let mut r = Request::new(receipt(Kind::Deletion)).expect("good");
        assert!(r.erases() && !r.has_stopped());
        r.done.push(Step::StopProcessing);
        assert!(r.has_stopped());
        for status in [Status::AwaitingVerification, Status::Completed, Status::Rejected] {
            let r = Request { status, ..r.clone() };
            assert!(!r.erases() && !r.has_stopped(), "{status:?}");
        }
        let access = Request::new(receipt(Kind::Access)).expect("good");
        assert!(!access.erases());
    }

    #[test]
    fn details_of_another_kind_are_refused() {
        for kind in Kind::ALL {
            for other in Kind::ALL {
                let details = receipt(other).details;
                let fits = details == receipt(kind).details;
                let made = Request::new(Receipt { details, ..receipt(kind) });
                assert_eq!(made.is_ok(), fits, "{kind:?} with details of {other:?}");
            }
        }
        let none = Details::Purposes(BTreeSet::new());
        let made = Request::new(Receipt { details: none, ..receipt(Kind::OptOut) });
        assert_eq!(made, Err(BadRequest::Details(Kind::OptOut)));
    }

    #[test]
    fn names_and_corrections_out_of_bounds_are_refused() {
        let good = || receipt(Kind::Rectification);
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        for bad in [
            Receipt { id: String::new(), ..good() },
            Receipt { account: long.clone(), ..good() },
            Receipt { person: "cust_123".to_owned(), ..good() },
            Receipt { person: "ABCDEF".repeat(6)[..32].to_owned(), ..good() },
        ] {
            assert_eq!(Request::new(bad), Err(BadRequest::Name));
        }
        for sealed in [String::new(), "x".repeat(SEALED_CHARS_MAX + 1)] {
            let details = Details::Corrections { sealed };
            let made = Request::new(Receipt { details, ..good() });
            assert_eq!(made, Err(BadRequest::Corrections));
        }
        let values = |names: Vec<String>| {
            check_corrections(&names.into_iter().map(|name| (name, "x".to_owned())).collect())
        };
        let names = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        assert_eq!(values(names(CORRECTIONS_MAX)), Ok(()));
        for bad in [names(0), names(CORRECTIONS_MAX + 1), vec![long], vec![String::new()]] {
            assert_eq!(values(bad), Err(BadRequest::Corrections));
        }
        let late = Receipt { received_at: i64::MAX, ..good() };
        assert_eq!(Request::new(late), Err(BadRequest::Time(OutOfRange)));
    }

    #[test]
    fn an_outcome_holds_no_more_than_its_tables() {
        let mut request = Request::new(receipt(Kind::Access)).expect("good");
        let rows = (0..TABLES_MAX + 5).map(|i| (format!("t{i:05}"), 2)).collect();
        request.prove(Evidence { rows, package: None });
        assert_eq!(request.outcome.rows.len(), TABLES_MAX + 1);
        assert_eq!(request.outcome.rows["other"], 10);
    }
}
