//! One spend over HTTP: sent until it is answered, refused or given up.

use std::time::{Duration, Instant};

use rand::RngExt;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::models::shield::money::Micros;

use super::super::tls_args;
use super::log::Purchase;

/// First and longest wait between two tries.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Time that one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(20);

/// What became of a purchase.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In the ledger; `replayed` where an earlier run had booked it.
    Booked { replayed: bool, took: Duration },
    /// Refused for good, with the reason.
    Refused(String),
    /// The campaign or its account does not exist, as the server says: no other line can be booked
    /// either.
    Unknown { account: bool, reason: String },
    /// No answer within the time for trying, with the last reason.
    GivenUp(String),
    /// The run was stopped before an answer: it may be booked or not.
    Stopped,
}

/// Where and what to book.
#[derive(Debug)]
pub struct Target {
    pub client: Client,
    /// The whole URL of the spend endpoint.
    pub url: String,
    pub campaign: String,
    pub account: Option<String>,
    pub give_up_after: Duration,
}

#[derive(Serialize)]
struct Spend<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    campaign_id: &'a str,
    amount: &'a RawValue,
    currency: &'a str,
    memo: String,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    replayed: bool,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    code: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
}

enum Try {
    Done(Outcome),
    Again { reason: String, after: Option<Duration> },
}

impl Target {
    /// Books one purchase. Trying again is safe: the key makes it book once.
    pub async fn book(
        &self,
        purchase: &Purchase<'_>,
        key: &str,
        mut stop: watch::Receiver<bool>,
    ) -> Outcome {
        let body = match self.body(purchase) {
            Ok(body) => body,
            Err(error) => return Outcome::Refused(format!("cannot be written as JSON: {error}")),
        };
        let begun = Instant::now();
        let mut backoff = BACKOFF_MIN;
        loop {
            let (reason, after) = match self.attempt(&body, key).await {
                Try::Done(outcome) => return outcome,
                Try::Again { reason, after } => (reason, after),
            };
            let jittered = backoff.mul_f64(rand::rng().random_range(0.5..1.0));
            let wait = after.map_or(jittered, |after| after + jittered);
            if begun.elapsed() + wait > self.give_up_after {
                return Outcome::GivenUp(reason);
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.wait_for(|&stop| stop) => return Outcome::Stopped,
            }
        }
    }

    fn body(&self, purchase: &Purchase<'_>) -> serde_json::Result<String> {
        // A JSON number has no plus sign and no zeros in front; the value stays the same.
        let written = RawValue::from_string(purchase.dollars.to_owned());
        let amount =
            written.or_else(|_| RawValue::from_string(Micros(purchase.micros).display_2()))?;
        let Purchase { line, customer, date, .. } = purchase;
        serde_json::to_string(&Spend {
            account: self.account.as_deref(),
            campaign_id: &self.campaign,
            amount: &amount,
            currency: "USD",
            memo: format!("cdnow line {line} customer {customer} date {date}"),
        })
    }

    async fn attempt(&self, body: &str, key: &str) -> Try {
        let begun = Instant::now();
        let request = self.client.post(&self.url).timeout(TRY_TIMEOUT);
        let request =
            request.header("content-type", "application/json").header("idempotency-key", key);
        let answered = match request.body(body.to_owned()).send().await {
            Ok(response) => {
                let (status, after) = (response.status(), retry_after(&response));
                response.bytes().await.map(|body| (status, after, body))
            }
            Err(error) => Err(error),
        };
        let (status, after, body) = match answered {
            Ok(answer) => answer,
            Err(error) => {
                return Try::Again { reason: cause(&error), after: None };
            }
        };
        if status.is_success() {
            return Try::Done(match serde_json::from_slice::<Answer>(&body) {
                Ok(Answer { status, replayed }) if status == "booked" => {
                    Outcome::Booked { replayed, took: begun.elapsed() }
                }
                Ok(Answer { status, .. }) => Outcome::Refused(format!("answered {status:?}")),
                Err(error) => Outcome::Refused(format!("an answer that is none: {error}")),
            });
        }
        judge(status, after, &body)
    }
}

fn judge(status: StatusCode, after: Option<Duration>, body: &[u8]) -> Try {
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let words = [refusal.detail, refusal.title].into_iter().find(|words| !words.is_empty());
    let words = words.unwrap_or_else(|| status.canonical_reason().unwrap_or("refused").to_owned());
    let reason = match refusal.code.as_str() {
        "" => format!("{}: {words}", status.as_u16()),
        code => format!("{} {code}: {words}", status.as_u16()),
    };
    match status {
        StatusCode::NOT_FOUND
            if matches!(refusal.code.as_str(), "unknown_campaign" | "unknown_account") =>
        {
            Try::Done(Outcome::Unknown { account: refusal.code == "unknown_account", reason })
        }
        // 409 is the same key in progress on another connection; the rest are passing, too.
        StatusCode::CONFLICT
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Try::Again { reason, after },
        _ => Try::Done(Outcome::Refused(reason)),
    }
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The innermost cause, which is what a reader can act on.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    tls_args::cause(error)
}
