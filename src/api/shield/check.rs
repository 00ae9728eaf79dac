//! Authorisations: the question before a bid.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::common;
use super::spend::{invalid, query_value};
use super::{App, Ctx};
use crate::actors::shield::message::Authorised;
use crate::actors::shield::{BudgetName, ShieldError, view};
use crate::api::body::{self, fields};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem, ProblemBody};
use crate::models::shield::entry::Op;
use crate::models::shield::hold::UNKEYED;
use crate::models::shield::money::{Currency, Micros};
use crate::models::shield::purse::HoldAnswer;
use crate::models::shield::refusal::Reason;

/// The lifetime values that a bid may have.
const LTV_MIN: f64 = 10.0;
const LTV_MAX: f64 = 10_000.0;
/// Authorisations of one batch.
const BATCH_MAX: usize = 100;

/// Check whether the account may bid at all
///
/// Passes while less than the window's cap was spent in the window and the lifetime value is from
/// 10 to 10,000.
#[utoipa::path(get, path = "/check", tag = "documented",
    params(("ltv" = String, Query, description = "Lifetime value of the customer", example = "600")),
    responses(Problems,
        (status = 200, description = "Compliance check passed", body = String, content_type = "text/plain"),
        (status = 400, description = "Missing LTV parameter, Invalid LTV value, or a problem with a header",
            content((String = "text/plain"), (ProblemBody = "application/problem+json"))),
        (status = 403, description = "Bid validation failed",
            content((String = "text/plain"), (ProblemBody = "application/problem+json")))))]
pub async fn check_ltv(State(app): Ctx, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Some(text) = query_value(query.as_deref().unwrap_or_default(), "ltv") else {
        return invalid("Missing LTV parameter");
    };
    let Some(ltv) = text.parse::<f64>().ok().filter(|ltv| ltv.is_finite()) else {
        return invalid("Invalid LTV value");
    };
    match may_bid(&app, &headers, ltv).await {
        Ok(true) => "Compliance check passed".into_response(),
        Ok(false) => (StatusCode::FORBIDDEN, "Bid validation failed").into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn may_bid(app: &App, headers: &HeaderMap, ltv: f64) -> Result<bool, Problem> {
    let account = common::account(app, headers, None)?;
    let name = BudgetName::account(&account);
    let seen = app.shield.account(&account).await.map_err(|e| common::failed(e, &name))?;
    let room = seen.window_cap.is_none_or(|cap| seen.window_spent < cap);
    let paused = app.shield.paused_by_restore();
    Ok(room && !paused && !seen.stopped && (LTV_MIN..=LTV_MAX).contains(&ltv))
}

fields!(CheckFields { campaign_id, bid_amount, platform, currency, ttl_s, account });

/// A bid that wants to be made.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct CheckBody {
    campaign_id: String,
    /// The most that the bid can cost: more than 0, at most 6 decimals.
    #[schema(exclusive_minimum = 0.0)]
    bid_amount: f64,
    #[schema(max_length = 256)]
    platform: Option<String>,
    /// The allocation's currency, if given.
    currency: Option<String>,
    /// How long the hold stands, in seconds.
    #[schema(exclusive_minimum = 0.0)]
    ttl_s: Option<f64>,
    account: Option<String>,
}

/// An authorisation, or its refusal.
#[derive(Serialize, ToSchema)]
pub struct CheckAnswer {
    approved: bool,
    campaign_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_id: Option<String>,
    /// Proves the hold: settle with it after a crash.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[schema(value_type = f64)]
    amount: Micros,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    currency: Option<Currency>,
    /// RFC 3339: unless settled by then, the hold is void.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// What remains of the budget for further bids.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    remaining: Option<Micros>,
    /// Why not: budget_exceeded, window_exceeded, daily_exceeded, paused, ended, not_started,
    /// stopped, unknown_campaign, currency_mismatch, no_exchange_rate, too_many_holds or beyond_bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
}

/// Authorise a bid
///
/// Reserves the most that the bid can cost and answers with a hold, to be settled with the real
/// price or released. With an `Idempotency-Key` the same request gets the same hold; a key counts
/// within its account and campaign.
#[utoipa::path(post, path = "/api/v1/check", tag = "documented", request_body = CheckBody,
    responses(Problems, (status = 200, description = "Approved", body = CheckAnswer),
        (status = 403, description = "Refused, with the reason",
            content((CheckAnswer = "application/json"), (ProblemBody = "application/problem+json")))))]
