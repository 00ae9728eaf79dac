//! Reading what callers send: bounded, and every mistake named by its field.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::problem::{Code, Problem};
use crate::models::shield::money::{Currency, Micros};

/// How long a body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);
/// Characters of free text.
pub const TEXT_CHARS_MAX: usize = 256;
/// Characters of an Idempotency-Key.
const KEY_CHARS_MAX: usize = 255;

/// A JSON body, as it came.
pub struct Json(pub Bytes);

/// A JSON body with the headers of its request.
pub struct Call {
    pub headers: HeaderMap,
    pub json: Json,
}

/// What the service knows about its limits.
pub trait Bounds: Send + Sync {
    /// The largest body, in bytes.
    fn body_max(&self) -> usize;
}

impl<S: Bounds> FromRequest<S> for Call {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let read = axum::body::to_bytes(body, state.body_max());
        let bytes = tokio::time::timeout(ARRIVES_WITHIN, read)
            .await
            .map_err(|_| Problem::new(Code::Timeout, "the body did not arrive in time"))?
            .map_err(refused)?;
        if !parts.headers.get(header::CONTENT_TYPE).is_some_and(|v| is_json(v.as_bytes())) {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "the body is not declared as JSON",
            ));
        }
        Ok(Call { headers: parts.headers, json: Json(bytes) })
    }
}

/// A request whose fields are in a JSON body or, without one, in the query.
pub struct CallOrQuery {
    pub headers: HeaderMap,
    pub json: Option<Json>,
    pub query: String,
}

impl<S: Bounds> FromRequest<S> for CallOrQuery {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let empty = axum::body::HttpBody::is_end_stream(request.body());
        if empty {
            return Ok(CallOrQuery { headers: request.into_parts().0.headers, json: None, query });
        }
        let Call { headers, json } = Call::from_request(request, state).await?;
        Ok(CallOrQuery { headers, json: Some(json), query })
    }
}

impl<S: Bounds> FromRequest<S> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Call::from_request(request, state).await.map(|call| call.json)
    }
}

fn refused(error: axum::Error) -> Problem {
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return Problem::new(Code::BodyTooLarge, "the body is larger than it may be");
        }
        cause = error.source();
    }
    Problem::new(Code::MalformedBody, "the body could not be read")
}

fn is_json(kind: &[u8]) -> bool {
    let kind = kind.split(|b| *b == b';').next().unwrap_or_default();
    let kind = kind.trim_ascii().to_ascii_lowercase();
    kind == b"application/json" || (kind.starts_with(b"application/") && kind.ends_with(b"+json"))
}

impl Json {
    /// The fields of the one object that the body must be.
    pub fn fields<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        let bytes = &self.0[..];
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(Problem::new(Code::MalformedBody, "the body is not a JSON object"));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Problem::new(Code::MalformedBody, "the body is not UTF-8"))?;
        serde_json::from_str(text).map_err(|e| unreadable(text, &e))
    }
}

/// Why JSON cannot be read; a field that is there twice, or is none, is named.
pub fn unreadable(text: &str, error: &serde_json::Error) -> Problem {
    let malformed =
        |why: &str| Problem::new(Code::MalformedBody, format!("the body is not valid JSON: {why}"));
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        return malformed(&error.to_string());
    }
    let why = error.to_string();
    for (begin, says) in
        [("duplicate field `", "is there twice"), ("unknown field `", "is no field")]
    {
        if let Some(field) = why.strip_prefix(begin).and_then(|rest| rest.split('`').next()) {
            return Problem::field(field, says);
        }
    }
    malformed(&why)
}

/// The one variable part of a path, decoded.
pub struct InPath(pub String);

impl<S: Send + Sync> FromRequestParts<S> for InPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let part = Path::<String>::from_request_parts(parts, state).await;
        part.map(|Path(text)| InPath(text)).map_err(|_| Problem::field("path", "is not UTF-8"))
    }
}

/// A field as it stands in the body.
pub type Raw<'a> = Option<&'a RawValue>;

/// Declares the fields of a body; each is read, and named when it is wrong, by the functions here.
macro_rules! fields {
    ($name:ident { $($field:ident),* $(,)? }) => {
        $crate::api::body::fields!($name { $($field),* } ignores_others);
    };
    // A misspelt field is refused, not ignored.
    ($name:ident { $($field:ident),* $(,)? } only) => {
        $crate::api::body::fields!($name { $($field),* } deny_unknown_fields);
    };
    ($name:ident { $($field:ident),* $(,)? } ignores_others) => {
        #[derive(serde::Deserialize)]
        struct $name<'a> {
            $(#[serde(borrow, default)] $field: $crate::api::body::Raw<'a>,)*
        }
    };
    ($name:ident { $($field:ident),* $(,)? } deny_unknown_fields) => {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name<'a> {
            $(#[serde(borrow, default)] $field: $crate::api::body::Raw<'a>,)*
        }
    };
}
pub(crate) use fields;

fn need<'a>(field: &str, raw: Raw<'a>) -> Result<&'a RawValue, Problem> {
    raw.ok_or_else(|| Problem::missing(field))
}

