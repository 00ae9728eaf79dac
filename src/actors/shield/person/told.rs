//! What is written of a person's changes: their rows, and their records in the log. Who said it where
//! is free text and goes into the log under the person's key.

use serde_json::{Map, json};

use super::PersonName;
use super::holdings::WORDS;
use crate::actors::kernel::Fault;
use crate::actors::shield::vault::nonce;
use crate::models::shield::audit::record::{Event, Outcome, Record};
use crate::models::shield::consent::change::{Action, Change};
use crate::models::shield::seal::{Binding, PersonKey, SealError};
use crate::store::{ConsentRow, Put};

/// Whose changes are written, by whom, and under which key.
pub(super) struct Writing<'a> {
    pub name: &'a PersonName,
    pub person: &'a str,
    pub key: &'a PersonKey,
    /// What was shown to the person.
    pub shown: Option<&'a str>,
    pub actor: &'a str,
}

impl Writing<'_> {
    /// The rows of changes, and a record for each.
    pub fn rows(&self, changes: &[Change]) -> Result<(Vec<Put>, Vec<Record>), Fault> {
        let (mut puts, mut records) = (Vec::new(), Vec::new());
        for change in changes {
            let sealed = match self.shown {
                Some(text) if change.shown_bytes > 0 => Some(self.seal(text, "consent.shown")?),
                _ => None,
            };
            puts.push(Put::from(ConsentRow {
                account: self.name.account.to_string(),
                person: self.person.to_owned(),
                seq: i64::try_from(change.seq)?,
                at: change.at,
                change: serde_json::to_string(change)?,
                sealed,
            }));
            records.push(self.record(change)?);
        }
        Ok((puts, records))
    }

    fn record(&self, change: &Change) -> Result<Record, Fault> {
        let mut data = Map::new();
        data.insert("seq".to_owned(), change.seq.into());
        if let Some(basis) = change.legal_basis {
            data.insert("legal_basis".to_owned(), basis.as_str().into());
        }
        if let Some(proof) = &change.proof {
            data.insert("proof".to_owned(), proof.as_str().into());
        }
        let words = match &change.version {
            Some(version) => json!({ "source": change.source, "version": version }),
            None => json!({ "source": change.source }),
        };
        Ok(Record {
            at_us: change.at,
            event: event(change.action),
            actor: self.actor.to_owned(),
            subject: change.kind.map(|kind| kind.as_str().to_owned()),
            person: Some(self.person.to_owned()),
            outcome: Outcome::Ok,
            count: 1,
            data: Some(data),
            sealed: Some(self.seal(&words.to_string(), WORDS)?),
        })
    }

    fn seal(&self, text: &str, purpose: &str) -> Result<String, SealError> {
        let binding = Binding { account: &self.name.account, person: self.person, purpose };
        self.key.seal(text.as_bytes(), binding, nonce())
    }
}

fn event(action: Action) -> Event {
    match action {
        Action::Granted => Event::fixed("consent.granted"),
        Action::Revoked => Event::fixed("consent.revoked"),
        Action::Objected => Event::fixed("consent.objected"),
        Action::OptedOut => Event::fixed("consent.opted_out"),
        Action::Restricted => Event::fixed("consent.restricted"),
        Action::Lifted => Event::fixed("consent.lifted"),
    }
}

/// That the person was erased; `again` is the request that had done so before a backup brought the
/// person back.
pub(super) fn erased(person: &str, again: Option<String>, at_us: i64) -> Vec<Record> {
    let record = |event, subject| Record {
        at_us,
        event,
        actor: "system".to_owned(),
        subject,
        person: Some(person.to_owned()),
        outcome: Outcome::Ok,
        count: 1,
        data: None,
        sealed: None,
    };
    let mut records = vec![record(Event::fixed("person.erased"), None)];
    if again.is_some() {
        records.push(record(Event::fixed("person.erased_again"), again));
    }
    records
}
