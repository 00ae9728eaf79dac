//! What an answer means for the operation that was asked for, strictly by the documented API.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decimal;
use super::http::{Lost, Media, Reply};
use super::nonsense;
use super::problems::{self, wrong};
use crate::history::{Answer, Micros, Op, Outcome};

/// Why an authorisation may be refused (`docs/operations.md`, "Reasons of a refusal").
const REASONS: [&str; 12] = [
    "budget_exceeded",
    "window_exceeded",
    "daily_exceeded",
    "paused",
    "ended",
    "not_started",
    "stopped",
    "unknown_campaign",
    "currency_mismatch",
    "no_exchange_rate",
    "too_many_holds",
    "beyond_bounds",
];

pub fn outcome(op: &Op, told: &Result<Reply, Lost>) -> Outcome {
    let reply = match told {
        Ok(reply) => reply,
        Err(Lost::NotSent(_)) => {
            return Outcome::Unavailable { status: 0, code: "no_connection".into() };
        }
        Err(Lost::NoAnswer(why)) => return Outcome::Unknown { why: why.clone() },
        Err(Lost::TooLong) => return wrong(0, "an answer longer than any that is documented"),
    };
    if reply.media == Media::Problem {
        return problems::outcome(reply);
    }
    match reply.status {
        200..300 => done(op, reply),
        403 if matches!(op, Op::Authorise { .. }) => refused(reply),
        status => elsewhere(op, status, reply),
    }
}

/// What comes without a problem: of the load balancer, and of SyncFlow, whose exchanges expect empty bodies.
fn elsewhere(op: &Op, status: u16, reply: &Reply) -> Outcome {
    let flow = matches!(op, Op::Bid { .. } | Op::Billing { .. })
        || matches!(op, Op::Call { path, .. } if path.starts_with("/openrtb2/"));
    let notice = flow && !matches!(op, Op::Bid { .. });
    let html = reply.media == Media::Html;
    match status {
        400 if nonsense::is(op) => Outcome::Refused { status, reason: "malformed".into() },
        // The balancer has sent nothing: it repeats only where no connection could be made, and finds no node.
        503 if html => Outcome::Unavailable { status, code: "no_node".into() },
        // The request had not arrived as a whole.
        408 if html => Outcome::Unavailable { status, code: "timeout".into() },
        502 | 504 if html => Outcome::Unknown { why: format!("balancer {status}").into() },
        // "to be told again": what was begun of it may be done.
        503 if notice => Outcome::Unknown { why: "to be told again".into() },
        503 if flow => Outcome::Unavailable { status, code: "busy".into() },
        408 if flow => Outcome::Unavailable { status, code: "timeout".into() },
        _ => wrong(status, "a status that is not documented, or without a problem"),
    }
}

#[derive(Deserialize)]
struct Refusal {
    approved: bool,
    reason: String,
}

fn refused(reply: &Reply) -> Outcome {
    match serde_json::from_slice::<Refusal>(&reply.body) {
        Ok(Refusal { approved: false, reason }) if REASONS.contains(&reason.as_str()) => {
            Outcome::Refused { status: reply.status, reason: reason.into() }
        }
        Ok(Refusal { approved: true, .. }) => {
            wrong(reply.status, "approved, with a refusal's status")
        }
        Ok(Refusal { reason, .. }) => {
            wrong(reply.status, &format!("refused for {reason}, which is not documented"))
        }
        Err(_) => wrong(reply.status, "a refusal that cannot be read"),
    }
}

/// Everything that an answer of the platform may have and that is looked at here.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Body<'a> {
    approved: Option<bool>,
    campaign_id: Option<String>,
    hold_id: Option<String>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    #[serde(borrow)]
    remaining: Option<&'a RawValue>,
    #[serde(borrow)]
    spent: Option<&'a RawValue>,
    #[serde(borrow)]
    budget: Option<&'a RawValue>,
    state: Option<String>,
    status: Option<String>,
    replayed: Option<bool>,
    #[serde(borrow)]
    booked: Option<Booked<'a>>,
    seq: Option<i64>,
    ledger_seq: Option<i64>,
    allowed: Option<bool>,
    consent_type: Option<String>,
}

#[derive(Deserialize)]
struct Booked<'a> {
    seq: i64,
    #[serde(borrow)]
    amount: &'a RawValue,
}

fn amount(raw: Option<&RawValue>) -> Result<Micros, String> {
    raw.and_then(|raw| decimal::parse(raw.get()))
        .ok_or_else(|| "an amount that cannot be read".to_owned())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, was: &T, asked: &T) -> Result<(), String> {
    if was == asked { Ok(()) } else { Err(format!("{what} {was:?} where {asked:?} was asked for")) }
}

fn named(field: Option<String>, what: &str) -> Result<Box<str>, String> {
    field.map(Into::into).ok_or_else(|| format!("{what} is missing"))
}

