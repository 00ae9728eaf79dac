//! The challenger tried out on customers.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Ctx, common};
use crate::actors::shield::view::rfc3339;
use crate::api::body::{self, Call, fields};
use crate::api::docs::Problems;
use crate::api::problem::Problem;
use crate::models::value::split::Share;
use crate::store::LtvExperimentRow;

/// Experiments that are listed.
const LISTED_MAX: u32 = 100;

/// How the challenger is tried out.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct ExperimentBody {
    /// The share of the customers whom the challenger answers: 0 to 1, at most 6 decimals. The same
    /// customers are always on the same side; a larger share moves only those it must.
    #[schema(example = 0.1)]
    share: f64,
    /// Whether the challenger forecasts for the others too, without anybody being told.
    shadow: Option<bool>,
    account: Option<String>,
}

/// An experiment.
#[derive(Serialize, ToSchema)]
pub struct ExperimentView {
    /// Also what customers are dealt by.
    experiment: String,
    challenger: String,
    share: f64,
    shadow: bool,
    running: bool,
    started_by: String,
    started_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
}

/// Experiments, the newest first.
#[derive(Serialize, ToSchema)]
pub struct ExperimentList {
    experiments: Vec<ExperimentView>,
}

fields!(ExperimentFields { share, shadow, account } only);

impl ExperimentView {
    fn of(row: LtvExperimentRow) -> ExperimentView {
        ExperimentView {
            experiment: row.experiment,
            challenger: row.challenger,
            share: row.share as f64 / 1e6,
            shadow: row.shadow != 0,
            running: row.ended_at.is_none(),
            started_by: row.started_by,
            started_at: rfc3339(row.started_at),
            ended_at: row.ended_at.map(rfc3339),
        }
    }
}

/// List experiments
#[utoipa::path(get, path = "/api/v1/ltv/experiments", tag = "experiments",
    responses((status = 200, description = "Up to 100", body = ExperimentList), Problems))]
pub async fn list(
    State(app): Ctx,
    headers: HeaderMap,
) -> Result<axum::Json<ExperimentList>, Problem> {
    let account = common::account(&app.value, &headers, None)?;
    let rows = app.value.experiments(&account, LISTED_MAX).await.map_err(common::failed)?;
    let experiments = rows.into_iter().map(ExperimentView::of).collect();
    Ok(axum::Json(ExperimentList { experiments }))
}

/// Begin an experiment, or change the one that runs
///
/// It ends with the challenge.
#[utoipa::path(put, path = "/api/v1/ltv/experiments", tag = "experiments", request_body = ExperimentBody,
    responses((status = 200, description = "The experiment", body = ExperimentView), Problems))]
pub async fn set(
    State(app): Ctx,
    Call { headers, json }: Call,
) -> Result<axum::Json<ExperimentView>, Problem> {
    let f: ExperimentFields = json.fields()?;
    let account = common::account(&app.value, &headers, f.account)?;
    let share = body::positive("share", body::amount("share", f.share)?, true)?;
    let share = u32::try_from(share.0).ok().and_then(|share| Share::try_from(share).ok());
    let share = share.ok_or_else(|| Problem::field("share", "is not from 0 to 1"))?;
    let shadow = match f.shadow {
        None => false,
        Some(raw) => serde_json::from_str(raw.get())
            .map_err(|_| Problem::field("shadow", "is not true or false"))?,
    };
    let row = app.value.set_experiment(&account, share, shadow, common::by()).await;
    row.map(|row| axum::Json(ExperimentView::of(row))).map_err(common::failed)
}

/// End the experiment that runs
#[utoipa::path(delete, path = "/api/v1/ltv/experiments", tag = "experiments",
    responses((status = 200, description = "The experiment, ended", body = ExperimentView), Problems))]
pub async fn end(
    State(app): Ctx,
    headers: HeaderMap,
) -> Result<axum::Json<ExperimentView>, Problem> {
    let account = common::account(&app.value, &headers, None)?;
    let row = app.value.end_experiment(&account).await.map_err(common::failed)?;
    Ok(axum::Json(ExperimentView::of(row)))
}
