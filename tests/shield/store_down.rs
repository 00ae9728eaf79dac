//! A store that fails: clear answers, nothing acknowledged that is not durable, and back by itself.

use std::time::{Duration, Instant};

use kiki::actors::kernel::{FaultKind, FaultRule, OperatorOrder};
use kiki::models::breaker::BreakerState;
use kiki::store::Fault;
use serde_json::json;

use super::harness::{Api, WIDE, api, reason};

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
    let breakers = api.app.registry.breakers();
    let store = breakers.iter().find(|b| &*b.path == "/shield/committer").expect("it is shown");
    assert_ne!(store.breaker.state, BreakerState::Closed);
    // No slice is out: a bid is told so at once, and does not wait for the store.
    let began = Instant::now();
    api.check("c", 1.0).await.problem(503, "store_unavailable");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
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

/// The account's cap is 500: a campaign's booking that the account did not hear of would be granted
/// again to the other campaign.
async fn spent_window(api: &Api, booked: f64) {
    api.allocate("other", 1_000).await;
    let left = 500.0 - booked;
    assert_eq!(reason(api.check("other", left + 0.01).await), "window_exceeded");
    Api::hold_of(api.check("other", left).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_booked_in_doubt_counts_in_the_window() {
    let api = api(&[]).await;
    api.allocate("c", 1_000).await;
    api.app.shield.store().faults().set(Fault::UnknownDone, 1);
    let spend = json!({"campaign_id": "c", "amount": 400});
    let key = [("idempotency-key", "k")];
    let began = Instant::now();
    while api.post_as("/api/v1/spend", &key, spend.clone()).await.status >= 400 {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    spent_window(&api, 400.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_actor_had_not_told_when_it_crashed_is_told_by_its_next_life() {
    let api = api(&[("chaos.enabled", "true")]).await;
    api.allocate("c", 1_000).await;
    api.app.shield.store().faults().set(Fault::SlowCommit(Duration::from_millis(300)), 1);
    let spend = json!({"campaign_id": "c", "amount": 400});
    let key = [("idempotency-key", "k")];
    let (first, _) = tokio::join!(api.post_as("/api/v1/spend", &key, spend.clone()), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let pattern = "/shield/budget/c".to_owned();
        let rule =
            FaultRule { pattern, kind: FaultKind::Panic, probability: 1.0, ttl_ms: 50, seed: 1 };
        api.app.registry.set_fault(rule).expect("chaos is enabled");
        assert_eq!(api.get("/api/v1/budget/c").await.status, 503);
    });
    assert_eq!(first.status, 503, "its actor crashed while the commit was under way: {first:?}");
    // Nobody has repeated it: the next life tells the account by itself.
    let began = Instant::now();
    while api.get("/api/v1/budget/c").await.json["spent"] != 400 {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    spent_window(&api, 400.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_actor_had_not_told_when_it_ended_is_told_by_its_next_life() {
    for order in [OperatorOrder::Restart, OperatorOrder::Stop] {
        let api = api(&[]).await;
        api.allocate("c", 1_000).await;
        let path = "/shield/budget/c";
        // The restart meets a commit that is under way.
        api.app.shield.store().faults().set(Fault::SlowCommit(Duration::from_millis(300)), 1);
        let spend = json!({"campaign_id": "c", "amount": 400});
        let key = [("idempotency-key", "k")];
        let (first, _) = tokio::join!(api.post_as("/api/v1/spend", &key, spend.clone()), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(api.app.registry.order(path, order).await, "{order:?}");
        });
        let began = Instant::now();
        let mut answer = first;
        while answer.status >= 400 {
            assert!(began.elapsed() < Duration::from_secs(10), "{order:?}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer = api.post_as("/api/v1/spend", &key, spend.clone()).await;
        }
        let ledger = api.get("/api/v1/budget/c/ledger").await.is(200);
        assert_eq!(ledger["rows"].as_array().map(Vec::len), Some(1), "{order:?}: {ledger}");
        spent_window(&api, 400.0).await;
    }
}
