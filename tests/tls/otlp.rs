//! A collector of OTLP beside a server: what it gets, and that nobody misses it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;
use tokio::net::TcpListener;

use crate::common::{Server, client};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// What was sent to a collector.
#[derive(Clone, Default)]
struct Got {
    traces: Arc<Mutex<Vec<Bytes>>>,
    metrics: Arc<Mutex<Vec<Bytes>>>,
}

impl Got {
    async fn listen(&self) -> String {
        let keep = |kept: &Arc<Mutex<Vec<Bytes>>>| {
            let kept = Arc::clone(kept);
            post(async move |headers: HeaderMap, body: Bytes| {
                assert_eq!(headers["content-type"], "application/x-protobuf");
                kept.lock().expect("not poisoned").push(body);
                StatusCode::OK
            })
        };
        let router = Router::new()
            .route("/v1/traces", keep(&self.traces))
            .route("/v1/metrics", keep(&self.metrics));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn spans(&self) -> Vec<Span> {
        let bodies = self.traces.lock().expect("not poisoned").clone();
        let read = |body| ExportTraceServiceRequest::decode(body).expect("OTLP").resource_spans;
        let resources = bodies.into_iter().flat_map(read);
        resources.flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
    }

    /// The last export.
    fn metrics(&self) -> BTreeMap<String, Metric> {
        let last = self.metrics.lock().expect("not poisoned").last().cloned().expect("an export");
        let read = ExportMetricsServiceRequest::decode(last).expect("OTLP").resource_metrics;
        let metrics = read.into_iter().flat_map(|r| r.scope_metrics).flat_map(|s| s.metrics);
        metrics.map(|metric| (metric.name.clone(), metric)).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|a| a.key == key)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

fn start(folder: &tempfile::TempDir, endpoint: &str, ratio: &str) -> Server {
    let endpoint = format!("telemetry.otlp_endpoint={endpoint}");
    let ratio = format!("telemetry.sample_ratio={ratio}");
    let settings = [&*endpoint, &*ratio, "telemetry.metrics_interval_s=0.2"];
    Server::start(&folder.path().join("data"), &settings)
}

/// Allocates, holds, and settles with these words about the trace.
async fn spend(server: &Server, traceparent: Option<&str>) -> serde_json::Value {
    let bid = json!({"campaign_id": "camp", "bid_amount": 2});
    let (status, hold) = server.post("/api/v1/check", &bid).await;
    assert_eq!(status, 200, "{hold}");
    let path =
        format!("/api/v1/holds/{}/settle?note=private", hold["hold_id"].as_str().expect("an id"));
    let body = json!({"amount": 1, "token": hold["token"]});
    let mut request = client().post(server.url(&path)).json(&body);
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    hold
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_adapter_through_the_actors_to_the_commit() {
    let folder = tempfile::tempdir().expect("a folder");
    let got = Got::default();
    let mut server = start(&folder, &got.listen().await, "0");
    server.allocate("camp", 100).await;
    let hold = spend(&server, Some(&format!("00-{TRACE}-{CALLER}-01"))).await;
    let other = "11111111111111111111111111111111";
    spend(&server, Some(&format!("00-{other}-{CALLER}-00"))).await;
    // What waits is sent before the end.
    assert!(server.terminate().success(), "{}", server.said());

    let spans = got.spans();
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "{spans:#?}");
    let of = |name: &str| {
        let found = spans.iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
    };
    let adapter = of("POST /api/v1/holds/{id}/settle");
    let actor = of("budget settle");
    let commit = of("commit");
    assert_eq!(hex(&adapter.parent_span_id), CALLER);
    assert_eq!(adapter.flags & 0x200, 0x200, "its parent is remote");
    assert_eq!(actor.parent_span_id, adapter.span_id);
    assert_eq!(commit.parent_span_id, actor.span_id);
    let id = hold["hold_id"].as_str().expect("an id");
    for (span, key, value) in [
        (adapter, "http.request.method", "POST"),
        (adapter, "http.route", "/api/v1/holds/{id}/settle"),
        (adapter, "http.response.status_code", "200"),
        (adapter, "url.path", &format!("/api/v1/holds/{id}/settle")),
        (actor, "kiki.actor.path", "/shield/budget/camp"),
        (commit, "db.system.name", "sqlite"),
        (commit, "db.operation.batch.size", "1"),
    ] {
        assert_eq!(attribute(span, key).as_deref(), Some(value), "{key}");
    }
    assert!(attribute(actor, "kiki.actor.wait_us").is_some());
    for span in [actor, commit] {
        assert!(span.start_time_unix_nano >= adapter.start_time_unix_nano);
        assert!(span.end_time_unix_nano <= adapter.end_time_unix_nano + 20_000_000, "{span:#?}");
    }
    let token = hold["token"].as_str().expect("a token").as_bytes();
    for body in got.traces.lock().expect("not poisoned").iter() {
        for secret in [token, b"private"] {
            assert!(!body.windows(secret.len()).any(|part| part == secret));
        }
    }

    let metrics = got.metrics();
    let Some(Data::Sum(requests)) = &metrics["kiki_http_requests_total"].data else {
        panic!("no sum")
    };
    let settles = requests.data_points.iter().find(|point| {
        let route = point.attributes.iter().find(|a| a.key == "route");
        let value = route.and_then(|a| a.value.clone()?.value);
        value == Some(Value::StringValue("/api/v1/holds/{id}/settle".to_owned()))
    });
    let value = settles.expect("a point").value.expect("a value");
    assert_eq!(value, number_data_point::Value::AsDouble(2.0));
    assert!(matches!(metrics["kiki_http_request_duration_seconds"].data, Some(Data::Histogram(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_traced_where_the_share_is_one_and_none_where_nobody_collects() {
    let folder = tempfile::tempdir().expect("a folder");
    let got = Got::default();
    let mut server = start(&folder, &got.listen().await, "1");
    server.allocate("camp", 100).await;
    spend(&server, None).await;
    assert_eq!(
        client().get(server.url("/secret/path?q=1")).send().await.expect("an answer").status(),
        404
    );
    assert!(server.terminate().success(), "{}", server.said());
    let spans = got.spans();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    for name in
        ["POST /api/v1/allocate", "budget order", "POST /api/v1/check", "budget authorise", "GET"]
    {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let roots: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id.is_empty()).collect();
    assert_eq!(roots.len(), 4, "a trace for each request: {names:?}");
    assert!(
        spans.iter().all(|span| attribute(span, "url.path").is_none_or(|p| !p.contains("secret")))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_silent_or_away_costs_requests_nothing() {
    // Takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut address = silent.local_addr().expect("an address").to_string();
    for kind in ["silent", "away"] {
        if kind == "away" {
            let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            address = gone.local_addr().expect("an address").to_string();
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = start(&folder, &address, "1");
        server.allocate("camp", 100_000).await;
        let mut slowest = Duration::ZERO;
        let began = Instant::now();
        // Beyond the first exports, so that they are under way.
        while began.elapsed() < Duration::from_millis(1_400) {
            let sent = Instant::now();
            assert_eq!(server.get("/api/v1/budget/camp").await.0, 200);
            slowest = slowest.max(sent.elapsed());
        }
        assert!(slowest < Duration::from_millis(500), "{kind}: {slowest:?}");
        if kind == "away" {
            let metrics = client().get(server.url("/metrics")).send().await.expect("an answer");
            let metrics = metrics.text().await.expect("a body");
            let told = "kiki_telemetry_export_failures_total{signal=\"metrics\"}";
            assert!(metrics.contains(told), "{metrics}");
            let said = server.said();
            assert_eq!(said.matches("the collector does not take metrics").count(), 1, "{said}");
        }
        let asked = Instant::now();
        assert!(server.terminate().success(), "{}", server.said());
        assert!(asked.elapsed() < Duration::from_secs(3), "{kind}: {:?}", asked.elapsed());
    }
}
