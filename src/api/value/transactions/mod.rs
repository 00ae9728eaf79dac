//! Purchases in, as JSON or as CSV.

mod csv;
mod json;
mod take;

use axum::extract::{FromRequest, Request, State};
use axum::http::header;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Ctx, common};
use crate::api::body::{self, Call};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;

/// Purchases of one request in JSON.
pub const TRANSACTIONS_MAX: usize = 10_000;
/// Rejected rows that an answer names.
pub const REJECTS_MAX: usize = 1_000;

/// A purchase.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct TransactionBody {
    #[schema(example = "cust_123", min_length = 1, max_length = 256)]
    customer_id: String,
    /// YYYY-MM-DD, YYYYMMDD, or a time as in 2026-11-21T12:00:00Z (its day in UTC). Not in the future.
    #[schema(example = "2026-11-21")]
    date: String,
    /// At least 0, at most 6 decimals. A string is read, too.
    #[schema(example = 19.99)]
    amount: f64,
    /// That of the account, if given.
    currency: Option<String>,
    /// Your own id of it: the same id again is the same purchase.
    #[schema(max_length = 128)]
    transaction_id: Option<String>,
}

/// Purchases.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct TransactionsBody {
    #[schema(min_items = 1, max_items = 10000)]
    transactions: Vec<TransactionBody>,
    account: Option<String>,
}

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reject {
    /// Of a CSV file the line, of JSON the place in the list, from 1.
    pub line: u64,
    pub reason: String,
}

/// What became of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportBody {
    /// New purchases, durably kept.
    pub imported: u64,
    /// Rows that tell of purchases that were there already.
    pub duplicates: u64,
    /// Rows that were not taken.
    pub rejected: u64,
    /// The first 1,000 of those.
    pub rejects: Vec<Reject>,
    /// Whether an earlier request with the same key did it.
    pub replayed: bool,
}

impl ImportBody {
    pub(super) fn reject(&mut self, line: u64, reason: impl ToString) {
        self.rejected += 1;
        if self.rejects.len() < REJECTS_MAX {
            self.rejects.push(Reject { line, reason: reason.to_string() });
        }
    }

    /// Of a strict import with rows that cannot be taken: nothing is.
    fn refused(&self) -> Problem {
        let first: Vec<String> =
            self.rejects.iter().take(10).map(|r| format!("line {} {}", r.line, r.reason)).collect();
        let detail = format!(
            "nothing was imported, for {} rows are wrong: {}",
            self.rejected,
            first.join("; ")
        );
        Problem::new(Code::InvalidRows, detail)
    }
}

/// How an import was asked for.
struct Terms {
    account: String,
    key: Option<String>,
    /// Nothing is taken unless everything can be.
    strict: bool,
}

/// Import purchases
///
/// JSON, or `text/csv` with a heading: `customer_id`, `date` or `timestamp`, `amount`, and perhaps
/// `currency`. A CSV file is read as it comes, up to `value.import_limit_bytes`. Rows that are wrong are
/// named by their line and the others are taken. With `strict=true` nothing is taken then: every customer
/// is asked before anything is written, and the body is bounded like one in JSON. Only a purchase or an
/// erasure that another request brings between the question and the write can still keep a row out; the
/// answer names it.
///
/// Imports can be repeated: a purchase with a `transaction_id` is the same wherever it comes again; one
/// without is known by the request's `Idempotency-Key` and its place, or without a key by what it says and
/// how many before it in the request say just that. A file of more than 1,000,000 different rows needs a key.
///
/// With a key, the answer to a request of which everything was taken is kept and given again. Of one with
/// rejected rows it is not: the same request then takes what can be taken by then, and counts the rest as
/// duplicates. While a request with a key is worked on, another one with it is refused, whichever node either came
/// to. Rows are known by their place, so correct them in their places, or use another key for
/// the corrected rows alone.
#[utoipa::path(post, path = "/api/v1/ltv/transactions", tag = "purchases",
    request_body(content((TransactionsBody = "application/json"), (String = "text/csv"))),
    params(("strict" = Option<bool>, Query, description = "Take all or nothing")),
    responses((status = 200, description = "What was taken and what was not", body = ImportBody), Problems))]
pub async fn import(
    State(app): Ctx,
    parameters: Parameters,
    request: Request,
) -> Result<axum::Json<ImportBody>, Problem> {
    let strict = match parameters.text("strict").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::field("strict", "is not true or false")),
    };
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.map_or(&b""[..], |kind| kind.as_bytes());
    let kind = kind.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    let done = match kind.eq_ignore_ascii_case(b"text/csv") {
        true => csv::import(&app, strict, request).await?,
        false => {
            let call = Call::from_request(request, &app).await?;
            json::import(&app, strict, call).await?
        }
    };
    Ok(axum::Json(done))
}

/// What a customer bought.
#[derive(Serialize, ToSchema)]
pub struct CustomerBody {
    customer_id: String,
    /// Purchases that are kept.
    purchases: u64,
    /// Days with a purchase.
    days: usize,
    #[schema(value_type = f64)]
    total: crate::models::shield::money::Micros,
    #[schema(value_type = String)]
    currency: crate::models::shield::money::Currency,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_day: Option<String>,
}

/// Look at what a customer bought
///
/// Of somebody who bought nothing that is known, all counts are 0.
#[utoipa::path(get, path = "/api/v1/ltv/customers/{customer_id}", tag = "purchases",
    params(("customer_id" = String, Path, example = "cust_123")),
    responses((status = 200, description = "Purchases, added up", body = CustomerBody), Problems))]
pub async fn customer(
    State(app): Ctx,
    body::InPath(customer): body::InPath,
    headers: axum::http::HeaderMap,
) -> Result<axum::Json<CustomerBody>, Problem> {
    let account = common::account(&app.value, &headers, None)?;
    common::check_customer("customer_id", &customer)?;
    let seen = app.value.customer(&account, &customer).await.map_err(common::failed)?;
    let days = &seen.history.purchases;
    Ok(axum::Json(CustomerBody {
        customer_id: customer,
        purchases: seen.purchases,
        days: days.len(),
        total: crate::models::shield::money::Micros(seen.total),
        currency: seen.currency,
        first_day: days.first().map(|p| p.day.to_string()),
        last_day: days.last().map(|p| p.day.to_string()),
    }))
}
