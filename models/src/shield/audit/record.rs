//! A record of the audit log: one line of JSON, hashed exactly as it is stored.

use std::borrow::Cow;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::month::{BadTime, time_parse, time_text};

/// Bytes of the longest line.
pub const LINE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the longest actor: a token's subject has at most 255.
pub const ACTOR_BYTES_MAX: usize = 288;
/// Bytes of the longest subject: a path, an id.
pub const SUBJECT_BYTES_MAX: usize = 1_024;
/// Characters of the longest event.
pub const EVENT_CHARS_MAX: usize = 64;

/// Why a record has no line, or a line is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error(
        "event is not lower-case words joined by dots, of at most {EVENT_CHARS_MAX} characters"
    )]
    Event,
    #[error("actor is empty or longer than {ACTOR_BYTES_MAX} bytes")]
    Actor,
    #[error("subject is longer than {SUBJECT_BYTES_MAX} bytes")]
    Subject,
    #[error("person is not 32 lower-case hex digits")]
    Person,
    #[error("at {0}")]
    Time(#[from] BadTime),
    #[error("a line of {bytes} bytes is longer than {LINE_BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("a line feed is inside a line")]
    LineFeed,
    #[error("line is not a record: {0}")]
    Json(String),
}

/// What happened: an open dotted name such as `budget.settled`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Event(Cow<'static, str>);

impl Event {
    /// The event of this name: `[a-z0-9_]` words joined by dots, at most 64 characters.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Event, RecordError> {
        let name = name.into();
        if event_fits(&name) { Ok(Event(name)) } else { Err(RecordError::Event) }
    }

    /// The event of a name known when the program is compiled. Only for constants: there, a bad
    /// name does not compile.
    pub const fn fixed(name: &'static str) -> Event {
        assert!(event_fits(name), "not the name of an event");
        Event(Cow::Borrowed(name))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Event, D::Error> {
        Event::new(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

pub(super) const fn event_fits(name: &str) -> bool {
    let name = name.as_bytes();
    let (mut i, mut after_dot) = (0, true);
    while i < name.len() {
        after_dot = match name[i] {
            b'.' if after_dot => return false,
            b'.' => true,
            b'a'..=b'z' | b'0'..=b'9' | b'_' => false,
            _ => return false,
        };
        i += 1;
    }
    !after_dot && i <= EVENT_CHARS_MAX
}

/// Is this the random id by which logs name a person?
pub fn is_person(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok,
    Denied,
    Failed,
}

impl Outcome {
    /// Its name in a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// One record. The order of the fields is the order in its line.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When, micros since the epoch.
    pub at_us: i64,
    pub event: Event,
    /// Who: `key:ab12cd34`, `user:<subject of the token>`, `open`, `system`.
    pub actor: String,
    /// What it was done to: a campaign, a request's id, a path.
    pub subject: Option<String>,
    /// The person concerned: the random id, 32 lower-case hex digits.
    pub person: Option<String>,
    pub outcome: Outcome,
    /// How many equal refusals were gathered in this record: 1 is not written.
    pub count: u64,
    /// Facts without personal data.
    pub data: Option<Map<String, Value>>,
    /// Personal fields under the person's key, base64.
    pub sealed: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow)]
    at: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    person: Option<Cow<'a, str>>,
    outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Cow<'a, Map<String, Value>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<Cow<'a, str>>,
}

impl Record {
    /// Its line of JSON: fields in fixed order, what is absent left out, no line feed inside.
    pub fn line(&self) -> Result<String, RecordError> {
        check(&self.actor, self.subject.as_deref(), self.person.as_deref())?;
        let wire = Wire {
            at: Cow::Owned(time_text(self.at_us)?),
            event: Cow::Borrowed(self.event.as_str()),
            actor: Cow::Borrowed(&self.actor),
            subject: self.subject.as_deref().map(Cow::Borrowed),
            person: self.person.as_deref().map(Cow::Borrowed),
            outcome: self.outcome,
            count: (self.count > 1).then_some(self.count),
            data: self.data.as_ref().map(Cow::Borrowed),
            sealed: self.sealed.as_deref().map(Cow::Borrowed),
        };
        let line = serde_json::to_string(&wire).map_err(|e| RecordError::Json(e.to_string()))?;
        bounded(&line)?;
        Ok(line)
    }

    /// The record of a line.
    pub fn parse(line: &str) -> Result<Record, RecordError> {
        bounded(line)?;
        let wire: Wire =
            serde_json::from_str(line).map_err(|e| RecordError::Json(e.to_string()))?;
        check(&wire.actor, wire.subject.as_deref(), wire.person.as_deref())?;
        Ok(Record {
            at_us: time_parse(&wire.at)?,
            event: Event::new(wire.event.into_owned())?,
            actor: wire.actor.into_owned(),
            subject: wire.subject.map(Cow::into_owned),
            person: wire.person.map(Cow::into_owned),
            outcome: wire.outcome,
            count: wire.count.unwrap_or(1).max(1),
            data: wire.data.map(Cow::into_owned),
            sealed: wire.sealed.map(Cow::into_owned),
        })
    }
}

/// Does it fit into a block as one line?
pub(super) fn bounded(line: &str) -> Result<(), RecordError> {
    let bytes = line.len();
    if bytes > LINE_BYTES_MAX {
        return Err(RecordError::TooLong { bytes });
    }
    if line.contains('\n') { Err(RecordError::LineFeed) } else { Ok(()) }
}

pub(super) fn check(
    actor: &str,
    subject: Option<&str>,
    person: Option<&str>,
) -> Result<(), RecordError> {
    if actor.is_empty() || actor.len() > ACTOR_BYTES_MAX {
        return Err(RecordError::Actor);
    }
    if subject.is_some_and(|subject| subject.len() > SUBJECT_BYTES_MAX) {
        return Err(RecordError::Subject);
    }
    if person.is_some_and(|person| !is_person(person)) {
        return Err(RecordError::Person);
    }
    Ok(())
}

/// What blocks and summaries need of a line, read without making the rest: millions are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brief<'a> {
    /// Micros since the epoch.
    pub at_us: i64,
    pub event: &'a str,
    pub outcome: Outcome,
    pub person: Option<&'a str>,
    /// At least 1.
    pub count: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BriefWire<'a> {
    at: &'a str,
    event: &'a str,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    #[serde(default)]
    subject: Option<Text>,
    #[serde(default, borrow)]
    person: Option<&'a str>,
    outcome: Outcome,
    #[serde(default)]
    count: Option<u64>,
    #[serde(default, rename = "data")]
    _data: Option<Object>,
    #[serde(default, rename = "sealed")]
    _sealed: Option<Text>,
}

