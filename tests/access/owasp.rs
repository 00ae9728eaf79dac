//! The OWASP API Security Top 10 (2023): one test for each line.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Redirect;
use axum::routing::get;
use kiki::access::DoorTerms;
use kiki::api::access::{Listener, Needs};
use kiki::config::Loader;
use kiki::models::access::{Role, is_public};
use serde_json::{Value, json};

use super::harness::{guarded, world};
use super::limits::few;
use super::matrix::request;
use super::tokens::{document, issuer, token, trusting};

#[tokio::test]
async fn api1_broken_object_level_authorization_ids_of_another_account_open_nothing() {
    let world = guarded().await;
    let admin = world.key(Role::Admin, &["*"]).await;
    world.account(&admin, "acme").await;
    let (hold, token) = world.account(&admin, "globex").await;
    let acme = world.key(Role::Operator, &["shield:acme"]).await;
    // The id of a hold says its campaign, which both have: without the account it finds nothing.
    let settle = format!("/api/v1/holds/{hold}/settle");
    let proof = json!({"amount": 1, "token": token});
    world.post(&settle, &acme, json!({"amount": 1})).await.problem(404, "unknown_hold");
    world.post(&settle, &acme, proof.clone()).await.problem(400, "invalid_field");
    let named = [("x-account", "globex")];
    let call = ("POST", settle.as_str());
    let answer = world.call(Listener::Shield, call, Some(&acme), &named, proof.clone()).await;
    answer.problem(403, "forbidden");
    let answer = world.call(Listener::Shield, call, Some(&admin), &named, proof).await;
    answer.is(200);
    // Requests, corrections and webhooks have ids that nobody guesses. Who learns one all the same, and
    // may do everything in his own account, finds nothing there and is refused in theirs.
    let mine = world.key(Role::Admin, &["shield:acme"]).await;
    let made = [
        ("/dsr/create", json!({"customer_id": "ann", "request_type": "ACCESS"}), "dsr"),
        (
            "/api/v1/corrections",
            json!({"campaign_id": "c", "amount": 1, "reason": "twice"}),
            "corrections",
        ),
        (
            "/api/v1/webhooks",
            json!({"url": "https://hooks.example/in", "events": ["*"]}),
            "webhooks",
        ),
    ];
    for (uri, body, name) in made {
        let call = ("POST", uri);
        let made =
            world.call(Listener::Shield, call, Some(&admin), &named, body).await.is(201).json;
        let id = made["id"].as_str().or(made["request_id"].as_str()).expect("an id");
        let theirs = Listener::Shield.rules().iter().filter(|rule| {
            rule.path.starts_with(&format!("/api/v1/{name}/")) && rule.path.contains("{id}")
        });
        let mut seen = 0;
        for rule in theirs {
            let uri = rule.path.replace("{id}", id);
            let call = (rule.method, uri.as_str());
            let body = match rule.method {
                "GET" => Value::Null,
                _ => json!({"reason": "a reason"}),
            };
            for account in ["acme", "globex"] {
                let headers = [("x-account", account)];
                let answer =
                    world.call(Listener::Shield, call, Some(&mine), &headers, body.clone()).await;
                let expected = if account == "acme" { 404 } else { 403 };
                assert_eq!(answer.status, expected, "{rule:?} in {account}: {}", answer.text);
            }
            seen += 1;
        }
        assert!(seen >= 3, "{name}");
        let show = format!("/api/v1/{name}/{id}");
        let answer =
            world.call(Listener::Shield, ("GET", &show), Some(&admin), &named, Value::Null).await;
        answer.is(200);
    }
}

#[tokio::test]
async fn api2_broken_authentication_no_route_but_the_public_answers_without_a_good_proof() {
    let world = guarded().await;
    let key = world.key(Role::Admin, &["*"]).await;
    // One character off, cut short, doubled, in another case, of another scheme.
    let mut bad =
        vec![key[..64].to_owned(), format!("{key}{key}"), key.to_uppercase(), String::new()];
    bad.push(format!("{}{}", &key[..64], if key.ends_with('0') { '1' } else { '0' }));
    for listener in Listener::ALL {
        for rule in listener.rules() {
            let (uri, body) = request(rule, "x.c", "ab12cd34");
            let call = (rule.method, uri.as_str());
            let answer = world.call(listener, call, None, &[], body.clone()).await;
            // What is the same for every installation: that it is there, and how it is spoken to.
            let public = matches!(rule.path, "/" | "/health" | "/ready" | "/openapi.json")
                || rule.path.starts_with("/docs")
                || rule.is_signed();
            assert_eq!(answer.status == 401, !public, "{rule:?}");
            for key in bad.iter().filter(|_| !rule.is_signed()) {
                let answer = world.call(listener, call, Some(key), &[], body.clone()).await;
                assert_eq!(answer.status, 401, "{rule:?}");
            }
        }
    }
}

