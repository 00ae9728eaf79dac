//! Accounts: the advertisers of an installation, each with its window, its switch and its rates.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::allocations::limit;
use super::budget::WindowBody;
use super::spend::query_value;
use super::{App, Ctx, common};
use crate::actors::shield::message::Booked;
use crate::actors::shield::{BudgetName, view};
use crate::api::access;
use crate::api::body::{self, Json, fields};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::clock;
use crate::models::access::Names;
use crate::models::shield::ask::{Answer, Order};
use crate::models::shield::money::{Currency, Micros};
use crate::store::{AccountRow, RateRow};

/// An account as it stands.
#[derive(Serialize, ToSchema)]
pub struct AccountBody {
    account: String,
    currency: String,
    /// The stop-all switch: nothing is authorised while it is on.
    stopped: bool,
    window: WindowBody,
    /// Newest row of the account's own ledger.
    ledger_seq: i64,
}

async fn see(app: &App, account: &str) -> Result<AccountBody, Problem> {
    let name = BudgetName::account(account);
    let seen = app.shield.account(account).await.map_err(|e| common::failed(e, &name))?;
    let window = WindowBody {
        spent: seen.window_spent,
        reserved: seen.window_escrow,
        cap: seen.window_cap,
        length_s: Micros(seen.window_length_us),
        currency: seen.currency.to_string(),
    };
    let currency = seen.currency.to_string();
    Ok(AccountBody {
        account: account.to_owned(),
        currency,
        stopped: seen.stopped,
        window,
        ledger_seq: seen.seq,
    })
}

/// Look at an account
#[utoipa::path(get, path = "/api/v1/accounts/{account}", tag = "accounts",
    params(("account" = String, Path, example = "default")),
    responses((status = 200, description = "Currency, switch and window", body = AccountBody), Problems))]
pub async fn account(
    State(app): Ctx,
    body::InPath(account): body::InPath,
) -> Result<axum::Json<AccountBody>, Problem> {
    body::check_name("account", &account)?;
    access::may_use(common::SERVICE, &account)?;
    see(&app, &account).await.map(axum::Json)
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
pub struct AccountPage {
    accounts: Vec<AccountListed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// An account in a list.
#[derive(Serialize, ToSchema)]
pub struct AccountListed {
    account: String,
    currency: String,
    created_at: String,
}

/// The accounts after `cursor` that the caller may use.
async fn page(app: &App, cursor: &str, limit: u32) -> crate::store::Result<Vec<AccountRow>> {
    let store = app.shield.store();
    let names = match access::caller().accounts(common::SERVICE) {
        Names::All => return store.accounts(cursor, limit).await,
        Names::Some(names) => names,
    };
    // A caller has few of them: each is looked up.
    let mut rows = Vec::new();
    for name in names.iter().filter(|name| &***name > cursor) {
        if rows.len() as u32 == limit {
            break;
        }
        rows.extend(store.account(name).await?);
    }
    Ok(rows)
}

/// List accounts
///
/// Those that the caller may use.
#[utoipa::path(get, path = "/api/v1/accounts", tag = "accounts",
    params(("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given")),
    responses((status = 200, description = "A page, by name", body = AccountPage), Problems))]
pub async fn list(
    State(app): Ctx,
    RawQuery(query): RawQuery,
) -> Result<axum::Json<AccountPage>, Problem> {
    let query = query.unwrap_or_default();
    let (cursor, limit) = (query_value(&query, "cursor").unwrap_or_default(), limit(&query)?);
    if !cursor.is_empty() {
        body::check_name("cursor", &cursor)?;
    }
    let rows = page(&app, &cursor, limit).await.map_err(|_| common::unavailable())?;
    let next_cursor =
        (rows.len() as u32 == limit).then(|| rows.last().map(|r| r.account.clone())).flatten();
    let accounts = rows
        .into_iter()
        .map(|r| AccountListed {
            account: r.account,
            currency: r.currency,
            created_at: view::rfc3339(r.created_at),
        })
        .collect();
    Ok(axum::Json(AccountPage { accounts, next_cursor }))
}

fields!(CreateFields { account, currency, window_cap } only);

/// A new advertiser.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct CreateBody {
    account: String,
    /// ISO 4217; shield.default_currency if not given.
    currency: Option<String>,
    /// Most spending in the sliding window; shield.window_cap if not given.
    #[schema(minimum = 0.0)]
    window_cap: Option<f64>,
}