pub async fn authorise(
    State(app): Ctx,
    body::Call { headers, json }: body::Call,
) -> Result<Response, Problem> {
    let bid = Bid::read(&app, &headers, json.fields()?)?;
    let key = body::idempotency_key(&headers)?;
    let answer = bid.authorise(&app, key, &json.0).await?;
    let status = if answer.approved { StatusCode::OK } else { StatusCode::FORBIDDEN };
    Ok((status, axum::Json(answer)).into_response())
}

/// A bid whose every field is in order.
struct Bid {
    name: BudgetName,
    amount: Micros,
    currency: Option<Currency>,
    ttl_us: Option<i64>,
}

impl Bid {
    fn read(app: &App, headers: &HeaderMap, f: CheckFields<'_>) -> Result<Bid, Problem> {
        let account = common::account(app, headers, f.account)?;
        let name = BudgetName::campaign(&account, &body::name("campaign_id", f.campaign_id)?);
        let amount = body::amount("bid_amount", f.bid_amount)?;
        let amount = body::positive("bid_amount", amount, false)?;
        body::opt_text("platform", f.platform)?;
        let currency = body::opt_currency("currency", f.currency)?;
        let longest = app.shield.terms().limits.hold_ttl_max_us;
        let ttl_us = body::opt_seconds("ttl_s", f.ttl_s, longest)?;
        Ok(Bid { name, amount, currency, ttl_us })
    }

    async fn authorise(
        &self,
        app: &App,
        key: Option<&str>,
        bytes: &[u8],
    ) -> Result<CheckAnswer, Problem> {
        let Bid { name, amount, .. } = self;
        let operation = match key {
            Some(_) => {
                // A settle is one by its hold: what two campaigns are asked under one key are two.
                let route = format!("api/v1/check/{}", name.budget);
                common::operation(&name.account, &route, key, bytes)
            }
            None => (Op(rand::random()), UNKEYED),
        };
        match app.shield.authorise(name, operation, *amount, self.currency, self.ttl_us, None).await
        {
            Ok(authorised) => answered(app, name, *amount, authorised),
            Err(ShieldError::Absent) => {
                common::known_account(app, &name.account).await?;
                let none = Authorised {
                    answer: HoldAnswer::Unknown,
                    remaining: Micros::ZERO,
                    currency: None,
                };
                Ok(refusal(name, *amount, Reason::UnknownCampaign, &none))
            }
            Err(error) => Err(common::failed(error, name)),
        }
    }
}

fn answered(
    app: &App,
    name: &BudgetName,
    amount: Micros,
    a: Authorised,
) -> Result<CheckAnswer, Problem> {
    match &a.answer {
        HoldAnswer::Held { hold, .. } => Ok(CheckAnswer {
            approved: true,
            campaign_id: name.budget.to_string(),
            hold_id: Some(common::hold_name(hold.id, &name.budget)),
            token: Some(app.tokens.ring().sign(&name.account, &name.budget, hold)),
            amount: hold.amount,
            currency: a.currency,
            expires_at: Some(view::rfc3339(hold.expires_wall_us)),
            remaining: Some(a.remaining),
            reason: None,
            message: None,
        }),
        HoldAnswer::Refused(refused) => Ok(refusal(name, amount, refused.reason, &a)),
        HoldAnswer::Mismatch => {
            Err(Problem::new(Code::IdempotencyMismatch, "the key was used with another request"))
        }
        HoldAnswer::Overloaded => {
            Err(Problem::new(Code::Overloaded, "too many requests wait for this budget"))
        }
        HoldAnswer::Expired => Err(Problem::new(Code::Unanswered, "no capacity was found in time")),
        HoldAnswer::Unavailable => Err(common::unavailable()),
        _ => Err(Problem::new(Code::Internal, "the rules gave an answer to another question")),
    }
}