fn done(op: &Op, reply: &Reply) -> Outcome {
    let status = reply.status;
    let answer = match op {
        Op::Bid { .. } if status == 204 => {
            return Outcome::Refused { status, reason: "no_bid".into() };
        }
        Op::Bid { account, request, person } => {
            super::bids::answer(account, request, person.is_some(), &reply.body)
        }
        Op::Billing { amount, .. } if status == 200 => {
            Ok(Answer { amount: Some(*amount), ..Answer::default() })
        }
        Op::Call { .. } if nonsense::is(op) => Err("taken, though it makes no sense".to_owned()),
        Op::Call { .. } => Ok(Answer::default()),
        Op::Spend { .. } | Op::SetCap { .. } if status == 201 => booked(op, &reply.body),
        _ if status == 200 => booked(op, &reply.body),
        _ => Err("a status that is not documented".to_owned()),
    };
    match answer {
        Ok(answer) => Outcome::Done { status, answer },
        Err(what) => wrong(status, &what),
    }
}

fn booked(op: &Op, body: &[u8]) -> Result<Answer, String> {
    let body: Body<'_> =
        serde_json::from_slice(body).map_err(|e| format!("JSON that cannot be read: {e}"))?;
    let answer = Answer { replayed: body.replayed.unwrap_or_default(), ..Answer::default() };
    Ok(match op {
        Op::Authorise { campaign, amount: asked, .. } => {
            same("approved", &body.approved, &Some(true))?;
            let hold = named(body.hold_id, "hold_id")?;
            same("a hold's campaign", &hold.split_once('.').map(|(_, of)| of), &Some(&**campaign))?;
            let held = amount(body.amount)?;
            same("an amount", &held, asked)?;
            let remaining = Some(amount(body.remaining)?);
            Answer { hold: Some(hold), amount: Some(held), remaining, ..answer }
        }
        Op::Settle { hold, amount: asked, .. } => {
            same("state", &body.state.as_deref(), &Some("settled"))?;
            same("hold_id", &body.hold_id.as_deref(), &Some(&**hold))?;
            let row = body.booked.ok_or("a settled hold without its row")?;
            let booked = amount(Some(row.amount))?;
            same("an amount", &booked, asked)?;
            Answer { hold: Some(hold.clone()), seq: Some(row.seq), amount: Some(booked), ..answer }
        }
        Op::Release { hold, .. } => {
            same("hold_id", &body.hold_id.as_deref(), &Some(&**hold))?;
            match body.state.as_deref() {
                Some("released" | "expired") => Answer { hold: Some(hold.clone()), ..answer },
                other => return Err(format!("state {other:?} after a release")),
            }
        }
        Op::Spend { campaign, amount: asked, .. } => {
            same("status", &body.status.as_deref(), &Some("booked"))?;
            same("campaign_id", &body.campaign_id.as_deref(), &Some(&**campaign))?;
            let booked = amount(body.amount)?;
            same("an amount", &booked, asked)?;
            Answer { seq: Some(body.seq.ok_or("seq is missing")?), amount: Some(*asked), ..answer }
        }
        Op::Read { campaign, .. } => {
            same("campaign_id", &body.campaign_id.as_deref(), &Some(&**campaign))?;
            let (spent, remaining) = (Some(amount(body.spent)?), Some(amount(body.remaining)?));
            Answer {
                seq: Some(body.ledger_seq.ok_or("ledger_seq is missing")?),
                amount: spent,
                remaining,
                ..answer
            }
        }
        Op::SetCap { campaign, cap, .. } => {
            same("campaign_id", &body.campaign_id.as_deref(), &Some(&**campaign))?;
            same("budget", &amount(body.budget)?, cap)?;
            Answer { amount: Some(*cap), ..answer }
        }
        Op::Pause { campaign, .. } => {
            same("campaign_id", &body.campaign_id.as_deref(), &Some(&**campaign))?;
            same("status", &body.status.as_deref(), &Some("paused"))?;
            answer
        }
        Op::Resume { campaign, .. } => {
            same("campaign_id", &body.campaign_id.as_deref(), &Some(&**campaign))?;
            same("status", &body.status.as_deref(), &Some("active"))?;
            answer
        }
        Op::Grant { consent, .. } | Op::Revoke { consent, .. } => {
            let want = if matches!(op, Op::Grant { .. }) { "granted" } else { "revoked" };
            same("status", &body.status.as_deref(), &Some(want))?;
            same("consent_type", &body.consent_type.as_deref(), &Some(&**consent))?;
            Answer { seq: Some(body.seq.ok_or("seq is missing")?), ..answer }
        }
        Op::MayUse { consent, .. } => {
            same("consent_type", &body.consent_type.as_deref(), &Some(&**consent))?;
            Answer { allowed: Some(body.allowed.ok_or("allowed is missing")?), ..answer }
        }
        Op::Bid { .. } | Op::Billing { .. } | Op::Call { .. } => answer,
    })
}
