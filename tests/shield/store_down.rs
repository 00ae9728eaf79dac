//! A store that fails: clear answers, nothing acknowledged that is not durable, and back by itself.

use std::time::{Duration, Instant};

use kiki::store::Fault;
use serde_json::json;

use super::harness::{WIDE, api};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_fails_spends_are_refused_with_retry_after_and_booked_once_it_is_back() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    assert_eq!(api.get("/ready").await.status, 200);
    api.app.shield.store().faults().set(Fault::BeforeCommit, u32::MAX);
    let spend = json!({"campaign_id": "c", "amount": 1});
    let began = Instant::now();
    let mut tries = 0;
    while api.get("/ready").await.status == 200 {
        tries += 1;
        assert!(tries < 20, "never turned unready");
        let key = format!("down-{tries}");
        let answer =
            api.post_as("/api/v1/spend", &[("idempotency-key", &key)], spend.clone()).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.retry_after.is_some(), "{answer:?}");
        assert!(began.elapsed() < Duration::from_secs(20), "waits are bounded");
    }
    api.post("/api/v1/spend", spend.clone()).await.problem(503, "store_unavailable");
    assert_eq!(api.get("/health").await.is(200)["status"], "degraded");
    api.app.shield.store().faults().clear();
    let began = Instant::now();
    let key = [("idempotency-key", "up")];
    while api.post_as("/api/v1/spend", &key, spend.clone()).await.status >= 400 {
        assert!(began.elapsed() < Duration::from_secs(5), "never came back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(api.get("/ready").await.status, 200);
    let ledger = api.get("/api/v1/budget/c/ledger").await.is(200);
    assert_eq!(ledger["rows"].as_array().map(Vec::len), Some(1), "{ledger}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_outcome_is_found_out_before_anything_is_answered() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let spend = json!({"campaign_id": "c", "amount": 1});
    for (n, fault) in [Fault::UnknownDone, Fault::UnknownUndone].into_iter().enumerate() {
        api.app.shield.store().faults().set(fault, 1);
        let key = format!("k{n}");
        let began = Instant::now();
        while api.post_as("/api/v1/spend", &[("idempotency-key", &key)], spend.clone()).await.status
            >= 400
        {
            assert!(began.elapsed() < Duration::from_secs(10), "{fault:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert_eq!(api.get("/api/v1/budget/c").await.is(200)["spent"], 2);
}