fn refusal(name: &BudgetName, amount: Micros, reason: Reason, a: &Authorised) -> CheckAnswer {
    CheckAnswer {
        approved: false,
        campaign_id: name.budget.to_string(),
        hold_id: None,
        token: None,
        amount,
        currency: a.currency,
        expires_at: None,
        remaining: a.currency.map(|_| a.remaining),
        reason: Some(reason.code()),
        message: Some(reason.help()),
    }
}

fields!(BatchFields { bids } only);

/// Several bids at once; each is answered by itself.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct BatchBody {
    #[schema(min_items = 1, max_items = 100)]
    bids: Vec<CheckBody>,
}

/// The answers in the order of the bids.
#[derive(Serialize, ToSchema)]
pub struct BatchAnswer {
    answers: Vec<CheckAnswer>,
}

/// Authorise several bids
///
/// Each is decided by itself, in order; with an `Idempotency-Key` each gets the same hold again.
#[utoipa::path(post, path = "/api/v1/check/batch", tag = "holds", request_body = BatchBody,
    responses((status = 200, description = "Answers in the order of the bids", body = BatchAnswer), Problems))]
pub async fn authorise_batch(
    State(app): Ctx,
    body::Call { headers, json }: body::Call,
) -> Result<axum::Json<BatchAnswer>, Problem> {
    let f: BatchFields = json.fields()?;
    let raw = f.bids.ok_or_else(|| Problem::missing("bids"))?;
    let texts: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| Problem::field("bids", "is not a list"))?;
    if texts.is_empty() || texts.len() > BATCH_MAX {
        return Err(Problem::field("bids", format!("has not 1 to {BATCH_MAX} elements")));
    }
    let key = body::idempotency_key(&headers)?;
    // All are read before any is granted: a batch with a mistake holds nothing.
    let read = |(i, text): (usize, &&RawValue)| {
        bid_of(&app, &headers, text).map_err(|problem| problem.within(&format!("bids[{i}]")))
    };
    let bids: Vec<Bid> = texts.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    let mut answers = Vec::with_capacity(bids.len());
    for (i, (bid, text)) in bids.iter().zip(&texts).enumerate() {
        let key = key.map(|key| format!("{key}#{i}"));
        match bid.authorise(&app, key.as_deref(), text.get().as_bytes()).await {
            Ok(answer) => answers.push(answer),
            Err(problem) => {
                if key.is_none() {
                    give_back(&app, &bids, &answers).await;
                }
                return Err(problem.within(&format!("bids[{i}]")));
            }
        }
    }
    Ok(axum::Json(BatchAnswer { answers }))
}

fn bid_of(app: &App, headers: &HeaderMap, text: &RawValue) -> Result<Bid, Problem> {
    if !text.get().starts_with('{') {
        return Err(Problem::new(Code::InvalidField, "is not an object"));
    }
    let fields = serde_json::from_str(text.get()).map_err(|e| body::unreadable(text.get(), &e))?;
    Bid::read(app, headers, fields)
}

/// Releases what a batch was granted whose answer nobody will get; under a key, whoever repeats it
/// gets it. What cannot be released now expires by itself.
async fn give_back(app: &App, bids: &[Bid], answers: &[CheckAnswer]) {
    for (bid, answer) in bids.iter().zip(answers) {
        let hold = answer.hold_id.as_deref().and_then(|id| Op::from_hex(id.split('.').next()?));
        if let Some(hold) = hold
            && let Err(error) = app.shield.release(&bid.name, hold).await
        {
            tracing::debug!(budget = %bid.name, %error, "a hold of {} is left to expire", bid.name);
        }
    }
}
