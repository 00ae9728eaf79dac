//! The operators' API over HTTP, as `kiki admin` and the console use it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use futures_util::StreamExt;
use kiki::access::{Door, Keys};
use kiki::actors::kernel::*;
use kiki::api::admin::{AdminDoc, router};
use kiki::models::breaker::{BreakerTerms, CallOutcome};
use kiki::store::{Store, StoreConfig};
use serde_json::{Value, json};
use tower::ServiceExt;
use utoipa::OpenApi;

enum Msg {
    Add(u64),
    Get(Reply<u64>),
    Trip(Reply<()>),
}

struct Counter(u64);

impl Actor for Counter {
    type Msg = Msg;
    type View = u64;
    const TYPE: &'static str = "counter";

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Add(n) => self.0 += n,
            Msg::Get(reply) => reply.send(self.0),
            Msg::Trip(reply) => {
                let terms = BreakerTerms { failures_max: 1, ..BreakerTerms::default() };
                cx.breaker(terms).record(CallOutcome::Failure);
                reply.send(());
            }
        }
        Ok(())
    }

    fn view(&self) -> u64 {
        self.0
    }
}

struct Api {
    registry: Registry,
    router: Router,
    a: Handle<Msg>,
    entities: Entities<Counter>,
    _dir: tempfile::TempDir,
}

async fn api(chaos_enabled: bool) -> Api {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(StoreConfig::sqlite(dir.path())).await.expect("the store opens");
    let door = Arc::new(Door::open(Keys::load(store).await.expect("keys")));
    let registry = Registry::new(KernelConfig { chaos_enabled });
    let service = registry.service("shield").start().expect("a service");
    let a = service.supervisor().child("a").start(|| Counter(0)).expect("an actor");
    let entities = service.supervisor().entities("budget").idle_after(Duration::from_secs(600));
    let entities = entities.start(|_| Counter(0)).expect("entities");
    Api { router: router(registry.clone(), chaos_enabled, door), registry, a, entities, _dir: dir }
}

impl Api {
    async fn send(&self, method: Method, uri: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(uri);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
        let request = request.body(body).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 64 << 20).await.expect("a body");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn get(&self, uri: &str) -> Value {
        let (status, body) = self.send(Method::GET, uri, None).await;
        assert_eq!(status, StatusCode::OK, "{uri}: {body}");
        body
    }

