//! Why something was bid, or not.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::export::{self, Format};
use crate::actors::flow::journal::storable;
use crate::api::body::{self, InPath};
use crate::api::docs::Problems;
use crate::api::flow::{App, Ctx, common};
use crate::api::problem::Problem;
use crate::api::query::Parameters;
use crate::clock;
use crate::models::flow::decision::{Decision, Proof};
use crate::models::flow::reason::Reason;
use crate::models::shield::money::Micros;
use crate::store::{FlowActual, FlowDecisionList, FlowDecisionRow, PAGE_MAX, StoreError};

/// What a timeline can be asked for.
const TIMELINE: [&str; 8] =
    ["format", "from", "to", "kind", "outcome", "reason", "cursor", "limit"];
const KINDS: &[&str] = &["bid", "no_bid", "change"];
const OUTCOMES: &[&str] = &["none", "bid", "won", "billed", "lost", "expired"];

/// A decision.
#[derive(Serialize, ToSchema)]
pub struct DecisionBody {
    /// Its own id: of a bid, that of its hold.
    id: String,
    /// The subject of the audit record (`decisions.written`) that has the root of its batch.
    batch: String,
    /// Its place in the batch, and the path to that root.
    #[schema(value_type = Option<Object>)]
    proof: Option<Proof>,
    /// What the customer that it was bid for has bought since. Not part of the record: it grows. Absent where
    /// it is not known for whom it was bid, and of a person who was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<Actual>,
    /// What was decided, by what, and what became of it. `unreadable`, with what is known beside it: of a
    /// record that cannot be read.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    what: What,
}

/// What a customer has bought from the day of a bid on.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = DecisionActual)]
pub struct Actual {
    /// In units of the currency.
    #[schema(value_type = f64)]
    pub(super) spent: Micros,
    /// The account's; absent where nothing was bought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) currency: Option<String>,
    purchases: i64,
    /// It counts for so many days, those of a lifetime value, and these are not over yet where they are not.
    days: u32,
}

/// What is known of these decisions by their ids.
pub(super) async fn actuals(
    app: &App,
    account: &str,
    rows: &[FlowDecisionRow],
) -> Result<HashMap<String, Actual>, StoreError> {
    let bids = rows.iter().filter(|row| row.kind == "bid");
    let ids: Vec<String> = bids.map(|row| row.decision.clone()).collect();
    let days = app.flow.value().terms().horizon_days;
    let found = app.flow.shield().store().flow_actuals(account, &ids, days).await?;
    let of = |it: FlowActual| {
        let FlowActual { decision, purchases, spent, currency } = it;
        (decision, Actual { spent: Micros(spent), currency, purchases, days })
    };
    Ok(found.into_iter().map(of).collect())
}

#[derive(Serialize)]
#[serde(untagged)]
enum What {
    Decision(Box<Decision>),
    Unreadable {
        unreadable: bool,
        at_us: i64,
        campaign: String,
        auction: Option<String>,
        kind: String,
        outcome: String,
    },
}

/// A page of decisions.
#[derive(Serialize, ToSchema)]
pub struct DecisionPage {
    decisions: Vec<DecisionBody>,
    /// Give it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A stored decision, with what has become of it by now; one that cannot be read is said, and is no reason not to
/// show the others.
pub(super) fn read(row: &FlowDecisionRow) -> Option<Decision> {
    let read = serde_json::from_str(&row.record);
    let read = read.map(|decision: Decision| Decision {
        outcome: decision.outcome_at(clock::wall_us()),
        ..decision
    });
    read.inspect_err(
        |error| tracing::error!(%error, id = row.decision, "decision {} cannot be read", row.decision),
    )
    .ok()
}

async fn bodies(
    app: &App,
    account: &str,
    rows: Vec<FlowDecisionRow>,
) -> Result<Vec<DecisionBody>, Problem> {
    let mut actuals =
        actuals(app, account, &rows).await.map_err(|error| common::failed(error.into()))?;
    let body = |row: FlowDecisionRow| {
        let actual = actuals.remove(&row.decision);
        let (decision, proof) = (read(&row), Proof::from_text(&row.proof));
        let FlowDecisionRow { at, campaign, auction, kind, outcome, .. } = row;
        let what = match decision {
            Some(decision) => What::Decision(Box::new(decision)),
            None => {
                What::Unreadable { unreadable: true, at_us: at, campaign, auction, kind, outcome }
            }
        };
        DecisionBody { id: row.decision, batch: row.batch, proof, actual, what }
    };
    Ok(rows.into_iter().map(body).collect())
}

/// Whether there is such a campaign, or was one that something is known of; none at all is all of them.
pub(super) async fn known(app: &App, (account, campaign): (&str, &str)) -> Result<(), Problem> {
    if campaign.is_empty() {
        return Ok(());
    }
    let any = FlowDecisionList {
        account: account.to_owned(),
        campaign: campaign.to_owned(),
        before: (i64::MAX, String::new()),
        from_us: i64::MIN,
        limit: 1,
        ..FlowDecisionList::default()
    };
    let rows = app.flow.shield().store().flow_decisions(&any).await;
    match rows.map_err(|error| common::failed(error.into()))?.is_empty() {
        true => app.flow.campaign((account, campaign)).await.map(|_| ()).map_err(common::failed),
        false => Ok(()),
    }
}

/// `<micros>-<id>`.
fn position(cursor: String) -> Result<(i64, String), Problem> {
    let parts = cursor.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, id)));
    let known = parts.filter(|(_, id)| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    let (at, id) = known.ok_or_else(|| Problem::field("cursor", "is none of this list"))?;
    Ok((at, id.to_owned()))
}

