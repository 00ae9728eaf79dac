//! Consent: what customers allow.

pub mod change;
pub mod status;
pub mod tcf;

use crate::actors::shield::person::{CUSTOMER_CHARS_MAX, PersonError};
use crate::api::problem::{Code, Problem};
use crate::models::shield::consent::kind::Kind;

/// A customer id as callers name customers.
pub fn check_customer(field: &str, text: &str) -> Result<(), Problem> {
    match text.chars().count() {
        0 => Err(Problem::field(field, "is empty")),
        1..=CUSTOMER_CHARS_MAX if !text.chars().any(char::is_control) => Ok(()),
        1..=CUSTOMER_CHARS_MAX => Err(Problem::field(field, "has control characters")),
        _ => Err(Problem::field(field, format!("has more than {CUSTOMER_CHARS_MAX} characters"))),
    }
}

/// A consent type by its name.
pub fn kind(field: &str, text: &str) -> Result<Kind, Problem> {
    Kind::parse(text).ok_or_else(|| {
        let names = Kind::ALL.map(Kind::as_str).join(", ");
        Problem::field(field, format!("is not one of {names}"))
    })
}

/// Bytes of a text that was shown.
pub fn bytes_of(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

/// A question about a person that got no answer.
pub fn failed(error: PersonError) -> Problem {
    match error {
        PersonError::Refused(refusal) => Problem::new(Code::Conflict, refusal.to_string()),
        PersonError::Erased => Problem::new(Code::Conflict, "the customer is being erased"),
        PersonError::Unavailable => super::common::unavailable(),
        PersonError::Overloaded { retry_after_ms } => {
            Problem::new(Code::Overloaded, "too many requests wait for this customer")
                .retry_after(retry_after_ms)
        }
        PersonError::Unanswered => Problem::new(Code::Unanswered, "no answer in time"),
        PersonError::Failed(why) => {
            tracing::error!(error = why, "a question about a person failed");
            Problem::new(Code::Internal, "the question could not be answered")
        }
    }
}
