//! Webhooks: where events are sent.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::Ctx;
use super::common;
use crate::actors::shield::view::rfc3339;
use crate::actors::shield::webhooks::HookError;
use crate::api::body::{self, Call, InPath, Raw, fields};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::connectors::hook::URL_CHARS_MAX;
use crate::models::access::pattern::{PATTERNS_MAX, Pattern};
use crate::store::{DeliveryRow, WebhookRow};

fields!(HookFields { url, events, account } only);

/// A webhook to be made.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct HookBody {
    /// http or https; only to the public internet, unless webhooks.allow_private says otherwise.
    #[schema(example = "https://example.com/kiki", max_length = 2048)]
    url: String,
    /// Names of events, or beginnings of names with a star: `budget.threshold`, `dsr.*`, `*`.
    #[schema(min_items = 1, max_items = 16)]
    events: Vec<String>,
    account: Option<String>,
}

/// A webhook, without its secret.
#[derive(Serialize, ToSchema)]
pub struct HookView {
    id: String,
    account: String,
    url: String,
    events: Vec<String>,
    created_at: String,
    updated_at: String,
}

/// A webhook with a new secret, which is shown this once.
#[derive(Serialize, ToSchema)]
pub struct SecretHookView {
    #[schema(value_type = String, example = "whsec_…")]
    secret: String,
    #[serde(flatten)]
    webhook: HookView,
}

/// An event on its way.
#[derive(Serialize, ToSchema)]
pub struct DeliveryView {
    /// The id of the event.
    id: String,
    /// waiting, delivered or dead.
    status: String,
    attempts: i64,
    /// When it is tried again, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    created_at: String,
    updated_at: String,
}

/// A webhook with its last deliveries.
#[derive(Serialize, ToSchema)]
pub struct HookDetail {
    #[serde(flatten)]
    webhook: HookView,
    /// When the older of two secrets ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    older_secret_ends_at: Option<String>,
    /// At most 20, newest first.
    deliveries: Vec<DeliveryView>,
}

/// The webhooks of an account.
#[derive(Serialize, ToSchema)]
pub struct HookList {
    webhooks: Vec<HookView>,
}

/// A ping that is on its way.
#[derive(Serialize, ToSchema)]
pub struct PingBody {
    /// The id of its event.
    event: String,
}

impl HookView {
    fn of(row: WebhookRow) -> HookView {
        HookView {
            id: row.webhook,
            account: row.account,
            url: row.url,
            events: serde_json::from_str(&row.events).unwrap_or_default(),
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        }
    }
}

impl DeliveryView {
    fn of(row: DeliveryRow) -> DeliveryView {
        DeliveryView {
            next_at: (row.status == "waiting").then(|| rfc3339(row.next_at)),
            id: row.event,
            status: row.status,
            attempts: row.attempts,
            last_error: row.last_error,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        }
    }
}

/// Make a webhook
///
/// Its secret is in this answer and nowhere else. Each delivery carries `Kiki-Signature`: receivers
/// check it, and refuse what is older than five minutes or has an id that they have seen.
#[utoipa::path(post, path = "/api/v1/webhooks", tag = "webhooks", request_body = HookBody,
    responses((status = 201, body = SecretHookView), Problems))]
pub async fn create(State(app): Ctx, Call { headers, json }: Call) -> Result<Response, Problem> {
    let f: HookFields = json.fields()?;
    let account = common::account(&app, &headers, f.account)?;
    let raw = f.url.ok_or_else(|| Problem::missing("url"))?;
    let url = body::text("url", raw, URL_CHARS_MAX)?;
    let events = events(f.events)?;
    common::known_account(&app, &account).await?;
    let made = app.shield.webhooks().create(&account, &url, &events).await.map_err(failed)?;
    Ok(with_secret(StatusCode::CREATED, made))
}

/// List the webhooks of an account
#[utoipa::path(get, path = "/api/v1/webhooks", tag = "webhooks",
    responses((status = 200, body = HookList), Problems))]