/// A time of a parameter, in wall-clock micros; a date is its midnight in UTC.
pub(super) fn time(parameters: &Parameters, name: &str) -> Result<Option<i64>, Problem> {
    let Some(text) = parameters.text(name) else { return Ok(None) };
    let why = "is neither a time as in 2026-11-21T12:00:00Z nor a date as in 2026-11-21";
    micros(&text).map(Some).ok_or_else(|| Problem::field(name, why))
}

fn micros(text: &str) -> Option<i64> {
    if text.len() == "yyyy-mm-dd".len() {
        let day: jiff::civil::Date = text.parse().ok()?;
        let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        return Some(midnight.timestamp().as_microsecond());
    }
    text.parse().ok().map(jiff::Timestamp::as_microsecond)
}

/// One of a few words; empty where it is not given.
fn word(parameters: &Parameters, name: &str, words: &[&str]) -> Result<String, Problem> {
    match parameters.text(name) {
        None => Ok(String::new()),
        Some(text) if words.contains(&text.as_str()) => Ok(text),
        Some(_) => Err(Problem::field(name, format!("is none of {}", words.join(", ")))),
    }
}

/// List or export the decisions of a campaign
///
/// The newest first, a bid when it is over or some two seconds old: bids with what became of them, a sample of refusals, changes of state. `json` is a
/// page; `jsonl` and `csv` are all of them from the cursor on. A line of `jsonl` has the record exactly as it
/// was hashed: the leaf is SHA-256 of a zero byte, the id, a blank and the record, and with the proof's path
/// it leads to the root that the audit log has under the batch's id.
#[utoipa::path(get, path = "/api/v1/campaigns/{id}/decisions", tag = "decisions",
    params(("id" = String, Path),
        ("format" = Option<String>, Query, description = "json (if not given), jsonl or csv"),
        ("from" = Option<String>, Query, description = "Not before this time (RFC 3339), or this day in UTC"),
        ("to" = Option<String>, Query, description = "Before this time (RFC 3339), or this day in UTC"),
        ("kind" = Option<String>, Query, description = "bid, no_bid or change"),
        ("outcome" = Option<String>, Query, description = "none, bid, won, billed, lost or expired"),
        ("reason" = Option<String>, Query, description = "The first of the record's reasons: of a refusal the one that counted"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("limit" = Option<u32>, Query, description = "Of json: 1 to 1000; 100 if not given")),
    responses((status = 200, description = "A page, or all of them", content(
        (DecisionPage = "application/json"), (String = "application/x-ndjson"),
        (String = "text/csv"))), Problems))]
pub async fn list(
    State(app): Ctx,
    InPath(id): InPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    body::check_name("id", &id)?;
    timeline(&app, &headers, id, parameters.only(&TIMELINE)?).await
}

/// List or export the decisions of an account
///
/// As those of a campaign, of all of them, deleted ones too. Records of no campaign are the default account's: of requests
/// that meant nobody's campaign, and of breakers that opened or closed.
#[utoipa::path(get, path = "/api/v1/decisions", tag = "decisions",
    params(("campaign" = Option<String>, Query, description = "Only those of this campaign"),
        ("format" = Option<String>, Query, description = "json (if not given), jsonl or csv"),
        ("from" = Option<String>, Query, description = "Not before this time (RFC 3339), or this day in UTC"),
        ("to" = Option<String>, Query, description = "Before this time (RFC 3339), or this day in UTC"),
        ("kind" = Option<String>, Query, description = "bid, no_bid or change"),
        ("outcome" = Option<String>, Query, description = "none, bid, won, billed, lost or expired"),
        ("reason" = Option<String>, Query, description = "The first of the record's reasons: of a refusal the one that counted"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("limit" = Option<u32>, Query, description = "Of json: 1 to 1000; 100 if not given")),
    responses((status = 200, description = "A page, or all of them", content(
        (DecisionPage = "application/json"), (String = "application/x-ndjson"),
        (String = "text/csv"))), Problems))]
