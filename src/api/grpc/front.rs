//! What every call passes first: its deadline, and the translation of what was refused before its
//! handler into gRPC's own answers.

use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use tonic::Status;
use tonic::body::Body;

use super::status::status;
use crate::api::problem::Code;

const GRPC: &[u8] = b"application/grpc";
/// Bytes of a refusal.
const REFUSAL_BYTES_MAX: usize = 64 * 1_024;

/// When the caller stops waiting; an extension of the requests that say so.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

/// The middleware.
pub async fn pass(State(most): State<Duration>, mut request: Request, next: Next) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(GRPC)) {
        let why = "this port speaks gRPC: send content-type: application/grpc";
        return refused(status(Code::UnsupportedMediaType, why, None));
    }
    let left = match timeout(request.headers()) {
        Ok(left) => left,
        Err(why) => return refused(status(Code::InvalidHeader, why, None)),
    };
    if let Some(left) = left {
        request.extensions_mut().insert(Deadline(Instant::now() + left));
    }
    let answer = match left.filter(|left| *left < most) {
        None => next.run(request).await,
        Some(left) => match tokio::time::timeout(left, next.run(request)).await {
            Ok(answer) => answer,
            Err(_) => return refused(status(Code::Unanswered, "the deadline is over", None)),
        },
    };
    match answer.extensions().get::<Code>().copied() {
        None => answer,
        Some(code) => translated(code, answer).await,
    }
}

fn refused(status: Status) -> Response {
    status.into_http::<Body>().map(axum::body::Body::new)
}

/// A problem in gRPC's own way, with the headers that say how many more calls there may be.
async fn translated(code: Code, answer: Response) -> Response {
    let (parts, body) = answer.into_parts();
    let retry = parts.headers.get(header::RETRY_AFTER);
    let retry = retry.and_then(|seconds| seconds.to_str().ok()?.parse::<u64>().ok());
    let detail = match axum::body::to_bytes(body, REFUSAL_BYTES_MAX).await {
        Ok(bytes) => serde_json::from_slice::<serde_json::Value>(&bytes).ok(),
        Err(_) => None,
    };
    let detail = detail.and_then(|problem| problem["detail"].as_str().map(str::to_owned));
    let detail = detail.unwrap_or_else(|| code.help().to_owned());
    let mut response = refused(status(code, detail, retry.map(|seconds| seconds * 1_000)));
    for (name, value) in &parts.headers {
        if !matches!(*name, header::CONTENT_TYPE | header::CONTENT_LENGTH | header::RETRY_AFTER) {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    response
}

/// `grpc-timeout`: at most 8 digits and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, String> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let wrong = || "grpc-timeout is not 1 to 8 digits and one of H, M, S, m, u, n".to_owned();
    let text = value.to_str().map_err(|_| wrong())?;
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let digits = text.strip_suffix(unit).ok_or_else(wrong)?;
    let plain = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
    Ok(Some(match unit {
        'H' => Duration::from_secs(number * 3_600),
        'M' => Duration::from_secs(number * 60),
        'S' => Duration::from_secs(number),
        'm' => Duration::from_millis(number),
        'u' => Duration::from_micros(number),
        'n' => Duration::from_nanos(number),
        _ => return Err(wrong()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Duration>, String> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().expect("a header"));
        timeout(&headers)
    }

    #[test]
    fn a_deadline_is_read_in_every_unit_and_nothing_else_is_one() {
        assert_eq!(timeout(&HeaderMap::new()), Ok(None));
        for (text, want) in [
            ("1H", Duration::from_secs(3_600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("99999999m", Duration::from_millis(99_999_999)),
            ("5u", Duration::from_micros(5)),
            ("6n", Duration::from_nanos(6)),
        ] {
            assert_eq!(read(text), Ok(Some(want)));
        }
        for text in ["", "1", "S", "123456789S", "-1S", "1 S", "1s", "+1S", "1.5S"] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
