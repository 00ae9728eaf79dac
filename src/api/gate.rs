//! What every request passes: a bound on how many run, a time limit, an id, its trace, and its
//! place in the metrics.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::{Code, Problem};
use crate::actors::kernel::{Trace, run_within};
use crate::metrics_names::{HTTP_REQUEST_DURATION, HTTP_REQUESTS, HTTP_REQUESTS_SHED};
use crate::telemetry::spans::{self, Kind, Open};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const ID_CHARS_MAX: usize = 128;

/// The gate of one service.
pub struct Gate {
    service: &'static str,
    running: AtomicUsize,
    running_max: usize,
    time_max: Duration,
    /// By route template.
    meters: RwLock<HashMap<String, OfRoute>>,
}

/// By status and method.
type OfRoute = Vec<(u16, &'static str, Meter)>;

#[derive(Clone)]
struct Meter {
    count: metrics::Counter,
    time: metrics::Histogram,
}

impl Gate {
    pub fn new(service: &'static str, running_max: usize, time_max: Duration) -> Arc<Gate> {
        Arc::new(Gate {
            service,
            running: AtomicUsize::new(0),
            running_max,
            time_max,
            meters: RwLock::default(),
        })
    }

    fn measure(&self, request: &Route, status: u16, took: Duration) {
        let Route { method, template } = request;
        let known = {
            let meters = self.meters.read().unwrap_or_else(PoisonError::into_inner);
            let template = template.as_ref().map_or("", |t| t.as_str());
            let of_route = meters.get(template).map_or(&[][..], Vec::as_slice);
            match of_route.iter().find(|(s, m, _)| *s == status && m == method) {
                Some((_, _, meter)) => {
                    meter.record(took);
                    true
                }
                None => false,
            }
        };
        if !known {
            self.meter(request, status).record(took);
        }
    }

    fn meter(&self, request: &Route, status: u16) -> Meter {
        // Unknown paths share one label: a stranger must not be able to make up series.
        let route = request.template.as_ref().map_or("", |t| t.as_str()).to_owned();
        let method = request.method;
        let service = self.service;
        let meter = Meter {
            count: metrics::counter!(HTTP_REQUESTS, "service" => service, "route" => route.clone(),
                "method" => method, "status" => status.to_string()),
            time: metrics::histogram!(HTTP_REQUEST_DURATION, "service" => service,
                "route" => route.clone(), "method" => method),
        };
        let mut meters = self.meters.write().unwrap_or_else(PoisonError::into_inner);
        meters.entry(route).or_default().push((status, method, meter.clone()));
        meter
    }
}

impl Meter {
    fn record(&self, took: Duration) {
        self.count.increment(1);
        self.time.record(took.as_secs_f64());
    }
}

struct Route {
    /// As a label: a stranger must not be able to make up series.
    method: &'static str,
    template: Option<MatchedPath>,
}

/// Leaves the count of running requests when it goes, whatever ended the request.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The middleware.
pub async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = Route {
        method: label(request.method()),
        template: request.extensions().get::<MatchedPath>().cloned(),
    };
    let id = given_id(request.headers());
    let trace = request.headers().get(TRACEPARENT).and_then(|t| Trace::parse(t.to_str().ok()?));
    let (trace, open) = spans::enter(trace);
    let path = open.as_ref().map(|_| url_path(request.uri().path(), route.template.as_ref()));
    let running = gate.running.fetch_add(1, Ordering::Relaxed);
    let _place = Place(&gate.running);
    let mut response = if running >= gate.running_max {
        metrics::counter!(HTTP_REQUESTS_SHED, "service" => gate.service).increment(1);
        Problem::new(Code::Busy, "too many requests are running").into_response()
    } else {
        let handled = run_within(gate.time_max, next.run(request));
        let handled = match trace {
            Some(trace) => trace.scope(handled).await,
            None => handled.await,
        };
        handled.unwrap_or_else(|| {
            Problem::new(Code::Unanswered, "the answer took too long").into_response()
        })
    };
    // Who had to name the request before it was answered has named it for good.
    if !response.headers().contains_key(REQUEST_ID) {
        response.headers_mut().insert(REQUEST_ID, id.unwrap_or_else(fresh_id));
    }
    gate.measure(&route, response.status().as_u16(), began.elapsed());
    if let (Some(open), Some(path)) = (open, path) {
        record(open, gate.service, &route, path, response.status());
    }
    response
}

/// Parameters of routes that name no person: with others, a path is not shown to a collector.
const HARMLESS: [&str; 7] = ["account", "campaign_id", "id", "model", "path", "order", "platform"];

/// What of a path may be shown: a stranger's path not at all, and a person's as its template.
fn url_path(path: &str, template: Option<&MatchedPath>) -> Option<String> {
    let template = template?.as_str();
    let mut names =
        template.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let harmless = names.all(|name| HARMLESS.contains(&name.trim_start_matches('*')));
    Some(if harmless { path } else { template }.to_owned())
}

/// The request's span, by OpenTelemetry's semantic conventions for HTTP servers.
fn record(
    open: Open,
    service: &'static str,
    route: &Route,
    path: Option<String>,
    status: StatusCode,
) {
    let method = if route.method == "other" { "_OTHER" } else { route.method };
    let mut attributes = vec![
        spans::text("http.request.method", method),
        spans::number("http.response.status_code", status.as_u16()),
        spans::text("kiki.service", service),
    ];
    let of = if method == "_OTHER" { "HTTP" } else { method };
    let name = match &route.template {
        Some(template) => {
            attributes.push(spans::text("http.route", template.as_str()));
            format!("{of} {}", template.as_str())
        }
        None => of.to_owned(),
    };
    attributes.extend(path.map(|path| spans::text("url.path", path)));
    let failed = status.is_server_error();
    if failed {
        attributes.push(spans::text("error.type", status.as_str()));
    }
    open.close(Kind::Server, name, attributes, failed);
}

/// The id of a request: the one that it came with, if that may be shown, or a new one.
pub fn request_id(headers: &HeaderMap) -> HeaderValue {
    given_id(headers).unwrap_or_else(fresh_id)
}

fn given_id(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(REQUEST_ID).filter(|id| is_id(id)).cloned()
}

fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// Visible ASCII and not too long: it is written to logs and sent back.
fn is_id(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    !bytes.is_empty() && bytes.len() <= ID_CHARS_MAX && bytes.iter().all(u8::is_ascii_graphic)
}

fn fresh_id() -> HeaderValue {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let random: u128 = rand::random();
    let text: [u8; 32] = std::array::from_fn(|i| HEX[(random >> (4 * i)) as usize & 15]);
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-"))
}