#[tokio::test]
async fn api3_broken_object_property_level_authorization_no_field_is_set_or_shown_that_is_not_the_callers()
 {
    let world = guarded().await;
    let admin = world.key(Role::Admin, &["*"]).await;
    for (uri, extra) in [
        ("/api/v1/allocate", json!({"campaign_id": "c", "budget": 1, "spent": 0})),
        ("/api/v1/allocate", json!({"campaign_id": "c", "budget": 1, "status": "active"})),
        ("/api/v1/accounts", json!({"account": "a", "stopped": false})),
        ("/api/v1/spend", json!({"campaign_id": "c", "amount": 1, "seq": 1})),
    ] {
        world.post(uri, &admin, extra).await.problem(400, "invalid_field");
    }
    let keys = ("POST", "/api/admin/keys");
    for extra in ["id", "hash", "created_by", "revoked_at", "expires_at"] {
        let mut body = json!({"name": "x", "role": "viewer"});
        body[extra] = json!("0");
        let answer = world.call(Listener::Admin, keys, Some(&admin), &[], body).await;
        assert_eq!((answer.code(), &answer.json["field"]), ("invalid_field", &json!(extra)));
    }
    let shown = world.get(Listener::Admin, "/api/admin/keys", Some(&admin)).await.is(200);
    let fields: BTreeSet<&str> =
        shown.json["keys"][0].as_object().expect("a key").keys().map(String::as_str).collect();
    let known = ["created_at", "created_by", "id", "name", "role", "scopes", "state"];
    assert_eq!(fields, BTreeSet::from(known));
}

#[tokio::test]
async fn api4_unrestricted_resource_consumption_size_number_and_rate_have_limits() {
    let limits = Some(few());
    let limited = world(Some(DoorTerms { bearer: None, limits, shared: None })).await;
    let key = limited.key(Role::Operator, &["*"]).await;
    let mut last = 0;
    for _ in 0..6 {
        last = limited.get(Listener::Shield, "/api/v1/rates", Some(&key)).await.status;
    }
    assert_eq!(last, 429);
    let world = guarded().await;
    let key = world.key(Role::Operator, &["*"]).await;
    let long = json!({"campaign_id": "c", "budget": 1, "time_zone": "x".repeat(70_000)});
    world.post("/api/v1/allocate", &key, long).await.problem(413, "body_too_large");
    let bids = vec![json!({"campaign_id": "c", "bid_amount": 1}); 101];
    world
        .post("/api/v1/check/batch", &key, json!({"bids": bids}))
        .await
        .problem(400, "invalid_field");
    for uri in ["/api/v1/accounts?limit=1001", "/api/v1/allocations?limit=100000000000"] {
        world.get(Listener::Shield, uri, Some(&key)).await.problem(400, "invalid_field");
    }
    let admin = world.key(Role::Admin, &["*"]).await;
    for uri in ["/api/admin/actors?limit=1001", "/api/admin/keys?limit=1001"] {
        world.get(Listener::Admin, uri, Some(&admin)).await.problem(400, "invalid_field");
    }
}

