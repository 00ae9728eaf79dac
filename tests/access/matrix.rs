//! Every route × every kind of caller, and what came of it as a table for people.

use std::collections::BTreeSet;
use std::fmt::Write;

use kiki::api::access::{Listener, Needs, Rule};
use kiki::clock;
use kiki::models::access::Role;
use serde_json::{Value, json};

use super::harness::{Answer, World, guarded};

const DOC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/access.md");

/// A request to a route of the table, with whatever it needs to get as far as its handler.
pub fn request(rule: &Rule, hold: &str, key_id: &str) -> (String, Value) {
    let path = match rule.path {
        "/spend" => "/spend?amount=1".to_owned(),
        "/check" => "/check?ltv=600".to_owned(),
        "/consent/status" | "/api/v1/consent/history" => format!("{}?customer_id=x", rule.path),
        "/api/v1/consent/check" => format!("{}?customer_id=x&type=marketing", rule.path),
        "/api/v1/audit/consistency" => format!("{}?from=1&to=1", rule.path),
        path => path
            .replace("{campaign_id}", "c")
            .replace("{account}", "default")
            .replace("{index}", "0")
            .replace("{customer_id}", "x")
            .replace("{model}", "none")
            .replace("/fits/{id}", &format!("/fits/{}", "0".repeat(32)))
            .replace("/campaigns/{id}", "/campaigns/none")
            .replace("{auction}", "none")
            .replace("/dsr/{id}", &format!("/dsr/{}", "0".repeat(32)))
            .replace("/corrections/{id}", &format!("/corrections/{}", "0".repeat(32)))
            .replace("/webhooks/{id}", &format!("/webhooks/{}", "0".repeat(32)))
            .replace("/holds/{id}", &format!("/holds/{hold}"))
            .replace("/keys/{id}", &format!("/keys/{key_id}"))
            .replace("/faults/{id}", "/faults/7")
            .replace("/nodes/{name}", "/nodes/none")
            .replace("{shard}", "17")
            .replace("actors/{*path}", "actors/shield/none/restart")
            .replace("breakers/{*path}", "breakers/shield/none/reset")
            .replace("{*rest}", "index.css"),
    };
    let body = match (rule.method, rule.path) {
        (_, "/api/v1/allocate") => json!({"campaign_id": "c", "budget": 1_000}),
        (_, "/api/v1/check") => json!({"campaign_id": "c", "bid_amount": 1}),
        (_, "/api/v1/check/batch") => json!({"bids": [{"campaign_id": "c", "bid_amount": 1}]}),
        (_, "/api/v1/holds/{id}/settle") => json!({"amount": 1}),
        (_, "/api/v1/allocations/{campaign_id}/top-up") => json!({"amount": 1}),
        (_, "/api/v1/spend") => json!({"campaign_id": "c", "amount": 1}),
        ("POST", "/api/v1/accounts") => json!({"account": "new"}),
        (_, "/consent/grant" | "/consent/revoke") => {
            json!({"customer_id": "x", "consent_type": "marketing"})
        }
        (_, "/api/v1/consent/tcf") => json!({"customer_id": "x", "tc_string": "none"}),
        (_, "/dsr/create") => json!({"customer_id": "x", "request_type": "ACCESS"}),
        ("POST", path) if path.starts_with("/api/v1/dsr/") => json!({"reason": "asked for"}),
        ("POST", "/api/v1/audit/verify") => json!({"heads": []}),
        ("POST", "/api/v1/corrections") => {
            json!({"campaign_id": "c", "amount": 1, "reason": "asked for"})
        }
        ("POST", "/api/v1/corrections/{id}/refuse") => json!({"reason": "asked for"}),
        ("POST", "/api/v1/webhooks") => json!({"url": "https://example.com/", "events": ["*"]}),
        ("POST", "/api/admin/keys/rotate") => json!({"purpose": "audit"}),
        ("POST", "/api/admin/cluster/shards/{shard}/move") => json!({"to": "none"}),
        ("PUT", "/api/v1/rates") => json!({"currency": "EUR", "rate": 1.1}),
        ("POST", "/api/admin/keys") => {
            json!({"name": "x", "role": "viewer", "scopes": ["health:acme"]})
        }
        (_, "/api/v1/ltv/predict") => json!({"customer_id": "x"}),
        (_, "/api/v1/ltv/predict/batch") => json!({"requests": [{"customer_id": "x"}]}),
        ("POST", "/api/v1/ltv/transactions") => {
            json!({"transactions": [{"customer_id": "x", "date": "2026-01-31", "amount": 1}]})
        }
        ("POST", "/api/v1/ltv/models/{model}/promote") => json!({}),
        ("POST", "/api/v1/ltv/rollback") => json!({"reason": "asked for"}),
        ("POST", "/api/v1/ltv/fits") => json!({"model": "bg-nbd"}),
        ("POST", "/api/v1/campaigns") => json!({"id": "new"}),
        ("PUT" | "PATCH", "/api/v1/campaigns/{id}") => json!({"name": "x"}),
        ("PUT", "/api/v1/ltv/experiments") => json!({"share": 0.5}),
        ("POST", "/api/admin/faults") => json!({"pattern": "/none", "fault": "error", "ttl_ms": 1}),
        _ => Value::Null,
    };
    (path, body)
}

