//! What services hold about a person: registered once, and so in every package and every erasure.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use crate::models::shield::audit::month::time_text;
use crate::models::shield::audit::record::Record;
use crate::models::shield::dsr::package::Section;
use crate::models::shield::dsr::request::{Details, Request};
use crate::models::shield::dsr::words::Words;
use crate::models::shield::personal::{Erase, Holding, PersonalData};
use crate::models::shield::seal::{Binding, PersonKey};
use crate::store::{DsrRow, Gone, Store, StoreError};

/// What texts about a person are sealed for, in requests and in the log: a JSON object each, with the
/// texts by name.
pub const WORDS: &str = "words";

/// Whose data is asked for.
#[derive(Clone)]
pub struct Subject {
    pub account: String,
    pub person: String,
    /// Nothing once it is destroyed.
    pub key: Option<Arc<PersonKey>>,
}

impl Subject {
    /// A sealed text in clear; nothing that cannot be opened is passed over in silence.
    pub fn opened(&self, sealed: &str, purpose: &str) -> String {
        let binding = Binding { account: &self.account, person: &self.person, purpose };
        let opened = self.key.as_ref().map(|key| key.open(sealed, binding));
        match opened {
            Some(Ok(plain)) => String::from_utf8_lossy(&plain).into_owned(),
            Some(Err(_)) | None => UNREADABLE.to_owned(),
        }
    }

    /// The texts of a sealed object by name; nothing where the key does not open it.
    pub fn said(&self, sealed: &str) -> Option<Map<String, Value>> {
        let binding = Binding { account: &self.account, person: &self.person, purpose: WORDS };
        let plain = self.key.as_ref()?.open(sealed, binding).ok()?;
        serde_json::from_slice(&plain).ok()
    }

    /// Words of a request in clear, where the key opens them; else as they are.
    pub fn words(&self, words: Words) -> Words {
        let said = words.sealed().and_then(|sealed| self.said(sealed));
        match said.as_ref().and_then(|said| said.get("reason")?.as_str()) {
            Some(text) => Words::plain(text),
            None => words,
        }
    }
}

const UNREADABLE: &str = "(unreadable)";

/// A service that can show and erase what it holds.
pub trait Handler: PersonalData + Send + Sync {
    /// Everything that it holds, one section for each holding with rows.
    fn collect<'a>(
        &'a self,
        store: &'a Store,
        of: &'a Subject,
    ) -> BoxFuture<'a, Result<Vec<Section>, StoreError>>;

    /// How many rows each table has about the person; nothing is opened for it.
    fn count<'a>(
        &'a self,
        store: &'a Store,
        of: &'a Subject,
    ) -> BoxFuture<'a, Result<BTreeMap<String, u64>, StoreError>>;

    /// The rows to delete in an erasure; they go in one transaction, and none may need the key.
    fn erase(&self, of: &Subject) -> Vec<Gone>;
}

/// What SyncShield itself holds.
pub struct ShieldHoldings;

const TABLES: &[Holding] = &[
    Holding {
        table: "person",
        columns: &["customer_id", "person", "created_at"],
        what: "Under which id you are known here.",
        legal: Some("GDPR Art. 5(2), 17(3)(e)"),
        on_erasure: Erase::Keep(
            "a random id and the time of the erasure stay, without a way to you",
        ),
        portable: true,
    },
    Holding {
        table: "consent",
        columns: &[
            "seq",
            "at",
            "type",
            "action",
            "legal_basis",
            "source",
            "version",
            "proof",
            "shown",
        ],
        what: "What you allowed and refused, and what you were shown then.",
        legal: None,
        on_erasure: Erase::Delete,
        portable: true,
    },
    Holding {
        table: "attribute",
        columns: &["name", "value", "updated_at"],
        what: "What was told to us about you.",
        legal: None,
        on_erasure: Erase::Delete,
        portable: true,
    },
    Holding {
        table: "dsr",
        columns: &[
            "request_id",
            "type",
            "status",
            "received_at",
            "asked_by",
            "due_at",
            "completed_at",
            "reason",
            "consent_types",
            "ground",
            "corrections",
            "extended_at",
            "extension_reason",
            "lift_decided_at",
            "lift_reason",
            "lifted_at",
        ],
        what: "Your requests about your data.",
        legal: Some("GDPR Art. 5(2), 12(3)"),
        on_erasure: Erase::Keep(
            "that a request was answered in time must be shown; what was written in it goes with \
             your key",
        ),
        portable: false,
    },
    Holding {
        table: "dsr_package",
        columns: &["request_id", "made_at"],
        what: "Packages like this one that were made for you.",
        legal: None,
        on_erasure: Erase::Delete,
        portable: false,
    },
    Holding {
        table: "audit_person",
        columns: &["index", "at", "event", "actor", "outcome", "details"],
        what: "Records of what was done with your data.",
        legal: Some("GDPR Art. 5(2), 30"),
        on_erasure: Erase::Keep(
            "the log cannot be changed; without your key its id means nobody and no text of it opens",
        ),
        portable: false,
    },
];

