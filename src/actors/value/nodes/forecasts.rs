//! Forecasts that were made here about people of accounts at home elsewhere. They are kept where the account is at
//! home: who is erased there is not written about any more. It may have been done before the account came there, and
//! the forecast been on its way: of people who are erased the store takes none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Homes, not_here};
use crate::actors::cluster::links::LinkError;
use crate::actors::value::recorder;
use crate::actors::value::shared::Shared;
use crate::models::cluster::member::Route;
use crate::models::cluster::node::Incarnation;
use crate::store::LtvForecastRow;

pub const KIND: &str = "value.forecasts";
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends them home: those that were not taken.
pub async fn send(shared: Arc<Shared>, rows: Vec<LtvForecastRow>) -> Vec<LtvForecastRow> {
    let placement = shared.placement();
    let (mut homes, mut back) = (Homes::default(), Vec::new());
    let mut by_node: BTreeMap<Incarnation, Vec<LtvForecastRow>> = BTreeMap::new();
    for row in rows {
        match placement.route(homes.of(&row.account)) {
            Route::There(node) => by_node.entry(node).or_default().push(row),
            // It is here meanwhile, or on its way.
            Route::Here(_) | Route::Nobody => back.push(row),
        }
    }
    let asking = by_node.into_iter().map(async |(node, rows)| {
        let asked = placement.links().ask_for::<_, ()>(node, KIND, &rows, PATIENCE).await;
        match asked {
            Ok(()) => Vec::new(),
            Err(error) => {
                tracing::debug!(%error, %node, "forecasts are not taken: {error}");
                rows
            }
        }
    });
    back.extend(join_all(asking).await.into_iter().flatten());
    back
}

/// Another node made forecasts about people whose account is at home here: all of them are taken, or none.
pub async fn asked(shared: Arc<Shared>, rows: Vec<LtvForecastRow>) -> Result<(), LinkError> {
    let mut homes = Homes::default();
    if !rows.iter().all(|row| shared.is_here(homes.of(&row.account))) {
        return Err(not_here());
    }
    let recorder = shared.recorder.get().ok_or_else(not_here)?;
    recorder.tell(recorder::Msg::Told(rows)).map_err(|error| LinkError::Refused(error.to_string()))
}
