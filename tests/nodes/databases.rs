//! PostgreSQL and Redis that go away under load and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::client;
use crate::lab::Lab;
use crate::load::Load;
use crate::servers::{Postgres, Redis};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_restarted_loses_nothing_that_was_acknowledged() {
    if std::env::var_os("KIKI_TEST_POSTGRES_URL").is_none() {
        eprintln!("skipped: KIKI_TEST_POSTGRES_URL is not set");
        return;
    }
    let mut postgres = match Postgres::start().await {
        Ok(postgres) => postgres,
        Err(why) => return eprintln!("skipped: no PostgreSQL of its own: {why}"),
    };
    let mut lab =
        Lab::prepare_on(postgres.url(), "restart", 3, &["shield.window_cap=1000000"]).await;
    for node in 1..=3 {
        lab.join(node, &[]);
    }
    lab.settle().await;
    let load = Load::begin(&lab, 6, None).await;
    // For less than a lease, and for longer than one.
    for away in [Duration::ZERO, Duration::from_secs(3)] {
        load.proceed(200, Duration::from_secs(10)).await;
        let before = load.put_off();
        postgres.stop();
        let stopped = Instant::now();
        while stopped.elapsed() < away || load.put_off() == before {
            assert!(stopped.elapsed() < Duration::from_secs(10), "nobody was told to come again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        postgres.again();
        postgres.takes_connections().await;
        let first = load.proceed(1, Duration::from_secs(5)).await;
        let calm = load.calm(Duration::from_secs(10)).await;
        println!("first operation after {first:?}, calm after {calm:?}");
    }
    // Everything but success and 503 with Retry-After would be odd. Nobody was replaced, and nobody ended.
    load.end(&lab).await;
    for node in &mut lab.nodes {
        assert!(node.terminate().success(), "{}", node.said());
    }
    lab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_is_flushed_stopped_and_started_fails_no_request() {
    let Some(mut redis) = Redis::start().await else { return };
    let address = format!("redis.addr=127.0.0.1:{}", redis.port);
    let settings = ["shield.window_cap=1000000", &address];
    let Some(lab) = Lab::open("redis", 3, &settings).await else { return };
    let load = Load::begin(&lab, 6, None).await;
    let stop = Arc::new(AtomicBool::new(false));
    let urls: Vec<String> = lab.nodes.iter().map(|node| node.url("/ready")).collect();
    let told = Arc::clone(&stop);
    let readiness = tokio::spawn(async move {
        let http = client();
        while !told.load(Relaxed) {
            for url in &urls {
                let answer = http.get(url).send().await.expect("an answer");
                assert_eq!(answer.status(), 200, "{url}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    redis_is("up", &lab).await;
    load.proceed(200, Duration::from_secs(10)).await;
    redis.flush().await;
    load.proceed(200, Duration::from_secs(10)).await;
    redis.stop();
    redis_is("down", &lab).await;
    load.proceed(200, Duration::from_secs(10)).await;
    redis.again();
    redis.takes_connections().await;
    redis_is("up", &lab).await;
    load.proceed(200, Duration::from_secs(10)).await;
    stop.store(true, Relaxed);
    readiness.await.expect("ready all the time");
    load.end(&lab).await;
    lab.close().await;
}

/// Waits until every node finds Redis in this state.
async fn redis_is(state: &str, lab: &Lab) {
    let began = Instant::now();
    for node in &lab.nodes {
        loop {
            let url = format!("http://127.0.0.1:{}/health", 8080 + node.offset);
            let health = client().get(&url).send().await.expect("an answer");
            let health = health.json::<Value>().await.expect("JSON");
            let redis = &health["services"]["syncshield"]["dependencies"]["redis"];
            if redis["state"] == state {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(15), "{redis}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
