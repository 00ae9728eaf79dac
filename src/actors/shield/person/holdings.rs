//! What services hold about a person: registered once, and so in every package and every erasure.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use crate::models::shield::audit::month::time_text;
use crate::models::shield::dsr::package::Section;
use crate::models::shield::personal::{Erase, Holding, PersonalData};
use crate::models::shield::seal::{Binding, PersonKey};
use crate::store::{Gone, Store, StoreError};

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
            Some(Err(_)) | None => "(unreadable)".to_owned(),
        }
    }
}

/// A service that can show and erase what it holds.
pub trait Handler: PersonalData + Send + Sync {
    /// Everything that it holds, one section for each holding with rows.
    fn collect<'a>(
        &'a self,
        store: &'a Store,
        of: &'a Subject,
    ) -> BoxFuture<'a, Result<Vec<Section>, StoreError>>;

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
        columns: &["request_id", "type", "status", "received_at", "due_at"],
        what: "Your requests about your data.",
        legal: Some("GDPR Art. 5(2), 12(3)"),
        on_erasure: Erase::Keep("that a request was answered in time must be shown"),
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
        on_erasure: Erase::Keep("the log cannot be changed; without your key its id means nobody"),
        portable: false,
    },
];

/// Records of one package at most.
const RECORDS_MAX: usize = 10_000;

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
                    let change: Value = serde_json::from_str(&row.change).unwrap_or_default();
                    let shown = row.sealed.as_deref().map(|text| of.opened(text, "consent.shown"));
                    json!({
                        "seq": row.seq, "at": time(row.at), "type": change["kind"],
                        "action": change["action"], "legal_basis": change["legal_basis"],
                        "source": change["source"], "version": change["version"],
                        "proof": change["proof"], "shown": shown,
                    })
                })
                .collect()
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
            rows.iter()
                .map(|row| {
                    json!({
                        "request_id": row.dsr, "type": row.kind, "status": row.status,
                        "received_at": time(row.created_at), "due_at": time(row.due_at),
                    })
                })
                .collect()
        }
        "dsr_package" => {
            let rows = store.dsr_packages_of_person(account, person).await?;
            rows.iter()
                .map(|row| json!({ "request_id": row.dsr, "made_at": time(row.created_at) }))
                .collect()
        }
        "audit_person" => records(store, account, person).await?,
        _ => Vec::new(),
    };
    Ok(rows.into_iter().map(object).collect())
}

async fn records(store: &Store, account: &str, person: &str) -> Result<Vec<Value>, StoreError> {
    use crate::models::shield::audit::record::Record;
    let mut found = Vec::new();
    let mut before = i64::MAX;
    loop {
        let blocks = store.audit_person_blocks(account, person, before, 64).await?;
        let Some(last) = blocks.last() else { return Ok(found) };
        before = *last;
        for number in blocks {
            for row in store.audit_blocks(account, number, 1).await? {
                for (index, line) in (row.first..).zip(row.lines.split('\n')) {
                    let Ok(record) = Record::parse(line) else { continue };
                    if record.person.as_deref() != Some(person) {
                        continue;
                    }
                    found.push(json!({
                        "index": index, "at": time(record.at_us), "event": record.event.as_str(),
                        "actor": record.actor, "outcome": record.outcome.as_str(),
                        "details": record.data.map(|data| Value::Object(data).to_string()),
                    }));
                    if found.len() >= RECORDS_MAX {
                        return Ok(found);
                    }
                }
            }
        }
    }
}