/// What became of it at the door: in, or the status with which it was kept out.
fn outcome(answer: &Answer) -> &'static str {
    match answer.code() {
        "unauthenticated" => "401",
        "forbidden" => "403",
        "not_found" | "method_not_allowed" if answer.text.contains("this path") => "no such route",
        _ => "yes",
    }
}

struct Caller {
    name: &'static str,
    key: Option<String>,
}

async fn callers(world: &World) -> Vec<Caller> {
    let all = ["*"];
    let acme = ["*:acme"];
    let mut callers = vec![Caller { name: "no key", key: None }];
    for (name, role, scopes) in [
        ("viewer", Role::Viewer, &all),
        ("exchange", Role::Exchange, &all),
        ("operator", Role::Operator, &all),
        ("chaos", Role::Chaos, &all),
        ("admin", Role::Admin, &all),
        ("operator of acme", Role::Operator, &acme),
        ("admin of acme", Role::Admin, &acme),
    ] {
        callers.push(Caller { name, key: Some(world.key(role, scopes).await) });
    }
    callers
}

#[tokio::test]
async fn every_role_may_do_at_every_route_what_the_table_of_the_documentation_says() {
    let world = guarded().await;
    let admin = world.key(Role::Admin, &["*"]).await;
    let (hold, _) = world.account(&admin, "acme").await;
    world.post("/api/v1/allocate", &admin, json!({"campaign_id": "c", "budget": 9})).await.is(201);
    let callers = callers(&world).await;
    let mut table = String::new();
    for listener in Listener::ALL {
        let port = match listener {
            Listener::Shield => 8081,
            Listener::Health => 8080,
            Listener::Admin => 8090,
            Listener::Value => 8087,
            Listener::Flow => 8082,
            Listener::Grpc => 50_051,
        };
        let names: Vec<&str> = callers.iter().map(|caller| caller.name).collect();
        let service = listener.service();
        write!(
            table,
            "\n## Port {port}: service `{service}`\n\n| route | {} | audited as |\n|---|{}---|\n",
            names.join(" | "),
            "---|".repeat(names.len())
        )
        .expect("memory");
        for rule in listener.rules() {
            let mut cells = Vec::new();
            for caller in &callers {
                let key_id = world.make(Role::Viewer, &["shield:acme"], None).await.0;
                let (uri, body) = request(rule, &hold, &key_id.to_string());
                // A key for one account calls for that one.
                let uri = match caller.name.ends_with("acme") {
                    true => uri.replace("/default", "/acme"),
                    false => uri,
                };
                let call = (rule.method, uri.as_str());
                let answer = world.call(listener, call, caller.key.as_deref(), &[], body).await;
                assert!(answer.status < 500, "{rule:?} {}: {}", caller.name, answer.text);
                cells.push(outcome(&answer));
            }
            let event = rule.event.map_or(String::new(), |event| format!("`{event}`"));
            writeln!(
                table,
                "| {} `{}` | {} | {event} |",
                rule.method,
                rule.path,
                cells.join(" | ")
            )
            .expect("memory");
        }
    }
    let text = format!("{HEAD}{table}");
    if std::env::var_os("KIKI_BLESS").is_some() {
        std::fs::write(DOC, &text).expect("written");
    }
    let kept = std::fs::read_to_string(DOC).unwrap_or_default();
    for (now, was) in text.lines().zip(kept.lines()) {
        assert_eq!(now, was, "docs/access.md; KIKI_BLESS=1 writes it anew");
    }
    assert_eq!(text.lines().count(), kept.lines().count(), "docs/access.md");
}

