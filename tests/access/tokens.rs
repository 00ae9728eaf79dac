//! Tokens of an issuer, with its keys fetched over HTTP.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use kiki::access::{
    Bearer, DoorTerms, HttpFetch, Jwks, KeySource, LimitTerms, Verifier, VerifierTerms,
};
use kiki::api::access::Listener;
use kiki::clock;
use serde_json::{Value, json};

use super::harness::{World, world};
use super::limits::{few, from};

fn signing(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(seed: u8, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = signing(seed).sign(message.as_bytes()).to_bytes();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn claims() -> Value {
    let now = clock::wall_us() / 1_000_000;
    json!({"iss": "https://i.example", "aud": "kiki", "sub": "ann", "exp": now + 600,
        "kiki_role": "operator", "kiki_accounts": ["acme"]})
}

pub fn token(seed: u8) -> String {
    signed(seed, &json!({"alg": "EdDSA", "kid": format!("k{seed}")}), &claims())
}

pub fn document(seeds: &[u8]) -> String {
    let jwk = |seed: &u8| {
        let x = URL_SAFE_NO_PAD.encode(signing(*seed).verifying_key().as_bytes());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": format!("k{seed}"), "x": x})
    };
    json!({"keys": seeds.iter().map(jwk).collect::<Vec<_>>()}).to_string()
}

/// An issuer on this machine; what it publishes can be changed.
pub async fn issuer(first: String) -> (String, Arc<Mutex<String>>) {
    let document = Arc::new(Mutex::new(first));
    let shown = Arc::clone(&document);
    let keys = move || {
        let text = shown.lock().expect("not poisoned").clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], text) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/keys", listener.local_addr().expect("bound"));
    let routes = Router::new().route("/keys", get(keys));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, document)
}

pub async fn trusting(url: &str) -> World {
    trusting_within(url, None).await
}

async fn trusting_within(url: &str, limits: Option<LimitTerms>) -> World {
    let fetch = HttpFetch::new(url).expect("a client");
    let jwks = Arc::new(Jwks::new(url, Box::new(fetch)));
    let verifier = Verifier::new(VerifierTerms::new("https://i.example", "kiki"));
    let bearer = Some(Bearer::new(verifier, KeySource::Fetched(jwks)));
    world(Some(DoorTerms { bearer, limits, shared: None })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_does_what_his_token_says_and_the_issuer_s_keys_roll() {
    let (url, published) = issuer(document(&[1])).await;
    let world = trusting(&url).await;
    let began = Instant::now();
    let call = async |token: &str, uri: &str| world.get(Listener::Shield, uri, Some(token)).await;
    call(&token(1), "/api/v1/accounts").await.is(200);
    call(&token(1), "/api/v1/accounts/default").await.problem(403, "forbidden");
    call(&token(1), "/api/v1/accounts/acme").await.problem(404, "unknown_account");
    let answer = world.get(Listener::Admin, "/api/admin/keys", Some(&token(1))).await;
    answer.problem(403, "forbidden");
    call(&token(2), "/api/v1/accounts").await.problem(401, "unauthenticated");
    *published.lock().expect("not poisoned") = document(&[2]);
    // The issuer is asked again for a key that is not there, at most every ten seconds.
    while call(&token(2), "/api/v1/accounts").await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "the new key was never taken");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    call(&token(1), "/api/v1/accounts").await.problem(401, "unauthenticated");
    // An issuer that publishes nonsense changes nothing.
    *published.lock().expect("not poisoned") = "{".repeat(1_000);
    call(&token(2), "/api/v1/accounts").await.is(200);
}

#[tokio::test]
async fn a_token_that_was_tampered_with_or_is_of_another_kind_is_refused() {
    let (url, _) = issuer(document(&[1])).await;
    let world = trusting(&url).await;
    let head = json!({"alg": "EdDSA", "kid": "k1"});
    let with = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims();
        change(&mut claims);
        signed(1, &head, &claims)
    };
    let good = token(1);
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let raised = json!({"kiki_role": "admin"});
    let bad = [
        format!("{message}."),
        format!("{}.{}.{signature}", part(&head), part(&raised)),
        signed(9, &head, &claims()),
        signed(1, &json!({"alg": "none", "kid": "k1"}), &claims()),
        signed(1, &json!({"alg": "HS256", "kid": "k1"}), &claims()),
        with(&|c| c["exp"] = json!(1)),
        with(&|c| c["aud"] = json!("other")),
        with(&|c| c["iss"] = json!("https://evil.example")),
        with(&|c| c["kiki_role"] = json!("root")),
        with(&|c| c["sub"] = json!("")),
        with(&|c| drop(c.as_object_mut().map(|c| c.remove("exp")))),
    ];
    let mut words = std::collections::BTreeSet::new();
    for token in &bad {
        let answer = world.get(Listener::Shield, "/api/v1/accounts", Some(token)).await;
        words.insert(answer.problem(401, "unauthenticated").text);
    }
    assert_eq!(words.len(), 1, "{words:?}");
    world.get(Listener::Shield, "/api/v1/accounts", Some(&good)).await.is(200);
    // Somebody whose token names no account has none.
    let none = with(&|c| drop(c.as_object_mut().map(|c| c.remove("kiki_accounts"))));
    world.get(Listener::Shield, "/api/v1/accounts", Some(&none)).await.problem(403, "forbidden");
}

#[tokio::test]
async fn users_behind_one_address_do_not_lock_each_other_out() {
    let (url, _) = issuer(document(&[1])).await;
    let world = trusting_within(&url, Some(few())).await;
    let of = |sub: &str, exp: i64| {
        let mut claims = claims();
        claims["sub"] = sub.into();
        claims["exp"] = (clock::wall_us() / 1_000_000 + exp).into();
        signed(1, &json!({"alg": "EdDSA", "kid": "k1"}), &claims)
    };
    let call = async |token: &str| {
        let request = Request::get("/api/v1/accounts");
        let request = request.header("authorization", format!("Bearer {token}"));
        world.send(Listener::Shield, request.body(Body::empty()).expect("a request")).await
    };
    let (ann, bob) = (of("ann", 600), of("bob", 600));
    call(&ann).await.is(200);
    // Whose time is over is refused as often as he likes, and it counts against nobody.
    for _ in 0..10 {
        call(&of("eve", -60)).await.problem(401, "unauthenticated");
    }
    call(&bob).await.is(200);
    // Who guesses has his address barred; those who are known pass, and so does a new one.
    let guess = token(2);
    for _ in 0..2 {
        call(&guess).await.problem(401, "unauthenticated");
    }
    call(&guess).await.problem(429, "rate_limited");
    call(&ann).await.is(200);
    call(&of("carol", 600)).await.is(200);
    // The time of those who guess on is bounded, and so in the end is that for new ones.
    let mut looked = 0;
    while call(&of(&format!("user{looked}"), 600)).await.status == 200 {
        looked += 1;
        assert!(looked < 1_000, "never barred");
    }
    call(&bob).await.is(200);
    // Another address is not concerned.
    from(&world, "192.0.2.77", "/health", None).await.is(200);
}