/// The length of some text.
struct Text(usize);

/// Some object.
struct Object;

impl<'a> Brief<'a> {
    /// The brief of a line that [`Record::line`] made. Stricter than [`Record::parse`] in one
    /// point: what never needs an escape must have none.
    pub fn parse(line: &'a str) -> Result<Brief<'a>, RecordError> {
        bounded(line)?;
        let wire: BriefWire<'a> =
            serde_json::from_str(line).map_err(|e| RecordError::Json(e.to_string()))?;
        let BriefWire { at, event, outcome, person, count, subject, actor, .. } = wire;
        check(&actor, None, person)?;
        if subject.is_some_and(|text| text.0 > SUBJECT_BYTES_MAX) {
            return Err(RecordError::Subject);
        }
        if !event_fits(event) {
            return Err(RecordError::Event);
        }
        let count = count.unwrap_or(1).max(1);
        Ok(Brief { at_us: time_parse(at)?, event, outcome, person, count })
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
        struct Lengths;
        impl Visitor<'_> for Lengths {
            type Value = Text;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.len()))
            }
        }
        from.deserialize_str(Lengths)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Object, D::Error> {
        struct Objects;
        impl<'de> Visitor<'de> for Objects {
            type Value = Object;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Object)
            }
        }
        from.deserialize_map(Objects)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SETTLED: Event = Event::fixed("budget.settled");

    fn record() -> Record {
        Record {
            at_us: 1_795_239_660_123_456,
            event: SETTLED,
            actor: "key:ab12cd34".into(),
            subject: Some("camp\n\"1\" ü".into()),
            person: Some("00112233445566778899aabbccddeeff".into()),
            outcome: Outcome::Denied,
            count: 3,
            data: json!({"amount": "1.5", "b": [1, {"c": null}]}).as_object().cloned(),
            sealed: Some("AAEC".into()),
        }
    }

    #[test]
    fn a_record_is_one_line_with_its_fields_in_fixed_order() {
        let line = record().line().unwrap();
        assert_eq!(
            line,
            r#"{"at":"2026-11-21T05:41:00.123456Z","event":"budget.settled","actor":"key:ab12cd34","subject":"camp\n\"1\" ü","person":"00112233445566778899aabbccddeeff","outcome":"denied","count":3,"data":{"amount":"1.5","b":[1,{"c":null}]},"sealed":"AAEC"}"#
        );
        assert_eq!(Record::parse(&line), Ok(record()));
        let bare = Record {
            subject: None,
            person: None,
            outcome: Outcome::Ok,
            count: 1,
            data: None,
            sealed: None,
            ..record()
        };
        let line = bare.line().unwrap();
        assert!(line.ends_with(r#""actor":"key:ab12cd34","outcome":"ok"}"#), "{line}");
        assert_eq!(Record::parse(&line), Ok(bare));
    }

    #[test]
    fn the_brief_of_a_line_says_the_same_as_its_record() {
        let (record, line) = (record(), record().line().unwrap());
        let brief = Brief::parse(&line).unwrap();
        assert_eq!((brief.at_us, brief.event), (record.at_us, record.event.as_str()));
        assert_eq!((brief.outcome, brief.count), (record.outcome, record.count));
        assert_eq!(brief.person, record.person.as_deref());
    }

    #[test]
    fn what_does_not_fit_has_no_line() {
        let long = "x".repeat(LINE_BYTES_MAX);
        let cases = [
            (Record { actor: String::new(), ..record() }, RecordError::Actor),
            (Record { actor: long.clone(), ..record() }, RecordError::Actor),
            (Record { subject: Some(long.clone()), ..record() }, RecordError::Subject),
            (Record { person: Some("ABC".into()), ..record() }, RecordError::Person),
            (Record { at_us: -1, ..record() }, RecordError::Time(BadTime)),
        ];
        for (record, error) in cases {
            assert_eq!(record.line(), Err(error));
        }
        let huge = Record { sealed: Some(long), ..record() };
        assert!(matches!(huge.line(), Err(RecordError::TooLong { .. })));
    }

    #[test]
    fn a_line_that_is_no_record_is_refused_by_both_readers() {
        let line = record().line().unwrap();
        let bent = [
            line.replace("at\":", "when\":"),
            line.replace("budget.settled", "Budget"),
            line.replace("\"denied\"", "\"maybe\""),
            line.replace("{\"amount\":\"1.5\",\"b\":[1,{\"c\":null}]}", "[1]"),
            line.replace("\"AAEC\"", "7"),
            line.replace("00112233", "0011223g"),
            line.replace(".123456Z", "Z"),
            line.replace("key:ab12cd34", ""),
            line.replace("\"count\":3", "\"count\":-3"),
            format!("{line}{line}"),
            line[..line.len() - 1].to_owned(),
            format!("{line}{}", " ".repeat(LINE_BYTES_MAX)),
            line.replacen(',', ",\n", 1),
            "[".repeat(5_000),
            String::new(),
        ];
        for bad in bent {
            assert!(Record::parse(&bad).is_err(), "{bad}");
            assert!(Brief::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_event_is_words_joined_by_dots() {
        for good in ["a", "budget.settled", "a_1.b2", &"x".repeat(64)] {
            assert!(Event::new(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "A", "a b", "a-b", "ä", &"x".repeat(65)] {
            assert_eq!(Event::new(bad.to_owned()), Err(RecordError::Event), "{bad}");
        }
    }
}
