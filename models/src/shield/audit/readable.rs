//! A line of the log in words for people, read without making a record of it: every record is copied
//! once, on the path that bookings pay for.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::month::time_parse;
use super::record::{Outcome, RecordError, bounded, check, event_fits};

/// What a row of the readable copy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readable<'a> {
    /// RFC 3339, UTC, with six decimals.
    pub at: &'a str,
    pub event: &'a str,
    pub outcome: Outcome,
    pub actor: Cow<'a, str>,
    pub subject: Cow<'a, str>,
    pub person: Cow<'a, str>,
    /// Facts as `name=value`, with blanks between them. A gathered record ends with its `count`.
    pub details: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    at: &'a str,
    event: &'a str,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    #[serde(default, borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    person: Option<Cow<'a, str>>,
    outcome: Outcome,
    #[serde(default)]
    count: Option<u64>,
    #[serde(default)]
    data: Option<Details>,
    #[serde(default, rename = "sealed", borrow)]
    _sealed: Option<Cow<'a, str>>,
}

impl<'a> Readable<'a> {
    /// The words of a line that [`super::record::Record::line`] made.
    ///
    /// # Errors
    /// It is no record's line.
    pub fn parse(line: &'a str) -> Result<Readable<'a>, RecordError> {
        bounded(line)?;
        let wire: Wire =
            serde_json::from_str(line).map_err(|e| RecordError::Json(e.to_string()))?;
        check(&wire.actor, wire.subject.as_deref(), wire.person.as_deref())?;
        if !event_fits(wire.event) {
            return Err(RecordError::Event);
        }
        time_parse(wire.at)?;
        let mut details = wire.data.map_or_else(String::new, |details| details.0);
        if let Some(count) = wire.count.filter(|count| *count > 1) {
            between(&mut details);
            // writing to a String cannot fail
            let _ = write!(details, "count={count}");
        }
        Ok(Readable {
            at: wire.at,
            event: wire.event,
            outcome: wire.outcome,
            actor: wire.actor,
            subject: wire.subject.unwrap_or_default(),
            person: wire.person.unwrap_or_default(),
            details,
        })
    }
}

fn between(details: &mut String) {
    if !details.is_empty() {
        details.push(' ');
    }
}

/// An object as `name=value`, with blanks between them.
struct Details(String);

impl<'de> Deserialize<'de> for Details {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Details, D::Error> {
        struct Facts;
        impl<'de> Visitor<'de> for Facts {
            type Value = Details;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Details, A::Error> {
                let mut text = String::with_capacity(128);
                while let Some((name, value)) = map.next_entry::<Text<'_>, Fact<'_>>()? {
                    between(&mut text);
                    // writing to a String cannot fail
                    let _ = match value {
                        Fact::Text(value) => write!(text, "{}={value}", name.0),
                        Fact::Other(value) => write!(text, "{}={value}", name.0),
                    };
                }
                Ok(Details(text))
            }
        }
        from.deserialize_map(Facts)
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

enum Fact<'a> {
    Text(Cow<'a, str>),
    Other(Value),
}

impl<'de: 'a, 'a> Deserialize<'de> for Fact<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Fact<'a>, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Fact<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Fact<'de>, E> {
                Ok(Fact::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Fact<'de>, E> {
                Ok(Fact::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E>(self, n: u64) -> Result<Fact<'de>, E> {
                Ok(Fact::Other(n.into()))
            }

            fn visit_i64<E>(self, n: i64) -> Result<Fact<'de>, E> {
                Ok(Fact::Other(n.into()))
            }

            fn visit_f64<E>(self, n: f64) -> Result<Fact<'de>, E> {
                Ok(Fact::Other(n.into()))
            }

            fn visit_bool<E>(self, is: bool) -> Result<Fact<'de>, E> {
                Ok(Fact::Other(is.into()))
            }

            fn visit_unit<E>(self) -> Result<Fact<'de>, E> {
                Ok(Fact::Other(Value::Null))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                seq: A,
            ) -> Result<Fact<'de>, A::Error> {
                let list = serde::de::value::SeqAccessDeserializer::new(seq);
                Ok(Fact::Other(Value::deserialize(list)?))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fact<'de>, A::Error> {
                let object = serde::de::value::MapAccessDeserializer::new(map);
                Ok(Fact::Other(Value::deserialize(object)?))
            }
        }
        from.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Event, Record};
    use super::*;

    fn record() -> Record {
        let data = serde_json::json!({
            "amount": "1.5", "list": [1, {"c": null}], "n": -3, "text": "two \"words\" ü", "yes": true
        });
        Record {
            at_us: 1_795_239_660_123_456,
            event: Event::fixed("budget.settled"),
            actor: "key:ab12cd34".into(),
            subject: Some("camp\n\"1\" ü".into()),
            person: Some("00112233445566778899aabbccddeeff".into()),
            outcome: Outcome::Denied,
            count: 3,
            data: data.as_object().cloned(),
            sealed: Some("c2VhbGVk".into()),
        }
    }

    #[test]
    fn a_row_says_what_the_record_says() {
        let line = record().line().unwrap();
        let row = Readable::parse(&line).unwrap();
        assert_eq!(row.at, "2026-11-21T05:41:00.123456Z");
        assert_eq!((row.event, row.outcome), ("budget.settled", Outcome::Denied));
        assert_eq!((&*row.actor, &*row.subject), ("key:ab12cd34", "camp\n\"1\" ü"));
        assert_eq!(&*row.person, "00112233445566778899aabbccddeeff");
        let details = "amount=1.5 list=[1,{\"c\":null}] n=-3 text=two \"words\" ü yes=true count=3";
        assert_eq!(row.details, details);
        let bare = Record { subject: None, person: None, count: 1, data: None, ..record() };
        let line = bare.line().unwrap();
        let row = Readable::parse(&line).unwrap();
        assert_eq!((&*row.subject, &*row.person, row.details.as_str()), ("", "", ""));
    }

    #[test]
    fn it_reads_what_a_record_reads_and_nothing_else() {
        let line = record().line().unwrap();
        for cut in 0..line.len() {
            if let Some(part) = line.get(..cut) {
                assert_eq!(Readable::parse(part).is_ok(), Record::parse(part).is_ok(), "{part}");
            }
        }
        for (from, to) in [
            ("budget.settled", "Budget"),
            ("2026-11-21", "2026-13-21"),
            ("\"data\":", "\"date\":"),
            ("00112233445566778899aabbccddeeff", "0011"),
            ("key:ab12cd34", ""),
        ] {
            let other = line.replacen(from, to, 1);
            assert_ne!(other, line);
            assert!(Readable::parse(&other).is_err() && Record::parse(&other).is_err(), "{other}");
        }
    }
}
