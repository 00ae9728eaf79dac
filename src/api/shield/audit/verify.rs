//! Verification.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::failed;
use crate::actors::shield::audit::verify_kept;
use crate::api::body::{Json, fields};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::shield::{App, Ctx, common};
use crate::clock;
use crate::json;
use crate::models::shield::audit::head::SignedHead;
use crate::models::shield::audit::report::Report;

/// Exported heads of one call at most.
const HEADS_MAX: usize = 10_000;

/// What a verification found.
#[derive(Serialize, ToSchema)]
pub struct Verification {
    account: String,
    /// There are no findings.
    verified: bool,
    /// Records read.
    records: u64,
    blocks: u64,
    /// Stored heads checked.
    heads: u64,
    /// Given heads checked.
    exported: u64,
    /// The first record that is kept.
    first: u64,
    /// The last month that was dropped when its time was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-11")]
    dropped: Option<String>,
    size: u64,
    root: String,
    /// Records after the newest signed head.
    unsigned: u64,
    findings_total: u64,
    #[schema(value_type = Vec<Object>)]
    findings: Vec<serde_json::Value>,
    took_ms: u64,
}

impl Verification {
    fn of(report: &Report, took: std::time::Duration) -> Verification {
        Verification {
            account: report.account.clone(),
            verified: report.verified,
            records: report.records,
            blocks: report.blocks,
            heads: report.heads,
            exported: report.exported,
            first: report.first,
            dropped: report.dropped.map(|month| month.to_string()),
            size: report.size,
            root: report.root.to_string(),
            unsigned: report.unsigned,
            findings_total: report.findings_total,
            findings: report.findings.iter().map(json::shown).collect(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

fields!(VerifyFields { heads } only);

/// Verify the whole log against the store's own heads
#[utoipa::path(get, path = "/api/v1/audit/verify", tag = "audit",
    responses((status = 200, description = "What was found, good or bad", body = Verification), Problems))]
pub async fn verify(
    State(app): Ctx,
    headers: HeaderMap,
) -> Result<axum::Json<Verification>, Problem> {
    let account = common::account(&app, &headers, None)?;
    verified(&app, &account, Vec::new()).await
}

/// Heads that were kept outside.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body")]
pub struct VerifyBody {
    /// As `GET /api/v1/audit/heads` and `shield_audit_heads.jsonl` give them; at most 10,000.
    #[schema(value_type = Vec<Object>)]
    heads: Vec<serde_json::Value>,
}

/// Verify the whole log against heads from outside, too
///
/// Only heads that were kept outside can tell that a whole log was written anew.
#[utoipa::path(post, path = "/api/v1/audit/verify", tag = "audit", request_body = VerifyBody,
    responses((status = 200, description = "What was found, good or bad", body = Verification), Problems))]
pub async fn verify_with(
    State(app): Ctx,
    headers: HeaderMap,
    body: Json,
) -> Result<axum::Json<Verification>, Problem> {
    let fields: VerifyFields = body.fields()?;
    let raw = fields.heads.ok_or_else(|| Problem::missing("heads"))?;
    let heads: Vec<serde_json::Value> = serde_json::from_str(raw.get())
        .map_err(|_| Problem::field("heads", "is not a list of heads"))?;
    if heads.len() > HEADS_MAX {
        return Err(Problem::field("heads", format!("are more than {HEADS_MAX}")));
    }
    let read = |(at, head): (usize, serde_json::Value)| {
        SignedHead::parse(&head.to_string())
            .map_err(|why| Problem::field(format!("heads[{at}]"), why))
    };
    let heads = heads.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    let account = common::account(&app, &headers, None)?;
    verified(&app, &account, heads).await
}

async fn verified(
    app: &App,
    account: &str,
    exported: Vec<SignedHead>,
) -> Result<axum::Json<Verification>, Problem> {
    common::known_account(app, account).await?;
    super::flushed(app, account).await?;
    // reading a long log takes its time: one at a time for everybody
    let Ok(_turn) = app.verifying.try_lock() else {
        return Err(Problem::new(Code::Busy, "a verification is running already"));
    };
    let began = std::time::Instant::now();
    let keys = app.shield.vault().public_keys();
    let since_us = clock::wall_us() - app.shield.audit().retention_us;
    let report = verify_kept(app.shield.store(), account, exported, keys, Some(since_us)).await;
    let report = report.map_err(failed)?;
    if !report.verified {
        tracing::error!(account, findings = report.findings_total, "the audit log does not verify");
    }
    Ok(axum::Json(Verification::of(&report, began.elapsed())))
}
