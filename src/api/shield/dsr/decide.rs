//! Deciding about requests.

use axum::extract::State;
use axum::http::HeaderMap;
use utoipa::ToSchema;

use super::{DsrView, check_id, failed};
use crate::actors::shield::dsr::Decision;
use crate::api::access::caller;
use crate::api::body::{self, Call, InPath, fields};
use crate::api::docs::Problems;
use crate::api::problem::Problem;
use crate::api::shield::{App, Ctx, common};
use crate::models::shield::dsr::kind::Status;

/// Why it is decided so.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body")]
pub struct ReasonBody {
    /// 1 to 1,000 characters. It is kept under the person's key, and told to the person.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

fields!(ReasonFields { reason } only);

fn reason(call: &Call) -> Result<String, Problem> {
    let fields: ReasonFields = call.json.fields()?;
    let raw = fields.reason.ok_or_else(|| Problem::missing("reason"))?;
    let text = body::text("reason", raw, 1_000)?;
    match text.trim().is_empty() {
        true => Err(Problem::field("reason", "is empty")),
        false => Ok(text.into_owned()),
    }
}

async fn decided(
    app: &App,
    headers: &HeaderMap,
    id: &str,
    decision: Decision,
) -> Result<axum::Json<DsrView>, Problem> {
    let account = common::account(app, headers, None)?;
    check_id(id)?;
    let actor = caller().name.clone();
    let request = app.shield.requests().decide(&account, id, decision, &actor).await;
    Ok(axum::Json(DsrView::of(&request.map_err(failed)?)))
}

/// Say that the person is who asks
#[utoipa::path(post, path = "/api/v1/dsr/{id}/verify", tag = "data-subject requests",
    params(("id" = String, Path)), responses((status = 200, body = DsrView), Problems))]
pub async fn verify(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<axum::Json<DsrView>, Problem> {
    decided(&app, &headers, &id, Decision::Verify).await
}

/// Complete a request
///
/// Verifies it if that is still missing, and answers when nothing is left to do at once.
#[utoipa::path(post, path = "/api/v1/dsr/{id}/complete", tag = "data-subject requests",
    params(("id" = String, Path)), responses((status = 200, body = DsrView), Problems))]
pub async fn complete(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<axum::Json<DsrView>, Problem> {
    let account = common::account(&app, &headers, None)?;
    check_id(&id)?;
    let requests = app.shield.requests();
    let request = requests.see(&account, &id).await.map_err(failed)?;
    if request.status == Status::AwaitingVerification {
        let actor = caller().name.clone();
        requests.decide(&account, &id, Decision::Verify, &actor).await.map_err(failed)?;
    }
    let request = requests.settled(&account, &id).await.map_err(failed)?;
    Ok(axum::Json(DsrView::of(&request)))
}

/// Refuse a request, with the reason (GDPR Art. 12(5)), before it has acted
#[utoipa::path(post, path = "/api/v1/dsr/{id}/reject", tag = "data-subject requests", request_body = ReasonBody,
    params(("id" = String, Path)), responses((status = 200, body = DsrView), Problems))]
pub async fn reject(
    State(app): Ctx,
    InPath(id): InPath,
    call: Call,
) -> Result<axum::Json<DsrView>, Problem> {
    let decision = Decision::Reject { reason: reason(&call)? };
    decided(&app, &call.headers, &id, decision).await
}

/// Take a request back, before it has acted
#[utoipa::path(post, path = "/api/v1/dsr/{id}/cancel", tag = "data-subject requests", request_body = ReasonBody,
    params(("id" = String, Path)), responses((status = 200, body = DsrView), Problems))]
pub async fn cancel(
    State(app): Ctx,
    InPath(id): InPath,
    call: Call,
) -> Result<axum::Json<DsrView>, Problem> {
    let decision = Decision::Cancel { reason: reason(&call)? };
    decided(&app, &call.headers, &id, decision).await
}

/// Take two further months, with the reason (GDPR Art. 12(3))
#[utoipa::path(post, path = "/api/v1/dsr/{id}/extend", tag = "data-subject requests", request_body = ReasonBody,
    params(("id" = String, Path)), responses((status = 200, body = DsrView), Problems))]
pub async fn extend(
    State(app): Ctx,
    InPath(id): InPath,
    call: Call,
) -> Result<axum::Json<DsrView>, Problem> {
    let decision = Decision::Extend { reason: reason(&call)? };
    decided(&app, &call.headers, &id, decision).await
}

/// End a restriction
#[utoipa::path(post, path = "/api/v1/dsr/{id}/lift", tag = "data-subject requests", request_body = ReasonBody,
    params(("id" = String, Path)), responses((status = 200, body = DsrView), Problems))]
pub async fn lift(
    State(app): Ctx,
    InPath(id): InPath,
    call: Call,
) -> Result<axum::Json<DsrView>, Problem> {
    let decision = Decision::Lift { reason: reason(&call)? };
    decided(&app, &call.headers, &id, decision).await
}