/// Records of one package at most; beyond it no package is made, rather than one that hides some.
const RECORDS_MAX: usize = 100_000;

impl PersonalData for ShieldHoldings {
    fn service(&self) -> &'static str {
        "shield"
    }

    fn holdings(&self) -> &'static [Holding] {
        TABLES
    }
}

impl Handler for ShieldHoldings {
    fn collect<'a>(
        &'a self,
        store: &'a Store,
        of: &'a Subject,
    ) -> BoxFuture<'a, Result<Vec<Section>, StoreError>> {
        Box::pin(async move {
            let mut sections = Vec::new();
            for holding in TABLES {
                let rows = rows(store, of, holding.table).await?;
                sections.push(Section {
                    name: holding.table.to_owned(),
                    description: holding.what.to_owned(),
                    columns: holding.columns.iter().map(|c| (*c).to_owned()).collect(),
                    rows,
                });
            }
            Ok(sections)
        })
    }

    fn count<'a>(
        &'a self,
        store: &'a Store,
        of: &'a Subject,
    ) -> BoxFuture<'a, Result<BTreeMap<String, u64>, StoreError>> {
        Box::pin(async move {
            let mut counts = BTreeMap::new();
            for holding in TABLES {
                let rows = store.count_of_person(holding.table, &of.account, &of.person).await?;
                counts.insert(holding.table.to_owned(), rows);
            }
            Ok(counts)
        })
    }

    fn erase(&self, of: &Subject) -> Vec<Gone> {
        TABLES
            .iter()
            .filter(|holding| holding.on_erasure == Erase::Delete)
            .map(|holding| Gone::OfPerson { table: holding.table, person: of.person.clone() })
            .collect()
    }
}

