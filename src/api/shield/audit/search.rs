//! Records, newest first.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::{failed, flushed, index, person, time};
use crate::actors::shield::audit::{Query, RESULTS_MAX, search};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::api::shield::{App, Ctx, common};
use crate::models::shield::audit::month::time_text;
use crate::models::shield::audit::record::{Outcome, Record};

/// A record of the log.
#[derive(Serialize, ToSchema)]
pub struct Recorded {
    /// Its place in the account's log, from 0: `GET /api/v1/audit/proof/{index}`.
    index: i64,
    /// RFC 3339, UTC.
    at: String,
    #[schema(example = "budget.settled")]
    event: String,
    /// Who: `key:…`, `user:…`, `open` or `system`.
    actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// A random id: only the installation knows whom it means, until the person is erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<String>,
    /// ok, denied or failed.
    outcome: &'static str,
    /// Alike refusals that this record stands for.
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    data: Option<serde_json::Map<String, serde_json::Value>>,
    /// Personal fields, readable with the person's key alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct RecordPage {
    records: Vec<Recorded>,
    /// Give it as `before` for the next page; absent on the last. A page may be short, even empty,
    /// and have a next one: the search looks into a bounded part of the log at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

impl Recorded {
    fn of(index: i64, record: Record) -> Recorded {
        Recorded {
            index,
            at: time_text(record.at_us).unwrap_or_default(),
            event: record.event.as_str().to_owned(),
            actor: record.actor,
            subject: record.subject,
            person: record.person,
            outcome: record.outcome.as_str(),
            count: record.count,
            data: record.data,
            sealed: record.sealed,
        }
    }
}

/// The condition that parameters make.
pub fn query(parameters: &Parameters) -> Result<Query, Problem> {
    let outcome = match parameters.text("outcome").map(|o| o.to_ascii_lowercase()).as_deref() {
        None => None,
        Some("ok") => Some(Outcome::Ok),
        Some("denied") => Some(Outcome::Denied),
        Some("failed") => Some(Outcome::Failed),
        Some(_) => return Err(Problem::field("outcome", "is not ok, denied or failed")),
    };
    let (from_us, to_us) = (time(parameters, "from")?, time(parameters, "to")?);
    if let (Some(from), Some(to)) = (from_us, to_us)
        && from > to
    {
        return Err(Problem::field("from", "is after to"));
    }
    Ok(Query {
        from_us,
        to_us,
        event: parameters.text("event"),
        actor: parameters.text("actor"),
        subject: parameters.text("subject"),
        person: person(parameters)?,
        outcome,
        before: index(parameters, "before")?,
        limit: parameters.number("limit", 1, RESULTS_MAX)?.unwrap_or(100),
    })
}

/// Search the audit log
///
/// Newest first. All conditions must hold. What was told before the call is in the answer.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit",
    params(
        ("from" = Option<String>, Query, description = "Not before this time (RFC 3339)"),
        ("to" = Option<String>, Query, description = "Before this time (RFC 3339)"),
        ("event" = Option<String>, Query, description = "An event, or a beginning with `*` behind", example = "budget.*"),
        ("actor" = Option<String>, Query, description = "Who did it"),
        ("subject" = Option<String>, Query, description = "What it was done to", example = "camp_001"),
        ("person" = Option<String>, Query, description = "A person's id here: `person` of `GET /api/v1/consent/history`, not your customer id"),
        ("outcome" = Option<String>, Query, description = "ok, denied or failed"),
        ("before" = Option<i64>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given")),
    responses((status = 200, body = RecordPage), Problems))]
pub async fn list(
    State(app): Ctx,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<axum::Json<RecordPage>, Problem> {
    let query = query(&parameters)?;
    let account = common::account(&app, &headers, None)?;
    page(&app, &account, &query).await
}

/// Search the audit log of any account
///
/// Newest first, as `GET /api/v1/audit` of SyncShield; acts on the whole installation are in the
/// default account's log.
#[utoipa::path(get, path = "/api/admin/audit", tag = "audit",
    params(
        ("account" = Option<String>, Query, description = "The default account if not given"),
        ("from" = Option<String>, Query, description = "Not before this time (RFC 3339)"),
        ("to" = Option<String>, Query, description = "Before this time (RFC 3339)"),
        ("event" = Option<String>, Query, description = "An event, or a beginning with `*` behind", example = "admin.*"),
        ("actor" = Option<String>, Query, description = "Who did it"),
        ("subject" = Option<String>, Query, description = "What it was done to"),
        ("person" = Option<String>, Query, description = "A person's id here: `person` of `GET /api/v1/consent/history`, not your customer id"),
        ("outcome" = Option<String>, Query, description = "ok, denied or failed"),
        ("before" = Option<i64>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given")),
    responses((status = 200, body = RecordPage), Problems))]
pub async fn list_any(
    State(app): Ctx,
    parameters: Parameters,
) -> Result<axum::Json<RecordPage>, Problem> {
    let query = query(&parameters)?;
    let default = app.shield.terms().default_account.clone();
    let account = parameters.text("account").unwrap_or(default);
    crate::api::body::check_name("account", &account)?;
    page(&app, &account, &query).await
}

/// A page of an account's log.
pub async fn page(
    app: &App,
    account: &str,
    query: &Query,
) -> Result<axum::Json<RecordPage>, Problem> {
    common::known_account(app, account).await?;
    flushed(app, account).await?;
    let found = search(app.shield.store(), account, query).await.map_err(failed)?;
    let read = |hit: crate::actors::shield::audit::Hit| {
        Record::parse(&hit.line)
            .map(|record| Recorded::of(hit.index, record))
            .map_err(|e| Problem::new(Code::Internal, format!("record {}: {e}", hit.index)))
    };
    let records = found.hits.into_iter().map(read).collect::<Result<_, _>>()?;
    Ok(axum::Json(RecordPage { records, next: found.next }))
}
