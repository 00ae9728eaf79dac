//! The audit log: search, export, proofs, verification.

pub mod export;
pub mod heads;
pub mod proof;
pub mod search;
pub mod verify;

use crate::actors::shield::audit::{AppendError, VerifyError};
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::api::shield::App;
use crate::models::shield::audit::record::is_person;

/// A verification or a read of the log that has no result.
fn failed(error: VerifyError) -> Problem {
    match error {
        VerifyError::NoLog(_) => {
            Problem::new(Code::NotFound, "nothing of this account was recorded yet")
        }
        VerifyError::Unreadable { .. } => {
            tracing::error!(%error, "the audit log cannot be read");
            Problem::new(Code::Conflict, error.to_string())
        }
        VerifyError::Dropped => Problem::new(Code::Busy, error.to_string()),
        VerifyError::Store(error) => {
            tracing::warn!(%error, "the store did not answer");
            super::common::unavailable()
        }
    }
}

/// What was told before this moment is in the log, or a problem.
pub async fn flushed(app: &App, account: &str) -> Result<u64, Problem> {
    let audit = app.shield.audit();
    match audit.flush(account, app.shield.patience()).await {
        Ok(appended) => Ok(appended.size),
        Err(error @ AppendError::NoRecord(_)) => {
            Err(Problem::new(Code::Internal, error.to_string()))
        }
        Err(error) => {
            tracing::warn!(%error, account, "the audit log did not answer");
            Err(Problem::new(Code::Unanswered, "the audit log did not answer in time"))
        }
    }
}

/// A time as RFC 3339.
fn time(parameters: &Parameters, name: &str) -> Result<Option<i64>, Problem> {
    let Some(text) = parameters.text(name) else { return Ok(None) };
    let time: Result<jiff::Timestamp, _> = text.parse();
    time.map(|time| Some(time.as_microsecond()))
        .map_err(|_| Problem::field(name, "is not a time as in 2026-11-21T12:00:00Z"))
}

/// A person's id.
fn person(parameters: &Parameters) -> Result<Option<String>, Problem> {
    let Some(person) = parameters.text("person") else { return Ok(None) };
    match is_person(&person) {
        true => Ok(Some(person)),
        false => Err(Problem::field("person", "is not 32 lower-case hexadecimal digits")),
    }
}

/// An index or a size.
fn index(parameters: &Parameters, name: &str) -> Result<Option<i64>, Problem> {
    let Some(text) = parameters.text(name) else { return Ok(None) };
    text.parse()
        .ok()
        .filter(|n: &i64| (0..=1 << 53).contains(n))
        .map(Some)
        .ok_or_else(|| Problem::field(name, "is not a number of a record"))
}
