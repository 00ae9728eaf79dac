//! Every error that an adapter may answer: one closed set, each with its status and a line of help,
//! as RFC 9457 problem details.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

macro_rules! codes {
    ($($variant:ident $code:literal $status:ident $help:literal,)*) => {
        /// A stable code of an error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($variant,)* }

        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// As it stands in answers.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            pub fn status(self) -> StatusCode {
                match self { $(Code::$variant => StatusCode::$status,)* }
            }

            /// What the caller can do about it.
            pub fn help(self) -> &'static str {
                match self { $(Code::$variant => $help,)* }
            }
        }
    };
}

codes! {
    MalformedBody "malformed_body" BAD_REQUEST "send one JSON object",
    InvalidField "invalid_field" BAD_REQUEST "correct the named field",
    MissingField "missing_field" BAD_REQUEST "add the named field",
    InvalidHeader "invalid_header" BAD_REQUEST "correct the named header",
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "send content-type: application/json",
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE "send less; the limit is server.body_limit_bytes",
    NotFound "not_found" NOT_FOUND "see /openapi.json of this port for what there is",
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "see /openapi.json for the methods of this path",
    UnknownCampaign "unknown_campaign" NOT_FOUND "allocate a budget to it first: POST /api/v1/allocate",
    UnknownAccount "unknown_account" NOT_FOUND "create it first: POST /api/v1/accounts",
    UnknownHold "unknown_hold" NOT_FOUND "check the id; after a crash send the hold's token with it",
    UnknownActor "unknown_actor" NOT_FOUND "list actors: GET /api/admin/actors",
    HoldOver "hold_over" CONFLICT "the hold was settled or released before",
    SettleExceedsHold "settle_exceeds_hold" UNPROCESSABLE_ENTITY "settle at most the amount that was held",
    IdempotencyMismatch "idempotency_mismatch" UNPROCESSABLE_ENTITY "use a new Idempotency-Key for another request",
    UnknownModel "unknown_model" NOT_FOUND "list versions: GET /api/v1/ltv/models of SyncValue",
    NotBetter "not_better" CONFLICT "fit another, or promote it all the same with force and a reason",
    InvalidDefinition "invalid_definition" UNPROCESSABLE_ENTITY "correct the named fields of the campaign; the detail names all of them",
    Stale "stale" PRECONDITION_FAILED "read the campaign again, and send its revision as If-Match",
    InvalidRows "invalid_rows" UNPROCESSABLE_ENTITY "correct the named rows, or send them without strict",
    InProgress "in_progress" CONFLICT "the same request is being worked on; ask again shortly",
    CurrencyMismatch "currency_mismatch" UNPROCESSABLE_ENTITY "use the currency of the allocation",
    NoExchangeRate "no_exchange_rate" UNPROCESSABLE_ENTITY "enter a rate first: PUT /api/v1/rates of SyncShield",
    AlreadyExists "already_exists" CONFLICT "choose another name",
    Conflict "conflict" CONFLICT "look at the current state and try again",
    Unauthenticated "unauthenticated" UNAUTHORIZED "send a valid API key or token as Authorization: Bearer; kiki keys create makes a key",
    Forbidden "forbidden" FORBIDDEN "ask an operator for the right to do this",
    ChaosDisabled "chaos_disabled" FORBIDDEN "set chaos.enabled = true to inject faults",
    RateLimited "rate_limited" TOO_MANY_REQUESTS "send fewer requests; wait as long as Retry-After says",
    Overloaded "overloaded" TOO_MANY_REQUESTS "wait as long as Retry-After says",
    Busy "busy" SERVICE_UNAVAILABLE "as many requests are handled as may be; wait as long as Retry-After says",
    StoreUnavailable "store_unavailable" SERVICE_UNAVAILABLE "nothing is confirmed; repeat the same request, with the same Idempotency-Key, after Retry-After",
    NotReached "not_reached" SERVICE_UNAVAILABLE "nothing was done: its node is not there now; repeat the same request after Retry-After",
    Unanswered "unanswered" SERVICE_UNAVAILABLE "the outcome is not known; repeat with the same Idempotency-Key",
    Timeout "timeout" REQUEST_TIMEOUT "send the request faster",
    Internal "internal" INTERNAL_SERVER_ERROR "this is a defect; report it with the request id",
}

/// An error answer.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    field: Option<String>,
    /// Where more is known than the code says.
    help: Option<&'static str>,
    retry_after_ms: Option<u64>,
}

/// The body of an error answer (`application/problem+json`, RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// `urn:kiki:problem:<code>`
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    /// Stable: programs may rely on it.
    code: String,
    detail: String,
    /// The field, parameter or header that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    help: String,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        let retry_after_ms = match code.status() {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some(1_000),
            _ => None,
        };
        Problem { code, detail: detail.into(), field: None, help: None, retry_after_ms }
    }

    /// A field with a value that cannot be.
    pub fn field(field: impl Into<String>, why: impl std::fmt::Display) -> Problem {
        let field = field.into();
        let detail = format!("{field} {why}");
        Problem { field: Some(field), ..Problem::new(Code::InvalidField, detail) }
    }

    pub fn missing(field: impl Into<String>) -> Problem {
        let field = field.into();
        let detail = format!("{field} is missing");
        Problem { field: Some(field), ..Problem::new(Code::MissingField, detail) }
    }

    pub fn header(name: &str, why: impl std::fmt::Display) -> Problem {
        let field = Some(name.to_owned());
        Problem { field, ..Problem::new(Code::InvalidHeader, format!("header {name} {why}")) }
    }

    /// Names the field that is wrong.
    pub fn at(mut self, field: impl Into<String>) -> Problem {
        self.field = Some(field.into());
        self
    }

    /// What to do about it, where more is known than the code says.
    pub fn help(mut self, help: &'static str) -> Problem {
        self.help = Some(help);
        self
    }

    /// The same of a part of the body: `currency` becomes `bids[1].currency`.
    pub fn within(mut self, part: &str) -> Problem {
        self.detail = format!("{part}: {}", self.detail);
        self.field = Some(match self.field {
            Some(field) => format!("{part}.{field}"),
            None => part.to_owned(),
        });
        self
    }

    pub fn retry_after(mut self, ms: u64) -> Problem {
        self.retry_after_ms = Some(ms);
        self
    }

    pub fn code(&self) -> Code {
        self.code
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The field, parameter or header that is wrong.
    pub fn wrong_field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// When to come back, in milliseconds.
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.retry_after_ms
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let body = ProblemBody {
            kind: format!("urn:kiki:problem:{}", self.code.as_str()),
            title: self.code.as_str().replace('_', " "),
            status: status.as_u16(),
            code: self.code.as_str().to_owned(),
            detail: self.detail,
            field: self.field,
            help: self.help.unwrap_or(self.code.help()).to_owned(),
        };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, kind)], json).into_response();
        if let Some(ms) = self.retry_after_ms {
            let seconds = HeaderValue::from(ms.div_ceil(1_000).max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if self.code == Code::Unauthenticated {
            // RFC 9110 11.6.1
            let how = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
        }
        // For those around the handler, who do not read bodies.
        response.extensions_mut().insert(self.code);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_of_its_own_and_says_what_to_do() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code:?}");
            assert!(!code.help().is_empty() && code.status().as_u16() >= 400);
        }
    }

    #[test]
    fn a_problem_that_passes_says_when_to_come_back() {
        let response = Problem::new(Code::StoreUnavailable, "x").retry_after(250).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert!(!Problem::missing("a").into_response().headers().contains_key(header::RETRY_AFTER));
    }
}
