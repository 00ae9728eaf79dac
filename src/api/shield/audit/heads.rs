//! Signed tree heads.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::{flushed, index};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::api::shield::{Ctx, common};
use crate::models::shield::audit::head::SignedHead;
use crate::models::shield::audit::month::time_text;
use crate::store::PAGE_MAX;

/// A signed tree head: what the log was at a time.
#[derive(Serialize, ToSchema)]
pub struct Head {
    account: String,
    /// Records in the tree.
    size: u64,
    /// Merkle root (RFC 6962), hexadecimal.
    root: String,
    at: String,
    /// Hash of the head before it.
    prev: String,
    key_id: String,
    /// Ed25519, base64.
    signature: String,
}

#[derive(Serialize, ToSchema)]
pub struct HeadPage {
    heads: Vec<Head>,
    /// Give it as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

impl Head {
    pub fn of(signed: &SignedHead) -> Head {
        let head = &signed.head;
        Head {
            account: head.account.clone(),
            size: head.size,
            root: head.root.to_string(),
            at: time_text(head.at_us).unwrap_or_default(),
            prev: head.prev.to_string(),
            key_id: signed.key_id.clone(),
            signature: signed.signature_text(),
        }
    }
}

/// Read signed tree heads
///
/// A log that grew is signed each minute. Keep heads where nobody can write who can write the
/// store: only they can tell that a whole log was written anew.
#[utoipa::path(get, path = "/api/v1/audit/heads", tag = "audit",
    params(
        ("after" = Option<u64>, Query, description = "Heads of more records than this"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given")),
    responses((status = 200, body = HeadPage), Problems))]
pub async fn list(
    State(app): Ctx,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<axum::Json<HeadPage>, Problem> {
    let after = index(&parameters, "after")?.unwrap_or(0);
    let limit = parameters.number("limit", 1, PAGE_MAX as usize)?.unwrap_or(100);
    let account = common::account(&app, &headers, None)?;
    common::known_account(&app, &account).await?;
    let limit = u32::try_from(limit).unwrap_or(PAGE_MAX);
    let rows = app.shield.store().audit_heads(&account, after, limit).await;
    let rows = rows.map_err(|_| common::unavailable())?;
    let full = rows.len() == limit as usize;
    let heads = rows
        .iter()
        .map(|row| SignedHead::parse(&row.head).map(|head| Head::of(&head)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Problem::new(Code::Conflict, format!("a stored head cannot be read: {e}")))?;
    let next = heads.last().filter(|_| full).map(|head| head.size);
    Ok(axum::Json(HeadPage { heads, next }))
}

/// Sign what there is now
#[utoipa::path(post, path = "/api/v1/audit/heads", tag = "audit",
    responses((status = 200, description = "The newest head", body = Head), Problems))]
pub async fn sign(State(app): Ctx, headers: HeaderMap) -> Result<axum::Json<Head>, Problem> {
    let account = common::account(&app, &headers, None)?;
    common::known_account(&app, &account).await?;
    newest(&app, &account).await.map(|head| axum::Json(Head::of(&head)))
}

/// A head over all that is in the log now.
pub async fn newest(app: &crate::api::shield::App, account: &str) -> Result<SignedHead, Problem> {
    let unanswered = || Problem::new(Code::Unanswered, "the audit log did not answer in time");
    app.shield.audit().sign(account).map_err(|_| unanswered())?;
    flushed(app, account).await?;
    let row = app.shield.store().audit_newest_head(account).await;
    match row.map_err(|_| common::unavailable())? {
        Some(row) => SignedHead::parse(&row.head)
            .map_err(|e| Problem::new(Code::Conflict, format!("a stored head is none: {e}"))),
        None => Err(Problem::new(Code::NotFound, "nothing of this account was recorded yet")),
    }
}
