//! Faults that a node is told of through its admin API.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{FaultError, FaultResult};
use crate::lab::ProcessId;

const PATIENCE: Duration = Duration::from_secs(5);
/// Answers are small: a node keeps 64 rules.
const ANSWER_MAX: usize = 1 << 20;
const SAID_MAX: usize = 300;

/// Speaks with admin APIs.
pub struct Admin {
    client: reqwest::Client,
    token: Option<String>,
}

/// Rules of one node. Which they are is known before they are set, by pattern, fault and seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub node: String,
    pub url: String,
    /// The node's process, where it is one of a lab: rules end with it.
    pub process: Option<ProcessId>,
    pub pattern: String,
    /// As the API names it: "panic", "delay".
    pub fault: String,
    pub seed: u64,
}

/// A rule as a node lists it.
#[derive(Deserialize)]
struct Rule {
    id: u64,
    pattern: String,
    fault: String,
    seed: u64,
    hits: u64,
}

#[derive(Deserialize)]
struct Listed {
    faults: Vec<Rule>,
}

impl Admin {
    /// # Errors
    /// No client can be made.
    pub fn new(token: Option<String>) -> FaultResult<Admin> {
        // The library wants a provider of cryptography before it says anything. One that is there already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build();
        let client = client.map_err(|error| FaultError::Bad(format!("an HTTP client: {error}")))?;
        Ok(Admin { client, token })
    }

    /// Sets a rule. `more` is what its kind needs besides.
    ///
    /// # Errors
    /// The node refuses it, or is not reached.
    pub async fn set(
        &self,
        rules: &Rules,
        share: f64,
        ttl: Duration,
        more: Option<(&str, u64)>,
    ) -> FaultResult<()> {
        // Longer than an hour no node takes one.
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, 3_600_000);
        let mut body = json!({
            "pattern": rules.pattern, "fault": rules.fault, "probability": share,
            "ttl_ms": ttl_ms, "seed": rules.seed,
        });
        if let (Some((name, value)), Some(body)) = (more, body.as_object_mut()) {
            body.insert(name.to_owned(), value.into());
        }
        let url = format!("{}/api/admin/faults", rules.url);
        let (status, answer) = self.ask(rules, Method::POST, &url, Some(body)).await?;
        match status {
            StatusCode::CREATED => Ok(()),
            _ if says(&answer, "chaos_disabled") => Err(FaultError::not_possible(
                format!("a fault of actors at {}", rules.node),
                "chaos.enabled is false in its configuration",
            )),
            _ => Err(refused(rules, status, &answer)),
        }
    }

    /// Removes them, and sees that they are gone. How many messages they struck.
    ///
    /// # Errors
    /// They are still there, or nobody says.
    pub async fn remove(&self, rules: &Rules, is_over: bool) -> FaultResult<u64> {
        let removed = self.remove_at(rules).await;
        // A node that is gone has taken its rules with it; and their time is over at any node.
        let gone = rules.process.is_some_and(|id| !id.is_alive());
        match removed {
            Err(_) if gone || is_over => Ok(0),
            removed => removed,
        }
    }

    async fn remove_at(&self, rules: &Rules) -> FaultResult<u64> {
        let mut struck = 0;
        for rule in self.list(rules).await? {
            struck += rule.hits;
            let url = format!("{}/api/admin/faults/{}", rules.url, rule.id);
            let (status, answer) = self.ask(rules, Method::DELETE, &url, None).await?;
            if !status.is_success() && status != StatusCode::NOT_FOUND {
                return Err(refused(rules, status, &answer));
            }
        }
        match self.list(rules).await?.is_empty() {
            true => Ok(struck),
            false => Err(FaultError::Bad(format!("{} keeps a fault that was ended", rules.node))),
        }
    }

    async fn list(&self, rules: &Rules) -> FaultResult<Vec<Rule>> {
        let url = format!("{}/api/admin/faults", rules.url);
        let (status, answer) = self.ask(rules, Method::GET, &url, None).await?;
        // Where faults are off, there is none.
        if says(&answer, "chaos_disabled") {
            return Ok(Vec::new());
        }
        if status != StatusCode::OK {
            return Err(refused(rules, status, &answer));
        }
        let listed: Listed = serde_json::from_slice(&answer).map_err(|error| {
            FaultError::Bad(format!("the faults of {} cannot be read: {error}", rules.node))
        })?;
        let is_ours = |it: &Rule| {
            it.pattern == rules.pattern && it.fault == rules.fault && it.seed == rules.seed
        };
        Ok(listed.faults.into_iter().filter(is_ours).collect())
    }

    async fn ask(
        &self,
        rules: &Rules,
        method: Method,
        url: &str,
        body: Option<Value>,
    ) -> FaultResult<(StatusCode, Vec<u8>)> {
        let failed = |error: reqwest::Error| {
            FaultError::Bad(format!("the admin API of {} is not reached: {error}", rules.node))
        };
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let mut answer = request.send().await.map_err(failed)?;
        let mut bytes = Vec::new();
        while let Some(more) = answer.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&more);
            if bytes.len() > ANSWER_MAX {
                return Err(FaultError::Bad(format!("{} answers without end", rules.node)));
            }
        }
        Ok((answer.status(), bytes))
    }
}

/// Whether a problem has this code.
fn says(answer: &[u8], code: &str) -> bool {
    serde_json::from_slice::<Value>(answer)
        .is_ok_and(|it| it.get("code").and_then(Value::as_str) == Some(code))
}

fn refused(rules: &Rules, status: StatusCode, answer: &[u8]) -> FaultError {
    let said: String = String::from_utf8_lossy(answer).chars().take(SAID_MAX).collect();
    FaultError::Bad(format!("the admin API of {} answers {status}: {said}", rules.node))
}
