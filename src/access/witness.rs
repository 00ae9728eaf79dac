//! What is told of every act that matters, and of every denial.

use std::sync::Arc;

use futures_util::future::BoxFuture;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActOutcome {
    Ok,
    /// The caller was not let.
    Denied,
    /// It was let and did not succeed, or nobody waited for the answer.
    Failed,
}

impl ActOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            ActOutcome::Ok => "ok",
            ActOutcome::Denied => "denied",
            ActOutcome::Failed => "failed",
        }
    }
}

/// What somebody did, or was not let do. Holds no secret and no body of a request.
#[derive(Clone, Debug)]
pub struct Act {
    /// Microseconds UTC.
    pub at_us: i64,
    /// Dotted: `allocation.paused`, `key.created`, `access.denied`.
    pub event: &'static str,
    /// `key:<id>`, `user:<sub>`, `open`; `nobody` for who did not prove anything.
    pub actor: Arc<str>,
    /// The account that the request spoke for; `*` where it spoke for the installation.
    pub account: String,
    /// The path of the request.
    pub subject: String,
    pub outcome: ActOutcome,
    /// The answer's status; 0 where the answer was no longer waited for.
    pub status: u16,
    /// Why a caller was denied, in words that callers do not get to see; else empty.
    pub reason: String,
    pub request_id: String,
}

/// Whoever keeps what was seen. Called after the act and before its answer.
pub trait Witness: Send + Sync + 'static {
    fn saw(&self, act: Act) -> BoxFuture<'static, ()>;
}

/// Writes it to the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogWitness;

impl Witness for LogWitness {
    fn saw(&self, act: Act) -> BoxFuture<'static, ()> {
        tracing::info!(
            event = act.event,
            actor = %act.actor,
            account = act.account,
            subject = act.subject,
            outcome = act.outcome.as_str(),
            status = act.status,
            reason = act.reason,
            request_id = act.request_id,
            "{} by {}: {}",
            act.event,
            act.actor,
            act.outcome.as_str()
        );
        Box::pin(std::future::ready(()))
    }
}
