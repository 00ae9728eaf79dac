//! The ledger of a budget, page by page.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::Ctx;
use super::allocations::limit;
use super::common::{self, Row};
use super::spend::query_value;
use crate::actors::shield::{ACCOUNT_BUDGET, BudgetName};
use crate::api::body;
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::models::shield::entry::Kind;
use crate::models::shield::money::Micros;

/// A page of the ledger, in the order of its sequence.
#[derive(Serialize, ToSchema)]
pub struct LedgerPage {
    rows: Vec<Row>,
    /// Give it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<i64>,
}

/// Read a budget's ledger
///
/// Rows are never changed and their sequence has no gaps. `@account` is the ledger of the account's
/// own spends.
#[utoipa::path(get, path = "/api/v1/budget/{campaign_id}/ledger", tag = "bookings",
    params(("campaign_id" = String, Path, example = "camp_001"),
        ("cursor" = Option<i64>, Query, description = "Rows after this sequence number"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given")),
    responses((status = 200, description = "A page", body = LedgerPage), Problems))]
pub async fn ledger(
    State(app): Ctx,
    body::InPath(campaign): body::InPath,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<axum::Json<LedgerPage>, Problem> {
    let query = query.unwrap_or_default();
    let account = common::account(&app, &headers, None)?;
    if campaign != ACCOUNT_BUDGET {
        body::check_name("campaign_id", &campaign)?;
    }
    let after: i64 = match query_value(&query, "cursor").filter(|t| !t.is_empty()) {
        None => 0,
        Some(text) => text
            .parse()
            .ok()
            .filter(|n| *n >= 0)
            .ok_or_else(|| Problem::field("cursor", "is not a sequence number"))?,
    };
    let limit = limit(&query)?;
    let store = app.shield.store();
    let known = store.budget(&account, &campaign).await.map_err(|_| common::unavailable())?;
    if known.is_none() && campaign != ACCOUNT_BUDGET {
        let name = BudgetName::campaign(&account, &campaign);
        let absent = crate::actors::shield::ShieldError::Absent;
        return Err(common::failed_at(&app, absent, &name).await);
    }
    if known.is_none() {
        common::known_account(&app, &account).await?;
    }
    let rows =
        store.ledger(&account, &campaign, after, limit).await.map_err(|_| common::unavailable())?;
    let next_cursor = (rows.len() as u32 == limit).then(|| rows.last().map(|r| r.seq)).flatten();
    let rows = rows
        .into_iter()
        .map(|r| {
            let kind = Kind::parse(&r.kind)
                .ok_or_else(|| Problem::new(Code::Internal, "a ledger row is not understood"))?;
            Ok(Row {
                seq: r.seq,
                kind: kind.as_str(),
                amount: Micros(r.amount),
                currency: r.currency,
                at: crate::actors::shield::view::rfc3339(r.at),
                day: r.day.parse().unwrap_or_default(),
                op: r.op,
                hold_id: r.hold.map(|h| format!("{h}.{campaign}")),
                memo: r.memo,
            })
        })
        .collect::<Result<_, Problem>>()?;
    Ok(axum::Json(LedgerPage { rows, next_cursor }))
}
