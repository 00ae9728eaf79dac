//! OTLP over HTTP with protobuf (OpenTelemetry Protocol 1.x, section OTLP/HTTP).

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode};

use super::spans::text;
use crate::connectors::http;

/// Time that an export may take, connecting included.
pub const EXPORT_LIMIT: Duration = Duration::from_secs(5);

/// Why a collector did not take an export.
#[derive(Debug, thiserror::Error)]
pub enum Untaken {
    /// It cannot be reached, or did not answer in time.
    #[error("no answer: {0}")]
    Unreachable(String),
    #[error("answered {0}")]
    Status(StatusCode),
}

impl Untaken {
    /// Whether the same export may be taken later (OTLP/HTTP, "Retryable Response Codes").
    pub fn passing(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Status(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
        }
    }
}

/// A collector of OTLP.
#[derive(Clone, Debug)]
pub struct Otlp {
    client: Client,
    base: String,
    resource: Resource,
}

impl Otlp {
    /// A collector at this URL; nothing is sent yet.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub fn new(endpoint: &str, headers: HeaderMap) -> reqwest::Result<Otlp> {
        let client = http::builder(endpoint).timeout(EXPORT_LIMIT).default_headers(headers);
        let client = client.build()?;
        let instance: u128 = rand::random();
        let attributes = vec![
            text("service.name", "kiki"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", format!("{instance:032x}")),
        ];
        let resource = Resource { attributes, ..Resource::default() };
        Ok(Otlp { client, base: endpoint.trim_end_matches('/').to_owned(), resource })
    }

    /// Sends spans.
    ///
    /// # Errors
    /// The collector does not take them.
    pub async fn send_spans(&self, spans: Vec<Span>) -> Result<(), Untaken> {
        let scope = Some(scope());
        let scope_spans = vec![ScopeSpans { scope, spans, ..ScopeSpans::default() }];
        let resource = Some(self.resource.clone());
        let of = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
        self.send("traces", &ExportTraceServiceRequest { resource_spans: vec![of] }).await
    }

    /// Sends metrics.
    ///
    /// # Errors
    /// The collector does not take them.
    pub async fn send_metrics(&self, metrics: Vec<Metric>) -> Result<(), Untaken> {
        let scope = Some(scope());
        let scope_metrics = vec![ScopeMetrics { scope, metrics, ..ScopeMetrics::default() }];
        let resource = Some(self.resource.clone());
        let of = ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() };
        self.send("metrics", &ExportMetricsServiceRequest { resource_metrics: vec![of] }).await
    }

    async fn send(&self, signal: &str, message: &impl Message) -> Result<(), Untaken> {
        let request = self.client.post(format!("{}/v1/{signal}", self.base));
        let request = request.header(header::CONTENT_TYPE, "application/x-protobuf");
        let answer = request.body(message.encode_to_vec()).send().await;
        let answer = answer.map_err(|error| Untaken::Unreachable(cause(&error)))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(Untaken::Status(status)),
        }
    }
}

/// Reads headers as `OTEL_EXPORTER_OTLP_HEADERS` has them (W3C Baggage without properties): pairs
/// of a name and a value, parted by commas, with what is no plain character in percents.
///
/// # Errors
/// What is wrong, without a value: it may be a secret.
pub fn headers(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or("a header is not name=value")?;
        let name = name.trim();
        let of: HeaderName = name.parse().map_err(|_| format!("{name:?} is no header's name"))?;
        let bad = || format!("the value of {name} is none that a header can have");
        let value = decoded(value.trim()).ok_or_else(bad)?;
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| bad())?;
        value.set_sensitive(true);
        headers.insert(of, value);
    }
    Ok(headers)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            byte => byte,
        });
    }
    Some(out)
}

fn scope() -> InstrumentationScope {
    let (name, version) = ("kiki".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    InstrumentationScope { name, version, ..InstrumentationScope::default() }
}

/// The innermost cause: the outer ones repeat the URL.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "not within 5 s".to_owned();
    }
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_what_is_wrong_with_one_is_told_without_its_value() {
        let good = headers(" authorization=Bearer%20a%3Db , x-tenant = ads ,").expect("good");
        assert_eq!(good["authorization"], "Bearer a=b");
        assert_eq!(good["x-tenant"], "ads");
        assert!(headers("").is_ok_and(|none| none.is_empty()));
        for bad in ["secret", "a b=secret", "x=%0asecret", "x=secret%", "x=secret%f", "x=%zzsecret"]
        {
            let error = headers(bad).expect_err(bad);
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