const HEAD: &str = "# Who may call what\n\n\
This page is written by the test of the routes (`KIKI_BLESS=1 cargo test --test access`), from what the\n\
routes really answered. It counts where callers have to say who they are (`auth.mode`); an open\n\
installation lets everybody do everything.\n\n\
- `yes`: the request reaches its handler. `401`: a key or a token is needed. `403`: the caller may not.\n\
- A key that is wrong, expired or revoked is answered 401 at every route, in the same words.\n\
- The columns are keys for all services. One of acme has the scope `*:acme`: it is good for the account\n\
  acme, and another account's objects are answered 403, whether they exist or not.\n\
- What shows or changes the whole installation needs all accounts.\n\
- A path that is not here is answered 404 to a good key and 401 to anybody else.\n";

#[tokio::test]
async fn a_proof_that_is_no_good_is_answered_401_everywhere_in_the_same_words() {
    let world = guarded().await;
    let admin = world.key(Role::Admin, &["*"]).await;
    let now = clock::wall_us();
    let (_, expired) = world.make(Role::Admin, &["*"], Some(now - 1)).await;
    let (id, revoked) = world.make(Role::Admin, &["*"], None).await;
    world.app.door.keys().revoke(id, "test", now).await.expect("revoked");
    // A secret of another key behind a known id, with a good checksum, is wrong like one that is not.
    let bad = [
        expired,
        revoked,
        admin.replace(&admin[14..20], "AAAAAA"),
        "kiki_".to_owned(),
        "x.y.z".to_owned(),
        String::new(),
    ];
    let mut words = BTreeSet::new();
    for listener in Listener::ALL {
        // Notices are known by our own signature, whatever else they carry.
        for rule in listener.rules().iter().filter(|rule| !rule.is_signed()) {
            let (uri, body) = request(rule, "x.c", "ab12cd34");
            for key in &bad {
                let call = (rule.method, uri.as_str());
                let answer = world.call(listener, call, Some(key), &[], body.clone()).await;
                assert_eq!((answer.status, answer.code()), (401, "unauthenticated"), "{rule:?}");
                assert_eq!(answer.header("www-authenticate"), "Bearer");
                words.insert(answer.text);
            }
        }
    }
    assert_eq!(words.len(), 1, "{words:?}");
}

#[tokio::test]
async fn every_documented_route_is_in_the_table_and_what_is_not_is_no_way_past_it() {
    let world = guarded().await;
    let admin = world.key(Role::Admin, &["*"]).await;
    let mut seen = 0;
    for listener in [Listener::Shield, Listener::Admin, Listener::Value, Listener::Flow] {
        let document = world.get(listener, "/openapi.json", Some(&admin)).await.is(200).json;
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for method in operations.as_object().expect("operations").keys() {
                let uri = path
                    .replace("{path}", "shield/none")
                    .replace("{order}", "restart")
                    .replace("{campaign_id}", "c")
                    .replace("{account}", "default")
                    .replace("{index}", "1")
                    .replace("{customer_id}", "x")
                    .replace("{model}", "none")
                    .replace("{name}", "none")
                    .replace("{shard}", "17")
                    .replace("{id}", "1");
                let method = method.to_uppercase();
                let call = (method.as_str(), uri.as_str());
                let answer = world.call(listener, call, Some(&admin), &[], Value::Null).await;
                assert_eq!(outcome(&answer), "yes", "{method} {path}: {}", answer.text);
                seen += 1;
            }
        }
    }
    assert!(seen > 40, "{seen}");
    for listener in Listener::ALL {
        for (method, uri) in [
            ("GET", "/nothing"),
            ("POST", "/metrics"),
            ("OPTIONS", "/metrics"),
            ("GET", "//metrics"),
            ("GET", "/metrics/"),
        ] {
            let answer = world.call(listener, (method, uri), None, &[], Value::Null).await;
            assert_eq!(answer.status, 401, "{method} {uri}");
            let answer = world.call(listener, (method, uri), Some(&admin), &[], Value::Null).await;
            assert!(matches!(answer.status, 404 | 405), "{method} {uri}: {}", answer.status);
            assert_eq!(
                answer.status == 405,
                answer.header("allow") == "GET,HEAD",
                "{method} {uri}"
            );
        }
    }
}

