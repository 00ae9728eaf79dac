//! The one set of error codes, as gRPC has it.

use std::time::Duration;

use tonic::metadata::MetadataValue;
use tonic::{Code as Grpc, Status};

use crate::api::problem::{Code, Problem};

/// What gRPC calls it.
pub fn grpc_code(code: Code) -> Grpc {
    match code {
        Code::MalformedBody
        | Code::InvalidField
        | Code::MissingField
        | Code::InvalidHeader
        | Code::UnsupportedMediaType
        | Code::InvalidDefinition
        | Code::InvalidRows
        | Code::SettleExceedsHold
        | Code::CurrencyMismatch => Grpc::InvalidArgument,
        Code::BodyTooLarge | Code::RateLimited | Code::Overloaded => Grpc::ResourceExhausted,
        Code::NotFound | Code::MethodNotAllowed => Grpc::Unimplemented,
        Code::UnknownCampaign
        | Code::UnknownAccount
        | Code::UnknownHold
        | Code::UnknownActor
        | Code::UnknownModel => Grpc::NotFound,
        Code::HoldOver | Code::NoExchangeRate | Code::Conflict | Code::NotBetter => {
            Grpc::FailedPrecondition
        }
        Code::IdempotencyMismatch | Code::AlreadyExists => Grpc::AlreadyExists,
        Code::InProgress | Code::Stale => Grpc::Aborted,
        Code::Unauthenticated => Grpc::Unauthenticated,
        Code::Forbidden | Code::ChaosDisabled => Grpc::PermissionDenied,
        Code::Busy | Code::NotReached | Code::StoreUnavailable => Grpc::Unavailable,
        Code::Unanswered | Code::Timeout => Grpc::DeadlineExceeded,
        Code::Internal => Grpc::Internal,
    }
}

/// A status with the stable code beside it, and when to come back.
pub fn status(code: Code, detail: impl Into<String>, retry_after_ms: Option<u64>) -> Status {
    let mut status = Status::new(grpc_code(code), detail);
    let metadata = status.metadata_mut();
    metadata.insert("kiki-code", MetadataValue::from_static(code.as_str()));
    if let Some(ms) = retry_after_ms {
        let seconds = Duration::from_millis(ms).as_secs().max(1);
        metadata.insert("retry-after", MetadataValue::from(seconds));
    }
    status
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Status {
        status(problem.code(), problem.detail(), problem.retry_after_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_of_grpcs_and_none_says_that_all_is_well() {
        for code in Code::ALL {
            assert!(!matches!(grpc_code(*code), Grpc::Ok | Grpc::Unknown), "{code:?}");
            let status = Status::from(Problem::new(*code, "x"));
            assert_eq!(status.metadata().get("kiki-code").unwrap(), code.as_str());
        }
        assert_eq!(grpc_code(Code::Unauthenticated), Grpc::Unauthenticated);
        assert_eq!(grpc_code(Code::RateLimited), Grpc::ResourceExhausted);
    }
}
