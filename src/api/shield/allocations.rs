//! Allocations: what an operator lets a campaign spend.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::spend::query_value;
use super::{App, Ctx, common};
use crate::actors::shield::view::{Allocation, rfc3339};
use crate::actors::shield::{ACCOUNT_BUDGET, BudgetName};
use crate::api::body::{self, Raw, fields};
use crate::api::docs::Problems;
use crate::api::problem::Problem;
use crate::models::shield::ask::Order;
use crate::models::shield::day::is_zone;
use crate::models::shield::money::Micros;
use crate::models::shield::pacing::Pacing;
use crate::models::shield::terms::{Status, Terms};
use crate::store::BudgetList;

const THRESHOLDS_MAX: usize = 10;
const PAGE_MAX: u32 = 1_000;

fields!(AllocateFields {
    campaign_id,
    budget,
    currency,
    daily_budget,
    time_zone,
    starts_at,
    ends_at,
    pacing,
    thresholds,
    account,
} only);

/// What a campaign may spend.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct AllocateBody {
    campaign_id: String,
    /// The lifetime budget: set, never added.
    #[schema(minimum = 0.0)]
    budget: f64,
    /// ISO 4217; the account's, if not given. A campaign keeps its first one.
    currency: Option<String>,
    #[schema(minimum = 0.0)]
    daily_budget: Option<f64>,
    /// IANA name of the zone whose midnight ends the campaign's day; UTC if not given.
    time_zone: Option<String>,
    /// RFC 3339.
    starts_at: Option<String>,
    ends_at: Option<String>,
    /// even, accelerated or front_loaded.
    pacing: Option<String>,
    /// Shares of the budget in percent, ascending, that raise an event; 80 and 95 if not given.
    thresholds: Option<Vec<u8>>,
    account: Option<String>,
}

/// Allocate a budget to a campaign
///
/// Makes the allocation (201) or sets it anew (200): the budget is set, never added. A lower budget
/// is answered when no bid can be authorised from what was taken away.
#[utoipa::path(post, path = "/api/v1/allocate", tag = "documented", request_body = AllocateBody,
    responses((status = 201, description = "Made", body = Allocation), (status = 200, description = "Set", body = Allocation),
        Problems))]
pub async fn allocate(
    State(app): Ctx,
    body::Call { headers, json }: body::Call,
) -> Result<Response, Problem> {
    let f: AllocateFields = json.fields()?;
    let account = common::account(&app, &headers, f.account)?;
    let name = BudgetName::campaign(&account, &body::name("campaign_id", f.campaign_id)?);
    let terms = terms(&app, &account, &f).await?;
    let key = body::idempotency_key(&headers)?;
    let (op, body) = common::operation(&account, "api/v1/allocate", key, &json.0);
    order(&app, &name, op, body, Order::Allocate(terms)).await
}

async fn order(
    app: &App,
    name: &BudgetName,
    op: crate::models::shield::entry::Op,
    body: u64,
    order: Order,
) -> Result<Response, Problem> {
    match app.shield.order(name, op, body, order).await {
        Ok(booked) => common::ordered(booked),
        Err(error) => Err(common::failed_at(app, error, name).await),
    }
}

async fn terms(app: &App, account: &str, f: &AllocateFields<'_>) -> Result<Terms, Problem> {
    let lifetime = body::positive("budget", body::amount("budget", f.budget)?, true)?;
    let currency = match body::opt_currency("currency", f.currency)? {
        Some(currency) => currency,
        None => {
            let name = BudgetName::account(account);
            app.shield.account(account).await.map_err(|e| common::failed(e, &name))?.currency
        }
    };
    let daily = body::opt_amount("daily_budget", f.daily_budget)?
        .map(|d| body::positive("daily_budget", d, true))
        .transpose()?;
    let time_zone = body::opt_text("time_zone", f.time_zone)?.unwrap_or_else(|| "UTC".into());
    if !is_zone(&time_zone) {
        return Err(Problem::field("time_zone", "is not the name of an IANA time zone"));
    }
    let starts_us = body::opt_time("starts_at", f.starts_at)?;
    let ends_us = body::opt_time("ends_at", f.ends_at)?;
    if let (Some(start), Some(end)) = (starts_us, ends_us)
        && end <= start
    {
        return Err(Problem::field("ends_at", "is not after starts_at"));
    }
    Ok(Terms {
        daily,
        time_zone: time_zone.into_owned(),
        starts_us,
        ends_us,
        pacing: pacing(f.pacing)?,
        thresholds: thresholds(f.thresholds)?,
        ..Terms::campaign(currency, lifetime)
    })
}

fn pacing(raw: Raw<'_>) -> Result<Pacing, Problem> {
    match body::opt_text("pacing", raw)?.as_deref() {
        None | Some("even") => Ok(Pacing::Even),
        Some("accelerated") => Ok(Pacing::Accelerated),
        Some("front_loaded") => Ok(Pacing::FrontLoaded),
        Some(_) => Err(Problem::field("pacing", "is not even, accelerated or front_loaded")),
    }
}

fn thresholds(raw: Raw<'_>) -> Result<Vec<u8>, Problem> {
    let Some(raw) = raw else { return Ok(vec![80, 95]) };
    let wrong = || {
        Problem::field(
            "thresholds",
            "is not a list of up to 10 ascending whole numbers from 1 to 100",
        )
    };
    let list: Vec<u8> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    let ascending = list.windows(2).all(|w| w[0] < w[1]);
    let bounded = list.iter().all(|p| (1..=100).contains(p)) && list.len() <= THRESHOLDS_MAX;
    if ascending && bounded { Ok(list) } else { Err(wrong()) }
}

