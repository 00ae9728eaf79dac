//! The keys' own API, the guard's order of things, and who is told.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use kiki::access::{ActOutcome, keys};
use kiki::api::access::Listener;
use kiki::clock;
use kiki::models::access::{KeyId, Role};
use kiki::models::shield::audit::record::Record;
use serde_json::{Value, json};

use super::harness::{World, guarded, settle, world};

const KEYS: &str = "/api/admin/keys";
const DAY_US: i64 = 86_400_000_000;

/// The records of what was done to a key, in the order of time: those in the log, and those that are
/// on their way there.
async fn recorded(world: &World, id: &str) -> Vec<Record> {
    let store = world.app.shield.store();
    // In this order: what moves meanwhile is read twice, and not missed.
    let pending = store.audit_pending("default", 1_000).await.expect("pending records");
    let blocks = store.audit_blocks("default", 0, 1_000).await.expect("the log");
    let pending = pending.into_iter().map(|row| row.record);
    let logged = blocks.iter().flat_map(|block| block.lines.split('\n')).map(str::to_owned);
    let lines: BTreeSet<String> = pending.chain(logged).collect();
    let records = lines.iter().map(|line| Record::parse(line).expect("a record"));
    records.filter(|record| record.subject.as_deref() == Some(id)).collect()
}

/// Each with who did it.
fn brief(records: &[Record]) -> Vec<(&str, &str)> {
    records.iter().map(|record| (record.event.as_str(), record.actor.as_str())).collect()
}

#[tokio::test]
async fn a_key_is_made_shown_once_used_and_revoked_and_each_is_told() {
    let world = guarded().await;
    let (maker, admin) = world.make(Role::Admin, &["*"], None).await;
    let call = async |method: &str, uri: &str, body: Value| {
        world.call(Listener::Admin, (method, uri), Some(&admin), &[], body).await
    };
    let body =
        json!({"name": "bidder", "role": "operator", "scopes": ["shield:acme"], "expires": "90d"});
    let made = call("POST", KEYS, body).await.is(201);
    assert_eq!(made.header("cache-control"), "no-store");
    let (id, key) =
        (made.json["id"].as_str().expect("an id"), made.json["api_key"].as_str().expect("a key"));
    assert_eq!(
        (&made.json["state"], &made.json["scopes"]),
        (&json!("live"), &json!(["shield:acme"]))
    );
    world.get(Listener::Shield, "/api/v1/accounts", Some(key)).await.is(200);
    let listed = call("GET", KEYS, Value::Null).await.is(200);
    assert!(
        listed.text.contains(id) && !listed.text.contains(&key[14..]),
        "its secret is not kept"
    );
    let first = call("GET", &format!("{KEYS}?limit=1"), Value::Null).await.is(200).json;
    let next = format!("{KEYS}?limit=1&cursor={}", first["next"].as_str().expect("more"));
    let second = call("GET", &next, Value::Null).await.is(200).json;
    assert_ne!(first["keys"][0]["id"], second["keys"][0]["id"]);
    assert!(second.get("next").is_none(), "{second}");
    let gone = call("DELETE", &format!("{KEYS}/{id}"), Value::Null).await.is(200).json;
    assert_eq!(gone["state"], "revoked");
    world
        .get(Listener::Shield, "/api/v1/accounts", Some(key))
        .await
        .problem(401, "unauthenticated");
    call("DELETE", &format!("{KEYS}/00000000"), Value::Null).await.problem(404, "not_found");
    call("DELETE", &format!("{KEYS}/xyz"), Value::Null).await.problem(400, "invalid_field");
    for (body, field) in [
        (json!({"role": "viewer"}), "name"),
        (json!({"name": " ", "role": "viewer"}), "name"),
        (json!({"name": "a\u{1}", "role": "viewer"}), "name"),
        (json!({"name": "a", "role": "root"}), "role"),
        (json!({"name": "a", "role": "viewer", "scopes": []}), "scopes"),
        (json!({"name": "a", "role": "viewer", "scopes": ["a:b:c"]}), "scopes"),
        (json!({"name": "a", "role": "viewer", "expires": "yesterday"}), "expires"),
        (json!({"name": "a", "role": "viewer", "scope": "x"}), "scope"),
    ] {
        let answer = call("POST", KEYS, body).await;
        assert_eq!((answer.status, &answer.json["field"]), (400, &json!(field)), "{}", answer.text);
    }
    let acts = world.memory.acts();
    let told = acts.iter().filter(|act| act.event.starts_with("key."));
    assert_eq!(told.count(), 0, "the record that is written with the key is the only one");
    let records = recorded(&world, id).await;
    let maker = format!("key:{maker}");
    assert_eq!(brief(&records), [("key.created", maker.as_str()), ("key.revoked", maker.as_str())]);
    let data = json!({
        "account": "*",
        "name": "bidder",
        "role": "operator",
        "scopes": ["shield:acme"],
        "expires_at": made.json["expires_at"],
    });
    assert!(records.iter().all(|record| record.data.as_ref() == data.as_object()), "{records:?}");
    assert!(acts.iter().all(|act| act.actor.starts_with("key:") || &*act.actor == "nobody"));
    assert!(!format!("{acts:?}{records:?}").contains(&key[14..57]), "no secret is told");
}