    async fn post(&self, uri: &str) -> (StatusCode, Value) {
        self.send(Method::POST, uri, None).await
    }
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn actors_are_listed_filtered_sorted_and_paged() {
    let api = api(false).await;
    for key in ["x", "y", "z"] {
        api.entities.ask(key, SOON, Msg::Get).await.expect("an answer");
    }
    let page = api.get("/api/admin/actors?prefix=/shield/budget/&type=counter&limit=2").await;
    let paths: Vec<_> =
        page["actors"].as_array().expect("a list").iter().map(|a| &a["path"]).collect();
    assert_eq!(paths, ["/shield/budget/x", "/shield/budget/y"]);
    assert_eq!(page["total"], 6);
    let next = page["next"].as_str().expect("a cursor");
    let page =
        api.get(&format!("/api/admin/actors?prefix=/shield/budget/&limit=2&cursor={next}")).await;
    assert_eq!(page["actors"][0]["path"], "/shield/budget/z");
    assert_eq!(page["actors"][0]["state"], "running");
    assert!(page.get("next").is_none());
    let page = api.get("/api/admin/actors?sort=restarts&limit=1").await;
    let next = page["next"].as_str().expect("a cursor").replace('/', "%2F");
    let page = api.get(&format!("/api/admin/actors?sort=restarts&limit=5&cursor={next}")).await;
    assert_eq!(page["actors"].as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn bad_parameters_are_refused_by_name() {
    let api = api(true).await;
    for (uri, field) in [
        ("/api/admin/actors?limit=0".to_owned(), "limit"),
        ("/api/admin/actors?limit=1001".to_owned(), "limit"),
        ("/api/admin/actors?limit=x".to_owned(), "limit"),
        ("/api/admin/actors?sort=age".to_owned(), "sort"),
        ("/api/admin/actors?cursor=nonsense".to_owned(), "cursor"),
        ("/api/admin/actors?sort=depth&cursor=/a".to_owned(), "cursor"),
        (format!("/api/admin/actors?prefix={}", "x".repeat(2_000)), "prefix"),
        ("/api/admin/tree?depth=17".to_owned(), "depth"),
        ("/api/admin/dead-letters?limit=-1".to_owned(), "limit"),
    ] {
        let (status, problem) = api.send(Method::GET, &uri, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{uri}");
        assert_eq!((&problem["code"], &problem["field"]), (&json!("invalid_field"), &json!(field)));
    }
}

#[tokio::test]
async fn one_actor_is_shown_in_full_by_its_path() {
    let api = api(false).await;
    api.a.tell(Msg::Add(5)).expect("room");
    assert_eq!(api.a.ask(SOON, Msg::Get).await, Ok(5));
    let actor = api.get("/api/admin/actors/shield/a").await;
    assert_eq!(
        (&actor["path"], &actor["type"], &actor["capacity"]),
        (&json!("/shield/a"), &json!("counter"), &json!(1024))
    );
    assert_eq!(
        (&actor["handled"], &actor["parent"], &actor["lives"]),
        (&json!(2), &json!("/shield"), &json!(1))
    );
    assert!(actor["wait"]["p99_us"].is_number() && actor["last_errors"].is_array());
    let service = api.get("/api/admin/actors/shield").await;
    assert_eq!(service["children"], json!(["/shield/a", "/shield/budget"]));
    api.entities.ask("k/1 2", SOON, Msg::Get).await.expect("an answer");
    let entity = api.get("/api/admin/actors/shield/budget/k%252F1%202").await;
    assert_eq!(entity["path"], "/shield/budget/k%2F1 2");
    let (status, problem) = api.send(Method::GET, "/api/admin/actors/shield/nobody", None).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("unknown_actor")));
}

#[tokio::test]
async fn orders_are_carried_out_and_unknown_ones_refused() {
    let api = api(false).await;
    let (status, ordered) = api.post("/api/admin/actors/shield/a/stop").await;
    assert_eq!(
        (status, ordered),
        (StatusCode::OK, json!({"path": "/shield/a", "order": "stop", "done": true}))
    );
    assert_eq!(api.get("/api/admin/actors/shield/a").await["state"], "stopped");
    assert_eq!(api.a.tell(Msg::Add(1)), Err(Refused::Gone));
    assert_eq!(api.post("/api/admin/actors/shield/a/restart").await.0, StatusCode::OK);
    assert_eq!(api.a.ask(SOON, Msg::Get).await, Ok(0));
    assert_eq!(api.post("/api/admin/actors/shield/a/drain").await.0, StatusCode::OK);
    assert_eq!(api.post("/api/admin/actors/shield/b/stop").await.1["code"], "unknown_actor");
    assert_eq!(api.post("/api/admin/actors/shield/a/dance").await.0, StatusCode::NOT_FOUND);
    assert_eq!(api.post("/api/admin/actors/stop").await.0, StatusCode::NOT_FOUND);
    let letters = api.get("/api/admin/dead-letters").await;
    assert_eq!(
        (&letters["total"], &letters["dead_letters"][0]["why"]),
        (&json!(1), &json!("gone"))
    );
}

#[tokio::test]
async fn the_tree_and_the_services_are_shown() {
    let api = api(false).await;
    api.entities.ask("x", SOON, Msg::Get).await.expect("an answer");
    api.a.ask(SOON, Msg::Get).await.expect("an answer");
    let tree = api.get("/api/admin/tree?depth=2").await;
    let root = &tree["tree"][0];
    assert_eq!((&root["path"], &root["below"]), (&json!("/shield"), &json!(3)));
    assert_eq!(root["children"][1]["path"], "/shield/budget");
    assert!(root["children"][1].get("children").is_none(), "one level deeper than asked");
    let services = api.get("/api/admin/services").await;
    let service = &services["services"][0];
    assert_eq!((&service["name"], &service["ready"]), (&json!("shield"), &json!(true)));
    assert_eq!(service["children"]["/shield/a"], "running");
}

#[tokio::test]
async fn breakers_are_listed_and_reset() {
    let api = api(false).await;
    api.a.ask(SOON, Msg::Trip).await.expect("an answer");
    let breakers = api.get("/api/admin/breakers").await;
    let entry = &breakers["breakers"][0];
    assert_eq!((&entry["path"], &entry["state"]), (&json!("/shield/a"), &json!("open")));
    let (status, entry) = api.post("/api/admin/breakers/shield/a/reset").await;
    assert_eq!((status, &entry["state"]), (StatusCode::OK, &json!("closed")));
    assert_eq!(api.post("/api/admin/breakers/shield/reset").await.1["code"], "not_found");
    assert_eq!(api.post("/api/admin/breakers/nobody/reset").await.1["code"], "unknown_actor");
}

#[tokio::test]
async fn faults_are_set_shown_and_ended_where_chaos_is_enabled() {
    let api = api(true).await;
    let rule = json!({"pattern": "/shield/a", "fault": "drop", "ttl_ms": 60_000});
    let (status, set) = api.send(Method::POST, "/api/admin/faults", Some(rule.clone())).await;
    assert_eq!((status, &set), (StatusCode::CREATED, &json!({"id": 1})));
    assert_eq!(api.a.ask(SOON, Msg::Get).await, Err(AskError::Faulted));
    let faults = api.get("/api/admin/faults").await;
    let fault = &faults["faults"][0];
    assert_eq!(
        (&fault["fault"], &fault["hits"], &fault["probability"]),
        (&json!("drop"), &json!(1), &json!(1.0))
    );
    api.send(Method::POST, "/api/admin/faults", Some(rule)).await;
    let (status, removed) = api.send(Method::DELETE, "/api/admin/faults/2", None).await;
    assert_eq!((status, removed), (StatusCode::OK, json!({"removed": 1})));
    assert_eq!(
        api.send(Method::DELETE, "/api/admin/faults/2", None).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(api.send(Method::DELETE, "/api/admin/faults", None).await.1, json!({"removed": 1}));
    assert_eq!(api.a.ask(SOON, Msg::Get).await, Ok(0));
}

#[tokio::test]
async fn wrong_faults_are_refused_by_their_field() {
    let api = api(true).await;
    for (rule, code, field) in [
        (json!({"fault": "drop", "ttl_ms": 1}), "missing_field", "pattern"),
        (json!({"pattern": "/a", "fault": "drop"}), "missing_field", "ttl_ms"),
        (json!({"pattern": "/a", "ttl_ms": 1}), "missing_field", "fault"),
        (json!({"pattern": "/a", "fault": "flu", "ttl_ms": 1}), "invalid_field", "fault"),
        (json!({"pattern": "/a", "fault": "delay", "ttl_ms": 1}), "missing_field", "delay_ms"),
        (json!({"pattern": "/a", "fault": "drop", "ttl_ms": -1}), "invalid_field", "ttl_ms"),
        (json!({"pattern": "/a", "fault": "drop", "ttl_ms": 1e9}), "invalid_field", "ttl_ms"),
        (
            json!({"pattern": "/a", "fault": "drop", "ttl_ms": 1, "probability": 2}),
            "invalid_field",
            "probability",
        ),
        (json!({"pattern": 5, "fault": "drop", "ttl_ms": 1}), "invalid_field", "pattern"),
    ] {
        let (status, problem) =
            api.send(Method::POST, "/api/admin/faults", Some(rule.clone())).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{rule}");
        assert_eq!((&problem["code"], &problem["field"]), (&json!(code), &json!(field)), "{rule}");
    }
    assert!(api.registry.faults().is_empty());
}

#[tokio::test]
async fn faults_are_forbidden_where_chaos_is_not_enabled() {
    let api = api(false).await;
    let rule = json!({"pattern": "/a", "fault": "drop", "ttl_ms": 1});
    for (method, uri) in [
        (Method::GET, "/api/admin/faults"),
        (Method::POST, "/api/admin/faults"),
        (Method::DELETE, "/api/admin/faults"),
        (Method::DELETE, "/api/admin/faults/1"),
    ] {
        let (status, problem) = api.send(method, uri, Some(rule.clone())).await;
        assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("chaos_disabled")));
    }
}

/// Reads server-sent events until one holds all of `wanted`.
async fn follow(api: &Api, last_seen: Option<&str>, wanted: &[&str]) -> String {
    let mut request = Request::builder().uri("/api/admin/events");
    if let Some(last_seen) = last_seen {
        request = request.header("last-event-id", last_seen);
    }
    let response =
        api.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
    let response = response.expect("infallible");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut chunks = response.into_body().into_data_stream();
    let mut text = String::new();
    let read = async {
        api.registry.order("/shield/a", OperatorOrder::Restart).await;
        while !wanted.iter().all(|part| text.contains(part)) {
            let chunk = chunks.next().await.expect("more").expect("readable");
            text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    };
    tokio::time::timeout(SOON, read).await.unwrap_or_else(|_| panic!("{wanted:?}"));
    text
}

#[tokio::test]
async fn events_are_streamed_with_numbers_and_resumed_after_the_last_seen() {
    let api = api(false).await;
    let live =
        follow(&api, None, &["event: order", "event: restart", "\"path\":\"/shield/a\""]).await;
    assert!(live.contains("id: 1\n") || live.contains("id:1\n"), "{live}");
    let resumed = follow(&api, Some("1"), &["event: restart"]).await;
    assert!(!resumed.contains("\"seq\":1,") && resumed.contains("\"seq\":2,"), "{resumed}");
    let gap = follow(&api, Some("999999"), &["event: gap"]).await;
    assert!(gap.contains("gap"));
    let request = Request::builder().uri("/api/admin/events").header("last-event-id", "x");
    let response =
        api.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
    assert_eq!(response.expect("infallible").status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn event_streams_end_when_told_so_that_a_shutdown_is_not_held_up() {
    let api = api(false).await;
    let request =
        Request::builder().uri("/api/admin/events").body(Body::empty()).expect("a request");
    let response = api.router.clone().oneshot(request).await.expect("infallible");
    api.registry.end_event_streams();
    let read = axum::body::to_bytes(response.into_body(), 1 << 20);
    tokio::time::timeout(SOON, read).await.expect("it ends").expect("readable");
}

#[tokio::test]
async fn the_openapi_document_names_every_route() {
    let api = AdminDoc::openapi();
    let paths: Vec<&str> = api.paths.paths.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "/api/admin/actors",
            "/api/admin/actors/{path}",
            "/api/admin/actors/{path}/{order}",
            "/api/admin/audit",
            "/api/admin/breakers",
            "/api/admin/breakers/{path}/reset",
            "/api/admin/cluster",
            "/api/admin/cluster/nodes/{name}/drain",
            "/api/admin/cluster/shards/{shard}/move",
            "/api/admin/cluster/where",
            "/api/admin/dead-letters",
            "/api/admin/events",
            "/api/admin/faults",
            "/api/admin/faults/{id}",
            "/api/admin/keys",
            "/api/admin/keys/rotate",
            "/api/admin/keys/{id}",
            "/api/admin/services",
            "/api/admin/tree",
        ]
    );
    let json = api.to_json().expect("JSON");
    let document: Value = serde_json::from_str(&json).expect("JSON");
    // Any node answers for another one, but for its events.
    let named = |path: &str, method: &str| {
        let parameters = &document["paths"][path][method]["parameters"];
        let mut all = parameters.as_array().expect("parameters").iter();
        all.any(|it| it["name"] == "node" && it["in"] == "query")
    };
    assert!(named("/api/admin/tree", "get") && named("/api/admin/faults/{id}", "delete"));
    assert!(named("/api/admin/cluster/shards/{shard}/move", "post"));
    assert!(!named("/api/admin/events", "get"));
    let references = json.split("\"$ref\":\"#").skip(1);
    let pointers: Vec<&str> = references.filter_map(|r| r.split('"').next()).collect();
    assert!(pointers.len() > 10, "{pointers:?}");
    for pointer in pointers {
        assert!(document.pointer(pointer).is_some(), "{pointer} is nowhere");
    }
    for schema in [
        "ActorDetail",
        "ActorPage",
        "FaultRule",
        "TreeNode",
        "ServiceView",
        "DeadLetter",
        "ClusterView",
        "ShardView",
        "ProblemBody",
    ] {
        assert!(json.contains(&format!("\"{schema}\":")), "{schema}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_over_a_hundred_thousand_actors_take_less_than_50_ms_each() {
    let api = api(false).await;
    for n in 0..100_000 {
        api.entities.tell(&format!("camp_{n:06}"), Msg::Add(1)).expect("room");
    }
    while !api.registry.types().iter().any(|t| t.handled == 100_000) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (mut seen, mut pages, mut slowest) = (0, 0, Duration::ZERO);
    let mut uri = Some("/api/admin/actors?limit=1000".to_owned());
    while let Some(next) = uri.take() {
        let (took, page) = timed(&api, &next).await;
        (seen, pages) = (seen + page["actors"].as_array().map_or(0, Vec::len), pages + 1);
        slowest = slowest.max(took);
        uri =
            page["next"].as_str().map(|next| format!("/api/admin/actors?limit=1000&cursor={next}"));
    }
    assert_eq!((seen, pages), (100_003, 101));
    for sort in ["depth", "restarts"] {
        slowest = slowest.max(timed(&api, &format!("/api/admin/actors?sort={sort}")).await.0);
    }
    println!("slowest page: {slowest:?}");
    assert!(slowest < Duration::from_millis(50), "{slowest:?}");
    api.registry.shutdown(Duration::from_secs(60)).await;
}

/// The time that this thread computes, which is where the router runs: on a busy machine the time of
/// a wall clock is others', too.
async fn timed(api: &Api, uri: &str) -> (Duration, Value) {
    let computed = || {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
    };
    let begun = computed();
    let page = api.get(uri).await;
    (computed() - begun, page)
}
