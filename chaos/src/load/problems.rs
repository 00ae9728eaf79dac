//! Every code that an answer of the platform may have, and what it says of the request (`docs/operations.md`,
//! "Problem codes").

use serde::Deserialize;

use super::http::Reply;
use crate::history::{IN_PROGRESS, Outcome};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It was decided against.
    Refused,
    /// It could not be done now, and nothing of it was.
    NotDone,
    /// It may be done.
    Unknown,
    /// No answer to a request that is well-formed, to a path that there is.
    Wrong,
}

use Meaning::{NotDone, Refused, Unknown, Wrong};

pub const CODES: &[(&str, u16, Meaning)] = &[
    ("malformed_body", 400, Wrong),
    ("invalid_field", 400, Wrong),
    ("missing_field", 400, Wrong),
    ("invalid_header", 400, Wrong),
    ("unsupported_media_type", 415, Wrong),
    ("body_too_large", 413, Wrong),
    ("not_found", 404, Wrong),
    ("method_not_allowed", 405, Wrong),
    ("unknown_campaign", 404, Refused),
    ("unknown_account", 404, Refused),
    ("unknown_hold", 404, Refused),
    ("unknown_actor", 404, Refused),
    ("unknown_model", 404, Refused),
    ("hold_over", 409, Refused),
    ("settle_exceeds_hold", 422, Refused),
    ("idempotency_mismatch", 422, Refused),
    ("not_better", 409, Refused),
    ("invalid_definition", 422, Refused),
    ("stale", 412, Refused),
    ("invalid_rows", 422, Refused),
    // Another request of the same key is at it: this one did nothing, and somebody is there who says so.
    (IN_PROGRESS, 409, Refused),
    ("currency_mismatch", 422, Refused),
    ("no_exchange_rate", 422, Refused),
    ("already_exists", 409, Refused),
    ("conflict", 409, Refused),
    ("unauthenticated", 401, Refused),
    ("forbidden", 403, Refused),
    ("chaos_disabled", 403, Refused),
    ("rate_limited", 429, NotDone),
    ("overloaded", 429, NotDone),
    ("busy", 503, NotDone),
    // "nothing is confirmed": a commit that was never answered may be there all the same.
    ("store_unavailable", 503, Unknown),
    ("not_reached", 503, NotDone),
    ("unanswered", 503, Unknown),
    ("timeout", 408, NotDone),
    ("internal", 500, Wrong),
];

#[derive(Deserialize)]
struct Body {
    code: String,
    status: u16,
    #[serde(default)]
    detail: String,
}

/// What a problem (RFC 9457) says.
pub fn outcome(reply: &Reply) -> Outcome {
    let status = reply.status;
    let Ok(body) = serde_json::from_slice::<Body>(&reply.body) else {
        return wrong(status, "a problem that cannot be read");
    };
    if body.status != status {
        return wrong(status, &format!("a problem of status {}", body.status));
    }
    let Some((code, _, meaning)) =
        CODES.iter().find(|(code, of, _)| *code == body.code && *of == status)
    else {
        return wrong(status, &format!("code {}, which is not documented", body.code));
    };
    match meaning {
        Refused => Outcome::Refused { status, reason: (*code).into() },
        NotDone => Outcome::Unavailable { status, code: (*code).into() },
        Unknown => Outcome::Unknown { why: (*code).into() },
        Wrong => wrong(status, &format!("{code}: {}", body.detail)),
    }
}

pub fn wrong(status: u16, what: &str) -> Outcome {
    Outcome::Wrong { status, what: what.chars().take(200).collect::<String>().into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::http::Media;

    fn told(code: &str, status: u16, said: u16) -> Outcome {
        let body = format!(
            r#"{{"type":"t","title":"t","status":{said},"code":"{code}","detail":"d","help":"h"}}"#
        );
        outcome(&Reply { status, media: Media::Problem, body: body.into_bytes() })
    }

    #[test]
    fn every_code_means_what_it_says_and_only_with_its_status() {
        for (code, status, meaning) in CODES {
            let was = match told(code, *status, *status) {
                Outcome::Refused { reason, .. } if &*reason == *code => Refused,
                Outcome::Unavailable { code: named, .. } if &*named == *code => NotDone,
                Outcome::Unknown { why } if &*why == *code => Unknown,
                Outcome::Wrong { .. } => Wrong,
                other => panic!("{code}: {other:?}"),
            };
            assert_eq!(was, *meaning, "{code}");
            assert!(matches!(told(code, 418, 418), Outcome::Wrong { .. }), "{code}");
            assert!(matches!(told(code, *status, 418), Outcome::Wrong { .. }), "{code}");
        }
    }

    #[test]
    fn what_is_no_problem_of_the_documentation_is_wrong() {
        assert!(matches!(told("new_code", 409, 409), Outcome::Wrong { .. }));
        let bare = Reply { status: 409, media: Media::Problem, body: b"{}".to_vec() };
        assert!(matches!(outcome(&bare), Outcome::Wrong { .. }));
    }
}
