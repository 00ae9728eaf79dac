//! What SyncValue holds about a person.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::shared::day_of;
use crate::actors::shield::person::{Handler, Subject};
use crate::models::shield::audit::month::time_text;
use crate::models::shield::dsr::package::Section;
use crate::models::shield::money::Micros;
use crate::models::shield::personal::{Erase, Holding, PersonalData};
use crate::store::{Gone, PAGE_MAX, Store, StoreError};

/// Purchases, what they add up to, and forecasts.
pub struct ValueHoldings;

const TABLES: &[Holding] = &[
    Holding {
        table: "ltv_customer",
        columns: &["purchases", "total", "currency", "first_day", "last_day", "updated_at"],
        what: "Your purchases, added up.",
        legal: None,
        on_erasure: Erase::Delete,
        portable: true,
    },
    Holding {
        table: "ltv_purchase",
        columns: &["purchase", "reference", "day", "amount", "currency", "told_at"],
        what: "Your purchases, as they were told to us.",
        legal: None,
        on_erasure: Erase::Delete,
        portable: true,
    },
    Holding {
        table: "ltv_forecast",
        columns: &[
            "model",
            "arm",
            "made_day",
            "due_day",
            "value",
            "lower",
            "upper",
            "p_active",
            "actual",
            "made_at",
            "closed_at",
        ],
        what: "What we expected you to spend, by which model, and what you spent.",
        legal: None,
        on_erasure: Erase::Delete,
        // derived, not given (GDPR Art. 20; WP 242 rev.01 p. 10)
        portable: false,
    },
];

impl PersonalData for ValueHoldings {
    fn service(&self) -> &'static str {
        "value"
    }

    fn holdings(&self) -> &'static [Holding] {
        TABLES
    }
}

impl Handler for ValueHoldings {
    fn collect<'a>(
        &'a self,
        store: &'a Store,
        of: &'a Subject,
    ) -> BoxFuture<'a, Result<Vec<Section>, StoreError>> {
        Box::pin(async move {
            let mut sections = Vec::new();
            for holding in TABLES {
                let rows = match holding.table {
                    "ltv_customer" => customer(store, of).await?,
                    "ltv_purchase" => purchases(store, of).await?,
                    _ => forecasts(store, of).await?,
                };
                sections.push(Section {
                    name: holding.table.to_owned(),
                    description: holding.what.to_owned(),
                    columns: holding.columns.iter().map(|c| (*c).to_owned()).collect(),
                    rows: rows.into_iter().map(object).collect(),
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
        let gone =
            |holding: &Holding| Gone::OfPerson { table: holding.table, person: of.person.clone() };
        TABLES.iter().map(gone).collect()
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn time(at: i64) -> Value {
    json!(time_text(at).unwrap_or_default())
}

fn day(days: i64) -> Value {
    json!(day_of(days).map(|day| day.to_string()))
}

async fn customer(store: &Store, of: &Subject) -> Result<Vec<Value>, StoreError> {
    let row = store.ltv_customer(&of.account, &of.person).await?;
    let of_row = |row: crate::store::LtvCustomerRow| {
        json!({
            "purchases": row.purchases, "total": Micros(row.total), "currency": row.currency,
            "first_day": day(row.first_day), "last_day": day(row.last_day),
            "updated_at": time(row.updated_at),
        })
    };
    Ok(row.into_iter().map(of_row).collect())
}

async fn purchases(store: &Store, of: &Subject) -> Result<Vec<Value>, StoreError> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let rows = store.ltv_purchases((&of.account, &of.person), &after, PAGE_MAX).await?;
        all.extend(rows.iter().map(|row| {
            json!({
                "purchase": row.purchase, "reference": row.reference, "day": day(row.day),
                "amount": Micros(row.amount), "currency": row.currency,
                "told_at": time(row.created_at),
            })
        }));
        match rows.last() {
            Some(last) if rows.len() == PAGE_MAX as usize => after.clone_from(&last.purchase),
            _ => return Ok(all),
        }
    }
}

async fn forecasts(store: &Store, of: &Subject) -> Result<Vec<Value>, StoreError> {
    let rows = store.ltv_forecasts_of_person(&of.account, &of.person).await?;
    let of_row = |row: &crate::store::LtvForecastRow| {
        json!({
            "model": row.model, "arm": row.arm, "made_day": day(row.made_day),
            "due_day": day(row.due_day), "value": Micros(row.value),
            "lower": Micros(row.lower_value), "upper": Micros(row.upper_value),
            "p_active": Micros(row.p_active), "actual": row.actual.map(Micros),
            "made_at": time(row.created_at), "closed_at": row.closed_at.map(time),
        })
    };
    Ok(rows.iter().map(of_row).collect())
}