#[tokio::test]
async fn what_is_done_to_keys_reaches_the_log_once_whoever_does_it() {
    let world = guarded().await;
    let (maker, admin) = world.make(Role::Admin, &["*"], None).await;
    let call = async |method: &str, uri: &str, body: Value| {
        world.call(Listener::Admin, (method, uri), Some(&admin), &[], body).await
    };
    let body = json!({"name": "a", "role": "viewer"});
    let made = call("POST", KEYS, body.clone()).await.is(201).json;
    let id = made["id"].as_str().expect("an id");
    let gone = format!("{KEYS}/{id}");
    let revoked = call("DELETE", &gone, Value::Null).await.is(200).json;
    assert_eq!(call("DELETE", &gone, Value::Null).await.is(200).json, revoked, "the same again");
    // Beside the server, as the command line does.
    let other = call("POST", KEYS, body).await.is(201).json;
    let other = other["id"].as_str().expect("an id");
    let id_of_other: KeyId = other.parse().expect("an id");
    for _ in 0..2 {
        let by = ("cli", clock::wall_us());
        let revoked = keys::revoke(world.app.shield.store(), "default", id_of_other, by).await;
        revoked.expect("revoked");
    }
    let store = world.app.shield.store();
    let mut waited = 0;
    while !store.audit_pending("default", 1).await.expect("pending records").is_empty() {
        assert!(waited < 300, "records never reach the log");
        waited += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let maker = format!("key:{maker}");
    let found = async |id: &str| {
        let uri = format!("/api/v1/audit?event=key.*&subject={id}");
        let page = world.get(Listener::Shield, &uri, Some(&admin)).await.is(200).json;
        let records = page["records"].as_array().expect("records").clone();
        let brief = |r: &Value| (r["event"].clone(), r["actor"].clone());
        records.iter().map(brief).collect::<Vec<_>>()
    };
    // Newest first.
    assert_eq!(
        found(id).await,
        [(json!("key.revoked"), json!(maker)), (json!("key.created"), json!(maker))]
    );
    assert_eq!(
        found(other).await,
        [(json!("key.revoked"), json!("cli")), (json!("key.created"), json!(maker))]
    );
}

#[tokio::test]
async fn a_key_that_ends_makes_none_that_outlives_it() {
    let world = guarded().await;
    let ends = clock::wall_us() + 2 * DAY_US;
    let (id, admin) = world.make(Role::Admin, &["*"], Some(ends)).await;
    let make = async |key: &str, expires: Option<&str>| {
        let mut body = json!({"name": "x", "role": "viewer"});
        if let Some(expires) = expires {
            body["expires"] = json!(expires);
        }
        world.call(Listener::Admin, ("POST", KEYS), Some(key), &[], body).await
    };
    let listed = world.get(Listener::Admin, KEYS, Some(&admin)).await.is(200).json;
    let own =
        listed["keys"].as_array().expect("keys").iter().find(|key| key["id"] == *id.to_string());
    let end = &own.expect("its own key")["expires_at"];
    assert!(end.is_string(), "{listed}");
    assert_eq!(&make(&admin, None).await.is(201).json["expires_at"], end, "the same end");
    let at = end.as_str().expect("a time");
    assert_eq!(&make(&admin, Some(at)).await.is(201).json["expires_at"], end);
    let earlier = make(&admin, Some("1d")).await.is(201).json;
    assert!(earlier["expires_at"].as_str() < end.as_str(), "{earlier}");
    let refused = make(&admin, Some("3d")).await;
    assert_eq!(refused.json["field"], "expires");
    assert!(refused.text.contains("outlive") && refused.text.contains(at), "{}", refused.text);
    refused.problem(403, "forbidden");
    // Nor does what that key has made.
    let made = make_admin(&world, &admin).await;
    make(&made, Some("3d")).await.problem(403, "forbidden");
    assert_eq!(&make(&made, None).await.is(201).json["expires_at"], end);
    let endless = world.key(Role::Admin, &["*"]).await;
    assert!(make(&endless, None).await.is(201).json.get("expires_at").is_none());
    make(&endless, Some("3d")).await.is(201);
}

/// A key for everything, made with this one.
async fn make_admin(world: &World, key: &str) -> String {
    let body = json!({"name": "x", "role": "admin"});
    let made = world.call(Listener::Admin, ("POST", KEYS), Some(key), &[], body).await.is(201);
    made.json["api_key"].as_str().expect("a key").to_owned()
}

#[tokio::test]
async fn nobody_gives_sees_or_revokes_more_than_he_has() {
    let world = guarded().await;
    let root = world.key(Role::Admin, &["*"]).await;
    let acme = world.key(Role::Admin, &["shield,admin:acme"]).await;
    let make = async |key: &str, role: &str, scopes: &[&str]| {
        let body = json!({"name": "x", "role": role, "scopes": scopes});
        world.call(Listener::Admin, ("POST", KEYS), Some(key), &[], body).await
    };
    let own = make(&acme, "operator", &["shield:acme"]).await.is(201).json;
    for (role, scopes) in [
        ("viewer", &["*"][..]),
        ("viewer", &["shield"]),
        ("viewer", &["health:acme"]),
        ("admin", &["shield:acme", "shield:globex"]),
    ] {
        make(&acme, role, scopes).await.problem(403, "forbidden");
    }
    // Without scopes: those of the one who makes it.
    let body = json!({"name": "x", "role": "viewer"});
    let same =
        world.call(Listener::Admin, ("POST", KEYS), Some(&acme), &[], body).await.is(201).json;
    assert_eq!(same["scopes"], json!(["admin,shield:acme"]));
    let others = make(&root, "viewer", &["shield:globex"]).await.is(201).json;
    let listed = world.get(Listener::Admin, KEYS, Some(&acme)).await.is(200);
    assert!(listed.text.contains(own["id"].as_str().expect("id")));
    assert!(!listed.text.contains(others["id"].as_str().expect("id")), "{}", listed.text);
    let mut words = std::collections::BTreeSet::new();
    for id in [others["id"].as_str().expect("id"), "00000001"] {
        let uri = format!("{KEYS}/{id}");
        let answer =
            world.call(Listener::Admin, ("DELETE", &uri), Some(&acme), &[], Value::Null).await;
        words.insert(answer.problem(403, "forbidden").text);
    }
    assert_eq!(words.len(), 1, "whether it exists is not told");
}

#[tokio::test]
async fn one_proof_is_taken_in_either_header_and_two_are_refused() {
    let world = guarded().await;
    let key = world.key(Role::Viewer, &["*"]).await;
    let with = async |headers: &[(&str, &str)]| {
        world.call(Listener::Shield, ("GET", "/api/v1/rates"), None, headers, Value::Null).await
    };
    let (bearer, basic) = (format!("bearer {key}"), format!("Basic {key}"));
    with(&[("x-api-key", &key)]).await.is(200);
    with(&[("authorization", &bearer)]).await.is(200);
    with(&[("authorization", &basic)]).await.problem(401, "unauthenticated");
    with(&[("authorization", &key)]).await.problem(401, "unauthenticated");
    with(&[("authorization", &bearer), ("x-api-key", &key)]).await.problem(400, "invalid_header");
    with(&[("x-api-key", &key), ("x-api-key", &key)]).await.problem(400, "invalid_header");
    let in_query = format!("/api/v1/rates?api_key={key}&access_token={key}");
    world.get(Listener::Shield, &in_query, None).await.problem(401, "unauthenticated");
    let request = Request::get("/api/v1/rates").header("authorization", &b"Bearer \xff\xfe"[..]);
    let answer =
        world.send(Listener::Shield, request.body(Body::empty()).expect("a request")).await;
    answer.problem(401, "unauthenticated");
}

#[tokio::test]
async fn an_act_is_told_with_its_account_and_request_and_so_is_a_denial() {
    let world = guarded().await;
    let admin = world.key(Role::Admin, &["*"]).await;
    world.account(&admin, "acme").await;
    let (id, operator) = world.make(Role::Operator, &["shield:acme"], None).await;
    let named = [("x-request-id", "order-17")];
    let call = ("POST", "/api/v1/allocations/c/pause");
    let answer =
        world.call(Listener::Shield, call, Some(&operator), &named, Value::Null).await.is(200);
    assert_eq!(answer.header("x-request-id"), "order-17");
    let acts = world.memory.of("allocation.paused");
    let [act] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!((&*act.actor, &*act.account), (&*format!("key:{id}"), "acme"));
    assert_eq!((&*act.subject, &*act.request_id), ("/api/v1/allocations/c/pause", "order-17"));
    assert_eq!((act.outcome, act.status), (ActOutcome::Ok, 200));
    // What did not succeed is told as such; a bid is no act of its own.
    world.post("/api/v1/allocations/none/pause", &operator, Value::Null).await.is(404);
    assert_eq!(world.memory.of("allocation.paused")[1].outcome, ActOutcome::Failed);
    world.post("/api/v1/check", &operator, json!({"campaign_id": "c", "bid_amount": 1})).await;
    assert!(
        world
            .memory
            .acts()
            .iter()
            .all(|act| !act.subject.ends_with("/check") || act.account == "acme")
    );
    let denied = world
        .call(Listener::Shield, call, Some(&operator), &[("x-account", "b")], Value::Null)
        .await;
    let request_id = denied.header("x-request-id").to_owned();
    denied.problem(403, "forbidden");
    world.get(Listener::Shield, "/api/v1/rates", Some("kiki_wrong")).await.is(401);
    settle().await;
    let acts = world.memory.of("access.denied");
    let told: Vec<_> = acts.iter().map(|act| (&*act.actor, act.status, act.outcome)).collect();
    assert_eq!(
        told,
        [(&*format!("key:{id}"), 403, ActOutcome::Denied), ("nobody", 401, ActOutcome::Denied)]
    );
    assert_eq!(acts[0].request_id, request_id);
    assert_eq!(world.memory.of("allocation.paused").len(), 2, "what was denied was not done");
}

#[tokio::test]
async fn an_open_installation_asks_nobody_and_tells_of_acts_all_the_same() {
    let world = world(None).await;
    let none: Option<&str> = None;
    let call = ("POST", "/api/v1/allocate");
    let body = json!({"campaign_id": "c", "budget": 5});
    world.call(Listener::Shield, call, none, &[], body).await.is(201);
    let acts = world.memory.acts();
    assert_eq!(
        (acts[0].event, &*acts[0].actor, &*acts[0].account),
        ("allocation.set", "open", "default")
    );
    // A key is not looked at: it is nothing here.
    let answer = world.get(Listener::Admin, KEYS, Some("kiki_wrong")).await.is(200);
    assert_eq!((answer.header("ratelimit"), answer.header("www-authenticate")), ("", ""));
    world.get(Listener::Shield, "/nothing", none).await.problem(404, "not_found");
    world.call(Listener::Shield, ("DELETE", "/spend"), none, &[], Value::Null).await.is(405);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_stream_ends_when_its_key_is_revoked() {
    let world = guarded().await;
    let (id, key) = world.make(Role::Viewer, &["admin"], None).await;
    let request = Request::get("/api/admin/events").header("x-api-key", &key);
    let request = request.body(Body::empty()).expect("a request");
    let response = world.raw(Listener::Admin, request).await;
    assert_eq!(response.status(), 200);
    world.app.door.keys().revoke(id, "test", clock::wall_us()).await.expect("revoked");
    let read = axum::body::to_bytes(response.into_body(), 1 << 20);
    let soon = std::time::Duration::from_secs(3);
    tokio::time::timeout(soon, read).await.expect("it ends").expect("readable");
}