fn time(at: i64) -> Value {
    json!(time_text(at).unwrap_or_default())
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

async fn rows(
    store: &Store,
    of: &Subject,
    table: &str,
) -> Result<Vec<Map<String, Value>>, StoreError> {
    let (account, person) = (of.account.as_str(), of.person.as_str());
    let rows: Vec<Value> = match table {
        "person" => {
            let row = store.person(account, person).await?;
            let of_row = |row: crate::store::PersonRow| {
                json!({
                    "customer_id": of.opened(&row.customer, "person.customer"),
                    "person": row.person, "created_at": time(row.created_at),
                })
            };
            row.into_iter().map(of_row).collect()
        }
        "consent" => {
            let rows = store.consents(account, person).await?;
            rows.iter()
                .map(|row| {
                    let change: Value = serde_json::from_str(&row.change).map_err(|error| {
                        StoreError::Corrupt(format!("consent {} of {person}: {error}", row.seq))
                    })?;
                    let shown = row.sealed.as_deref().map(|text| of.opened(text, "consent.shown"));
                    Ok(json!({
                        "seq": row.seq, "at": time(row.at), "type": change["kind"],
                        "action": change["action"], "legal_basis": change["legal_basis"],
                        "source": change["source"], "version": change["version"],
                        "proof": change["proof"], "shown": shown,
                    }))
                })
                .collect::<Result<_, StoreError>>()?
        }
        "attribute" => {
            let rows = store.attributes(account, person).await?;
            rows.iter()
                .map(|row| {
                    let value = of.opened(&row.sealed, "attribute.value");
                    json!({ "name": row.name, "value": value, "updated_at": time(row.updated_at) })
                })
                .collect()
        }
        "dsr" => {
            let rows = store.dsrs_of_person(account, person).await?;
            rows.iter().map(|row| request(of, row)).collect::<Result<_, StoreError>>()?
        }
        "dsr_package" => {
            let rows = store.dsr_packages_of_person(account, person).await?;
            rows.iter()
                .map(|(dsr, made_at)| json!({ "request_id": dsr, "made_at": time(*made_at) }))
                .collect()
        }
        "audit_person" => records(store, of).await?,
        _ => Vec::new(),
    };
    Ok(rows.into_iter().map(object).collect())
}

/// A request with everything that was said in it.
fn request(of: &Subject, row: &DsrRow) -> Result<Value, StoreError> {
    let r: Request = serde_json::from_str(&row.state)
        .map_err(|error| StoreError::Corrupt(format!("request {}: {error}", row.dsr)))?;
    let (mut kinds, mut ground, mut corrections) = (Value::Null, Value::Null, Value::Null);
    match &r.details {
        Details::None => {}
        Details::Purposes(named) => kinds = json!(named),
        Details::Restriction(why) => ground = json!(why),
        Details::Corrections { sealed } => {
            corrections = of.opened(sealed, "dsr.corrections").into()
        }
    }
    let words = |words: &Words| match of.words(words.clone()) {
        Words::Plain(text) => text,
        Words::Sealed { .. } => UNREADABLE.to_owned(),
    };
    let (extension, lift) = (r.extension.as_ref(), r.lift.as_ref());
    Ok(json!({
        "request_id": row.dsr, "type": row.kind, "status": row.status,
        "received_at": time(r.received_at), "asked_by": r.asked_by, "due_at": time(r.due_at),
        "completed_at": r.completed_at.map(time), "reason": r.reason.as_ref().map(words),
        "consent_types": kinds, "ground": ground, "corrections": corrections,
        "extended_at": extension.map(|e| time(e.at)),
        "extension_reason": extension.map(|e| words(&e.reason)),
        "lift_decided_at": lift.map(|l| time(l.at)), "lift_reason": lift.map(|l| words(&l.reason)),
        "lifted_at": lift.and_then(|l| l.done_at).map(time),
    }))
}

async fn records(store: &Store, of: &Subject) -> Result<Vec<Value>, StoreError> {
    let (account, person) = (of.account.as_str(), of.person.as_str());
    let mut found = Vec::new();
    let mut before = i64::MAX;
    loop {
        let blocks = store.audit_person_blocks(account, person, before, 64).await?;
        let Some(last) = blocks.last() else { return Ok(found) };
        before = *last;
        for number in blocks {
            for row in store.audit_blocks(account, number, 1).await? {
                for (index, line) in (row.first..).zip(row.lines.split('\n')) {
                    let record = Record::parse(line).map_err(|error| {
                        StoreError::Corrupt(format!("audit record {index} of {account}: {error}"))
                    })?;
                    if record.person.as_deref() != Some(person) {
                        continue;
                    }
                    if found.len() == RECORDS_MAX {
                        let most = format!("more than {RECORDS_MAX} records of {person}");
                        return Err(StoreError::Refused { what: "package", cause: most });
                    }
                    found.push(told(of, index, record));
                }
            }
        }
    }
}

/// A record with what the key opens of it.
fn told(of: &Subject, index: i64, record: Record) -> Value {
    let mut details = record.data.unwrap_or_default();
    if let Some(sealed) = &record.sealed {
        match of.said(sealed) {
            Some(said) => details.extend(said),
            None => drop(details.insert("sealed".to_owned(), UNREADABLE.into())),
        }
    }
    let details = (!details.is_empty()).then(|| Value::Object(details).to_string());
    json!({
        "index": index, "at": time(record.at_us), "event": record.event.as_str(),
        "actor": record.actor, "outcome": record.outcome.as_str(), "details": details,
    })
}