pub async fn list(State(app): Ctx, headers: HeaderMap) -> Result<axum::Json<HookList>, Problem> {
    let account = common::account(&app, &headers, None)?;
    common::known_account(&app, &account).await?;
    let rows = app.shield.webhooks().list(&account).await.map_err(failed)?;
    Ok(axum::Json(HookList { webhooks: rows.into_iter().map(HookView::of).collect() }))
}

/// Show a webhook, with its last deliveries
#[utoipa::path(get, path = "/api/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path)), responses((status = 200, body = HookDetail), Problems))]
pub async fn show(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<axum::Json<HookDetail>, Problem> {
    let account = common::account(&app, &headers, None)?;
    check_id(&id)?;
    let shown = app.shield.webhooks().show(&account, &id).await.map_err(failed)?;
    Ok(axum::Json(HookDetail {
        webhook: HookView::of(shown.row),
        older_secret_ends_at: shown.older_ends_at.map(rfc3339),
        deliveries: shown.deliveries.into_iter().map(DeliveryView::of).collect(),
    }))
}

/// Delete a webhook, and what is on its way to it
#[utoipa::path(delete, path = "/api/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path)), responses((status = 204), Problems))]
pub async fn delete(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let account = common::account(&app, &headers, None)?;
    check_id(&id)?;
    app.shield.webhooks().delete(&account, &id).await.map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a webhook a second secret
///
/// It is in this answer and nowhere else. For a day deliveries are signed with both; the older one
/// ends then, or with the next rotation.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/rotate", tag = "webhooks",
    params(("id" = String, Path)), responses((status = 200, body = SecretHookView), Problems))]
pub async fn rotate(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let account = common::account(&app, &headers, None)?;
    check_id(&id)?;
    let made = app.shield.webhooks().rotate(&account, &id).await.map_err(failed)?;
    Ok(with_secret(StatusCode::OK, made))
}

/// Send a ping to a webhook
///
/// Look at the webhook for how it went. While a ping to it waits there is no second one: 409.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/test", tag = "webhooks",
    params(("id" = String, Path)), responses((status = 202, body = PingBody), Problems))]
pub async fn test(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<(StatusCode, axum::Json<PingBody>), Problem> {
    let account = common::account(&app, &headers, None)?;
    check_id(&id)?;
    let event = app.shield.webhooks().test(&account, &id).await.map_err(failed)?;
    Ok((StatusCode::ACCEPTED, axum::Json(PingBody { event })))
}

fn with_secret(status: StatusCode, (row, secret): (WebhookRow, Zeroizing<String>)) -> Response {
    let body = SecretHookView { secret: secret.to_string(), webhook: HookView::of(row) };
    // A secret has no place in caches.
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, no_store, axum::Json(body)).into_response()
}

fn events(raw: Raw<'_>) -> Result<Vec<Pattern>, Problem> {
    let raw = raw.ok_or_else(|| Problem::missing("events"))?;
    let texts: Vec<String> = serde_json::from_str(raw.get())
        .map_err(|_| Problem::field("events", "is not a list of strings"))?;
    if texts.is_empty() || texts.len() > PATTERNS_MAX {
        return Err(Problem::field("events", format!("is not 1 to {PATTERNS_MAX} patterns")));
    }
    let parse = |text: &String| Pattern::parse(text).map_err(|why| Problem::field("events", why));
    texts.iter().map(parse).collect()
}

fn absent() -> Problem {
    Problem::new(Code::NotFound, "there is no such webhook")
}

fn check_id(id: &str) -> Result<(), Problem> {
    let hex = id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if id.len() == 32 && hex { Ok(()) } else { Err(absent()) }
}

fn failed(error: HookError) -> Problem {
    match error {
        HookError::Absent => absent(),
        HookError::Url(why) => Problem::field("url", why),
        HookError::Full | HookError::PingWaits => Problem::new(Code::Conflict, error.to_string()),
        HookError::Unavailable => common::unavailable(),
        HookError::Overloaded { retry_after_ms } => {
            Problem::new(Code::Overloaded, "too many requests wait").retry_after(retry_after_ms)
        }
        HookError::Unanswered => Problem::new(Code::Unanswered, "no answer in time"),
        HookError::Seal(_) => {
            tracing::error!(%error, "a webhook cannot be handled");
            Problem::new(Code::Internal, "the webhook cannot be handled")
        }
    }
}
