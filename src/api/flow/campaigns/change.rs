//! Making campaigns, changing them, and ordering what becomes of them.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::expects;
use super::schema::DefinitionBody;
use super::shown::{CampaignBody, answer};
use crate::actors::flow::FlowError;
use crate::actors::flow::campaign::Declined;
use crate::api::access;
use crate::api::body::{self, Call, InPath, Json, Raw};
use crate::api::docs::Problems;
use crate::api::flow::{App, Ctx, common};
use crate::api::problem::{Code, Problem};
use crate::models::flow::campaign::definition::Definition;
use crate::models::flow::campaign::patch::merge;
use crate::models::flow::campaign::state::Command;

/// What a body says of whose it is.
#[derive(serde::Deserialize)]
struct Names<'a> {
    #[serde(borrow, default)]
    id: Raw<'a>,
    #[serde(borrow, default)]
    account: Raw<'a>,
}

fn text(json: &Json) -> Result<&str, Problem> {
    std::str::from_utf8(&json.0)
        .map_err(|_| Problem::new(Code::MalformedBody, "the body is not UTF-8"))
}

/// The definition of a body, for the account that the request speaks for.
fn definition(
    app: &App,
    headers: &HeaderMap,
    json: &Json,
    id: Option<&str>,
) -> Result<Definition, Problem> {
    let names: Names<'_> = json.fields()?;
    let named = names.account.map(|raw| body::text("account", raw, 128)).transpose()?;
    let account = common::account(&app.flow, headers, named)?;
    if let (Some(id), Some(_)) = (id, names.id)
        && body::name("id", names.id)? != id
    {
        return Err(Problem::field("id", "is not that of the path"));
    }
    let mut whose = serde_json::json!({ "account": account });
    if let Some(id) = id {
        whose["id"] = id.into();
    }
    let invalid = |wrong| common::invalid(Code::InvalidDefinition, &wrong);
    let whole = merge(text(json)?, &whose.to_string()).map_err(invalid)?;
    Definition::read(&whole).map_err(invalid)
}

/// Create a campaign
///
/// It is a draft until it is started. Every mistake of the definition is named at once (422).
#[utoipa::path(post, path = "/api/v1/campaigns", tag = "campaigns", request_body = DefinitionBody,
    responses((status = 201, description = "A draft", body = CampaignBody), Problems))]
pub async fn create(State(app): Ctx, Call { headers, json }: Call) -> Result<Response, Problem> {
    let definition = definition(&app, &headers, &json, None)?;
    let by = access::caller();
    let seen = app.flow.create(definition, &by.name).await.map_err(common::failed)?;
    Ok(answer(&seen, StatusCode::CREATED))
}

async fn order(
    app: &App,
    headers: &HeaderMap,
    id: &str,
    command: Command,
) -> Result<Response, Problem> {
    body::check_name("id", id)?;
    let account = common::account(&app.flow, headers, None)?;
    let (expects, by) = (expects(headers)?, access::caller());
    let ordered = app.flow.order((&account, id), command, expects, &by.name).await;
    Ok(answer(&ordered.map_err(common::failed)?, StatusCode::OK))
}

/// Why a change named by its body did not happen: a body that names another account than that of the campaign
/// would move it.
async fn unchanged(
    app: &App,
    headers: &HeaderMap,
    (account, id): (&str, &str),
    error: FlowError,
) -> Problem {
    if error == FlowError::Declined(Declined::Unknown)
        && let Ok(own) = common::account(&app.flow, headers, None)
        && own != account
        && app.flow.campaign((&own, id)).await.is_ok()
    {
        let why = format!("account: is {own} and cannot change");
        let problem = Problem::new(Code::Conflict, why).at("account");
        return problem.help("leave it as it is, or make another campaign");
    }
    common::failed(error)
}

/// Replace the definition of a campaign
///
/// Where it was started, its currency, its time zone and what a creative is cannot change any more (409).
/// With `If-Match` only the named revision is changed (412).
#[utoipa::path(put, path = "/api/v1/campaigns/{id}", tag = "campaigns", params(("id" = String, Path)),
    request_body = DefinitionBody,
    responses((status = 200, description = "As it is now", body = CampaignBody), Problems))]
