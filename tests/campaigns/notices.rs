//! What exchanges tell in odd ways and at odd times is booked once, at the price that was told first.

use std::time::{Duration, Instant};

use axum::http::Method;
use kiki::actors::kernel::FaultKind;
use kiki::actors::shield::BudgetName;
use serde_json::{Value, json};

use super::harness::{Api, api, api_with, campaign, request, rich, told};
use super::trail::{Bid, amount, bid, decision, run};
use super::trail_lost::fault;

const PATIENCE: Duration = Duration::from_secs(20);

/// Calls an address with this price; the answer's status.
async fn tell(api: &Api, address: &Value, price: &str) -> u16 {
    api.get(&told(address, price)).await.status
}

fn address(bid: &Bid, which: usize) -> Value {
    json!(bid.urls[which])
}

/// What is booked of a campaign, in micros.
async fn spent(api: &Api, campaign: &str) -> i64 {
    let budget = api.budget(campaign).await.is(200);
    (budget["spent"].as_f64().expect("an amount") * 1e6).round() as i64
}

#[tokio::test]
async fn after_a_restart_a_billing_without_a_price_costs_what_the_first_win_said() {
    let api = api().await;
    run(&api).await;
    let bid = bid(&api, "r1").await;
    let [win, billing] = [0, 1].map(|which| address(&bid, which));
    assert_eq!(tell(&api, &win, "0.05").await, 200);
    decision(&api, &bid.hold, "won").await;
    let api = api.again().await;
    // The same win once more, at another price and without one.
    for price in ["0.07", "AUDIT"] {
        assert_eq!(tell(&api, &win, price).await, 200);
    }
    assert_eq!(tell(&api, &billing, "$%7BAUCTION_PRICE%7D").await, 200);
    let told = decision(&api, &bid.hold, "billed").await;
    assert!(bid.micros() > 70);
    assert_eq!((amount(&told["outcome"]["billed"]), spent(&api, "c").await), (50, 50), "{told}");
}

#[tokio::test]
async fn a_win_after_a_loss_is_booked_and_told() {
    let api = api().await;
    run(&api).await;
    let bid = bid(&api, "r1").await;
    assert_eq!(bid.lost(&api).await, 200);
    decision(&api, &bid.hold, "lost").await;
    for _ in 0..2 {
        assert_eq!(tell(&api, &address(&bid, 0), "0.05").await, 200);
    }
    let told = decision(&api, &bid.hold, "billed").await;
    let billed = &told["outcome"]["billed"];
    assert_eq!((amount(billed), &billed["late"]), (50, &json!(true)), "{told}");
    assert_eq!(bid.billed(&api).await, 200);
    assert_eq!(spent(&api, "c").await, 50);
}

#[tokio::test]
async fn a_win_that_is_told_after_its_hold_counts_for_its_persons_caps() {
    let api = api_with(&[("flow.hold_ttl_s", "4")]).await;
    api.bidding(rich("c", json!([{"impressions": 1, "period_s": 3600}]))).await;
    let of = |auction: &str| {
        let mut request = request(auction);
        request["user"] = json!({"id": "ann"});
        request.to_string()
    };
    let answer = api.exchange(&[], of("first")).await.bid();
    let hold = answer["id"].as_str().expect("an id");
    assert_eq!(api.exchange(&[], of("meanwhile")).await.status, 204, "one at a time");
    decision(&api, hold, "expired").await;
    assert_eq!(tell(&api, &answer["burl"], "0.05").await, 200);
    decision(&api, hold, "billed").await;
    // No longer than its hold would it count as under way.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(api.exchange(&[], of("after")).await.status, 204, "its cap is reached");
}

#[tokio::test]
async fn names_as_long_as_names_may_be_are_billed_after_a_pause_and_a_restart() {
    let api = api().await;
    let long = "c".repeat(128);
    let mut named = campaign(&long);
    named["creatives"][0]["id"] = json!("x".repeat(128));
    api.bidding(named).await;
    let mut of = request("r1");
    of["imp"][0]["id"] = json!("i".repeat(128));
    let answer = api.exchange(&[], of.to_string()).await.bid();
    api.order(&long, "pause").await.is(200);
    let api = api.again().await;
    api.running(0).await;
    let cpm = answer["price"].as_f64().expect("a price");
    assert_eq!(tell(&api, &answer["burl"], &cpm.to_string()).await, 200);
    let began = Instant::now();
    while spent(&api, &long).await != (cpm * 1e3).ceil() as i64 {
        assert!(began.elapsed() < PATIENCE, "it is not booked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn names_of_account_and_campaign_that_are_as_long_as_may_be_are_bid_for_and_billed() {
    let api = api().await;
    let (account, long) = ("a".repeat(128), "c".repeat(128));
    api.to_shield("/api/v1/accounts", &json!({"account": account})).await.is(201);
    let mut named = campaign(&long);
    named["account"] = json!(account);
    api.post("/api/v1/campaigns", named).await.is(201);
    let (start, of) = (format!("/api/v1/campaigns/{long}/start"), [("x-account", &*account)]);
    api.call(Method::POST, &start, &of, Value::Null).await.is(200);
    api.awake(&[]).await;
    let answer = api.exchange(&[], request("r1").to_string()).await.bid();
    let cpm = answer["price"].as_f64().expect("a price");
    assert_eq!(tell(&api, &answer["burl"], &cpm.to_string()).await, 200);
    let name = BudgetName::campaign(&account, &long);
    let began = Instant::now();
    loop {
        let budget = api.shield.shield.budget(&name).await.expect("it answers");
        if budget.allocation.spent.0 == (cpm * 1e3).ceil() as i64 {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "it is not booked: {budget:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_budget_that_hangs_with_many_wins_does_not_use_up_the_time_of_an_orderly_end() {
    let api = api_with(&[("flow.hold_ttl_s", "4")]).await;
    run(&api).await;
    for n in 0..20 {
        let bid = bid(&api, &format!("r{n}")).await;
        assert_eq!(bid.won(&api).await, 200);
    }
    fault(&api, "/shield/budget/c", FaultKind::Hang);
    // All of them are due.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (began, grace) = (Instant::now(), Duration::from_secs(10));
    api.flow.drain(grace).await;
    assert!(began.elapsed() < grace - Duration::from_secs(1), "{:?}", began.elapsed());
}
