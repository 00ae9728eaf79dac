//! Calls of the admin API: one answer, or the words of its refusal.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use super::super::exit::{CliError, CliResult};
use super::super::tls_args::{TlsArgs, cause};
use super::print;

/// Time that a call may take; events have none.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// A node's admin API.
#[derive(Debug)]
pub struct Admin {
    client: Client,
    base: String,
    /// The node that is to answer, through the one that is reached.
    node: Option<String>,
    /// Print answers as they are.
    pub json: bool,
}

impl Admin {
    /// The API under `base`, of `node` where one is named; nothing is sent yet.
    ///
    /// # Errors
    /// The HTTP client cannot be set up, or a file of TLS is not good.
    pub fn new(
        (base, node): (&str, Option<String>),
        tls: &TlsArgs,
        json: bool,
        headers: HeaderMap,
    ) -> Result<Self, CliError> {
        let client = tls.client(base)?.connect_timeout(Duration::from_secs(5));
        let client = client.default_headers(headers).build();
        let base = format!("{base}/api/admin");
        Ok(Self { client: client.map_err(CliError::failed)?, base, node, json })
    }

    /// A request to `path`, which begins with a slash and is encoded already.
    pub fn request(&self, method: Method, path: &str, query: &[(&str, String)]) -> RequestBuilder {
        let node = self.node.iter().map(|node| ("node", node));
        let query = query.iter().map(|(name, value)| (*name, value)).chain(node);
        let query: Vec<String> =
            query.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        self.client.request(method, format!("{}{path}{mark}{}", self.base, query.join("&")))
    }

    /// Sends a request and reads its JSON; an empty answer is `null`.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    pub async fn call(&self, request: RequestBuilder) -> Result<Value, CliError> {
        let response = self.send(request.timeout(CALL_TIMEOUT)).await?;
        let body = response.bytes().await.map_err(|error| self.no_answer(&error))?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body)
            .map_err(|error| CliError::failed(format!("{}: no JSON: {error}", self.base)))
    }

    /// Reads `path`.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, CliError> {
        self.call(self.request(Method::GET, path, query)).await
    }

    /// Sends a request whose answer is read by the caller.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, CliError> {
        let response = request.send().await.map_err(|error| self.no_answer(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.unwrap_or_default();
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let words = ["detail", "title"].iter().find_map(|field| problem[*field].as_str());
        // What is no answer of the API, such as that of a port that speaks TLS, may say why, too.
        let plain = std::str::from_utf8(&body).unwrap_or_default().trim();
        let plain = (1..=200).contains(&plain.len()) && !plain.contains(['<', '{', '\n', '\u{1b}']);
        let plain = plain.then(|| String::from_utf8_lossy(&body).trim().to_owned());
        let words = words.or(plain.as_deref()).or(status.canonical_reason()).unwrap_or("refused");
        let code = problem["code"].as_str().map(|code| format!(" {code}")).unwrap_or_default();
        Err(CliError::failed(format!("{}{code}: {words}", status.as_u16())))
    }

    /// Prints an answer: as it is with --json, else as `table` makes it.
    ///
    /// # Errors
    /// Standard output is gone.
    pub fn print(&self, answer: &Value, table: impl FnOnce(&Value) -> String) -> CliResult {
        match self.json {
            true => print::out(&format!("{answer:#}\n")),
            false => print::out(&table(answer)),
        }
    }

    fn no_answer(&self, error: &reqwest::Error) -> CliError {
        let cause = cause(error);
        CliError::failed(format!("no answer from {}: {cause}\nis `kiki up` running?", self.base))
    }
}

/// An actor's path as a part of a URL: `/shield/budget/camp 1` as `/shield/budget/camp%201`.
pub fn url_path(actor: &str) -> String {
    let parts = actor.split('/').filter(|part| !part.is_empty());
    parts.map(|part| format!("/{}", encoded(part))).collect()
}

/// A part of a URL.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_s_path_is_encoded_part_by_part() {
        assert_eq!(url_path("/shield/budget/camp 1"), "/shield/budget/camp%201");
        assert_eq!(url_path("shield/a?b"), "/shield/a%3Fb");
    }
}
