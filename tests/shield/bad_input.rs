//! Whatever callers send: a 4xx problem that names the field, and nothing stored.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, Request};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::harness::{Answer, Api, WIDE, api};

/// Route template, path, body, status, field named.
type Case = (&'static str, &'static str, &'static str, u16, &'static str);

const LONG: &str = "x-is-repeated";

/// Bad bodies and paths of every route that takes any.
#[rustfmt::skip]
const CASES: &[Case] = &[
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{}"#, 400, "campaign_id"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2"}"#, 400, "budget"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":5,"budget":1}"#, 400, "campaign_id"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"../etc/passwd","budget":1}"#, 400, "campaign_id"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"a\u0000b","budget":1}"#, 400, "campaign_id"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"@account","budget":1}"#, 400, "campaign_id"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"x-is-repeated","budget":1}"#, 400, "campaign_id"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":-1}"#, 400, "budget"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":1e300}"#, 400, "budget"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":0.0000001}"#, 400, "budget"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":"NaN"}"#, 400, "budget"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":"Infinity"}"#, 400, "budget"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":null}"#, 400, "budget"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":[1]}"#, 400, "budget"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":1,"currency":"XYZ"}"#, 400, "currency"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":1,"daily_budget":-1}"#, 400, "daily_budget"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":1,"time_zone":"Mars/Base"}"#, 400, "time_zone"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":1,"starts_at":"soon"}"#, 400, "starts_at"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":1,"pacing":"fast"}"#, 400, "pacing"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":1,"thresholds":[95,80]}"#, 400, "thresholds"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":1,"account":"a/b"}"#, 400, "account"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":1,"currency":"USD","account":"nobody"}"#, 404, "account"),
    ("POST /api/v1/check", "/api/v1/check", r#"{"campaign_id":"c"}"#, 400, "bid_amount"),
    ("POST /api/v1/check", "/api/v1/check", r#"{"campaign_id":"c","bid_amount":0}"#, 400, "bid_amount"),
    ("POST /api/v1/check", "/api/v1/check", r#"{"campaign_id":"c","bid_amount":-5}"#, 400, "bid_amount"),
    ("POST /api/v1/check", "/api/v1/check", r#"{"campaign_id":"c","bid_amount":true}"#, 400, "bid_amount"),
    ("POST /api/v1/check", "/api/v1/check", r#"{"campaign_id":"c","bid_amount":1,"platform":7}"#, 400, "platform"),
    ("POST /api/v1/check", "/api/v1/check", r#"{"campaign_id":"c","bid_amount":1,"ttl_s":-1}"#, 400, "ttl_s"),
    ("POST /api/v1/check", "/api/v1/check", r#"{"campaign_id":"c","bid_amount":1,"ttl_s":1e9}"#, 400, "ttl_s"),
    ("POST /api/v1/check", "/api/v1/check", r#"{"campaign_id":"c","bid_amount":1,"currency":"euro"}"#, 400, "currency"),
    ("POST /api/v1/check", "/api/v1/check", r#"{"campaign_id":"nobody","bid_amount":1}"#, 403, ""),
    ("POST /api/v1/check/batch", "/api/v1/check/batch", r#"{}"#, 400, "bids"),
    ("POST /api/v1/check/batch", "/api/v1/check/batch", r#"{"bids":{}}"#, 400, "bids"),
    ("POST /api/v1/check/batch", "/api/v1/check/batch", r#"{"bids":[]}"#, 400, "bids"),
    ("POST /api/v1/check/batch", "/api/v1/check/batch", r#"{"bids":[5]}"#, 400, "bids[0]"),
    ("POST /api/v1/check/batch", "/api/v1/check/batch", r#"{"bids":[{"campaign_id":"c","bid_amount":1},{"campaign_id":"c","bid_amount":1,"currency":"QQQQ"}]}"#, 400, "bids[1].currency"),
    ("POST /api/v1/check/batch", "/api/v1/check/batch", r#"{"bids":[{"campaign_id":"c","bid_amount":1},{"campaign_id":"c","bid_amount":1,"ttl_s":0}]}"#, 400, "bids[1].ttl_s"),
    ("POST /api/v1/check", "/api/v1/check", r#"{"campaign_id":"..","bid_amount":1}"#, 400, "campaign_id"),
    ("POST /api/v1/check", "/api/v1/check", r#"{"campaign_id":"c","bid_amount":1,"bid_amount":2}"#, 400, "bid_amount"),
    ("POST /api/v1/check", "/api/v1/check", r#"{"campaign_id":"c","bid_amount":1,"account":"nobody"}"#, 404, "account"),
    ("POST /api/v1/allocate", "/api/v1/allocate", r#"{"campaign_id":"c2","budget":1,"daily_bugdet":1}"#, 400, "daily_bugdet"),
    ("POST /api/v1/spend", "/api/v1/spend", r#"{"campaign_id":"c"}"#, 400, "amount"),
    ("POST /api/v1/spend", "/api/v1/spend", r#"{"campaign_id":"c","amount":1e19}"#, 400, "amount"),
    ("POST /api/v1/spend", "/api/v1/spend", r#"{"campaign_id":"c","amount":1,"memo":"a\nb"}"#, 400, "memo"),
    ("POST /api/v1/spend", "/api/v1/spend", r#"{"campaign_id":"c","amount":1,"currency":"EUR"}"#, 422, "currency"),
    ("POST /api/v1/spend", "/api/v1/spend", r#"{"campaign_id":"c","amount":1,"hold_id":"x"}"#, 400, "hold_id"),
    ("POST /api/v1/spend", "/api/v1/spend", r#"{"campaign_id":"nobody","amount":1}"#, 404, "campaign_id"),
    ("POST /api/v1/holds/{id}/settle", "/api/v1/holds/none/settle", r#"{"amount":1}"#, 404, ""),
    ("POST /api/v1/holds/{id}/settle", "/api/v1/holds/none/settle", r#"{"amount":-1}"#, 400, "amount"),
    ("POST /api/v1/holds/{id}/settle", "/api/v1/holds/00000000000000000000000000000000.c/settle", r#"{"amount":1,"token":"x"}"#, 400, "token"),
    ("POST /api/v1/holds/{id}/release", "/api/v1/holds/00000000000000000000000000000000.c/release", "", 404, ""),
    ("GET /api/v1/holds/{id}", "/api/v1/holds/00000000000000000000000000000000.%2e%2e", "", 404, ""),
    ("POST /api/v1/allocations/{campaign_id}/pause", "/api/v1/allocations/%20/pause", "", 400, "campaign_id"),
    ("POST /api/v1/allocations/{campaign_id}/pause", "/api/v1/allocations/%FF/pause", "", 400, "path"),
    ("POST /api/v1/allocations/{campaign_id}/resume", "/api/v1/allocations/nobody/resume", "", 404, "campaign_id"),
    ("POST /api/v1/allocations/{campaign_id}/end", "/api/v1/allocations/%2e%2e%2f/end", "", 400, "campaign_id"),
    ("POST /api/v1/allocations/{campaign_id}/top-up", "/api/v1/allocations/c/top-up", r#"{"amount":0}"#, 400, "amount"),
    ("POST /api/v1/accounts", "/api/v1/accounts", r#"{"account":"a b"}"#, 400, "account"),
    ("POST /api/v1/accounts", "/api/v1/accounts", r#"{"account":"a","window_cap":-1}"#, 400, "window_cap"),
    ("GET /api/v1/accounts", "/api/v1/accounts?limit=0", "", 400, "limit"),
    ("GET /api/v1/accounts/{account}", "/api/v1/accounts/%00", "", 400, "account"),
    ("POST /api/v1/accounts/{account}/stop", "/api/v1/accounts/nobody/stop", "", 404, "account"),
    ("POST /api/v1/accounts/{account}/start", "/api/v1/accounts/a%2fb/start", "", 400, "account"),
    ("GET /api/v1/allocations", "/api/v1/allocations?status=odd", "", 400, "status"),
    ("GET /api/v1/allocations", "/api/v1/allocations?cursor=a/b", "", 400, "cursor"),
    ("GET /api/v1/budget/{campaign_id}", "/api/v1/budget/nobody", "", 404, "campaign_id"),
    ("GET /api/v1/budget/{campaign_id}", "/api/v1/budget/%FF", "", 400, "path"),
    ("GET /api/v1/budget/{campaign_id}/ledger", "/api/v1/budget/c/ledger?cursor=-1", "", 400, "cursor"),
    ("GET /api/v1/budget/{campaign_id}/ledger", "/api/v1/budget/c/ledger?limit=1001", "", 400, "limit"),
    ("PUT /api/v1/rates", "/api/v1/rates", r#"{"currency":"EUR"}"#, 400, "rate"),
    ("PUT /api/v1/rates", "/api/v1/rates", r#"{"currency":"EUR","rate":0}"#, 400, "rate"),
    ("PUT /api/v1/rates", "/api/v1/rates", r#"{"currency":"EUR","rate":1,"day":"2026-13-01"}"#, 400, "day"),
    ("PUT /api/v1/rates", "/api/v1/rates", r#"{"rate":1}"#, 400, "currency"),
    ("POST /api/v1/corrections", "/api/v1/corrections", r#"{"amount":1,"reason":"x"}"#, 400, "campaign_id"),
    ("POST /api/v1/corrections", "/api/v1/corrections", r#"{"campaign_id":"@window","amount":1,"reason":"x"}"#, 400, "campaign_id"),
    ("POST /api/v1/corrections", "/api/v1/corrections", r#"{"campaign_id":"nobody","amount":1,"reason":"x"}"#, 404, "campaign_id"),
    ("POST /api/v1/corrections", "/api/v1/corrections", r#"{"campaign_id":"c","amount":0,"reason":"x"}"#, 400, "amount"),
    ("POST /api/v1/corrections", "/api/v1/corrections", r#"{"campaign_id":"c","amount":1e19,"reason":"x"}"#, 400, "amount"),
    ("POST /api/v1/corrections", "/api/v1/corrections", r#"{"campaign_id":"c","amount":1}"#, 400, "reason"),
    ("POST /api/v1/corrections", "/api/v1/corrections", r#"{"campaign_id":"c","amount":1,"reason":" "}"#, 400, "reason"),
    ("POST /api/v1/corrections", "/api/v1/corrections", r#"{"campaign_id":"c","amount":1,"reason":"a\nb"}"#, 400, "reason"),
    ("POST /api/v1/corrections", "/api/v1/corrections", r#"{"campaign_id":"c","amount":1,"reason":"x","currency":"EUR"}"#, 422, "currency"),
    ("POST /api/v1/corrections", "/api/v1/corrections", r#"{"campaign_id":"@account","amount":1,"reason":"x","account":"nobody"}"#, 404, "account"),
    ("GET /api/v1/corrections", "/api/v1/corrections?status=odd", "", 400, "status"),
    ("GET /api/v1/corrections", "/api/v1/corrections?before=x", "", 400, "before"),
    ("GET /api/v1/corrections", "/api/v1/corrections?limit=0", "", 400, "limit"),
    ("GET /api/v1/corrections/{id}", "/api/v1/corrections/none", "", 404, ""),
    ("POST /api/v1/corrections/{id}/approve", "/api/v1/corrections/00000000000000000000000000000000/approve", "", 404, ""),
    ("POST /api/v1/corrections/{id}/refuse", "/api/v1/corrections/00000000000000000000000000000000/refuse", r#"{}"#, 400, "reason"),
    ("POST /api/v1/corrections/{id}/refuse", "/api/v1/corrections/00000000000000000000000000000000/refuse", r#"{"reason":"x"}"#, 404, ""),
    ("POST /api/v1/webhooks", "/api/v1/webhooks", r#"{"events":["*"]}"#, 400, "url"),
    ("POST /api/v1/webhooks", "/api/v1/webhooks", r#"{"url":"https://example.com/"}"#, 400, "events"),
    ("POST /api/v1/webhooks", "/api/v1/webhooks", r#"{"url":"https://example.com/","events":[]}"#, 400, "events"),
    ("POST /api/v1/webhooks", "/api/v1/webhooks", r#"{"url":"https://example.com/","events":["a b"]}"#, 400, "events"),
    ("POST /api/v1/webhooks", "/api/v1/webhooks", r#"{"url":"ftp://example.com/","events":["*"]}"#, 400, "url"),
    ("POST /api/v1/webhooks", "/api/v1/webhooks", r#"{"url":"http://127.0.0.1:8090/","events":["*"]}"#, 400, "url"),
    ("POST /api/v1/webhooks", "/api/v1/webhooks", r#"{"url":"http://2130706433/","events":["*"]}"#, 400, "url"),
    ("POST /api/v1/webhooks", "/api/v1/webhooks", r#"{"url":"https://a:b@example.com/","events":["*"]}"#, 400, "url"),
    ("GET /api/v1/webhooks/{id}", "/api/v1/webhooks/none", "", 404, ""),
    ("DELETE /api/v1/webhooks/{id}", "/api/v1/webhooks/00000000000000000000000000000000", "", 404, ""),
    ("POST /api/v1/webhooks/{id}/rotate", "/api/v1/webhooks/00000000000000000000000000000000/rotate", "", 404, ""),
    ("POST /api/v1/webhooks/{id}/test", "/api/v1/webhooks/00000000000000000000000000000000/test", "", 404, ""),
];

/// Routes that read nothing but headers, or answer in the plain words of their own tests.
const WITHOUT_BODY: &[&str] = &[
    "GET /",
    "GET /health",
    "GET /ready",
    "GET /metrics",
    "GET /api/v1/rates",
    "POST /api/v1/restore/resume",
    "GET /spend",
    "POST /spend",
    "GET /check",
    // of people: see consent.rs and dsr.rs
    "POST /consent/grant",
    "POST /consent/revoke",
    "GET /consent/status",
    "GET /api/v1/consent/check",
    "GET /api/v1/consent/history",
    "POST /api/v1/consent/tcf",
    "POST /dsr/create",
    "GET /api/v1/dsr",
    "GET /api/v1/dsr/{id}",
    "GET /api/v1/dsr/{id}/package",
    "POST /api/v1/dsr/{id}/verify",
    "POST /api/v1/dsr/{id}/complete",
    "POST /api/v1/dsr/{id}/reject",
    "POST /api/v1/dsr/{id}/cancel",
    "POST /api/v1/dsr/{id}/extend",
    "POST /api/v1/dsr/{id}/lift",
    "GET /compliance/report",
    "GET /api/v1/webhooks",
    // of the audit log: see audit.rs
    "GET /api/v1/audit",
    "GET /api/v1/audit/export",
    "GET /api/v1/audit/heads",
    "POST /api/v1/audit/heads",
    "GET /api/v1/audit/proof/{index}",
    "GET /api/v1/audit/consistency",
    "GET /api/v1/audit/verify",
    "POST /api/v1/audit/verify",
];

fn method(route: &str) -> Method {
    route.split_once(' ').expect("a method").0.parse().expect("a method")
}

async fn send(api: &Api, case: &Case) -> Answer {
    let (route, path, body, ..) = *case;
    let body = body.replace(LONG, &"x".repeat(129));
    api.call(method(route), path, &[("content-type", "application/json")], body).await
}

async fn with_campaign() -> Api {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    api
}

/// Every operation of the OpenAPI document as `METHOD path`.
fn routes(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("paths");
    let each = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("an item").keys();
        let methods =
            methods.filter(|m| ["get", "put", "post", "delete", "patch"].contains(&&***m));
        methods.map(move |m| format!("{} {path}", m.to_uppercase()))
    });
    each.collect()
}

#[tokio::test]
async fn every_mistake_is_a_documented_problem_with_its_field_and_nothing_is_stored() {
    let api = with_campaign().await;
    let document = api.get("/openapi.json").await.is(200);
    let before = api.counts().await;
    for case in CASES {
        let (route, _, _, status, field) = *case;
        let answer = send(&api, case).await;
        assert_eq!(answer.status, status, "{case:?}: {}", answer.text);
        if status != 403 {
            assert_eq!(answer.kind, "application/problem+json", "{case:?}: {}", answer.text);
            assert_eq!(answer.json["field"].as_str().unwrap_or_default(), field, "{case:?}");
            assert_eq!(answer.json["status"], status, "{case:?}");
        }
        let (method, path) = route.split_once(' ').expect("a method");
        let documented = &document["paths"][path][method.to_lowercase()]["responses"];
        assert!(documented.get(status.to_string()).is_some(), "{route}: {status}: {documented}");
    }
    assert_eq!(api.counts().await, before, "something was stored");
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
    assert_eq!(routes(&document), covered);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_by_every_route_that_takes_one() {
    let api = with_campaign().await;
    let before = api.counts().await;
    let with_body = CASES.iter().filter(|case| !case.2.is_empty());
    let targets: BTreeSet<_> = with_body.map(|case| (case.0, case.1)).collect();
    let kind = [("content-type", "application/json")];
    for (route, path) in targets {
        for body in
            ["", "nonsense", "[]", "[{}]", "5", "\"x\"", "null", "{", "{\"a\":NaN}", "{\"a\":1,}"]
        {
            api.call(method(route), path, &kind, body).await.problem(400, "malformed_body");
        }
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
        let answer = api.call(method(route), path, &kind, deep).await;
        assert_eq!(answer.status, 400, "{route}: {}", answer.text);
        let answer = api.call(method(route), path, &kind, vec![b'{', 0xff, b'}']).await;
        answer.problem(400, "malformed_body");
        for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
            let answer = api.call(method(route), path, &[("content-type", wrong)], "{}").await;
            answer.problem(415, "unsupported_media_type");
        }
        api.call(method(route), path, &[], "{}").await.problem(415, "unsupported_media_type");
        let large = format!("{{\"x\":\"{}\"}}", "x".repeat(70_000));
        api.call(method(route), path, &kind, large).await.problem(413, "body_too_large");
    }
    assert_eq!(api.counts().await, before, "something was stored");
}

#[tokio::test]
async fn headers_are_checked_too() {
    let api = with_campaign().await;
    let before = api.counts().await;
    let long = "k".repeat(256);
    let body = json!({"campaign_id": "c", "amount": 1});
    for (name, value) in [
        ("idempotency-key", ""),
        ("idempotency-key", &*long),
        ("idempotency-key", "caf\u{e9}"),
        ("x-account", "a/b"),
        ("x-account", ""),
        ("x-account", &*long),
    ] {
        let answer = api.post_as("/api/v1/spend", &[(name, value)], body.clone()).await;
        let named = answer.json["field"].as_str().map(str::to_lowercase);
        assert_eq!(named.as_deref(), Some(name), "{value:?}");
        answer.problem(400, "invalid_header");
    }
    assert_eq!(api.counts().await, before, "something was stored");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let api = api(&[]).await;
    let document = api.get("/openapi.json").await.is(200);
    for uri in ["/nothing", "/api/v1", "/api/v1/budget/", "/api/v1/../../etc/passwd", "//"] {
        api.get(uri).await.problem(404, "not_found");
    }
    for path in document["paths"].as_object().expect("paths").keys() {
        let uri = path.replace(['{', '}'], "");
        for method in [Method::DELETE, Method::PATCH] {
            if document["paths"][path].get(method.as_str().to_lowercase()).is_some() {
                continue;
            }
            api.call(method, &uri, &[], "").await.problem(405, "method_not_allowed");
        }
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
        "(c|USD|EUR|default|even|UTC|2026-11-21|1e5|-0|0\\.1)".prop_map(Value::from),
    ];
    let value = leaf
        .prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Value::from));
    let field = prop::sample::select(vec![
        "campaign_id",
        "budget",
        "amount",
        "bid_amount",
        "currency",
        "account",
        "bids",
        "rate",
        "day",
        "token",
        "ttl_s",
        "memo",
        "thresholds",
        "time_zone",
        "starts_at",
        "ends_at",
        "window_cap",
        "daily_budget",
        "pacing",
        "platform",
        "reason",
        "url",
        "events",
    ]);
    let object = prop::collection::hash_map(field, value, 0..8)
        .prop_map(|fields| json!(fields).to_string().into_bytes());
    prop_oneof![3 => object, 1 => prop::collection::vec(any::<u8>(), 0..64)]
}

#[test]
fn nothing_that_is_sent_makes_the_server_fail() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let api = runtime.block_on(with_campaign());
    let targets: BTreeSet<(&str, &str)> = CASES.iter().map(|case| (case.0, case.1)).collect();
    let targets: Vec<_> = targets.into_iter().collect();
    let config = ProptestConfig { cases: 1_500, failure_persistence: None, ..Default::default() };
    proptest!(config, |(target in prop::sample::select(targets), body in body(), name in "[^/?#]{0,20}")| {
        let (route, path) = target;
        let status = runtime.block_on(async {
            let kind = [("content-type", "application/json")];
            api.call(method(route), path, &kind, body.clone()).await.status
        });
        prop_assert!(status < 500, "{route}: {status}");
        // Any text in the place of a name.
        let encoded: String = name.bytes().map(|b| format!("%{b:02x}")).collect();
        let uri = route.split_once(' ').expect("a path").1.replace("{campaign_id}", &encoded)
            .replace("{account}", &encoded).replace("{id}", &encoded);
        let request = Request::builder().method(method(route)).uri(uri);
        let request = request.header("content-type", "application/json").body(Body::from(body));
        if let Ok(request) = request {
            let status = runtime.block_on(api.send(request)).status;
            prop_assert!(status < 500, "{route} {name:?}: {status}");
        }
    });
}
