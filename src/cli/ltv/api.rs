//! Calls of a running server's SyncValue: one answer, or the words of its refusal.

use std::time::Duration;

use clap::Args;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::super::exit::{CliError, CliResult};
use super::super::server_args::ServerArgs;
use super::super::tls_args::{TlsArgs, cause};
use super::shown;
use crate::actors::shield::is_name;

/// Time that a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Which server, and whose customers.
#[derive(Clone, Debug, Args)]
pub struct ApiArgs {
    /// SyncValue's address [default: the configured one, http://127.0.0.1:8087]
    #[arg(long, value_name = "URL", global = true)]
    url: Option<String>,

    /// The account whose customers these are [default: the key's only one, or the server's default account]
    #[arg(long, value_name = "ID", global = true)]
    account: Option<String>,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    tls: TlsArgs,
}

/// A server's API.
#[derive(Clone, Debug)]
pub struct Api {
    client: Client,
    base: String,
}

/// What came of a call.
#[derive(Debug)]
pub enum Called {
    Answer(Value),
    Refused(Refusal),
    /// No answer, with the innermost cause.
    Nothing(String),
}

/// An answer that is none of success.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    /// The problem's code; empty where there is none.
    pub code: String,
    pub words: String,
    /// When to come back.
    pub after: Option<Duration>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let blank = if self.code.is_empty() { "" } else { " " };
        write!(f, "{}{blank}{}: {}", self.status.as_u16(), self.code, self.words)
    }
}

impl ApiArgs {
    /// The API; nothing is sent yet.
    ///
    /// # Errors
    /// A flag, the configuration or a file of TLS is not good, with exit code 2.
    pub fn api(&self) -> Result<Api, CliError> {
        let base = self.server.url(self.url.as_deref(), |server| server.value_addr())?;
        let mut headers = self.server.headers()?;
        if let Some(account) = &self.account {
            let named = HeaderValue::from_str(account).ok().filter(|_| is_name(account));
            let rule = "1 to 128 of the characters A-Z a-z 0-9 _ - ., not dots alone";
            let bad = || CliError::usage(format!("--account {account:?}: expected {rule}"));
            headers.insert("x-account", named.ok_or_else(bad)?);
        }
        let client = self.tls.client(&base)?.default_headers(headers).tcp_nodelay(true);
        let client = client.connect_timeout(Duration::from_secs(5)).build();
        Ok(Api { client: client.map_err(CliError::failed)?, base })
    }
}

impl Api {
    /// Where it is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// One call of `/api/v1/ltv` and `path` (which is encoded already), with a body of JSON or without one.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Called {
        let mut request = self.client.request(method, format!("{}/api/v1/ltv{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        self.send(request.timeout(CALL_TIMEOUT)).await
    }

    /// Purchases in JSON, under a key: doing it again is no harm.
    pub async fn import(&self, body: String, strict: bool, key: &str, within: Duration) -> Called {
        let strict = if strict { "?strict=true" } else { "" };
        let url = format!("{}/api/v1/ltv/transactions{strict}", self.base);
        let request = self.client.post(url).timeout(within).header("idempotency-key", key);
        self.send(request.header("content-type", "application/json").body(body)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Called {
        let answered = match request.send().await {
            Ok(response) => {
                let (status, after) = (response.status(), retry_after(&response));
                response.bytes().await.map(|body| (status, after, body))
            }
            Err(error) => Err(error),
        };
        let (status, after, body) = match answered {
            Ok(answered) => answered,
            Err(error) if error.is_timeout() => return Called::Nothing("no answer in time".into()),
            Err(error) => return Called::Nothing(cause(&error)),
        };
        if !status.is_success() {
            return Called::Refused(refusal(status, after, &body));
        }
        match serde_json::from_slice(&body) {
            Ok(answer) => Called::Answer(answer),
            Err(error) => Called::Nothing(format!("an answer that is no JSON: {error}")),
        }
    }

    /// The answer of a call, or why there is none.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    pub fn answer(&self, called: Called) -> Result<Value, CliError> {
        match called {
            Called::Answer(answer) => Ok(answer),
            Called::Refused(refusal) => Err(CliError::failed(refusal)),
            Called::Nothing(why) => Err(self.unanswered(&why)),
        }
    }

    /// Nobody answers.
    pub fn unanswered(&self, why: &str) -> CliError {
        CliError::failed(format!("no answer from {}: {why}\nis `kiki up` running?", self.base))
    }

    /// Reads `path`.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    pub async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.answer(self.call(Method::GET, path, None).await)
    }
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn refusal(status: StatusCode, after: Option<Duration>, body: &[u8]) -> Refusal {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = ["detail", "title"].iter().find_map(|field| problem[*field].as_str());
    // What is no answer of the API, such as that of a port that speaks TLS, may say why, too.
    let plain = std::str::from_utf8(body).unwrap_or_default().trim();
    let plain = Some(plain).filter(|text| {
        (1..=200).contains(&text.len()) && !text.contains(['<', '{', '\n', '\u{1b}'])
    });
    let words = said.or(plain).or(status.canonical_reason()).unwrap_or("refused");
    let (code, words) = (shown::printable(problem["code"].as_str().unwrap_or("")), words);
    Refusal { status, code, words: shown::printable(words), after }
}

/// Prints an answer: as it is with `json`, else as `table` makes it.
///
/// # Errors
/// Standard output is gone.
pub fn print(json: bool, answer: &Value, table: impl FnOnce(&Value) -> String) -> CliResult {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match json {
        true => writeln!(out, "{answer:#}")?,
        false => write!(out, "{}", table(answer))?,
    }
    Ok(())
}

/// One part of a path.
pub fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    let byte = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_within_its_part_of_the_path() {
        assert_eq!(encoded("blend-1.a_b"), "blend-1.a_b");
        assert_eq!(encoded("../a b?"), "..%2Fa%20b%3F");
    }

    #[test]
    fn a_refusal_says_its_code_and_nothing_that_moves_the_cursor() {
        let of = |body: &[u8]| refusal(StatusCode::CONFLICT, None, body).to_string();
        let problem = br#"{"code":"not_better","title":"t","detail":"worse\u001b[2J"}"#;
        assert_eq!(of(problem), "409 not_better: worse\\u{1b}[2J");
        assert_eq!(of(b"<html>"), "409: Conflict");
        assert_eq!(of(b"a TLS port"), "409: a TLS port");
    }
}