#[tokio::test]
async fn another_account_s_objects_are_out_of_reach_and_not_told_from_those_that_are_not_there() {
    let world = guarded().await;
    let admin = world.key(Role::Admin, &["*"]).await;
    world.account(&admin, "acme").await;
    let (hold, token) = world.account(&admin, "globex").await;
    let acme = world.key(Role::Admin, &["shield:acme", "value:acme", "flow:acme"]).await;
    let before = world
        .call(
            Listener::Shield,
            ("GET", "/api/v1/budget/c"),
            Some(&admin),
            &[("x-account", "globex")],
            Value::Null,
        )
        .await
        .json;
    let mut asked = 0;
    let rules = |listener: Listener| listener.rules().iter().map(move |rule| (listener, rule));
    for (listener, rule) in
        rules(Listener::Shield).chain(rules(Listener::Value)).chain(rules(Listener::Flow))
    {
        let own = rule.path == "/api/v1/accounts";
        if own || !matches!(rule.needs, Needs::Right(_)) {
            continue;
        }
        let mut words = BTreeSet::new();
        for other in ["globex", "initech"] {
            let (uri, mut body) = request(rule, &hold, "");
            if rule.path.ends_with("/settle") {
                body["token"] = json!(token);
            }
            let uri = uri.replace("/default", &format!("/{other}"));
            let call = (rule.method, uri.as_str());
            let named = [("x-account", other)];
            let answer = world.call(listener, call, Some(&acme), &named, body.clone()).await;
            assert_eq!(
                (answer.status, answer.code()),
                (403, "forbidden"),
                "{rule:?} {}",
                answer.text
            );
            words.insert(answer.text.replace(other, "…"));
            if matches!(rule.path, "/api/v1/allocate" | "/api/v1/check" | "/api/v1/spend") {
                body["account"] = json!(other);
                let answer = world
                    .call(Listener::Shield, call, Some(&acme), &[("x-account", "acme")], body)
                    .await;
                assert_eq!(
                    (answer.status, answer.code()),
                    (403, "forbidden"),
                    "{rule:?} in the body"
                );
            }
            asked += 1;
        }
        assert_eq!(words.len(), 1, "{rule:?}: {words:?}");
    }
    assert!(asked >= 40, "{asked}");
    let mixed = json!({"bids": [{"campaign_id": "c", "bid_amount": 1}, {"campaign_id": "c", "bid_amount": 1, "account": "globex"}]});
    world.post("/api/v1/check/batch", &acme, mixed).await.problem(403, "forbidden");
    let listed = world.get(Listener::Shield, "/api/v1/accounts", Some(&acme)).await.is(200).json;
    assert_eq!(listed["accounts"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed["accounts"][0]["account"], "acme");
    let after = world
        .call(
            Listener::Shield,
            ("GET", "/api/v1/budget/c"),
            Some(&admin),
            &[("x-account", "globex")],
            Value::Null,
        )
        .await
        .json;
    assert_eq!((&before["version"], &before["spent"]), (&after["version"], &after["spent"]));
    // A key for one account speaks for it where the call names none.
    let own = world.get(Listener::Shield, "/api/v1/budget/c", Some(&acme)).await.is(200).json;
    assert_eq!(own["account"], "acme");
}
