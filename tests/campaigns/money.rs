//! What bids hold of their budgets.

use std::time::{Duration, Instant};

use kiki::models::flow::reason::Reason;
use kiki::store::Fault;
use serde_json::{Value, json};

use crate::harness::{Api, api, campaign, request};
use crate::trail::{bid, run};

/// Requests that ended without a bid for this reason.
fn no_bids(api: &Api, reason: Reason) -> u64 {
    let office = api.flow.office().expect("it runs");
    let of = |(other, _, no_bids)| (other == reason).then_some(no_bids);
    office.counts.reasons().find_map(of).expect("it is counted")
}

#[tokio::test(flavor = "multi_thread")]
async fn bids_that_end_while_their_budget_waits_for_money_hold_nothing() {
    let api = api().await;
    api.post("/api/v1/campaigns", campaign("c")).await.is(201);
    api.order("c", "start").await.is(200);
    api.running(1).await;
    // Money is taken out of the budget by commits: each takes longer than any of these bids waits.
    let faults = api.shield.shield.store().faults();
    faults.set(Fault::SlowCommit(Duration::from_millis(400)), u32::MAX);
    let hasty: Value = {
        let mut hasty = request("hasty");
        hasty["tmax"] = json!(60);
        hasty
    };
    let (began, mut bids) = (Instant::now(), 0);
    while no_bids(&api, Reason::BudgetUnavailable) < 3 {
        assert!(began.elapsed() < Duration::from_secs(20), "no bid ever waits for money");
        bids += u64::from(api.exchange(&[], hasty.to_string()).await.status == 200);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    faults.clear();
    // The money arrives, and whoever waits for it then has it.
    api.awake(&[]).await;
    api.holds("c", bids + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bid_that_a_breaker_keeps_from_its_money_says_so() {
    let api = api().await;
    api.post("/api/v1/campaigns", campaign("c")).await.is(201);
    api.order("c", "start").await.is(200);
    api.running(1).await;
    api.shield.shield.store().faults().set(Fault::BeforeCommit, u32::MAX);
    let began = Instant::now();
    while no_bids(&api, Reason::Breaker) == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "it is not said");
        assert_eq!(api.exchange(&[], request("r").to_string()).await.status, 204);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    api.shield.shield.store().faults().clear();
    api.awake(&[]).await;
    // What was decided meanwhile, and what is decided now, says how breakers stood.
    let began = Instant::now();
    loop {
        let page = api.get("/api/v1/campaigns/c/decisions?kind=bid").await.is(200);
        if let Some(bid) = page["decisions"].as_array().and_then(|all| all.first()) {
            assert_eq!(bid["ltv_breaker"], "closed", "{bid}");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "no bid is recorded");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_journaled_once_its_bid_is_won_and_not_before() {
    let api = api().await;
    run(&api).await;
    let (silent, won) = (bid(&api, "r1").await, bid(&api, "r2").await);
    assert_eq!(won.won(&api).await, 200);
    let store = api.shield.shield.store();
    let began = Instant::now();
    while store.hold("default", &won.hold).await.expect("read").is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "what is won is not journaled");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Its notice would prove it.
    assert!(store.hold("default", &silent.hold).await.expect("read").is_none());
    assert_eq!(silent.billed(&api).await, 200);
}
