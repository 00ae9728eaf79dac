//! What the handlers of SyncFlow share, those of gRPC too.

use std::borrow::Cow;

use axum::http::HeaderMap;

use crate::actors::flow::campaign::Declined;
use crate::actors::flow::{Flow, FlowError};
use crate::api::access;
use crate::api::body;
use crate::api::problem::{Code, Problem};
use crate::api::shield::common as shield;
use crate::models::flow::campaign::mistake::Mistakes;
use crate::models::flow::campaign::state::Refusal;
use crate::models::shield::refusal::Reason;

/// The name of this service in scopes.
pub const SERVICE: &str = "flow";

/// The account that a request speaks for: the one that its body names, its header's, the caller's only
/// one, or the default one. Refused where the caller may not use it.
pub fn account<'a>(
    flow: &'a Flow,
    headers: &'a HeaderMap,
    named: Option<Cow<'a, str>>,
) -> Result<Cow<'a, str>, Problem> {
    let named = match named {
        Some(named) => {
            body::check_name("account", &named)?;
            Some(named)
        }
        None => body::account(headers)?.map(Cow::Borrowed),
    };
    access::account_for(SERVICE, named, &flow.terms().default_account)
}

/// A call that got no answer.
pub fn failed(error: FlowError) -> Problem {
    match error {
        FlowError::Declined(declined) => refused(declined),
        FlowError::Unavailable => shield::unavailable(),
        FlowError::Overloaded { retry_after_ms } => {
            Problem::new(Code::Overloaded, "too many requests wait").retry_after(retry_after_ms)
        }
        FlowError::Unanswered => Problem::new(Code::Unanswered, "no answer in time"),
    }
}

/// Every mistake in one answer, the first by its field.
pub fn invalid(code: Code, wrong: &Mistakes) -> Problem {
    let problem = Problem::new(code, wrong.to_string());
    match wrong.all().first() {
        Some(first) if !first.field.is_empty() => problem.at(&first.field),
        _ => problem,
    }
}

fn refused(declined: Declined) -> Problem {
    match declined {
        Declined::Refused(refusal) => {
            let problem = match &refusal {
                Refusal::Invalid(wrong) => invalid(Code::InvalidDefinition, wrong),
                Refusal::Locked(wrong) => invalid(Code::Conflict, wrong),
                Refusal::Stale(_) => Problem::new(Code::Stale, refusal.to_string()),
                Refusal::Status(_) | Refusal::Over => {
                    Problem::new(Code::Conflict, refusal.to_string())
                }
            };
            problem.help(refusal.help())
        }
        Declined::Unknown => Problem::new(Code::NotFound, declined.to_string()),
        Declined::Exists => Problem::new(Code::AlreadyExists, declined.to_string()).at("id"),
        Declined::UnknownAccount => {
            Problem::new(Code::UnknownAccount, declined.to_string()).at("account")
        }
        Declined::Budget(Reason::Taken) => {
            let why =
                "SyncShield has a budget of this name, and no start of this campaign has made it";
            Problem::new(Code::Conflict, why).at("id").help(
                "give the campaign another id; GET /api/v1/budget/{id} of SyncShield shows the budget",
            )
        }
        Declined::Budget(reason) => shield::refused(reason),
        Declined::NoRate { .. } => {
            Problem::new(Code::NoExchangeRate, declined.to_string()).at("currency")
        }
        Declined::Unavailable => shield::unavailable(),
    }
}