#[tokio::test]
async fn api5_broken_function_level_authorization_a_role_does_not_reach_the_functions_of_another() {
    let world = guarded().await;
    for role in [Role::Viewer, Role::Exchange, Role::Operator, Role::Chaos] {
        let key = world.key(role, &["*"]).await;
        for listener in Listener::ALL {
            for rule in listener.rules() {
                let (Needs::Right(right) | Needs::All(right)) = rule.needs else { continue };
                if role.may(right) {
                    continue;
                }
                let (uri, body) = request(rule, "x.c", "ab12cd34");
                // Nor by pretending to be another method.
                let disguise = [("x-http-method-override", "GET"), ("x-method-override", "GET")];
                let call = (rule.method, uri.as_str());
                let answer = world.call(listener, call, Some(&key), &disguise, body).await;
                assert_eq!(answer.code(), "forbidden", "{role} {rule:?}: {}", answer.text);
            }
        }
    }
    let flow = world.key(Role::Admin, &["flow"]).await;
    world.get(Listener::Shield, "/api/v1/rates", Some(&flow)).await.problem(403, "forbidden");
    world.get(Listener::Admin, "/api/admin/keys", Some(&flow)).await.problem(403, "forbidden");
}

#[tokio::test]
async fn api6_unrestricted_access_to_sensitive_business_flows_money_moves_once_and_within_its_cap()
{
    let world = guarded().await;
    let (viewer, operator) =
        (world.key(Role::Viewer, &["*"]).await, world.key(Role::Operator, &["*"]).await);
    // A look-alike of a read books money: readers cannot reach it.
    for method in ["GET", "POST", "HEAD"] {
        let call = (method, "/spend?amount=1");
        let answer = world.call(Listener::Shield, call, Some(&viewer), &[], Value::Null).await;
        assert_eq!(answer.status, 403, "{method}");
    }
    world
        .post("/api/v1/allocate", &operator, json!({"campaign_id": "c", "budget": 10}))
        .await
        .is(201);
    let key = [("idempotency-key", "once")];
    for status in [201, 200, 200] {
        let spend = json!({"campaign_id": "c", "amount": 1});
        let call = ("POST", "/api/v1/spend");
        world.call(Listener::Shield, call, Some(&operator), &key, spend).await.is(status);
    }
    let mut granted = 0;
    for _ in 0..40 {
        let bid = json!({"campaign_id": "c", "bid_amount": 1});
        granted += usize::from(world.post("/api/v1/check", &operator, bid).await.status == 200);
    }
    assert_eq!(granted, 9, "ten, and one is spent");
}

#[test]
fn api7_server_side_request_forgery_no_fetch_goes_to_an_address_inside() {
    for inside in [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ] {
        let address: IpAddr = inside.parse().expect(inside);
        assert!(!is_public(address), "{inside}");
    }
    assert!(is_public("1.1.1.1".parse().expect("an address")));
    // Keys are fetched from where the operator says, and nobody else can say it. Webhooks go where
    // accounts say: what a name leads to is looked at when it is called (see the tests of webhooks).
    for url in [
        "ftp://i.example/k",
        "file:///etc/passwd",
        "http://169.254.169.254/latest",
        "https://u:p@i/k",
    ] {
        let settings = [("issuer", "i"), ("audience", "a"), ("jwks_url", url)];
        let loader = settings.iter().fold(Loader::new(), |loader, (key, value)| {
            loader.flag(&format!("auth.oidc_{key}"), value, "--set")
        });
        assert!(loader.load().is_err(), "{url}");
    }
}

#[tokio::test]
async fn api8_security_misconfiguration_the_defaults_are_closed_and_errors_tell_nothing_inside() {
    let far = |mode: &str| {
        let loader = Loader::new().flag("server.bind", "0.0.0.0", "--set");
        loader.flag("auth.mode", mode, "--set").load()
    };
    assert!(far("open").is_err(), "open to the world has to be said twice");
    let config = far("auto").expect("good").config;
    assert!(config.auth.required(config.server.bind) && config.limits.terms().is_some());
    assert!(!config.chaos.enabled && !config.auth.allow_open);
    let world = guarded().await;
    let admin = world.key(Role::Admin, &["*"]).await;
    for (method, uri) in [
        ("GET", "/api/v1/budget/%ff"),
        ("POST", "/api/v1/check"),
        ("TRACE", "/"),
        ("GET", "/docs/../x"),
    ] {
        let origin = [("origin", "https://evil.example")];
        let answer =
            world.call(Listener::Shield, (method, uri), Some(&admin), &origin, json!("{")).await;
        assert!((400..500).contains(&answer.status), "{method} {uri}: {}", answer.status);
        for inside in ["src/", ".rs", "sqlx", "panicked", "SELECT", "/home"] {
            assert!(!answer.text.contains(inside), "{}", answer.text);
        }
        for header in ["access-control-allow-origin", "server", "x-powered-by"] {
            assert_eq!(answer.header(header), "", "{header}");
        }
    }
}

