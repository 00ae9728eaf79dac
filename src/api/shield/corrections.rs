//! Manual corrections of ledgers: two people each.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::common;
use super::{App, Ctx};
use crate::actors::shield::corrections::{CorrectionError, Proposal};
use crate::actors::shield::view::rfc3339;
use crate::actors::shield::{ACCOUNT_BUDGET, BudgetName};
use crate::api::access::caller;
use crate::api::body::{self, Call, InPath, Raw, fields};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::models::access::Stored;
use crate::models::shield::correction::{
    Correction, Made, NotDecided, Origins, REASON_CHARS_MAX, Status,
};
use crate::models::shield::money::{Currency, Micros};
use crate::store::PAGE_MAX;

fields!(ProposalFields { campaign_id, amount, currency, reason, account } only);

/// A correction to be proposed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct ProposalBody {
    /// A campaign, or `@account` for the account's own ledger.
    #[schema(example = "camp_001")]
    campaign_id: String,
    /// At most 6 decimals, not zero; negative for a refund.
    amount: f64,
    /// The budget's currency, if given.
    currency: Option<String>,
    /// Nothing personal: it is kept, in the ledger and in the audit.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
    account: Option<String>,
}

/// A correction.
#[derive(Serialize, ToSchema)]
pub struct CorrectionBody {
    id: String,
    account: String,
    campaign_id: String,
    #[schema(value_type = f64)]
    amount: Micros,
    currency: String,
    reason: String,
    /// proposed, approved (about to be booked), refused or booked.
    status: &'static str,
    proposed_by: String,
    proposed_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    /// The number of the ledger row that booked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<i64>,
}

impl CorrectionBody {
    fn of(c: Correction) -> CorrectionBody {
        CorrectionBody {
            id: c.id,
            account: c.account,
            campaign_id: c.budget,
            amount: c.amount,
            currency: c.currency.to_string(),
            reason: c.reason,
            status: c.status.as_str(),
            proposed_by: c.proposed_by,
            proposed_at: rfc3339(c.proposed_at),
            decided_by: c.decided_by,
            decided_at: c.decided_at.map(rfc3339),
            refusal: c.refusal,
            seq: c.seq,
        }
    }
}

/// A page of corrections, newest first.
#[derive(Serialize, ToSchema)]
pub struct CorrectionPage {
    corrections: Vec<CorrectionBody>,
    /// Give it as `before` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

type Answer = Result<(StatusCode, axum::Json<CorrectionBody>), Problem>;

/// Propose a correction of a ledger
///
/// Nothing is booked until another person approves it. Takes an `Idempotency-Key`.
#[utoipa::path(post, path = "/api/v1/corrections", tag = "corrections", request_body = ProposalBody,
    responses((status = 201, description = "Proposed", body = CorrectionBody),
        (status = 200, description = "Proposed by an earlier request with this key", body = CorrectionBody), Problems))]
pub async fn propose(State(app): Ctx, Call { headers, json }: Call) -> Answer {
    let f: ProposalFields = json.fields()?;
    let account = common::account(&app, &headers, f.account)?;
    let name = budget(&account, f.campaign_id)?;
    let amount = body::amount("amount", f.amount)?;
    if amount.0 == 0 {
        return Err(Problem::field("amount", "is zero"));
    }
    let currency = body::opt_currency("currency", f.currency)?;
    let reason = reason(f.reason)?;
    let key = body::idempotency_key(&headers)?;
    let operation = key.map(|_| common::operation(&account, "api/v1/corrections", key, &json.0));
    let own = currency_of(&app, &name).await?;
    if currency.is_some_and(|currency| currency != own) {
        let why = "the currency is not that of the budget";
        return Err(Problem::new(Code::CurrencyMismatch, why).at("currency"));
    }
    let who = caller().name.to_string();
    let proposal = Proposal { name, amount, currency: own, reason, who, operation };
    let (correction, again) = app.shield.corrections().propose(proposal).await.map_err(failed)?;
    let status = if again { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, axum::Json(CorrectionBody::of(correction))))
}

/// List corrections, newest first
#[utoipa::path(get, path = "/api/v1/corrections", tag = "corrections",
    params(
        ("status" = Option<String>, Query, description = "proposed, approved, refused or booked; all if not given"),
        ("before" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given")),
    responses((status = 200, body = CorrectionPage), Problems))]
pub async fn list(
    State(app): Ctx,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<axum::Json<CorrectionPage>, Problem> {
    let status = match parameters.text("status") {
        None => None,
        Some(text) => Some(
            Status::parse(&text)
                .ok_or_else(|| Problem::field("status", "is no status of a correction"))?,
        ),
    };
    let before = parameters.text("before").unwrap_or_default();
    if !before.is_empty() && !is_id(&before) {
        return Err(Problem::field("before", "is no id of a correction"));
    }
    let limit = parameters.number("limit", 1, PAGE_MAX as usize)?.unwrap_or(100);
    let limit = u32::try_from(limit).unwrap_or(PAGE_MAX);
    let account = common::account(&app, &headers, None)?;
    common::known_account(&app, &account).await?;
    let found = app.shield.corrections().list(&account, status, &before, limit).await;
    let found = found.map_err(failed)?;
    let full = found.len() == limit as usize;
    let next = found.last().filter(|_| full).map(|c| c.id.clone());
    let corrections = found.into_iter().map(CorrectionBody::of).collect();
    Ok(axum::Json(CorrectionPage { corrections, next }))
}

/// Show a correction
#[utoipa::path(get, path = "/api/v1/corrections/{id}", tag = "corrections",
    params(("id" = String, Path)), responses((status = 200, body = CorrectionBody), Problems))]
