//! Proofs that anybody can check with SHA-256 and Ed25519.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::heads::{self, Head};
use super::{failed, index};
use crate::actors::shield::audit::{prove_consistency, prove_inclusion};
use crate::api::body::InPath;
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::api::shield::{Ctx, common};

/// That a record is in the log.
#[derive(Serialize, ToSchema)]
pub struct InclusionProof {
    index: u64,
    /// The record as it was hashed: the leaf is SHA-256 of a zero byte and these bytes.
    line: String,
    leaf_hash: String,
    /// Audit path (RFC 6962, 2.1.1), from the leaf up.
    path: Vec<String>,
    /// The signed head that the path leads to.
    head: Head,
}

/// That a log was only appended to.
#[derive(Serialize, ToSchema)]
pub struct ConsistencyProof {
    from: u64,
    to: u64,
    /// Consistency proof (RFC 6962, 2.1.2).
    path: Vec<String>,
}

/// Prove that a record is in the log
#[utoipa::path(get, path = "/api/v1/audit/proof/{index}", tag = "audit",
    params(("index" = u64, Path, description = "The record's index", example = 0)),
    responses((status = 200, body = InclusionProof), Problems))]
pub async fn inclusion(
    State(app): Ctx,
    InPath(at): InPath,
    headers: HeaderMap,
) -> Result<axum::Json<InclusionProof>, Problem> {
    let at: u64 = at
        .parse()
        .ok()
        .filter(|n| *n < 1 << 53)
        .ok_or_else(|| Problem::field("index", "is not a number of a record"))?;
    let account = common::account(&app, &headers, None)?;
    common::known_account(&app, &account).await?;
    let head = heads::newest(&app, &account).await?;
    let proof = prove_inclusion(app.shield.store(), &account, at, head.head.size).await;
    let Some((line, leaf, path)) = proof.map_err(failed)? else {
        return Err(Problem::new(Code::NotFound, format!("there is no record {at} in the log")));
    };
    Ok(axum::Json(InclusionProof {
        index: at,
        line,
        leaf_hash: leaf.to_string(),
        path: path.iter().map(ToString::to_string).collect(),
        head: Head::of(&head),
    }))
}

/// Prove that the log was only appended to
#[utoipa::path(get, path = "/api/v1/audit/consistency", tag = "audit",
    params(
        ("from" = u64, Query, description = "Size of the older head"),
        ("to" = u64, Query, description = "Size of the newer head")),
    responses((status = 200, body = ConsistencyProof), Problems))]
pub async fn consistency(
    State(app): Ctx,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<axum::Json<ConsistencyProof>, Problem> {
    let from = index(&parameters, "from")?.ok_or_else(|| Problem::missing("from"))?;
    let to = index(&parameters, "to")?.ok_or_else(|| Problem::missing("to"))?;
    if from > to {
        return Err(Problem::field("from", "is more than to"));
    }
    let account = common::account(&app, &headers, None)?;
    common::known_account(&app, &account).await?;
    let store = app.shield.store();
    let log = store.audit_log(&account).await.map_err(|_| common::unavailable())?;
    if log.is_none_or(|log| log.size < to) {
        return Err(Problem::new(Code::NotFound, format!("the log has no {to} records")));
    }
    let (from, to) = (from.unsigned_abs(), to.unsigned_abs());
    match prove_consistency(store, &account, from, to).await.map_err(failed)? {
        Some(path) => {
            let path = path.iter().map(ToString::to_string).collect();
            Ok(axum::Json(ConsistencyProof { from, to, path }))
        }
        None => Err(Problem::new(
            Code::NotFound,
            format!("records before {from} were dropped when their time was over"),
        )),
    }
}
