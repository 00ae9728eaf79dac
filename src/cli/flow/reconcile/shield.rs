//! What SyncShield says: ledgers and holds read, spends booked. Everything is tried again while the server is
//! busy or away: each call books at most once.

use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};

use super::super::super::exit::CliError;
use super::super::super::tls_args;
use super::compare::{Book, Ledger, MEMO, Row};
use crate::models::shield::entry::Op;
use crate::models::shield::money::Micros;

/// Rows of a page: the most that the server gives.
const PAGE: usize = 1_000;
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
const TRY_TIMEOUT: Duration = Duration::from_secs(20);

pub struct Shield {
    pub client: Client,
    /// Scheme, host and port.
    pub base: String,
    pub give_up_after: Duration,
}

#[derive(Deserialize)]
struct Page {
    rows: Vec<WireRow>,
    next_cursor: Option<i64>,
}

#[derive(Deserialize)]
struct WireRow {
    seq: i64,
    amount: Micros,
    currency: String,
    at: jiff::Timestamp,
    op: String,
    hold_id: Option<String>,
    memo: Option<String>,
}

#[derive(Deserialize)]
struct WireHold {
    state: String,
}

#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
}

#[derive(Serialize)]
struct Spend<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    campaign_id: &'a str,
    amount: Micros,
    currency: &'a str,
    memo: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_id: Option<String>,
}

/// An amount to be booked for a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    pub hold: Op,
    pub book: Book,
    pub currency: String,
    /// Negative: it comes back.
    pub amount: Micros,
    /// It is what the hold has cost, and not a correction of that: it and the hold's settle are one booking.
    pub whole: bool,
    /// Names it: the same one is booked once.
    pub key: String,
}

impl Shield {
    /// Reads what a ledger has after the row `after`, adds it, and returns the last row's number.
    ///
    /// # Errors
    /// There is no answer within the patience, or one that is none.
    pub async fn read(
        &self,
        book: &Book,
        mut after: i64,
        ledger: &mut Ledger,
    ) -> Result<i64, CliError> {
        loop {
            let (base, campaign) = (&self.base, &book.campaign);
            let url = format!("{base}/api/v1/budget/{campaign}/ledger?cursor={after}&limit={PAGE}");
            let (status, body) = self.answer(|| self.request(Method::GET, &url, book)).await?;
            match status {
                StatusCode::OK => {}
                // Nothing was ever booked on it.
                StatusCode::NOT_FOUND if code(&body) == "unknown_campaign" => return Ok(after),
                _ => return Err(refused(&url, status, &body)),
            }
            let page: Page = serde_json::from_slice(&body)
                .map_err(|error| CliError::failed(format!("{url}: {error}")))?;
            for row in page.rows {
                if row.seq <= after {
                    return Err(CliError::failed(format!("{url}: rows are not in their order")));
                }
                after = row.seq;
                let hold =
                    row.hold_id.as_deref().and_then(|id| Op::from_hex(id.split('.').next()?));
                ledger.add(Row {
                    amount_micros: row.amount.0,
                    currency: row.currency,
                    at_us: row.at.as_microsecond(),
                    hold,
                    op: Op::from_hex(&row.op),
                    memo: row.memo,
                });
            }
            if page.next_cursor.is_none() {
                return Ok(after);
            }
        }
    }

    /// What became of a hold; `unknown` where nothing is known of it any more.
    ///
    /// # Errors
    /// There is no answer within the patience, or one that is none.
    pub async fn hold(&self, book: &Book, hold: Op) -> Result<String, CliError> {
        let url = format!("{}/api/v1/holds/{hold}.{}", self.base, book.campaign);
        let (status, body) = self.answer(|| self.request(Method::GET, &url, book)).await?;
        match status {
            StatusCode::OK => serde_json::from_slice(&body)
                .map(|hold: WireHold| hold.state)
                .map_err(|error| CliError::failed(format!("{url}: {error}"))),
            StatusCode::NOT_FOUND => Ok("unknown".to_owned()),
            _ => Err(refused(&url, status, &body)),
        }
    }

    /// Books an amount as a spend; `Err` with the reason where the server refuses it.
    ///
    /// # Errors
    /// There is no answer within the patience.
    pub async fn spend(&self, owed: &Owed) -> Result<Result<(), String>, CliError> {
        let url = format!("{}/api/v1/spend", self.base);
        let body = serde_json::to_string(&Spend {
            account: owed.book.account.as_deref(),
            campaign_id: &owed.book.campaign,
            amount: owed.amount,
            currency: &owed.currency,
            memo: format!("{MEMO}{}", owed.hold),
            hold_id: owed.whole.then(|| format!("{}.{}", owed.hold, owed.book.campaign)),
        });
        let body = body.map_err(CliError::failed)?;
        let request = || {
            let request = self.request(Method::POST, &url, &owed.book);
            let request = request.header("idempotency-key", &owed.key);
            request.header("content-type", "application/json").body(body.clone())
        };
        let (status, body) = self.answer(request).await?;
        match status {
            _ if status.is_success() => Ok(Ok(())),
            _ => Ok(Err(refused(&url, status, &body).message)),
        }
    }

    fn request(&self, method: Method, url: &str, book: &Book) -> RequestBuilder {
        let request = self.client.request(method, url).timeout(TRY_TIMEOUT);
        match &book.account {
            Some(account) => request.header("x-account", account),
            None => request,
        }
    }

    /// The first answer that is not a passing one.
    async fn answer(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<(StatusCode, Vec<u8>), CliError> {
        let begun = Instant::now();
        let mut backoff = BACKOFF_MIN;
        loop {
            let answered = match request().send().await {
                Ok(response) => {
                    let status = response.status();
                    response.bytes().await.map(|body| (status, body.to_vec()))
                }
                Err(error) => Err(error),
            };
            let why = match answered {
                Ok((status, body)) if !passing(status) => return Ok((status, body)),
                Ok((status, body)) => problem(status, &body),
                Err(error) if error.is_timeout() => "no answer in time".to_owned(),
                Err(error) => tls_args::cause(&error),
            };
            if begun.elapsed() + backoff > self.give_up_after {
                let seconds = self.give_up_after.as_secs();
                let words = format!("no answer from {} in {seconds} s: {why}", self.base);
                return Err(CliError::failed(words));
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }
}

/// 409 is the same key in progress on another connection.
fn passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 409 | 429 | 502..=504)
}

fn code(body: &[u8]) -> String {
    serde_json::from_slice::<Problem>(body).unwrap_or_default().code
}

fn problem(status: StatusCode, body: &[u8]) -> String {
    let Problem { code, detail } = serde_json::from_slice(body).unwrap_or_default();
    format!("{} {code} {detail}", status.as_u16()).trim_end().to_owned()
}

fn refused(url: &str, status: StatusCode, body: &[u8]) -> CliError {
    CliError::failed(format!("{url}: {}", problem(status, body)))
}
