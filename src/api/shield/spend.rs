//! Spends: facts that happened elsewhere. They are never refused by a cap.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::common::{self, Row};
use super::{App, Ctx};
use crate::actors::shield::BudgetName;
use crate::actors::shield::message::SpendAsk;
use crate::api::body::{self, fields};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem, ProblemBody};
use crate::models::shield::entry::Op;
use crate::models::shield::hold::settle_op;
use crate::models::shield::money::Micros;

/// Record spending of the account
///
/// Books a fact on the account itself; a negative amount is a refund and frees the window. Takes an
/// `Idempotency-Key`.
#[utoipa::path(get, path = "/spend", tag = "documented",
    params(("amount" = String, Query, description = "A decimal number; negative for a refund", example = "100")),
    responses(Problems,
        (status = 200, description = "Spend recorded: 100.00", body = String, content_type = "text/plain"),
        (status = 400, description = "Invalid amount, or a problem with a header",
            content((String = "text/plain"), (ProblemBody = "application/problem+json")))))]
pub async fn spend_get(app: Ctx, method: Method, query: RawQuery, headers: HeaderMap) -> Response {
    if method == Method::HEAD {
        // It is a GET to the router, and must change nothing.
        let problem = Problem::new(Code::MethodNotAllowed, "HEAD cannot book");
        return ([(header::ALLOW, "GET, POST")], problem).into_response();
    }
    spend(app, query, headers).await
}

/// Record spending of the account
///
/// The same as GET, for clients that do not like to change things by it.
#[utoipa::path(post, path = "/spend", tag = "documented",
    params(("amount" = String, Query, description = "A decimal number; negative for a refund", example = "100")),
    responses(Problems,
        (status = 200, description = "Spend recorded: 100.00", body = String, content_type = "text/plain"),
        (status = 400, description = "Invalid amount, or a problem with a header",
            content((String = "text/plain"), (ProblemBody = "application/problem+json")))))]
pub async fn spend_post(app: Ctx, query: RawQuery, headers: HeaderMap) -> Response {
    spend(app, query, headers).await
}

async fn spend(State(app): Ctx, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let text = query_value(query.as_deref().unwrap_or_default(), "amount").unwrap_or_default();
    let Ok(amount) = Micros::parse(&plain(&text)) else {
        return (StatusCode::BAD_REQUEST, "Invalid amount").into_response();
    };
    match record(&app, &headers, amount).await {
        Ok(()) => format!("Spend recorded: {}", amount.display_2()).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// `.5` and `5.` are numbers outside of JSON.
fn plain(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (&text[..1], rest),
        None => ("", text),
    };
    let lone = digits.len() < 2;
    match digits {
        _ if lone => text.to_owned(),
        d if d.starts_with('.') => format!("{sign}0{d}"),
        d if d.ends_with('.') => text[..text.len() - 1].to_owned(),
        _ => text.to_owned(),
    }
}

async fn record(app: &App, headers: &HeaderMap, amount: Micros) -> Result<(), Problem> {
    let account = common::account(app, headers, None)?;
    let key = body::idempotency_key(headers)?;
    let (op, body) = common::operation(&account, "spend", key, amount.0.to_string().as_bytes());
    let name = BudgetName::account(&account);
    let ask = SpendAsk { op, amount, currency: None, body, memo: None };
    let booked = app.shield.spend(&name, ask).await.map_err(|e| common::failed(e, &name))?;
    common::row(booked).map(|_| ())
}

/// The first value of a query parameter, decoded. A plus sign is kept: it may stand before a number.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| decode(value))
    })
}

fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(b) = bytes.next() {
        let hex = |b: Option<u8>| char::from(b?).to_digit(16).map(|d| d as u8);
        match b {
            b'%' => match (hex(bytes.next()), hex(bytes.next())) {
                (Some(high), Some(low)) => out.push(high << 4 | low),
                _ => return String::new(),
            },
            b => out.push(b),
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Characters of a hold's name: its id, a dot, and a campaign.
const HOLD_CHARS_MAX: usize = 256;

/// The hold of this campaign that has this name.
fn held(name: &str, campaign: &str) -> Result<Op, Problem> {
    let id = name.split_once('.').filter(|(_, of)| *of == campaign);
    let id = id.and_then(|(id, _)| Op::from_hex(id));
    id.ok_or_else(|| Problem::field("hold_id", "is no hold of this campaign"))
}

fields!(SpendFields { campaign_id, amount, currency, memo, account, hold_id } only);

/// A spend of a campaign.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct SpendBody {
    campaign_id: String,
    /// At most 6 decimals; negative for a refund.
    amount: f64,
    /// The allocation's currency, if given.
    currency: Option<String>,
    #[schema(max_length = 256)]
    memo: Option<String>,
    account: Option<String>,
    /// It is what this hold of the campaign has cost: booked under the name of the hold's settle.
    hold_id: Option<String>,
}

/// A booking.
#[derive(Serialize, ToSchema)]
pub struct BookedBody {
    /// booked
    status: &'static str,
    /// Whether an earlier request with the same key booked it.
    replayed: bool,
    campaign_id: String,
    #[serde(flatten)]
    row: Row,
}

/// Book a spend of a campaign
///
/// A fact that happened elsewhere: booked once per `Idempotency-Key`, never refused by a cap. Zero
/// is a valid amount; a negative one is a refund. With `hold_id` it is booked once per hold, whatever the
/// key: where the hold was settled, or is later, one of the two is in the ledger.
#[utoipa::path(post, path = "/api/v1/spend", tag = "bookings", request_body = SpendBody,
    responses((status = 201, description = "Booked, durably", body = BookedBody),
        (status = 200, description = "Booked by an earlier request with this key", body = BookedBody), Problems))]
pub async fn book(
    State(app): Ctx,
    body::Call { headers, json }: body::Call,
) -> Result<Response, Problem> {
    let f: SpendFields = json.fields()?;
    let account = common::account(&app, &headers, f.account)?;
    let name = BudgetName::campaign(&account, &body::name("campaign_id", f.campaign_id)?);
    let key = body::idempotency_key(&headers)?;
    let amount = body::amount("amount", f.amount)?;
    let (op, body) = match f.hold_id {
        None => common::operation(&account, "api/v1/spend", key, &json.0),
        Some(raw) => {
            let hold = held(&body::text("hold_id", raw, HOLD_CHARS_MAX)?, &name.budget)?;
            body::positive("amount", amount, true)?;
            // As a settle of this amount is told from one of another.
            (settle_op(hold), amount.0 as u64)
        }
    };
    let ask = SpendAsk {
        op,
        amount,
        currency: body::opt_currency("currency", f.currency)?,
        body,
        memo: body::opt_text("memo", f.memo)?.map(Into::into),
    };
    let booked = match app.shield.spend(&name, ask).await {
        Ok(booked) => booked,
        Err(error) => return Err(common::failed_at(&app, error, &name).await),
    };
    let (entry, replayed) = common::row(booked)?;
    let row = Row::of(&entry, &name.budget);
    let status = if replayed { StatusCode::OK } else { StatusCode::CREATED };
    let campaign_id = name.budget.to_string();
    let body = BookedBody { status: "booked", replayed, campaign_id, row };
    Ok((status, axum::Json(body)).into_response())
}

/// A problem where a text was promised: the documented calls of old answer in plain text.
pub fn invalid(text: &'static str) -> Response {
    (Code::InvalidField.status(), text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_value_is_decoded_and_nothing_else_is_taken_for_it() {
        assert_eq!(query_value("amount=100", "amount").as_deref(), Some("100"));
        assert_eq!(query_value("a=1&amount=%2D5%2e5", "amount").as_deref(), Some("-5.5"));
        assert_eq!(query_value("xamount=1", "amount"), None);
        assert_eq!(query_value("amount", "amount").as_deref(), Some(""));
        assert_eq!(query_value("amount=%zz", "amount").as_deref(), Some(""));
        assert_eq!(query_value("amount=%", "amount").as_deref(), Some(""));
    }

    #[test]
    fn a_hold_is_one_of_the_campaign_that_is_spent_on() {
        let id = "0123456789abcdef0123456789abcdef";
        let of = |name: &str| held(name, "c.d").ok().map(|hold| hold.to_string());
        assert_eq!(of(&format!("{id}.c.d")).as_deref(), Some(id));
        for bad in [format!("{id}.c"), id.to_owned(), "x.c.d".to_owned(), String::new()] {
            assert_eq!(of(&bad), None, "{bad}");
        }
    }
}