/// Create an account
///
/// The same request again answers with the account as it stands (200).
#[utoipa::path(post, path = "/api/v1/accounts", tag = "accounts", request_body = CreateBody,
    responses((status = 201, description = "Made", body = AccountBody),
        (status = 200, description = "It was made before", body = AccountBody), Problems))]
pub async fn create(State(app): Ctx, json: Json) -> Result<Response, Problem> {
    let f: CreateFields = json.fields()?;
    let account = body::name("account", f.account)?;
    access::may_use(common::SERVICE, &account)?;
    let currency =
        body::opt_currency("currency", f.currency)?.unwrap_or(app.shield.terms().default_currency);
    let cap = body::opt_amount("window_cap", f.window_cap)?
        .map(|cap| body::positive("window_cap", cap, true))
        .transpose()?;
    let name = BudgetName::account(&account);
    let made = app
        .shield
        .create_account(&account, currency, cap)
        .await
        .map_err(|e| common::failed(e, &name))?;
    let body = see(&app, &account).await?;
    let status = match made {
        true => StatusCode::CREATED,
        // Asked for once more: it is as it was asked for.
        false
            if body.currency == currency.as_str()
                && cap.is_none_or(|c| body.window.cap == Some(c)) =>
        {
            StatusCode::OK
        }
        false => {
            let why = format!("there is an account {account}, of another currency or cap");
            return Err(Problem::new(Code::AlreadyExists, why).at("account"));
        }
    };
    Ok((status, axum::Json(body)).into_response())
}

async fn switch(
    app: &App,
    headers: &HeaderMap,
    account: &str,
    stop: bool,
) -> Result<axum::Json<AccountBody>, Problem> {
    body::check_name("account", account)?;
    access::may_use(common::SERVICE, account)?;
    let name = BudgetName::account(account);
    let key = body::idempotency_key(headers)?;
    let route = if stop { "stop" } else { "start" };
    let (op, body) = common::operation(account, route, key, b"");
    let booked = app
        .shield
        .order(&name, op, body, Order::Stop(stop))
        .await
        .map_err(|e| common::failed(e, &name))?;
    match booked {
        Booked::Ordered { .. } | Booked::Answer(Answer::OrderReplayed { .. }) => {
            see(app, account).await.map(axum::Json)
        }
        Booked::Answer(answer) => Err(common::not_booked(&answer)),
        Booked::Refused(reason) => Err(common::refused(reason)),
    }
}

/// Stop all spending of an account
///
/// Answered when no bid of any campaign can be authorised any more. Facts are still booked.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/stop", tag = "accounts",
    params(("account" = String, Path, example = "default")),
    responses((status = 200, description = "Stopped", body = AccountBody), Problems))]
pub async fn stop(
    State(app): Ctx,
    body::InPath(account): body::InPath,
    headers: HeaderMap,
) -> Result<axum::Json<AccountBody>, Problem> {
    switch(&app, &headers, &account, true).await
}

/// Let an account spend again
#[utoipa::path(post, path = "/api/v1/accounts/{account}/start", tag = "accounts",
    params(("account" = String, Path, example = "default")),
    responses((status = 200, description = "Spending may go on", body = AccountBody), Problems))]
pub async fn start(
    State(app): Ctx,
    body::InPath(account): body::InPath,
    headers: HeaderMap,
) -> Result<axum::Json<AccountBody>, Problem> {
    switch(&app, &headers, &account, false).await
}

/// A dated exchange rate.
#[derive(Serialize, ToSchema)]
pub struct RateBody {
    currency: String,
    /// The UTC day from which it holds, as yyyy-mm-dd.
    day: String,
    /// What one unit of `currency` is in the account's currency, with at most 6 decimals.
    #[schema(value_type = f64)]
    rate: Micros,
}

/// Read an account's exchange rates
#[utoipa::path(get, path = "/api/v1/rates", tag = "accounts",
    responses((status = 200, description = "By currency and day", body = Vec<RateBody>), Problems))]
pub async fn rates(
    State(app): Ctx,
    headers: HeaderMap,
) -> Result<axum::Json<Vec<RateBody>>, Problem> {
    let account = common::account(&app, &headers, None)?;
    let rows = app.shield.store().rates(&account).await.map_err(|_| common::unavailable())?;
    if rows.is_empty() {
        common::known_account(&app, &account).await?;
    }
    let rates = rows
        .into_iter()
        .map(|r| RateBody {
            currency: r.currency,
            day: format!(
                "{}-{}-{}",
                r.day.get(..4).unwrap_or(""),
                r.day.get(4..6).unwrap_or(""),
                r.day.get(6..).unwrap_or("")
            ),
            rate: Micros(r.rate_e9 / 1_000),
        })
        .collect();
    Ok(axum::Json(rates))
}

