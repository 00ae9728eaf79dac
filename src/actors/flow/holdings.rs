//! What SyncFlow holds about a person.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use crate::actors::shield::person::{Handler, Subject};
use crate::models::flow::decision::{Decision, Outcome};
use crate::models::shield::audit::month::time_text;
use crate::models::shield::dsr::package::Section;
use crate::models::shield::personal::{Erase, Holding, PersonalData};
use crate::store::{FlowDecisionRow, Gone, PAGE_MAX, Store, StoreError};

/// For whom bids were made.
pub struct FlowHoldings;

const REACH: Holding = Holding {
    table: "flow_reach",
    columns: &[
        "decision",
        "at",
        "campaign",
        "creative",
        "ltv",
        "ltv_status",
        "model",
        "cpm",
        "outcome",
        "paid",
    ],
    what: "Auctions of advertising space that you would see, in which we bid for it by what we expected you to \
           spend, and what became of that.",
    legal: None,
    on_erasure: Erase::Delete,
    // derived, not given (GDPR Art. 20; WP 242 rev.01 p. 10)
    portable: false,
};

impl PersonalData for FlowHoldings {
    fn service(&self) -> &'static str {
        "flow"
    }

    fn holdings(&self) -> &'static [Holding] {
        const { &[REACH] }
    }
}

impl Handler for FlowHoldings {
    fn collect<'a>(
        &'a self,
        store: &'a Store,
        of: &'a Subject,
    ) -> BoxFuture<'a, Result<Vec<Section>, StoreError>> {
        Box::pin(async move {
            Ok(vec![Section {
                name: REACH.table.to_owned(),
                description: REACH.what.to_owned(),
                columns: REACH.columns.iter().map(|column| (*column).to_owned()).collect(),
                rows: bids(store, of).await?,
            }])
        })
    }

    fn count<'a>(
        &'a self,
        store: &'a Store,
        of: &'a Subject,
    ) -> BoxFuture<'a, Result<BTreeMap<String, u64>, StoreError>> {
        Box::pin(async move {
            let rows = store.count_of_person(REACH.table, &of.account, &of.person).await?;
            Ok(BTreeMap::from([(REACH.table.to_owned(), rows)]))
        })
    }

    fn erase(&self, of: &Subject) -> Vec<Gone> {
        vec![Gone::OfPerson { table: REACH.table, person: of.person.clone() }]
    }
}

async fn bids(store: &Store, of: &Subject) -> Result<Vec<Map<String, Value>>, StoreError> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let rows = store.flow_decisions_for((&of.account, &of.person), &after, PAGE_MAX).await?;
        all.extend(rows.iter().map(told));
        match rows.last() {
            Some(last) if rows.len() == PAGE_MAX as usize => after.clone_from(&last.decision),
            _ => return Ok(all),
        }
    }
}

/// One that cannot be read is told as far as it is known without.
fn told(row: &FlowDecisionRow) -> Map<String, Value> {
    let read: Option<Decision> = serde_json::from_str(&row.record)
        .inspect_err(
            |error| tracing::error!(%error, id = row.decision, "a decision cannot be read"),
        )
        .ok();
    let it = read.as_ref();
    let (ltv, price) = (it.and_then(|it| it.ltv.as_ref()), it.and_then(|it| it.price.as_ref()));
    let paid = it.and_then(|it| match it.outcome {
        Outcome::Won { amount, .. } | Outcome::Billed { amount, .. } => Some(amount),
        Outcome::None | Outcome::Bid | Outcome::Lost { .. } | Outcome::Expired { .. } => None,
    });
    let row = json!({
        "decision": row.decision, "at": time_text(row.at).unwrap_or_default(), "campaign": row.campaign,
        "creative": it.and_then(|it| it.creative.as_deref()),
        "ltv": ltv.and_then(|ltv| ltv.amount), "ltv_status": ltv.map(|ltv| ltv.status.as_str()),
        "model": ltv.map(|ltv| &ltv.model), "cpm": price.map(|price| price.cpm),
        "outcome": row.outcome, "paid": paid,
    });
    match row {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