pub async fn replace(
    State(app): Ctx,
    InPath(id): InPath,
    Call { headers, json }: Call,
) -> Result<Response, Problem> {
    body::check_name("id", &id)?;
    let definition = definition(&app, &headers, &json, Some(&id))?;
    let account = definition.account.clone();
    let (expects, by) = (expects(&headers)?, access::caller());
    let command = Command::Edit(Box::new(definition));
    let ordered = app.flow.order((&account, &id), command, expects, &by.name).await;
    match ordered {
        Ok(seen) => Ok(answer(&seen, StatusCode::OK)),
        Err(error) => Err(unchanged(&app, &headers, (&account, &id), error).await),
    }
}

/// Change fields of a campaign
///
/// The body is a JSON merge patch (RFC 7396) of the definition: `null` removes a field, a list is replaced
/// as a whole.
#[utoipa::path(patch, path = "/api/v1/campaigns/{id}", tag = "campaigns", params(("id" = String, Path)),
    request_body(content = Object, content_type = "application/json",
        description = "Fields of a definition, none of which is required",
        example = json!({"budget": {"daily": 50}, "frequency": null})),
    responses((status = 200, description = "As it is now", body = CampaignBody), Problems))]
pub async fn patch(
    State(app): Ctx,
    InPath(id): InPath,
    Call { headers, json }: Call,
) -> Result<Response, Problem> {
    body::check_name("id", &id)?;
    let names: Names<'_> = json.fields()?;
    let named = names.account.map(|raw| body::text("account", raw, 128)).transpose()?;
    let account = common::account(&app.flow, &headers, named)?;
    let (expects, by) = (expects(&headers)?, access::caller());
    let patch = text(&json)?.to_owned();
    let patched = app.flow.patch((&account, &id), patch, expects, &by.name).await;
    match patched {
        Ok(seen) => Ok(answer(&seen, StatusCode::OK)),
        Err(error) => Err(unchanged(&app, &headers, (&account, &id), error).await),
    }
}

/// Delete a draft
///
/// A campaign that was started is ended instead: what it did stays known.
#[utoipa::path(delete, path = "/api/v1/campaigns/{id}", tag = "campaigns", params(("id" = String, Path)),
    responses((status = 200, description = "As it was", body = CampaignBody), Problems))]
pub async fn delete(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    order(&app, &headers, &id, Command::Delete).await
}

/// Start a campaign, or go on after a pause
///
/// Its budget is made at SyncShield first: where that is refused, the campaign stays what it is. A budget that is
/// there already, and that this campaign has not made, is left alone (409). Of a campaign that is active, the budget is resumed: it may have
/// been paused at SyncShield.
#[utoipa::path(post, path = "/api/v1/campaigns/{id}/start", tag = "campaigns", params(("id" = String, Path)),
    responses((status = 200, description = "Active; auctions see it within flow.index_every_ms", body = CampaignBody),
        Problems))]
pub async fn start(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    order(&app, &headers, &id, Command::Activate).await
}

/// Go on after a pause
///
/// As a start, and refused (409) of a draft.
#[utoipa::path(post, path = "/api/v1/campaigns/{id}/resume", tag = "campaigns", params(("id" = String, Path)),
    responses((status = 200, description = "Active; auctions see it within flow.index_every_ms", body = CampaignBody),
        Problems))]
pub async fn resume(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    order(&app, &headers, &id, Command::Resume).await
}

/// Pause a campaign
///
/// Open holds may still be settled. Where SyncShield cannot be told at once, `budget_told` is false, and
/// it is told as soon as it answers.
#[utoipa::path(post, path = "/api/v1/campaigns/{id}/pause", tag = "campaigns", params(("id" = String, Path)),
    responses((status = 200, description = "Paused", body = CampaignBody), Problems))]
pub async fn pause(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    order(&app, &headers, &id, Command::Pause).await
}

/// End a campaign, for ever
#[utoipa::path(post, path = "/api/v1/campaigns/{id}/end", tag = "campaigns", params(("id" = String, Path)),
    responses((status = 200, description = "Ended", body = CampaignBody), Problems))]
pub async fn end(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    order(&app, &headers, &id, Command::End).await
}
