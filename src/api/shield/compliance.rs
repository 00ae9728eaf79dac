//! The compliance report.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::{Ctx, common};
use crate::actors::shield::compliance::FactsError;
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::clock;
use crate::models::shield::compliance::facts::Settings;
use crate::models::shield::compliance::period::{Asked, BadPeriod, Period};
use crate::models::shield::compliance::render::{csv, html};
use crate::models::shield::compliance::report::Report;

#[derive(Clone, Copy)]
enum Format {
    Json,
    Csv,
    Html,
}

fn format(parameters: &Parameters, headers: &HeaderMap) -> Result<Format, Problem> {
    match parameters.text("format").as_deref() {
        Some("json") => Ok(Format::Json),
        Some("csv") => Ok(Format::Csv),
        Some("html") => Ok(Format::Html),
        Some(_) => Err(Problem::field("format", "is not json, csv or html")),
        None => {
            let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
            let browser = accept.is_some_and(|accept| accept.starts_with("text/html"));
            Ok(if browser { Format::Html } else { Format::Json })
        }
    }
}

/// Report on an account's compliance
///
/// Counted from the records of the period: events, consent changes, requests with their ages,
/// erasures, denied decisions, the verification of the audit log, and the findings that follow. A
/// browser gets a page to print.
#[utoipa::path(get, path = "/compliance/report", tag = "compliance",
    params(
        ("period" = Option<String>, Query, description = "daily, weekly, monthly (if not given), quarterly or yearly", example = "monthly"),
        ("at" = Option<String>, Query, description = "A date or time within the period; now if not given"),
        ("from" = Option<String>, Query, description = "In place of a period: a date or time (RFC 3339)"),
        ("to" = Option<String>, Query, description = "With from: a date (inclusive) or a time (exclusive)"),
        ("format" = Option<String>, Query, description = "json (if not given), csv or html")),
    responses((status = 200, description = "The report", content(
        (serde_json::Value = "application/json"), (String = "text/csv"), (String = "text/html"))), Problems))]
pub async fn report(
    State(app): Ctx,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let format = format(&parameters, &headers)?;
    let now = clock::wall_us();
    let texts = ["period", "at", "from", "to"].map(|name| parameters.text(name));
    let [named, at, from, to] = &texts;
    let asked = Asked {
        period: named.as_deref(),
        at: at.as_deref(),
        from: from.as_deref(),
        to: to.as_deref(),
    };
    let period = Period::read(asked, now).map_err(|why| bad_period(&why, named.is_some()))?;
    let account = common::account(&app, &headers, None)?.into_owned();
    common::known_account(&app, &account).await?;
    super::audit::flushed(&app, &account).await?;
    let settings = Settings {
        authentication: app.door.everybody().is_none(),
        tls: app.front.tls,
        loopback_only: app.front.loopback_only,
    };
    // reading and verifying a long log takes its time: one at a time for everybody
    let Ok(_turn) = app.verifying.try_lock() else {
        return Err(Problem::new(Code::Busy, "a report or a verification is running already"));
    };
    let facts = app.shield.facts(&account, &period, settings).await.map_err(failed)?;
    let report = Report::of(period, facts, now);
    Ok(match format {
        Format::Json => axum::Json(report).into_response(),
        Format::Csv => {
            let text = csv::csv(&report)
                .map_err(|e| Problem::new(Code::Internal, format!("the report: {e}")))?;
            ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response()
        }
        Format::Html => {
            let policy = "default-src 'none'; style-src 'unsafe-inline'";
            let kind = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CONTENT_SECURITY_POLICY, policy),
            ];
            (kind, html::html(&report)).into_response()
        }
    })
}

fn bad_period(why: &BadPeriod, named: bool) -> Problem {
    let field = match why {
        BadPeriod::Name => "period",
        BadPeriod::Bound if named => "at",
        _ => "from",
    };
    Problem::field(field, why)
}

fn failed(error: FactsError) -> Problem {
    match error {
        FactsError::Store(error) => {
            tracing::warn!(%error, "the store did not answer");
            common::unavailable()
        }
        FactsError::Unreadable(why) => {
            tracing::error!(why, "a compliance report met a row that cannot be read");
            Problem::new(Code::Conflict, format!("a stored row cannot be read: {why}"))
        }
    }
}
