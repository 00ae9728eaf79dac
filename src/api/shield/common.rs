//! What the handlers of SyncShield share.

use std::borrow::Cow;

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::App;
use crate::actors::shield::message::Booked;
use crate::actors::shield::{BudgetName, ShieldError};
use crate::api::access;
use crate::api::body::{self, Raw};
use crate::api::problem::{Code, Problem};
use crate::models::shield::ask::Answer;
use crate::models::shield::entry::{Entry, Op};
use crate::models::shield::hold::FINGERPRINT_MIN;
use crate::models::shield::money::Micros;
use crate::models::shield::refusal::Reason;
use crate::planted::Planted;

/// The name of this service in scopes.
pub const SERVICE: &str = "shield";

/// The operation and the fingerprint of a request. Without a key each request is its own operation.
pub fn operation(account: &str, route: &str, key: Option<&str>, body: &[u8]) -> (Op, u64) {
    let op = match key {
        Some(key) if !Planted::DedupSkipped.is_made() => Op::of(&[account, route, key]),
        _ => Op(rand::random()),
    };
    (op, fingerprint(route, body))
}

pub fn fingerprint(route: &str, body: &[u8]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(route.as_bytes());
    hash.update([0]);
    hash.update(body);
    let digest = hash.finalize();
    u64::from_be_bytes(std::array::from_fn(|i| digest[i])).max(FINGERPRINT_MIN)
}

/// The account that a request speaks for: its body's, its header's, the caller's only one, or the
/// default one. Refused where the caller may not use it.
pub fn account<'a>(
    app: &'a App,
    headers: &'a HeaderMap,
    raw: Raw<'a>,
) -> Result<Cow<'a, str>, Problem> {
    let named = match raw {
        Some(_) => Some(body::name("account", raw)?),
        None => body::account(headers)?.map(Cow::Borrowed),
    };
    access::account_for(SERVICE, named, &app.shield.terms().default_account)
}

pub fn campaign(app: &App, headers: &HeaderMap, campaign: &str) -> Result<BudgetName, Problem> {
    body::check_name("campaign_id", campaign)?;
    Ok(BudgetName::campaign(&account(app, headers, None)?, campaign))
}

/// A call that the rules never saw.
pub fn failed(error: ShieldError, name: &BudgetName) -> Problem {
    match error {
        ShieldError::Absent if name.is_account() => unknown_account(&name.account),
        ShieldError::Absent => {
            Problem::new(Code::UnknownCampaign, format!("{} has no budget", name.budget))
                .at("campaign_id")
        }
        ShieldError::Overloaded { retry_after_ms } => {
            Problem::new(Code::Overloaded, "too many requests wait for this budget")
                .retry_after(retry_after_ms)
        }
        ShieldError::Unavailable => unavailable(),
        ShieldError::Store(error) => {
            tracing::warn!(%error, "the store did not answer");
            unavailable()
        }
        ShieldError::Expired | ShieldError::Faulted => {
            Problem::new(Code::Unanswered, "no answer in time")
        }
    }
}

/// The same, and which of the two is not there: the campaign, or its account.
pub async fn failed_at(app: &App, error: ShieldError, name: &BudgetName) -> Problem {
    if error == ShieldError::Absent
        && let Err(problem) = known_account(app, &name.account).await
    {
        return problem;
    }
    failed(error, name)
}

/// Refuses an account that is not there.
pub async fn known_account(app: &App, account: &str) -> Result<(), Problem> {
    let seen = app.shield.account(account).await;
    seen.map(|_| ()).map_err(|e| failed(e, &BudgetName::account(account)))
}

pub fn unknown_account(account: &str) -> Problem {
    Problem::new(Code::UnknownAccount, format!("there is no account {account}")).at("account")
}

pub fn unavailable() -> Problem {
    Problem::new(Code::StoreUnavailable, "the store is not available")
}

