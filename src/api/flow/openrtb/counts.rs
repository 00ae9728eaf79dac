//! How often something was decided, exactly.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::decisions::{known, time};
use crate::actors::shield::view::rfc3339;
use crate::api::body::{self, InPath};
use crate::api::docs::Problems;
use crate::api::flow::{Ctx, common};
use crate::api::problem::Problem;
use crate::api::query::Parameters;
use crate::clock;
use crate::store::FlowCounted;

const HOUR_US: i64 = 3_600_000_000;
/// Hours of one answer.
const HOURS_MAX: i64 = 31 * 24;

/// What was counted in an hour.
#[derive(Serialize, ToSchema)]
pub struct HourBody {
    /// Its beginning (RFC 3339).
    hour: String,
    /// `bids`, and refusals by their reasons: pairs of an impression and this campaign.
    counts: BTreeMap<String, i64>,
}

/// Counts by hour, the oldest first. Hours without any are left out.
#[derive(Serialize, ToSchema)]
pub struct CountsBody {
    hours: Vec<HourBody>,
}

/// Show how often a campaign bid, and how often it did not, by reason
///
/// Exact, by hours; the present one as of the last ten seconds, on whatever node it was decided.
#[utoipa::path(get, path = "/api/v1/campaigns/{id}/counts", tag = "decisions",
    params(("id" = String, Path),
        ("from" = Option<String>, Query,
            description = "From the hour of this time on (RFC 3339), or this day in UTC; a day before `to` if not given"),
        ("to" = Option<String>, Query,
            description = "To the hour of this time (RFC 3339), or of this day's midnight in UTC; now if not given. At most 31 days")),
    responses((status = 200, body = CountsBody), Problems))]
pub async fn show(
    State(app): Ctx,
    InPath(id): InPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Json<CountsBody>, Problem> {
    body::check_name("id", &id)?;
    let parameters = parameters.only(&["from", "to"])?;
    let account = common::account(&app.flow, &headers, None)?;
    let to = time(&parameters, "to")?.unwrap_or_else(clock::wall_us).div_euclid(HOUR_US);
    let from = time(&parameters, "from")?.map_or(to - 24, |at| at.div_euclid(HOUR_US));
    if from > to || to - from > HOURS_MAX {
        return Err(Problem::field("from", "is not within 31 days before to"));
    }
    let counted = app.flow.shield().store().flow_counts((&account, &id), (from, to)).await;
    let counted = counted.map_err(|error| common::failed(error.into()))?;
    if counted.is_empty() {
        known(&app, (&account, &id)).await?;
    }
    let mut hours: BTreeMap<i64, BTreeMap<String, i64>> = BTreeMap::new();
    for FlowCounted { hour, reason, count } in counted {
        hours.entry(hour).or_default().insert(reason, count);
    }
    let body = |(hour, counts): (i64, BTreeMap<String, i64>)| HourBody {
        hour: rfc3339(hour.saturating_mul(HOUR_US)),
        counts,
    };
    Ok(Json(CountsBody { hours: hours.into_iter().map(body).collect() }))
}