/// A page of allocations.
#[derive(Serialize, ToSchema)]
pub struct AllocationPage {
    allocations: Vec<Listed>,
    /// Give it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// An allocation in a list, as it was last stored.
#[derive(Serialize, ToSchema)]
pub struct Listed {
    campaign_id: String,
    status: String,
    #[schema(value_type = f64)]
    budget: Micros,
    #[schema(value_type = f64)]
    spent: Micros,
    ledger_seq: i64,
    /// RFC 3339.
    updated_at: String,
}

/// List allocations
#[utoipa::path(get, path = "/api/v1/allocations", tag = "allocations",
    params(("prefix" = Option<String>, Query, description = "Of the campaign id"),
        ("status" = Option<String>, Query, description = "active, paused or ended"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given")),
    responses((status = 200, description = "A page, by campaign id", body = AllocationPage), Problems))]
pub async fn list(
    State(app): Ctx,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<axum::Json<AllocationPage>, Problem> {
    let query = query.unwrap_or_default();
    let account = common::account(&app, &headers, None)?;
    let named = |field: &'static str| match query_value(&query, field).unwrap_or_default() {
        text if text.is_empty() => Ok(text),
        text => body::check_name(field, &text).map(|()| text),
    };
    let (prefix, cursor, limit) = (named("prefix")?, named("cursor")?, limit(&query)?);
    let status = query_value(&query, "status").unwrap_or_default();
    if !status.is_empty() && Status::parse(&status).is_none() {
        return Err(Problem::field("status", "is not active, paused or ended"));
    }
    let mut page =
        BudgetList { account: account.into_owned(), prefix, status, after: cursor, limit };
    let (rows, more) = loop {
        let read = app.shield.store().budgets(&page).await.map_err(|_| common::unavailable())?;
        let more = read.len() as u32 == limit;
        let campaigns: Vec<_> = read.into_iter().filter(|r| r.budget != ACCOUNT_BUDGET).collect();
        if !more || !campaigns.is_empty() {
            break (campaigns, more);
        }
        // A page of the account's own row alone.
        page.after = ACCOUNT_BUDGET.to_owned();
    };
    if rows.is_empty() {
        common::known_account(&app, &page.account).await?;
    }
    let next_cursor = rows.last().filter(|_| more).map(|r| r.budget.clone());
    let allocations = rows
        .into_iter()
        .map(|r| Listed {
            campaign_id: r.budget,
            status: r.status,
            budget: Micros(r.funded),
            spent: Micros(r.settled) + Micros(r.facts) - Micros(r.refunded),
            ledger_seq: r.seq,
            updated_at: rfc3339(r.updated_at),
        })
        .collect();
    Ok(axum::Json(AllocationPage { allocations, next_cursor }))
}

/// The page size asked for.
pub fn limit(query: &str) -> Result<u32, Problem> {
    match query_value(query, "limit").filter(|t| !t.is_empty()) {
        None => Ok(100),
        Some(text) => match text.parse() {
            Ok(limit @ 1..=PAGE_MAX) => Ok(limit),
            _ => Err(Problem::field("limit", "is not a whole number from 1 to 1000")),
        },
    }
}

macro_rules! simple_order {
    ($name:ident, $path:literal, $route:literal, $order:expr, $title:literal) => {
        #[doc = $title]
        #[utoipa::path(post, path = $path, tag = "allocations",
            params(("campaign_id" = String, Path, example = "camp_001")),
            responses((status = 200, description = "The allocation right after it", body = Allocation), Problems))]
        pub async fn $name(State(app): Ctx, body::InPath(campaign): body::InPath, headers: HeaderMap) -> Result<Response, Problem> {
            let name = common::campaign(&app, &headers, &campaign)?;
            let key = body::idempotency_key(&headers)?;
            let route = format!("{}/{campaign}", $route);
            let (op, body) = common::operation(&name.account, &route, key, b"");
            order(&app, &name, op, body, $order).await
        }
    };
}

simple_order!(
    pause,
    "/api/v1/allocations/{campaign_id}/pause",
    "pause",
    Order::Pause,
    "Pause a campaign\n\nAnswered when no bid can be authorised any more. Open holds may still be settled."
);
simple_order!(
    resume,
    "/api/v1/allocations/{campaign_id}/resume",
    "resume",
    Order::Resume,
    "Resume a campaign"
);
simple_order!(
    end,
    "/api/v1/allocations/{campaign_id}/end",
    "end",
    Order::End,
    "End a campaign\n\nAnswered when no bid can be authorised any more. A new allocation starts it again."
);

fields!(TopUpFields { amount } only);

/// More money.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct TopUpBody {
    /// More than 0; added to the budget.
    #[schema(exclusive_minimum = 0.0)]
    amount: f64,
}

/// Top a campaign up
///
/// Adds to the budget. Send an `Idempotency-Key`: repeated without one it adds again.
#[utoipa::path(post, path = "/api/v1/allocations/{campaign_id}/top-up", tag = "allocations", request_body = TopUpBody,
    params(("campaign_id" = String, Path, example = "camp_001")),
    responses((status = 200, description = "The allocation right after it", body = Allocation), Problems))]
pub async fn top_up(
    State(app): Ctx,
    body::InPath(campaign): body::InPath,
    body::Call { headers, json }: body::Call,
) -> Result<Response, Problem> {
    let f: TopUpFields = json.fields()?;
    let amount = body::positive("amount", body::amount("amount", f.amount)?, false)?;
    let name = common::campaign(&app, &headers, &campaign)?;
    let key = body::idempotency_key(&headers)?;
    let route = format!("top-up/{campaign}");
    let (op, body) = common::operation(&name.account, &route, key, &json.0);
    order(&app, &name, op, body, Order::TopUp(amount)).await
}