/// Free text: no control characters, not too long.
pub fn text<'a>(field: &str, raw: &'a RawValue, chars_max: usize) -> Result<Cow<'a, str>, Problem> {
    let text: Cow<'a, str> = serde_json::from_str::<String>(raw.get())
        .map(Cow::Owned)
        .map_err(|_| Problem::field(field, "is not a string"))?;
    if text.chars().count() > chars_max {
        return Err(Problem::field(field, format!("has more than {chars_max} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::field(field, "has control characters"));
    }
    Ok(text)
}

pub fn opt_text<'a>(field: &str, raw: Raw<'a>) -> Result<Option<Cow<'a, str>>, Problem> {
    raw.map(|raw| text(field, raw, TEXT_CHARS_MAX)).transpose()
}

/// A name of an account or a campaign.
pub fn name<'a>(field: &str, raw: Raw<'a>) -> Result<Cow<'a, str>, Problem> {
    let name = text(field, need(field, raw)?, crate::actors::shield::NAME_CHARS_MAX)?;
    check_name(field, &name)?;
    Ok(name)
}

pub fn check_name(field: &str, name: &str) -> Result<(), Problem> {
    match crate::actors::shield::is_name(name) {
        true => Ok(()),
        false => Err(Problem::field(field, "is not 1 to 128 of the characters A-Z a-z 0-9 _ - .")),
    }
}

/// An exact amount of money.
pub fn amount(field: &str, raw: Raw<'_>) -> Result<Micros, Problem> {
    let raw = need(field, raw)?.get();
    let text = raw.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(raw);
    Micros::parse(text).map_err(|why| Problem::field(field, why))
}

pub fn opt_amount(field: &str, raw: Raw<'_>) -> Result<Option<Micros>, Problem> {
    raw.map(|raw| amount(field, Some(raw))).transpose()
}

/// An amount that is not negative.
pub fn positive(field: &str, amount: Micros, zero_too: bool) -> Result<Micros, Problem> {
    match amount.0 {
        ..0 => Err(Problem::field(field, "is negative")),
        0 if !zero_too => Err(Problem::field(field, "is zero")),
        _ => Ok(amount),
    }
}

pub fn opt_currency(field: &str, raw: Raw<'_>) -> Result<Option<Currency>, Problem> {
    let Some(raw) = raw else { return Ok(None) };
    let text = text(field, raw, 16)?;
    text.parse().map(Some).map_err(|why| Problem::field(field, why))
}

/// RFC 3339 time as wall-clock micros.
pub fn opt_time(field: &str, raw: Raw<'_>) -> Result<Option<i64>, Problem> {
    let Some(raw) = raw else { return Ok(None) };
    let text = text(field, raw, 64)?;
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| Problem::field(field, "is not a time as in 2026-11-21T12:00:00Z"))?;
    Ok(Some(time.as_microsecond()))
}

/// Seconds, exact to the microsecond.
pub fn opt_seconds(field: &str, raw: Raw<'_>, max_us: i64) -> Result<Option<i64>, Problem> {
    let Some(us) = opt_amount(field, raw)?.map(|a| a.0) else { return Ok(None) };
    match us {
        1.. if us <= max_us => Ok(Some(us)),
        _ => Err(Problem::field(
            field,
            format!("is not more than 0 and at most {} s", Micros(max_us)),
        )),
    }
}

/// The Idempotency-Key of a request, if it has one.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().map_err(|_| Problem::header("Idempotency-Key", "is not ASCII"))?;
    match key.len() {
        0 => Err(Problem::header("Idempotency-Key", "is empty")),
        1..=KEY_CHARS_MAX => Ok(Some(key)),
        _ => Err(Problem::header("Idempotency-Key", "has more than 255 characters")),
    }
}

/// The account that a request speaks for, if it names one.
pub fn account(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("x-account") else { return Ok(None) };
    let name = value.to_str().map_err(|_| Problem::header("X-Account", "is not ASCII"))?;
    match crate::actors::shield::is_name(name) {
        true => Ok(Some(name)),
        false => Err(Problem::header("X-Account", "is no name of an account")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("json")
    }

    #[test]
    fn fields_are_refused_by_their_own_name() {
        for text in ["5", "\"a b\"", "\"\\u0000\"", "\"\""] {
            let value = raw(text);
            let problem = name("campaign_id", Some(&value)).expect_err(text);
            assert_eq!(problem.code(), Code::InvalidField, "{text}");
        }
        assert_eq!(amount("x", None).expect_err("missing").code(), Code::MissingField);
        for text in ["\"NaN\"", "true", "[]", "1e999", "0.0000001", "\"5 \""] {
            assert!(amount("x", Some(&raw(text))).is_err(), "{text}");
        }
        assert_eq!(amount("x", Some(&raw("\"1.5\""))).ok(), Some(Micros(1_500_000)));
    }

    #[test]
    fn only_json_is_taken_for_json() {
        for kind in
            ["application/json", "application/json; charset=utf-8", "application/cloudevents+json"]
        {
            assert!(is_json(kind.as_bytes()), "{kind}");
        }
        for kind in ["text/plain", "application/jsonp", "", "text/json"] {
            assert!(!is_json(kind.as_bytes()), "{kind}");
        }
    }
}
