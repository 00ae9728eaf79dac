//! Holds: settle, release, look.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::Ctx;
use super::common::{self, Row};
use crate::actors::shield::message::HoldFate;
use crate::actors::shield::view;
use crate::api::body::{self, fields};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::models::shield::hold::{Hold, HoldState};
use crate::models::shield::money::Micros;
use crate::models::shield::purse::HoldAnswer;
use crate::models::shield::token::TOKEN_CHARS_MAX;

/// A hold in answers.
#[derive(Serialize, ToSchema)]
pub struct HoldBody {
    hold_id: String,
    campaign_id: String,
    /// open, settling, won, settled, released or expired.
    state: &'static str,
    /// What was held.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    amount: Option<Micros>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Whether an earlier request did it.
    replayed: bool,
    /// The ledger row of a settled hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    booked: Option<Row>,
}

fn body_of(id: &str, campaign: &str, hold: Option<&Hold>, state: &'static str) -> HoldBody {
    HoldBody {
        hold_id: id.to_owned(),
        campaign_id: campaign.to_owned(),
        state,
        amount: hold.map(|h| h.amount),
        expires_at: hold.map(|h| view::rfc3339(h.expires_wall_us)),
        replayed: false,
        booked: None,
    }
}

/// The answer to any of the three, or the problem.
fn answer(id: &str, campaign: &str, fate: HoldFate, looking: bool) -> Result<HoldBody, Problem> {
    match fate {
        HoldFate::Booked { hold, entry, replayed } => {
            let booked = Some(Row::of(&entry, campaign));
            Ok(HoldBody {
                booked,
                replayed: replayed && !looking,
                ..body_of(id, campaign, hold.as_ref(), "settled")
            })
        }
        HoldFate::Over(hold) if looking => {
            Ok(body_of(id, campaign, Some(&hold), hold.state.as_str()))
        }
        HoldFate::Over(hold) => {
            Err(Problem::new(Code::HoldOver, format!("the hold is {}", hold.state.as_str())))
        }
        HoldFate::Answer(HoldAnswer::Held { hold, .. } | HoldAnswer::Released(hold)) => {
            Ok(body_of(id, campaign, Some(&hold), hold.state.as_str()))
        }
        HoldFate::Answer(HoldAnswer::Settled { hold, entry, replayed }) => {
            let booked = Some(Row::of(&entry, campaign));
            Ok(HoldBody { booked, replayed, ..body_of(id, campaign, Some(&hold), "settled") })
        }
        HoldFate::Answer(HoldAnswer::Unknown) => {
            Err(Problem::new(Code::UnknownHold, "nothing is known of this hold"))
        }
        HoldFate::Answer(HoldAnswer::TooMuch(hold)) => {
            let held = hold.amount;
            Err(Problem::new(
                Code::SettleExceedsHold,
                format!("amount is more than the {held} held"),
            )
            .at("amount"))
        }
        HoldFate::Answer(HoldAnswer::Mismatch) => {
            Err(Problem::new(Code::IdempotencyMismatch, "the hold was settled for another amount"))
        }
        HoldFate::Answer(HoldAnswer::Busy) => {
            Err(Problem::new(Code::InProgress, "the hold is being settled, or was"))
        }
        HoldFate::Answer(HoldAnswer::Overloaded) => {
            Err(Problem::new(Code::Overloaded, "too many requests wait for this budget"))
        }
        HoldFate::Answer(_) => Err(common::unavailable()),
    }
}

fields!(SettleFields { amount, token } only);

/// The real price of a hold.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct SettleBody {
    /// From 0 to what was held; at most 6 decimals.
    #[schema(minimum = 0.0)]
    amount: f64,
    /// The hold's token: needed only when a crash has lost the hold.
    token: Option<String>,
}

/// Settle a hold
///
/// Books the real amount and gives the rest back; answered when the row is durable. A hold is settled
/// once: the same amount again answers the same. A hold that is over, or was lost in a crash, is
/// booked late when its token or the journal proves it.
#[utoipa::path(post, path = "/api/v1/holds/{id}/settle", tag = "holds", request_body = SettleBody,
    params(("id" = String, Path, description = "hold_id of the authorisation")),
    responses((status = 200, description = "Settled", body = HoldBody), Problems))]
pub async fn settle(
    State(app): Ctx,
    body::InPath(id): body::InPath,
    body::Call { headers, json }: body::Call,
) -> Result<axum::Json<HoldBody>, Problem> {
    let f: SettleFields = json.fields()?;
    // A settle is one by its hold; a key says nothing more, but must be one.
    body::idempotency_key(&headers)?;
    let amount = body::positive("amount", body::amount("amount", f.amount)?, true)?;
    let (name, hold, campaign) = common::parse_hold(&app, &headers, &id)?;
    let proof = match f.token {
        None => None,
        Some(raw) => {
            let token = body::text("token", raw, TOKEN_CHARS_MAX)?;
            let proof =
                app.tokens.ring().open(&name.account, campaign, &token, crate::clock::wall_us());
            let proof = proof.ok().filter(|h| h.id == hold);
            Some(proof.ok_or_else(|| Problem::field("token", "is not of this hold"))?)
        }
    };
    let fate = app.shield.settle(&name, hold, amount, proof).await.map_err(|e| lost(e, &name))?;
    answer(&id, campaign, fate, false).map(axum::Json)
}

/// Release a hold
///
/// Gives the whole amount back: the bid was lost. Releasing it again answers the same.
#[utoipa::path(post, path = "/api/v1/holds/{id}/release", tag = "holds",
    params(("id" = String, Path, description = "hold_id of the authorisation")),
    responses((status = 200, description = "Released", body = HoldBody), Problems))]
pub async fn release(
    State(app): Ctx,
    body::InPath(id): body::InPath,
    headers: HeaderMap,
) -> Result<axum::Json<HoldBody>, Problem> {
    let (name, hold, campaign) = common::parse_hold(&app, &headers, &id)?;
    body::idempotency_key(&headers)?;
    let fate = app.shield.release(&name, hold).await.map_err(|e| lost(e, &name))?;
    if let HoldFate::Over(hold) = &fate
        && matches!(hold.state, HoldState::Released | HoldState::Expired)
    {
        let body = body_of(&id, campaign, Some(hold), hold.state.as_str());
        return Ok(axum::Json(HoldBody { replayed: true, ..body }));
    }
    answer(&id, campaign, fate, false).map(axum::Json)
}

/// Look at a hold
#[utoipa::path(get, path = "/api/v1/holds/{id}", tag = "holds",
    params(("id" = String, Path, description = "hold_id of the authorisation")),
    responses((status = 200, description = "The hold as it stands", body = HoldBody), Problems))]
pub async fn hold(
    State(app): Ctx,
    body::InPath(id): body::InPath,
    headers: HeaderMap,
) -> Result<axum::Json<HoldBody>, Problem> {
    let (name, hold, campaign) = common::parse_hold(&app, &headers, &id)?;
    let fate = app.shield.hold(&name, hold).await.map_err(|e| lost(e, &name))?;
    answer(&id, campaign, fate, true).map(axum::Json)
}

/// A hold of a campaign that is not there is a hold that is not there.
fn lost(
    error: crate::actors::shield::ShieldError,
    name: &crate::actors::shield::BudgetName,
) -> Problem {
    match error {
        crate::actors::shield::ShieldError::Absent => {
            Problem::new(Code::UnknownHold, "nothing is known of this hold")
        }
        other => common::failed(other, name),
    }
}
