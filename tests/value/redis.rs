//! Answers that nodes share through Redis. Runs where `KIKI_TEST_REDIS_URL` names a server.

use std::time::{Duration, Instant};

use kiki::config::Loader;
use kiki::connectors::redis::Redis;
use serde_json::{Value, json};

use crate::erasure::{buy, request};
use crate::harness::{Api, api, customers};

const MINUTE: Duration = Duration::from_secs(60);

fn address() -> Option<String> {
    let Ok(url) = std::env::var("KIKI_TEST_REDIS_URL") else {
        eprintln!("skipped: KIKI_TEST_REDIS_URL is not set");
        return None;
    };
    Some(url.trim_start_matches("redis://").trim_end_matches('/').to_owned())
}

async fn connected(address: &str) -> Redis {
    let config = Loader::new().flag("redis.addr", address, "--set").load().expect("good").config;
    let redis = Redis::connect(&config.redis).expect("it begins");
    let began = Instant::now();
    while !redis.is_connected() {
        assert!(began.elapsed() < Duration::from_secs(10), "no redis");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    redis
}

/// A customer of this run alone: the server outlives it.
fn somebody() -> String {
    format!("c-{}-{}", std::process::id(), kiki::clock::wall_us())
}

fn key(api: &Api, customer: &str) -> String {
    format!("kiki:ltv:{}", api.shield.shield.people().name("default", customer).lookup)
}

fn worth(answer: &Value) -> f64 {
    answer["predicted_ltv"].as_f64().unwrap_or_else(|| panic!("a number in {answer}"))
}

/// What others are told of the customer, as soon as they are.
async fn told(api: &Api, redis: &Redis, customer: &str) -> String {
    for _ in 0..200 {
        assert_eq!(api.predict(customer).await["status"], "success");
        if let Some(text) = redis.get(&key(api, customer)).await.expect("it answers") {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing is shared");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_another_node_is_given_and_never_outlives_a_purchase() {
    let Some(address) = address() else { return };
    // nothing is answered from this node's own memory
    let api = api(&[("redis.addr", address.as_str()), ("value.cache_max", "0")]).await;
    let redis = connected(&address).await;
    api.champion(8).await;
    let customer = somebody();
    buy(&api, &customer, "order-1").await;
    let old = told(&api, &redis, &customer).await;
    let before = worth(&api.predict(&customer).await);
    let api = api.again().await;
    let other = customers(8).swap_remove(0);
    let began = Instant::now();
    loop {
        // names of inputs are those of a model that has answered
        api.predict(&other).await;
        let answer = api.predict(&customer).await;
        assert!((worth(&answer) - before).abs() < 1e-6, "{answer}");
        if answer["cached"] == json!(true) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "never from there: {answer}");
        redis.put(&key(&api, &customer), old.clone(), MINUTE).await.expect("it takes it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let row = json!({"customer_id": customer, "date": "2026-06-02", "amount": 99});
    api.post("/api/v1/ltv/transactions", json!({"transactions": [row]})).await.is(200);
    for _ in 0..20 {
        // a node that answered before the purchase says so after it
        redis.put(&key(&api, &customer), old.clone(), MINUTE).await.expect("it takes it");
        let answer = api.predict(&customer).await;
        assert_eq!((&answer["status"], &answer["cached"]), (&json!("success"), &json!(false)));
        assert!((worth(&answer) - before).abs() > 1e-3, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_an_erasure_takes_back_what_nodes_share() {
    let Some(address) = address() else { return };
    let api = api(&[("redis.addr", address.as_str())]).await;
    let redis = connected(&address).await;
    api.champion(8).await;
    let customer = somebody();
    buy(&api, &customer, "order-1").await;
    let old = told(&api, &redis, &customer).await;
    let api = api.again().await;
    redis.put(&key(&api, &customer), old, MINUTE).await.expect("it takes it");
    request(&api, &customer, "DELETION").await;
    assert_eq!(redis.get(&key(&api, &customer)).await.expect("it answers"), None);
    assert_ne!(api.predict(&customer).await["status"], "success");
}
