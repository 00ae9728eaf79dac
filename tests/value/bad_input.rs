//! What callers get wrong: every mistake is a documented problem, and nothing makes the server fail.

use std::collections::BTreeSet;

use axum::http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, api};

/// Route, path, body, status, field.
type Case = (&'static str, &'static str, &'static str, u16, &'static str);

const CASES: &[Case] = &[
    ("POST /api/v1/ltv/predict", "/api/v1/ltv/predict", r#"{"spend":1}"#, 400, "customer_id"),
    (
        "POST /api/v1/ltv/predict",
        "/api/v1/ltv/predict",
        r#"{"customer_id":""}"#,
        400,
        "customer_id",
    ),
    (
        "POST /api/v1/ltv/predict",
        "/api/v1/ltv/predict",
        r#"{"customer_id":"c","spend":-1}"#,
        400,
        "spend",
    ),
    (
        "POST /api/v1/ltv/predict",
        "/api/v1/ltv/predict",
        r#"{"customer_id":"c","spend":1e13}"#,
        400,
        "spend",
    ),
    (
        "POST /api/v1/ltv/predict",
        "/api/v1/ltv/predict",
        r#"{"customer_id":"c","engagement_score":2}"#,
        400,
        "engagement_score",
    ),
    (
        "POST /api/v1/ltv/predict",
        "/api/v1/ltv/predict",
        r#"{"customer_id":"c","horizon_days":0}"#,
        400,
        "horizon_days",
    ),
    (
        "POST /api/v1/ltv/predict",
        "/api/v1/ltv/predict",
        r#"{"customer_id":"c","horizon":1}"#,
        400,
        "horizon",
    ),
    (
        "POST /api/v1/ltv/predict",
        "/api/v1/ltv/predict",
        r#"{"customer_id":"c","customer_id":"d"}"#,
        400,
        "customer_id",
    ),
    (
        "POST /api/v1/ltv/predict",
        "/api/v1/ltv/predict",
        r#"{"customer_id":"c","account":"nobody"}"#,
        404,
        "account",
    ),
    (
        "POST /api/v1/ltv/predict",
        "/api/v1/ltv/predict",
        r#"{"customer_id":"c","account":"a/b"}"#,
        400,
        "account",
    ),
    (
        "POST /api/v1/ltv/predict/batch",
        "/api/v1/ltv/predict/batch",
        r#"{"requests":[]}"#,
        400,
        "requests",
    ),
    (
        "POST /api/v1/ltv/predict/batch",
        "/api/v1/ltv/predict/batch",
        r#"{"requests":5}"#,
        400,
        "requests",
    ),
    (
        "POST /api/v1/ltv/predict/batch",
        "/api/v1/ltv/predict/batch",
        r#"{"requests":[{"customer_id":"a"},{"customer_id":5}]}"#,
        400,
        "requests[1].customer_id",
    ),
    (
        "POST /api/v1/ltv/predict/batch",
        "/api/v1/ltv/predict/batch",
        r#"{"requests":[{"customer_id":"a","account":"b"}]}"#,
        400,
        "requests[0].account",
    ),
    ("POST /api/v1/ltv/transactions", "/api/v1/ltv/transactions", r#"{}"#, 400, "transactions"),
    (
        "POST /api/v1/ltv/transactions",
        "/api/v1/ltv/transactions",
        r#"{"transactions":[]}"#,
        400,
        "transactions",
    ),
    (
        "POST /api/v1/ltv/transactions",
        "/api/v1/ltv/transactions",
        r#"{"transactions":[{"customer_id":"c","date":"2026-01-01","amount":1}],"account":"nobody"}"#,
        404,
        "account",
    ),
    ("POST /api/v1/ltv/transactions", "/api/v1/ltv/transactions?strict=x", r#"{}"#, 400, "strict"),
    (
        "GET /api/v1/ltv/customers/{customer_id}",
        "/api/v1/ltv/customers/%00",
        "",
        400,
        "customer_id",
    ),
    ("GET /api/v1/ltv/customers/{customer_id}", "/api/v1/ltv/customers/%FF", "", 400, "path"),
    ("GET /api/v1/ltv/models", "/api/v1/ltv/models?limit=0", "", 400, "limit"),
    ("GET /api/v1/ltv/models/{model}", "/api/v1/ltv/models/none", "", 404, "model"),
    ("GET /api/v1/ltv/models/{model}", "/api/v1/ltv/models/%2e%2e", "", 404, "model"),
    (
        "GET /api/v1/ltv/models/{model}/outcomes",
        "/api/v1/ltv/models/none/outcomes",
        "",
        404,
        "model",
    ),
    (
        "POST /api/v1/ltv/models/{model}/challenge",
        "/api/v1/ltv/models/none/challenge",
        "",
        404,
        "model",
    ),
    (
        "POST /api/v1/ltv/models/{model}/promote",
        "/api/v1/ltv/models/none/promote",
        r#"{"force":1}"#,
        400,
        "force",
    ),
    (
        "POST /api/v1/ltv/models/{model}/promote",
        "/api/v1/ltv/models/none/promote",
        r#"{"force":true}"#,
        400,
        "reason",
    ),
    (
        "POST /api/v1/ltv/models/{model}/promote",
        "/api/v1/ltv/models/none/promote",
        r#"{"reason":" "}"#,
        400,
        "reason",
    ),
    ("DELETE /api/v1/ltv/challenger", "/api/v1/ltv/challenger", "", 409, ""),
    ("POST /api/v1/ltv/rollback", "/api/v1/ltv/rollback", r#"{}"#, 400, "reason"),
    ("POST /api/v1/ltv/rollback", "/api/v1/ltv/rollback", r#"{"reason":"x"}"#, 409, ""),
    ("GET /api/v1/ltv/registry", "/api/v1/ltv/registry?limit=1001", "", 400, "limit"),
    ("POST /api/v1/ltv/fits", "/api/v1/ltv/fits", r#"{"model":"odd"}"#, 400, "model"),
    ("POST /api/v1/ltv/fits", "/api/v1/ltv/fits", r#"{"horizon_days":"x"}"#, 400, "horizon_days"),
    (
        "POST /api/v1/ltv/fits",
        "/api/v1/ltv/fits",
        r#"{"holdout_end":"2999-01-01"}"#,
        400,
        "holdout_end",
    ),
    ("POST /api/v1/ltv/fits", "/api/v1/ltv/fits", r#"{"holdout_end":"x"}"#, 400, "holdout_end"),
    ("POST /api/v1/ltv/fits", "/api/v1/ltv/fits", r#"{"seed":-1}"#, 400, "seed"),
    ("POST /api/v1/ltv/fits", "/api/v1/ltv/fits", r#"{"challenge":"x"}"#, 400, "challenge"),
    ("POST /api/v1/ltv/fits", "/api/v1/ltv/fits", r#"{"account":"nobody"}"#, 404, "account"),
    ("GET /api/v1/ltv/fits/{id}", "/api/v1/ltv/fits/none", "", 404, ""),
    ("DELETE /api/v1/ltv/fits/{id}", "/api/v1/ltv/fits/none", "", 404, ""),
    ("GET /api/v1/ltv/drift", "/api/v1/ltv/drift", "", 404, "model"),
    ("GET /api/v1/ltv/drift", "/api/v1/ltv/drift?model=none", "", 404, "model"),
    ("PUT /api/v1/ltv/experiments", "/api/v1/ltv/experiments", r#"{"share":2}"#, 400, "share"),
    (
        "PUT /api/v1/ltv/experiments",
        "/api/v1/ltv/experiments",
        r#"{"share":0.5,"shadow":1}"#,
        400,
        "shadow",
    ),
    ("PUT /api/v1/ltv/experiments", "/api/v1/ltv/experiments", r#"{"share":0.5}"#, 409, ""),
    ("DELETE /api/v1/ltv/experiments", "/api/v1/ltv/experiments", "", 409, ""),
];

/// Routes that read nothing but headers.
const WITHOUT_BODY: &[&str] = &[
    "GET /",
    "GET /health",
    "GET /ready",
    "GET /metrics",
    "GET /api/v1/ltv/health",
    "GET /api/v1/ltv/fits",
    "GET /api/v1/ltv/experiments",
];

async fn send(api: &Api, route: &str, path: &str, body: impl Into<axum::body::Body>) -> Answer {
    let method: Method = route.split_once(' ').expect("a method").0.parse().expect("a method");
    api.call(method, path, &[("content-type", "application/json")], body).await
}

#[tokio::test]
async fn every_mistake_is_a_documented_problem_with_its_field() {
    let api = api(&[]).await;
    let document = api.get("/openapi.json").await.is(200);
    for case in CASES {
        let (route, path, body, status, field) = *case;
        let answer = send(&api, route, path, body).await;
        assert_eq!(answer.status, status, "{case:?}: {}", answer.text);
        assert_eq!(answer.kind, "application/problem+json", "{case:?}: {}", answer.text);
        assert_eq!(answer.json["field"].as_str().unwrap_or_default(), field, "{case:?}");
        let (method, path) = route.split_once(' ').expect("a method");
        let documented = &document["paths"][path][method.to_lowercase()]["responses"];
        assert!(documented.get(status.to_string()).is_some(), "{route}: {status}: {documented}");
    }
}

#[tokio::test]
async fn every_route_has_a_case() {
    let api = api(&[]).await;
    let document = api.get("/openapi.json").await.is(200);
    let covered: BTreeSet<String> = CASES
        .iter()
        .map(|case| case.0)
        .chain(WITHOUT_BODY.iter().copied())
        .map(str::to_owned)
        .collect();
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("an item").keys() {
            routes.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    assert_eq!(routes, covered);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_by_every_route_that_takes_one() {
    let api = api(&[]).await;
    let targets: BTreeSet<_> = CASES
        .iter()
        .filter(|case| !case.2.is_empty() && !case.1.contains('?'))
        .map(|case| (case.0, case.1))
        .collect();
    for (route, path) in targets {
        for body in ["", "nonsense", "[]", "5", "null", "{", "{\"a\":NaN}"] {
            send(&api, route, path, body).await.problem(400, "malformed_body");
        }
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(send(&api, route, path, deep).await.status, 400, "{route}");
        let method: Method = route.split_once(' ').expect("a method").0.parse().expect("a method");
        api.call(method, path, &[("content-type", "text/plain")], "{}")
            .await
            .problem(415, "unsupported_media_type");
        let large = format!("{{\"x\":\"{}\"}}", "x".repeat(600_000));
        send(&api, route, path, large).await.problem(413, "body_too_large");
    }
}

/// JSON of the fields that the routes know, with values that they may not.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e12..1e12f64).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "(c|USD|EUR|default|bg-nbd|2026-01-21|1e5|-0|0\\.1)".prop_map(Value::from),
    ];
    let value = leaf
        .prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Value::from));
    let field = prop::sample::select(vec![
        "customer_id",
        "spend",
        "engagement_score",
        "horizon_days",
        "explain",
        "requests",
        "transactions",
        "date",
        "amount",
        "currency",
        "transaction_id",
        "account",
        "force",
        "reason",
        "model",
        "holdout_end",
        "seed",
        "challenge",
        "share",
        "shadow",
    ]);
    let object = prop::collection::hash_map(field, value, 0..8)
        .prop_map(|fields| json!(fields).to_string().into_bytes());
    prop_oneof![3 => object, 1 => prop::collection::vec(any::<u8>(), 0..64)]
}

#[test]
fn nothing_that_is_sent_makes_the_server_fail() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let api = runtime.block_on(api(&[]));
    let targets: BTreeSet<(&str, &str)> = CASES.iter().map(|case| (case.0, case.1)).collect();
    let targets: Vec<_> = targets.into_iter().collect();
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() };
    proptest!(config, |(target in prop::sample::select(targets), body in body(), csv in any::<bool>())| {
        let (route, path) = target;
        let status = runtime.block_on(async {
            match csv {
                true => api.csv("/api/v1/ltv/transactions", &[], body.clone()).await.status,
                false => send(&api, route, path, body.clone()).await.status,
            }
        });
        // A queue of fits that is full is no failure.
        prop_assert!(status < 500, "{route}: {status}");
    });
}
