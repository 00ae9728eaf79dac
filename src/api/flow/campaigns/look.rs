//! Looking at campaigns and their history.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::shown::{CampaignBody, CampaignBudget};
use crate::actors::flow::Page;
use crate::actors::shield::view::rfc3339;
use crate::api::body::{self, InPath};
use crate::api::docs::Problems;
use crate::api::flow::{Ctx, common};
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::models::flow::campaign::state::Campaign;
use crate::store::{FlowCampaignList, PAGE_MAX};

fn limit(parameters: &Parameters) -> Result<u32, Problem> {
    let limit = parameters.number("limit", 1, PAGE_MAX as usize)?.unwrap_or(100);
    Ok(u32::try_from(limit).unwrap_or(PAGE_MAX))
}

/// A page of campaigns.
#[derive(Serialize, ToSchema)]
pub struct CampaignPage<'a> {
    campaigns: Vec<CampaignBody<'a>>,
    /// Give it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<&'a str>,
}

/// List campaigns
///
/// A page whose definitions have many bytes ends before its limit: there are more where it has `next_cursor`.
#[utoipa::path(get, path = "/api/v1/campaigns", tag = "campaigns",
    params(("prefix" = Option<String>, Query, description = "Of the campaign id"),
        ("status" = Option<String>, Query, description = "draft, active, paused or ended"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given")),
    responses((status = 200, description = "A page, by campaign id", body = CampaignPage), Problems))]
pub async fn list(
    State(app): Ctx,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let parameters = parameters.only(&["prefix", "status", "cursor", "limit"])?;
    let account = common::account(&app.flow, &headers, None)?;
    let named = |field: &'static str| match parameters.text(field) {
        None => Ok(String::new()),
        Some(text) => body::check_name(field, &text).map(|()| text),
    };
    let status = parameters.text("status").unwrap_or_default();
    if !["", "draft", "active", "paused", "ended"].contains(&status.as_str()) {
        return Err(Problem::field("status", "is not draft, active, paused or ended"));
    }
    let (prefix, after, limit) = (named("prefix")?, named("cursor")?, limit(&parameters)?);
    let list = FlowCampaignList { account: account.into_owned(), prefix, status, after, limit };
    let Page { rows, more } = app.flow.list(&list).await.map_err(common::failed)?;
    let read = |state: &str| {
        serde_json::from_str::<Campaign>(state)
            .map_err(|why| Problem::new(Code::Internal, format!("a stored campaign: {why}")))
    };
    let campaigns: Vec<Campaign> =
        rows.iter().map(|row| read(&row.state)).collect::<Result<_, _>>()?;
    let page = CampaignPage {
        campaigns: campaigns.iter().map(|it| CampaignBody::of(it, None)).collect(),
        next_cursor: rows.last().filter(|_| more).map(|row| row.campaign.as_str()),
    };
    Ok(axum::Json(page).into_response())
}

/// Show a campaign
///
/// With what SyncShield says of its budget, once it was started.
#[utoipa::path(get, path = "/api/v1/campaigns/{id}", tag = "campaigns", params(("id" = String, Path)),
    responses((status = 200, description = "As it is; its revision is the ETag", body = CampaignBody),
        Problems))]
pub async fn show(
    State(app): Ctx,
    InPath(id): InPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    body::check_name("id", &id)?;
    parameters.only(&[])?;
    let account = common::account(&app.flow, &headers, None)?;
    let campaign = app.flow.campaign((&account, &id)).await.map_err(common::failed)?;
    let budget = match campaign.activated_us {
        Some(_) => app.flow.budget((&account, &id)).await,
        None => None,
    };
    let budget = budget.map(|view| CampaignBudget::of(&campaign.definition, &view));
    Ok(CampaignBody::of(&campaign, None).with(budget).answer(StatusCode::OK))
}

/// A line of a campaign's history.
#[derive(Serialize, ToSchema)]
pub struct ChangeBody {
    revision: i64,
    /// Of the definition.
    version: i64,
    /// created, edited, activated, paused or ended.
    kind: String,
    /// That it has had from then on.
    status: String,
    /// Who did it; `schedule` where its time had come.
    by: String,
    /// RFC 3339.
    at: String,
    /// Where it was changed: the whole of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    definition: Option<Box<serde_json::value::RawValue>>,
}

/// A page of a campaign's history.
#[derive(Serialize, ToSchema)]
pub struct ChangePage {
    changes: Vec<ChangeBody>,
    /// Give it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<i64>,
}

/// Show what was done to a campaign, by whom
///
/// A page whose definitions have many bytes ends before its limit: there are more where it has `next_cursor`.
#[utoipa::path(get, path = "/api/v1/campaigns/{id}/history", tag = "campaigns",
    params(("id" = String, Path),
        ("cursor" = Option<i64>, Query, description = "Changes before this revision"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given")),
    responses((status = 200, description = "The newest first", body = ChangePage), Problems))]
pub async fn history(
    State(app): Ctx,
    InPath(id): InPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    body::check_name("id", &id)?;
    let parameters = parameters.only(&["cursor", "limit"])?;
    let account = common::account(&app.flow, &headers, None)?;
    let before = match parameters.text("cursor") {
        None => i64::MAX,
        Some(text) => {
            let wrong = || Problem::field("cursor", "is not a revision");
            text.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?
        }
    };
    let limit = limit(&parameters)?;
    let page = app.flow.history((&account, &id), before, limit).await;
    let Page { rows, more } = page.map_err(common::failed)?;
    if rows.is_empty() {
        // Whether there is such a campaign.
        app.flow.campaign((&account, &id)).await.map_err(common::failed)?;
    }
    let next_cursor = rows.last().filter(|_| more).map(|row| row.revision);
    let changes = rows.into_iter().map(|row| ChangeBody {
        revision: row.revision,
        version: row.definition_version,
        kind: row.kind,
        status: row.status,
        by: row.changed_by,
        at: rfc3339(row.at),
        definition: row.definition.and_then(|text| {
            serde_json::value::RawValue::from_string(text)
                .inspect_err(|error| tracing::error!(%error, campaign = id, "a stored definition is not JSON"))
                .ok()
        }),
    });
    let page = ChangePage { changes: changes.collect(), next_cursor };
    Ok(axum::Json(page).into_response())
}
