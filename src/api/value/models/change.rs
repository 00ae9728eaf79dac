//! Who answers: challenge, promote, roll back.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::version_id;
use crate::api::body::{self, Call, InPath, Raw, fields};
use crate::api::docs::Problems;
use crate::api::problem::Problem;
use crate::api::value::{Ctx, common};
use crate::json;
use crate::models::value::registry::command::{Command, Reason};

/// Why something is done.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct RollBackBody {
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    account: Option<String>,
}

/// A promotion.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct PromoteBody {
    /// Promotes it however it compares with the champion. Needs a reason.
    force: Option<bool>,
    #[schema(min_length = 1, max_length = 500)]
    reason: Option<String>,
    account: Option<String>,
}

/// Who answers now.
#[derive(Serialize, ToSchema)]
pub struct ChangedBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    champion: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenger: Option<String>,
    /// The line of the history.
    #[schema(value_type = Object)]
    entry: serde_json::Value,
}

fields!(RollBackFields { reason, account } only);
fields!(PromoteFields { force, reason, account } only);

fn reason(raw: &RawValue) -> Result<Reason, Problem> {
    let text = body::text("reason", raw, usize::MAX)?.into_owned();
    Reason::try_from(text).map_err(|why| Problem::field("reason", why))
}

fn flag(field: &str, raw: Raw<'_>) -> Result<bool, Problem> {
    let read = |raw: &RawValue| serde_json::from_str::<bool>(raw.get());
    let flag = raw.map(read).transpose();
    Ok(flag.map_err(|_| Problem::field(field, "is not true or false"))?.unwrap_or(false))
}

async fn ordered(
    app: &crate::api::value::App,
    account: &str,
    command: Command,
) -> Result<axum::Json<ChangedBody>, Problem> {
    let entry = app.value.order(account, command, common::by()).await.map_err(common::failed)?;
    let seen = app.value.registry(account).await.map_err(common::failed)?;
    Ok(axum::Json(ChangedBody {
        champion: seen.registry.champion().map(|version| version.id.to_string()),
        challenger: seen.registry.challenger().map(|version| version.id.to_string()),
        entry: json::shown(&entry),
    }))
}

/// Make a version the challenger
#[utoipa::path(post, path = "/api/v1/ltv/models/{model}/challenge", tag = "models",
    params(("model" = String, Path)),
    responses((status = 200, description = "It challenges", body = ChangedBody), Problems))]
pub async fn challenge(
    State(app): Ctx,
    InPath(model): InPath,
    headers: HeaderMap,
) -> Result<axum::Json<ChangedBody>, Problem> {
    let account = common::account(&app.value, &headers, None)?;
    ordered(&app, &account, Command::Challenge(version_id(&model)?)).await
}

/// End the challenge
#[utoipa::path(delete, path = "/api/v1/ltv/challenger", tag = "models",
    responses((status = 200, description = "Nobody challenges", body = ChangedBody), Problems))]
pub async fn end_challenge(
    State(app): Ctx,
    headers: HeaderMap,
) -> Result<axum::Json<ChangedBody>, Problem> {
    let account = common::account(&app.value, &headers, None)?;
    ordered(&app, &account, Command::EndChallenge).await
}

/// Promote a version
///
/// It challenges first where it does not yet. Refused with 409 `not_better` where it is worse than the
/// champion on the holdout, or was scored on another one, unless `force` comes with a `reason`. No
/// request is dropped by it: those that began with the champion of before end with it.
#[utoipa::path(post, path = "/api/v1/ltv/models/{model}/promote", tag = "models",
    params(("model" = String, Path)), request_body = PromoteBody,
    responses((status = 200, description = "It answers from now on", body = ChangedBody), Problems))]
pub async fn promote(
    State(app): Ctx,
    InPath(model): InPath,
    Call { headers, json }: Call,
) -> Result<axum::Json<ChangedBody>, Problem> {
    let f: PromoteFields = json.fields()?;
    let account = common::account(&app.value, &headers, f.account)?;
    let given = f.reason.map(reason).transpose()?;
    let force = match (flag("force", f.force)?, given) {
        (true, Some(reason)) => Some(reason),
        (true, None) => return Err(Problem::missing("reason")),
        (false, _) => None,
    };
    let id = version_id(&model)?;
    let seen = app.value.registry(&account).await.map_err(common::failed)?;
    if seen.registry.challenger().is_none_or(|challenger| challenger.id != id) {
        let command = Command::Challenge(id);
        app.value.order(&account, command, common::by()).await.map_err(common::failed)?;
    }
    ordered(&app, &account, Command::Promote { force }).await
}

/// Make the champion before this one the champion again
#[utoipa::path(post, path = "/api/v1/ltv/rollback", tag = "models", request_body = RollBackBody,
    responses((status = 200, description = "It answers again", body = ChangedBody), Problems))]
pub async fn roll_back(
    State(app): Ctx,
    Call { headers, json }: Call,
) -> Result<axum::Json<ChangedBody>, Problem> {
    let f: RollBackFields = json.fields()?;
    let account = common::account(&app.value, &headers, f.account)?;
    let reason = reason(f.reason.ok_or_else(|| Problem::missing("reason"))?)?;
    ordered(&app, &account, Command::RollBack { reason }).await
}