#[tokio::test]
async fn api9_improper_inventory_management_what_answers_is_documented_and_nothing_else_answers() {
    let world = guarded().await;
    let admin = world.key(Role::Admin, &["*"]).await;
    let mut documented = BTreeSet::new();
    for listener in [Listener::Shield, Listener::Admin] {
        let document = world.get(listener, "/openapi.json", Some(&admin)).await.is(200).json;
        for (path, operations) in document["paths"].as_object().expect("paths") {
            // The routers' templates: a path of an actor takes the rest.
            let path = path.replace("{path}/{order}", "{*path}").replace("{path}/reset", "{*path}");
            let path = path.replace("{path}", "{*path}");
            for method in operations.as_object().expect("operations").keys() {
                documented.insert((listener.service(), method.to_uppercase(), path.clone()));
            }
        }
        assert!(document["components"]["securitySchemes"]["bearer"].is_object(), "how to prove it");
    }
    // What every port has, and describes itself.
    let common =
        ["/", "/health", "/ready", "/metrics", "/docs", "/docs/", "/docs/{*rest}", "/openapi.json"];
    for listener in [Listener::Shield, Listener::Admin] {
        for rule in listener.rules().iter().filter(|rule| !common.contains(&rule.path)) {
            let entry = (listener.service(), rule.method.to_owned(), rule.path.to_owned());
            assert!(documented.contains(&entry), "{entry:?}");
        }
    }
    for uri in [
        "/api/v0/check",
        "/api/v2/check",
        "/debug",
        "/api/v1/debug",
        "/.env",
        "/admin",
        "/api/admin/keys",
    ] {
        let answer = world.get(Listener::Shield, uri, Some(&admin)).await;
        answer.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api10_unsafe_consumption_of_apis_an_issuer_that_answers_badly_lets_nobody_in() {
    // Whoever answers in the issuer's place answers with a key of his own, in ways that are wrong.
    let theirs = || document(&[9]);
    let (good, _) = issuer(theirs()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("bound"));
    let twice = theirs().replacen('{', r#"{"keys":[],"#, 1);
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&asked);
    let routes = Router::new()
        .route("/good", get(move || async move { theirs() }))
        .route("/moved", get(move || async move { Redirect::temporary(&good) }))
        .route("/long", get(|| async { document(&[9]) + &" ".repeat(300 * 1_024) }))
        .route("/nonsense", get(|| async { "{".repeat(10_000) }))
        // A key that anybody could sign with.
        .route(
            "/shared",
            get(|| async { r#"{"keys":[{"kty":"oct","kid":"k9","k":"AAAA","alg":"HS256"}]}"# }),
        )
        .route("/twice", get(|| async { twice }))
        .layer(axum::middleware::from_fn(move |request: Request, next: Next| {
            seen.lock().expect("not poisoned").insert(request.uri().path().to_owned());
            next.run(request)
        }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    // {"alg":"HS256","kid":"k9"} and {"alg":"none"}: signed by what the issuer gave away, or by nothing.
    let (shared, none) =
        ("eyJhbGciOiJIUzI1NiIsImtpZCI6Ims5In0.e30.AAAA", "eyJhbGciOiJub25lIn0.e30.");
    for path in ["moved", "long", "nonsense", "shared", "twice", "absent"] {
        let world = trusting(&format!("{base}/{path}")).await;
        let key = world.key(Role::Viewer, &["*"]).await;
        for token in [token(9).as_str(), shared, none] {
            let answer = world.get(Listener::Shield, "/api/v1/accounts", Some(token)).await;
            answer.problem(401, "unauthenticated");
        }
        let asked = asked.lock().expect("not poisoned").contains(&format!("/{path}"));
        assert!(asked, "{path} was never asked for its keys");
        // Keys do not depend on it.
        world.get(Listener::Shield, "/api/v1/rates", Some(&key)).await.is(200);
    }
    // The same key and token, from an issuer that answers as it should, are good.
    let world = trusting(&format!("{base}/good")).await;
    world.get(Listener::Shield, "/api/v1/accounts", Some(&token(9))).await.is(200);
}