fields!(RateFields { currency, day, rate } only);

/// A rate to enter.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct PutRateBody {
    currency: String,
    /// The UTC day from which it holds, as yyyy-mm-dd; today if not given.
    day: Option<String>,
    /// More than 0, at most 6 decimals.
    #[schema(exclusive_minimum = 0.0)]
    rate: f64,
}

/// Enter an exchange rate
///
/// From its day on, spending in this currency is counted in the account's window at this rate. Without
/// a rate there is no spending in that currency.
#[utoipa::path(put, path = "/api/v1/rates", tag = "accounts", request_body = PutRateBody,
    responses((status = 200, description = "Entered", body = RateBody), Problems))]
pub async fn put_rates(
    State(app): Ctx,
    body::Call { headers, json }: body::Call,
) -> Result<axum::Json<RateBody>, Problem> {
    let f: RateFields = json.fields()?;
    let account = common::account(&app, &headers, None)?;
    let name = BudgetName::account(&account);
    let currency: Currency =
        body::opt_currency("currency", f.currency)?.ok_or_else(|| Problem::missing("currency"))?;
    let rate = body::positive("rate", body::amount("rate", f.rate)?, false)?;
    if rate.0 > 1_000_000 * 1_000_000 {
        return Err(Problem::field("rate", "is more than 1,000,000"));
    }
    let day: jiff::civil::Date = match body::opt_text("day", f.day)? {
        Some(text) => {
            let bad = || Problem::field("day", "is not a day as in 2026-11-21");
            let shape = |(i, b): (usize, u8)| {
                if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() }
            };
            let shaped = text.len() == 10 && text.bytes().enumerate().all(shape);
            let day: jiff::civil::Date = text.parse().ok().filter(|_| shaped).ok_or_else(bad)?;
            if day.year() < 1970 {
                return Err(Problem::field("day", "is before 1970"));
            }
            day
        }
        None => jiff::Timestamp::from_microsecond(clock::wall_us())
            .map(|t| t.to_zoned(jiff::tz::TimeZone::UTC).date())
            .map_err(|_| Problem::new(Code::Internal, "the clock is out of range"))?,
    };
    let seen = app.shield.account(&account).await.map_err(|e| common::failed(e, &name))?;
    if seen.currency == currency {
        return Err(Problem::field("currency", "is the account's own: its rate is 1"));
    }
    let row = RateRow {
        account: account.to_string(),
        currency: currency.to_string(),
        day: day.strftime("%Y%m%d").to_string(),
        rate_e9: rate.0 * 1_000,
    };
    app.shield.put_rates(&account, &[row]).await.map_err(|e| common::failed(e, &name))?;
    Ok(axum::Json(RateBody { currency: currency.to_string(), day: day.to_string(), rate }))
}

/// What was resumed.
#[derive(Serialize, ToSchema)]
pub struct ResumedBody {
    paused_by_restore: bool,
}

/// Let spending go on after a restore
///
/// A restore pauses all spending: what happened after the backup is not in it. Check the budgets
/// against the platforms first.
#[utoipa::path(post, path = "/api/v1/restore/resume", tag = "accounts",
    responses((status = 200, description = "Spending may go on", body = ResumedBody), Problems))]
pub async fn resume_after_restore(State(app): Ctx) -> Result<axum::Json<ResumedBody>, Problem> {
    let name = BudgetName::account(&app.shield.terms().default_account);
    app.shield.resume_after_restore().await.map_err(|e| common::failed(e, &name))?;
    Ok(axum::Json(ResumedBody { paused_by_restore: app.shield.paused_by_restore() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::shield::entry::Op;

    #[test]
    fn an_operation_without_a_key_is_always_another() {
        let (a, _) = common::operation("default", "stop", None, b"");
        let (b, _) = common::operation("default", "stop", None, b"");
        assert_ne!(a, b);
        let keyed = |key| common::operation("default", "stop", Some(key), b"").0;
        assert_eq!(keyed("k"), Op::of(&["default", "stop", "k"]));
    }
}
