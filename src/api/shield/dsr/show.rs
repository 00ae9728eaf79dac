//! Looking at requests, and fetching what answers them.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{DsrView, check_id, failed};
use crate::api::body::InPath;
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::api::shield::{Ctx, common};
use crate::models::shield::dsr::kind::{Kind, Status};
use crate::models::shield::dsr::request::Request;
use crate::store::{DsrList, PAGE_MAX};

#[derive(Serialize, ToSchema)]
pub struct DsrPage {
    requests: Vec<DsrView>,
    /// Give it as `before` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List data-subject requests, newest first
#[utoipa::path(get, path = "/api/v1/dsr", tag = "data-subject requests",
    params(
        ("status" = Option<String>, Query, description = "Only these"),
        ("type" = Option<String>, Query, description = "Only these"),
        ("before" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given")),
    responses((status = 200, body = DsrPage), Problems))]
pub async fn list(
    State(app): Ctx,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<axum::Json<DsrPage>, Problem> {
    let status = parameters.text("status").unwrap_or_default();
    let known = Status::ALL.iter().any(|s| s.as_str() == status);
    if !status.is_empty() && !known {
        return Err(Problem::field("status", "is no status of a request"));
    }
    let kind = parameters.text("type").unwrap_or_default();
    if !kind.is_empty() && Kind::parse(&kind).is_none() {
        return Err(Problem::field("type", "is no type of a request"));
    }
    let before = parameters.text("before").unwrap_or_default();
    if !before.is_empty() {
        check_id(&before).map_err(|_| Problem::field("before", "is no id of a request"))?;
    }
    let limit = parameters.number("limit", 1, PAGE_MAX as usize)?.unwrap_or(100);
    let limit = u32::try_from(limit).unwrap_or(PAGE_MAX);
    let account = common::account(&app, &headers, None)?.into_owned();
    common::known_account(&app, &account).await?;
    let list = DsrList { account, status, kind, before, limit };
    let rows = app.shield.store().dsrs(&list).await.map_err(|_| common::unavailable())?;
    let full = rows.len() == limit as usize;
    let requests = rows
        .iter()
        .map(|row| serde_json::from_str::<Request>(&row.state).map(|r| DsrView::of(&r)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Problem::new(Code::Internal, format!("a request cannot be read: {e}")))?;
    let next = rows.last().filter(|_| full).map(|row| row.dsr.clone());
    Ok(axum::Json(DsrPage { requests, next }))
}

/// Show a data-subject request
#[utoipa::path(get, path = "/api/v1/dsr/{id}", tag = "data-subject requests",
    params(("id" = String, Path, description = "As `/dsr/create` answered")),
    responses((status = 200, body = DsrView), Problems))]
pub async fn show(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<axum::Json<DsrView>, Problem> {
    let account = common::account(&app, &headers, None)?;
    check_id(&id)?;
    let request = app.shield.requests().see(&account, &id).await.map_err(failed)?;
    Ok(axum::Json(DsrView::of(&request)))
}

/// Fetch the package that answers a request
///
/// A zip archive of everything that is stored about the person: JSON and CSV by table, and a
/// manifest with the SHA-256 of each file. It can be fetched for 30 days.
#[utoipa::path(get, path = "/api/v1/dsr/{id}/package", tag = "data-subject requests",
    params(("id" = String, Path, description = "An ACCESS or PORTABILITY request that is completed")),
    responses((status = 200, description = "The archive", body = Vec<u8>, content_type = "application/zip"), Problems))]
pub async fn package(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let account = common::account(&app, &headers, None)?;
    check_id(&id)?;
    let zip = app.shield.requests().package(&account, &id).await.map_err(failed)?;
    let name = format!("attachment; filename=\"{id}.zip\"");
    let kind = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((kind, zip).into_response())
}