/// What is answered in place of a booking.
pub fn not_booked(answer: &Answer) -> Problem {
    match answer {
        Answer::Busy => Problem::new(Code::InProgress, "the same request is being worked on"),
        Answer::Mismatch => {
            Problem::new(Code::IdempotencyMismatch, "the key was used with another request")
        }
        Answer::Overloaded => {
            Problem::new(Code::Overloaded, "too many requests wait for this budget")
        }
        Answer::Unavailable => unavailable(),
        Answer::NotOwner => Problem::new(Code::Unanswered, "the budget is moving to another node"),
        _ => Problem::new(Code::Internal, "the rules gave an answer to another question"),
    }
}

pub fn refused(reason: Reason) -> Problem {
    match reason {
        Reason::CurrencyMismatch => {
            Problem::new(Code::CurrencyMismatch, "the currency is not that of the allocation")
                .at("currency")
        }
        Reason::NoExchangeRate => Problem::new(
            Code::NoExchangeRate,
            "no exchange rate leads from this currency to the account's",
        )
        .at("currency"),
        Reason::BeyondBounds => Problem::field("amount", "is beyond what a budget counts"),
        other => Problem::new(Code::Conflict, other.help()),
    }
}

/// The row of a booking, or why there is none.
pub fn row(booked: Booked) -> Result<(Entry, bool), Problem> {
    match booked {
        Booked::Answer(Answer::Booked { entry, replayed }) => Ok((*entry, replayed)),
        Booked::Answer(answer) => Err(not_booked(&answer)),
        Booked::Refused(reason) => Err(refused(reason)),
        Booked::Ordered { .. } => {
            Err(Problem::new(Code::Internal, "an order was carried out instead"))
        }
    }
}

/// The answer to an order: the allocation right after it.
pub fn ordered(booked: Booked) -> Result<Response, Problem> {
    match booked {
        Booked::Ordered { allocation, created } => {
            let status = if created { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, axum::Json(allocation)).into_response())
        }
        Booked::Answer(Answer::OrderReplayed { status, answer }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            let kind = [(axum::http::header::CONTENT_TYPE, "application/json")];
            Ok((status, kind, answer).into_response())
        }
        Booked::Answer(answer) => Err(not_booked(&answer)),
        Booked::Refused(reason) => Err(refused(reason)),
    }
}

/// A hold as it is named in answers: its id and its campaign, so that any node finds its way.
pub fn hold_name(hold: Op, campaign: &str) -> String {
    format!("{hold}.{campaign}")
}

pub fn parse_hold<'a>(
    app: &App,
    headers: &HeaderMap,
    id: &'a str,
) -> Result<(BudgetName, Op, &'a str), Problem> {
    let unknown = || Problem::new(Code::UnknownHold, "this is no id of a hold");
    let (hold, campaign) = id.split_once('.').ok_or_else(unknown)?;
    let hold = Op::from_hex(hold).ok_or_else(unknown)?;
    if !crate::actors::shield::is_name(campaign) {
        return Err(unknown());
    }
    Ok((BudgetName::campaign(&account(app, headers, None)?, campaign), hold, campaign))
}

/// A ledger row in answers.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Row {
    /// Dense from 1 in each budget.
    pub seq: i64,
    /// settle, late, spend or refund.
    pub kind: &'static str,
    #[schema(value_type = f64)]
    pub amount: Micros,
    pub currency: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// The day of the campaign that it counts on, as yyyymmdd.
    pub day: i32,
    pub op: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memo: Option<String>,
}

impl Row {
    pub fn of(entry: &Entry, budget: &str) -> Row {
        Row {
            seq: entry.seq,
            kind: entry.kind.as_str(),
            amount: entry.amount,
            currency: entry.currency.to_string(),
            at: crate::actors::shield::view::rfc3339(entry.at.wall_us),
            day: entry.day.0,
            op: entry.op.to_string(),
            hold_id: entry.hold.map(|h| hold_name(h, budget)),
            memo: entry.memo.clone(),
        }
    }
}