pub async fn all(
    State(app): Ctx,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let parameters = parameters.only(&[&["campaign"], &TIMELINE[..]].concat())?;
    let campaign = match parameters.text("campaign") {
        None => String::new(),
        Some(name) => body::check_name("campaign", &name).map(|()| name)?,
    };
    timeline(&app, &headers, campaign, parameters).await
}

/// Decisions of a campaign; where it is empty, of all of the account.
async fn timeline(
    app: &Arc<App>,
    headers: &HeaderMap,
    campaign: String,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let account = common::account(&app.flow, headers, None)?;
    let format = match parameters.text("format").as_deref() {
        None | Some("json") => None,
        Some("jsonl") => Some(Format::Lines),
        Some("csv") => Some(Format::Csv),
        Some(_) => return Err(Problem::field("format", "is none of json, jsonl, csv")),
    };
    let limit = parameters.number("limit", 1, PAGE_MAX as usize)?.unwrap_or(100);
    let to_us = time(&parameters, "to")?.unwrap_or(i64::MAX);
    let before = match parameters.text("cursor") {
        Some(cursor) => position(cursor)?.min((to_us, String::new())),
        None => (to_us, String::new()),
    };
    let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    let list = FlowDecisionList {
        account: account.into_owned(),
        campaign,
        before,
        from_us: time(&parameters, "from")?.unwrap_or(i64::MIN),
        kind: word(&parameters, "kind", KINDS)?,
        outcome: word(&parameters, "outcome", OUTCOMES)?,
        reason: word(&parameters, "reason", &reasons)?,
        now_us: clock::wall_us(),
        limit: u32::try_from(limit).unwrap_or(PAGE_MAX),
    };
    if let Some(format) = format {
        known(app, (&list.account, &list.campaign)).await?;
        return Ok(export::response(Arc::clone(app), list, format));
    }
    let rows = app.flow.shield().store().flow_decisions(&list).await;
    let rows = rows.map_err(|error| common::failed(error.into()))?;
    if rows.is_empty() {
        known(app, (&list.account, &list.campaign)).await?;
    }
    page(app, &list.account, rows, limit).await
}

/// List the decisions of a request
///
/// By the exchange's id of it, the oldest first.
#[utoipa::path(get, path = "/api/v1/decisions/{auction}", tag = "decisions",
    params(("auction" = String, Path, description = "The exchange's id of the bid request"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 1000 if not given")),
    responses((status = 200, description = "A page", body = DecisionPage), Problems))]
pub async fn of_auction(
    State(app): Ctx,
    InPath(auction): InPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let parameters = parameters.only(&["cursor", "limit"])?;
    let account = common::account(&app.flow, &headers, None)?;
    let limit = parameters.number("limit", 1, PAGE_MAX as usize)?.unwrap_or(PAGE_MAX as usize);
    let after = parameters.text("cursor").map(position).transpose()?;
    let after = after.unwrap_or((i64::MIN, String::new()));
    let (auction, most) = (storable(&auction), u32::try_from(limit).unwrap_or(PAGE_MAX));
    let store = app.flow.shield().store();
    let rows = store.flow_auction((&account, &auction), (after.0, &after.1), most).await;
    let rows = rows.map_err(|error| common::failed(error.into()))?;
    page(&app, &account, rows, limit).await
}

/// A page, with the cursor of the next one where there may be one.
async fn page(
    app: &App,
    account: &str,
    rows: Vec<FlowDecisionRow>,
    limit: usize,
) -> Result<Response, Problem> {
    let last = rows.last().map(|row| format!("{}-{}", row.at, row.decision));
    let next_cursor = last.filter(|_| rows.len() == limit);
    let decisions = bodies(app, account, rows).await?;
    Ok(axum::Json(DecisionPage { decisions, next_cursor }).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_or_a_day_in_utc() {
        let midnight = 1_795_219_200_000_000;
        assert_eq!(micros("2026-11-21"), Some(midnight));
        assert_eq!(micros("2026-11-21T00:00:00Z"), Some(midnight));
        assert_eq!(micros("2026-11-21T01:00:00+01:00"), Some(midnight));
        for wrong in ["", "2026-11-31", "2026-11", "20261121", "2026-11-21T12:00", "yesterday!"] {
            assert_eq!(micros(wrong), None, "{wrong}");
        }
    }
}
