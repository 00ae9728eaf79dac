//! Data-subject requests.

pub mod create;
pub mod decide;
pub mod show;

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::common;
use super::consent::failed as person_failed;
use crate::actors::shield::dsr::RequestError;
use crate::actors::shield::view::rfc3339;
use crate::api::problem::{Code, Problem};
use crate::clock;
use crate::models::shield::dsr::request::Request;

/// A request as it is shown.
#[derive(Serialize, ToSchema)]
pub struct DsrView {
    id: String,
    /// ACCESS, RECTIFICATION, DELETION, RESTRICTION, PORTABILITY, OBJECTION or OPT_OUT.
    request_type: &'static str,
    /// awaiting_verification, in_progress, completed, rejected or cancelled.
    status: &'static str,
    account: String,
    /// The random id of the person: nobody, once the person is erased.
    person: String,
    received_at: String,
    /// Who made the request, as the audit names callers.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_by: Option<String>,
    /// One calendar month after receipt, or two more where it was extended; the end of that day.
    due_date: String,
    overdue: bool,
    /// `(sealed)` in lists, and once the person is erased; so are the other reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    extension_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<String>,
    /// Why it was rejected or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Steps that are done.
    steps: Vec<&'static str>,
    /// Rows about the person, by table: in the package, or found before the erasure.
    rows: BTreeMap<String, u64>,
    /// Where the package is.
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<String>,
    /// When a restriction was lifted.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifted_at: Option<String>,
    /// Why the next step did not work yet; it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

impl DsrView {
    pub fn of(request: &Request) -> DsrView {
        DsrView {
            id: request.id.clone(),
            request_type: request.kind.as_str(),
            status: request.status.as_str(),
            account: request.account.clone(),
            person: request.person.clone(),
            received_at: rfc3339(request.received_at),
            asked_by: request.asked_by.clone(),
            due_date: rfc3339(request.due_at),
            overdue: request.is_overdue(clock::wall_us()),
            extension_reason: request.extension.as_ref().map(|e| e.reason.shown().to_owned()),
            completed_at: request.completed_at.map(rfc3339),
            reason: request.reason.as_ref().map(|words| words.shown().to_owned()),
            steps: request.done.iter().map(|step| step.as_str()).collect(),
            rows: request.outcome.rows.clone(),
            package: request.outcome.package.as_ref().map(|id| format!("/api/v1/dsr/{id}/package")),
            lifted_at: request.lift.as_ref().and_then(|l| l.done_at).map(rfc3339),
            last_error: request.trouble.last_error.clone(),
        }
    }
}

/// A request that was not taken, found or decided.
fn failed(error: RequestError) -> Problem {
    match error {
        RequestError::Absent => Problem::new(Code::NotFound, "there is no such request"),
        RequestError::NoPackage => Problem::new(
            Code::NotFound,
            "the request has no package (yet), its 30 days are over, or the person was erased",
        ),
        RequestError::Bad(why) => Problem::field("request_type", why),
        RequestError::Refused(why) => Problem::new(Code::Conflict, why.to_string()),
        RequestError::Mismatch => {
            Problem::new(Code::IdempotencyMismatch, "the key was used with another request")
        }
        RequestError::Person(error) => person_failed(error),
        RequestError::Unavailable => common::unavailable(),
        RequestError::Overloaded { retry_after_ms } => {
            Problem::new(Code::Overloaded, "too many requests wait").retry_after(retry_after_ms)
        }
        RequestError::Unanswered => Problem::new(Code::Unanswered, "no answer in time"),
        RequestError::Failed(why) => {
            tracing::error!(error = why, "a data-subject request failed");
            Problem::new(Code::Internal, "the request could not be handled")
        }
    }
}

/// Ids are 32 hexadecimal digits.
fn check_id(id: &str) -> Result<(), Problem> {
    let hex = id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match id.len() == 32 && hex {
        true => Ok(()),
        false => Err(Problem::new(Code::NotFound, "there is no such request")),
    }
}