pub async fn show(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<axum::Json<CorrectionBody>, Problem> {
    let account = common::account(&app, &headers, None)?;
    check_id(&id)?;
    let found = app.shield.corrections().see(&account, &id).await.map_err(failed)?;
    Ok(axum::Json(CorrectionBody::of(found)))
}

/// Approve a correction, and book it
///
/// Only by another person than who proposed it, and only where callers are asked who they are. A key
/// that the proposer's made, or that it comes from, is no other person's; neither is one that a maker
/// of the proposer's has made since the proposal. Two keys that a third person made before, or the
/// command line, are two people. Approving it again answers the same, and books nothing twice.
#[utoipa::path(post, path = "/api/v1/corrections/{id}/approve", tag = "corrections",
    params(("id" = String, Path)),
    responses((status = 200, description = "Booked, or refused by the rules: see its status", body = CorrectionBody),
        (status = 202, description = "Approved; it is booked as soon as the store takes it", body = CorrectionBody), Problems))]
pub async fn approve(State(app): Ctx, InPath(id): InPath, headers: HeaderMap) -> Answer {
    let account = common::account(&app, &headers, None)?;
    check_id(&id)?;
    let (who, corrections) = (caller().name.clone(), app.shield.corrections());
    // Who proposed it never changes: it can be looked up before the decision.
    let proposed_by = corrections.see(&account, &id).await.map_err(failed)?.proposed_by;
    let keys = app.door.keys();
    let origins = Origins {
        approver: made(keys.lineage(&who).await),
        proposer: made(keys.lineage(&proposed_by).await),
    };
    let decided = corrections.approve(&account, &id, who, origins).await.map_err(failed)?;
    let status = match decided.status {
        Status::Approved => StatusCode::ACCEPTED,
        _ => StatusCode::OK,
    };
    Ok((status, axum::Json(CorrectionBody::of(decided))))
}

/// How a line of keys came to be.
fn made(line: Vec<Stored>) -> Vec<Made> {
    line.into_iter().map(|key| Made { by: key.created_by, at: key.created_at }).collect()
}

fields!(RefusalFields { reason } only);

/// Why it is refused.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body")]
pub struct RefusalBody {
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// Refuse a correction
///
/// By anybody who may propose one, who proposed it included.
#[utoipa::path(post, path = "/api/v1/corrections/{id}/refuse", tag = "corrections", request_body = RefusalBody,
    params(("id" = String, Path)), responses((status = 200, body = CorrectionBody), Problems))]
pub async fn refuse(
    State(app): Ctx,
    InPath(id): InPath,
    Call { headers, json }: Call,
) -> Result<axum::Json<CorrectionBody>, Problem> {
    let f: RefusalFields = json.fields()?;
    let reason = reason(f.reason)?;
    let account = common::account(&app, &headers, None)?;
    check_id(&id)?;
    let who = caller().name.clone();
    let decided = app.shield.corrections().refuse(&account, &id, reason, who).await;
    Ok(axum::Json(CorrectionBody::of(decided.map_err(failed)?)))
}

/// A campaign, or the account itself.
fn budget(account: &str, raw: Raw<'_>) -> Result<BudgetName, Problem> {
    let named: Option<&str> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
    if named == Some(ACCOUNT_BUDGET) {
        return Ok(BudgetName::account(account));
    }
    Ok(BudgetName::campaign(account, &body::name("campaign_id", raw)?))
}

async fn currency_of(app: &App, name: &BudgetName) -> Result<Currency, Problem> {
    if name.is_account() {
        let seen = app.shield.account(&name.account).await;
        return Ok(seen.map_err(|e| common::failed(e, name))?.currency);
    }
    match app.shield.currency(name).await {
        Ok(currency) => Ok(currency),
        Err(error) => Err(common::failed_at(app, error, name).await),
    }
}

fn reason(raw: Raw<'_>) -> Result<String, Problem> {
    let raw = raw.ok_or_else(|| Problem::missing("reason"))?;
    let text = body::text("reason", raw, REASON_CHARS_MAX)?;
    match text.trim().is_empty() {
        true => Err(Problem::field("reason", "is empty")),
        false => Ok(text.into_owned()),
    }
}

fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn absent() -> Problem {
    Problem::new(Code::NotFound, "there is no such correction")
}

fn check_id(id: &str) -> Result<(), Problem> {
    if is_id(id) { Ok(()) } else { Err(absent()) }
}

fn failed(error: CorrectionError) -> Problem {
    match error {
        CorrectionError::Absent => absent(),
        CorrectionError::NotDecided(why @ NotDecided::Over(_)) => {
            Problem::new(Code::Conflict, why.to_string())
        }
        CorrectionError::NotDecided(why) => Problem::new(Code::Forbidden, why.to_string()),
        CorrectionError::Mismatch => {
            Problem::new(Code::IdempotencyMismatch, "the key was used with another request")
        }
        CorrectionError::Unavailable => common::unavailable(),
        CorrectionError::Overloaded { retry_after_ms } => {
            Problem::new(Code::Overloaded, "too many requests wait").retry_after(retry_after_ms)
        }
        CorrectionError::Unanswered => Problem::new(Code::Unanswered, "no answer in time"),
        CorrectionError::Damaged => Problem::new(Code::Internal, error.to_string()),
    }
}
