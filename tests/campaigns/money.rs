//! What bids hold of their budgets.

use std::time::{Duration, Instant};

use axum::http::Method;
use kiki::actors::shield::message::Booked;
use kiki::actors::shield::{BudgetName, Written};
use kiki::models::flow::reason::Reason;
use kiki::models::shield::ask::Order;
use kiki::models::shield::entry::Op;
use kiki::models::shield::money::Micros;
use kiki::models::shield::terms::Terms;
use kiki::store::{Fault, Put, RateRow};
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
    // That they changed is nobody's campaign's, and can be asked for all the same.
    loop {
        let page = api.get("/api/v1/decisions?kind=change&limit=1000").await.is(200);
        let all = page["decisions"].as_array().expect("a list");
        if let Some(turned) = all.iter().find(|it| it["change"]["what"] == "breaker") {
            assert!(turned["campaign"].is_null(), "{turned}");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bids_hold_is_not_journaled_and_its_notice_proves_it() {
    let api = api().await;
    run(&api).await;
    let (at_once, after) = (bid(&api, "r1").await, bid(&api, "r2").await);
    assert_eq!(at_once.billed(&api).await, 200);
    // The end of a process writes what is to be journaled.
    let api = api.again().await;
    assert_eq!(after.billed(&api).await, 200);
    let began = Instant::now();
    while api.budget("c").await.is(200)["spent"].as_f64()
        != Some((at_once.micros() + after.micros()) as f64 / 1e6)
    {
        assert!(began.elapsed() < Duration::from_secs(20), "it is not booked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let store = api.shield.shield.store();
    for bid in [at_once, after] {
        assert!(store.hold("default", &bid.hold).await.expect("read").is_none());
    }
}

#[tokio::test]
async fn a_first_start_leaves_a_budget_alone_that_somebody_else_has_made() {
    let api = api().await;
    let theirs = json!({"campaign_id": "c", "budget": 700, "currency": "USD"});
    api.to_shield("/api/v1/allocate", &theirs).await.is(201);
    api.post("/api/v1/campaigns", campaign("c")).await.is(201);
    for _ in 0..2 {
        let refused = api.order("c", "start").await.problem(409, "conflict");
        assert_eq!(refused["field"], "id");
        assert!(refused["help"].as_str().is_some_and(|help| help.contains("another id")));
    }
    assert_eq!(api.get("/api/v1/campaigns/c").await.is(200)["status"], "draft");
    assert_eq!(api.budget("c").await.is(200)["budget"], 700);
    let mut euros = campaign("c");
    euros["currency"] = json!("EUR");
    let rate = RateRow {
        account: "default".to_owned(),
        currency: "EUR".to_owned(),
        day: "20200101".to_owned(),
        rate_e9: 1_250_000_000,
    };
    api.flow.shield().put_rates("default", &[rate]).await.expect("stored");
    api.call(Method::PUT, "/api/v1/campaigns/c", &[], euros).await.is(200);
    let refused = api.order("c", "start").await.problem(409, "conflict");
    assert_eq!(refused["field"], "id", "whatever its currency");
}

#[tokio::test]
async fn a_start_that_failed_after_it_made_the_budget_is_started_again_as_it_is_by_then() {
    let api = api().await;
    let uri = "/api/v1/campaigns/c";
    let draft = api.post("/api/v1/campaigns", campaign("c")).await.is(201);
    // What its start orders first. Then the process died.
    let created: jiff::Timestamp =
        draft["created_at"].as_str().expect("a time").parse().expect("a time");
    let created_us = created.as_microsecond().to_string();
    let (name, op) = (
        BudgetName::campaign("default", "c"),
        Op::of(&["flow opens", "default", "c", &created_us]),
    );
    let terms = Terms::campaign("USD".parse().expect("a currency"), Micros(10_000_000));
    let opened = api.flow.shield().order(&name, op, 0, Order::Open(terms)).await;
    assert!(matches!(opened, Ok(Booked::Ordered { created: true, .. })), "{opened:?}");
    let api = api.again().await;
    let patch = json!({"budget": {"amount": 25}});
    api.call(Method::PATCH, uri, &[], patch).await.is(200);
    api.order("c", "start").await.is(200);
    assert_eq!(api.budget("c").await.is(200)["budget"], 25);
}

#[tokio::test]
async fn a_campaign_shows_its_budget_and_a_start_resumes_one_that_is_paused_alone() {
    let api = api().await;
    let uri = "/api/v1/campaigns/c";
    api.post("/api/v1/campaigns", campaign("c")).await.is(201);
    assert_eq!(api.get(uri).await.is(200).get("budget"), None, "a draft has none");
    api.order("c", "start").await.is(200);
    let seen = api.get(uri).await.is(200);
    let expected =
        json!({"status": "active", "amount": 1_000_000, "spent": 0, "held": 0, "differs": false});
    assert_eq!(seen["budget"], expected, "{seen}");
    api.to_shield("/api/v1/allocations/c/pause", &Value::Null).await.is(200);
    let seen = api.get(uri).await.is(200);
    assert_eq!((&seen["status"], &seen["budget"]["status"]), (&json!("active"), &json!("paused")));
    for order in ["start", "resume"] {
        api.to_shield("/api/v1/allocations/c/pause", &Value::Null).await.is(200);
        let started = api.order("c", order).await.is(200);
        assert_eq!(started["revision"], seen["revision"], "it has not changed");
        assert_eq!(api.budget("c").await.is(200)["status"], "active", "{order}");
    }
    let other = json!({"campaign_id": "c", "budget": 12, "currency": "USD"});
    api.to_shield("/api/v1/allocate", &other).await.is(200);
    let seen = api.get(uri).await.is(200);
    assert_eq!((&seen["budget"]["amount"], &seen["budget"]["differs"]), (&json!(12), &json!(true)));
}

#[tokio::test]
async fn an_edit_leaves_a_budget_shut_that_somebody_has_shut() {
    let api = api().await;
    for (id, order, status) in [("c", "pause", "paused"), ("d", "end", "ended")] {
        let uri = format!("/api/v1/campaigns/{id}");
        api.post("/api/v1/campaigns", campaign(id)).await.is(201);
        api.order(id, "start").await.is(200);
        api.to_shield(&format!("/api/v1/allocations/{id}/{order}"), &Value::Null).await.is(200);
        let ends = json!("2199-01-01T00:00:00Z");
        for patch in [json!({"budget": {"amount": 25}}), json!({"schedule": {"ends": ends}})] {
            let edited = api.call(Method::PATCH, &uri, &[], patch).await.is(200);
            assert_eq!(edited["status"], "active");
            let budget = api.budget(id).await.is(200);
            let told = (&budget["status"], &budget["budget"]);
            assert_eq!(told, (&json!(status), &json!(25)), "{budget}");
        }
    }
    api.order("c", "start").await.is(200);
    assert_eq!(api.budget("c").await.is(200)["status"], "active");
}

#[tokio::test]
async fn an_edit_of_a_paused_campaign_leaves_its_budget_paused() {
    let api = api().await;
    api.post("/api/v1/campaigns", campaign("c")).await.is(201);
    api.order("c", "start").await.is(200);
    api.order("c", "pause").await.is(200);
    let patch = json!({"budget": {"amount": 25}});
    let edited = api.call(Method::PATCH, "/api/v1/campaigns/c", &[], patch).await.is(200);
    assert_eq!((&edited["status"], &edited["budget_told"]), (&json!("paused"), &json!(true)));
    let budget = api.budget("c").await.is(200);
    assert_eq!((&budget["status"], &budget["budget"]), (&json!("paused"), &json!(25)));
}

#[tokio::test]
async fn the_terms_of_an_edit_that_is_not_stored_are_taken_back() {
    let api = api().await;
    let uri = "/api/v1/campaigns/c";
    api.post("/api/v1/campaigns", campaign("c")).await.is(201);
    api.order("c", "start").await.is(200);
    // Somebody else writes it: what its actor stores next is refused, after the budget was told.
    let shield = api.flow.shield();
    let row = shield.store().flow_campaign("default", "c").await.expect("read");
    let mut row = row.expect("it is stored");
    row.version += 1;
    let written = shield.writes().write("default", "@flow/c", vec![Put::from(row)]).await;
    assert_eq!(written, Written::Done);
    let patch = json!({"budget": {"amount": 25}});
    let failed = api.call(Method::PATCH, uri, &[], patch.clone()).await;
    assert_eq!(failed.status, 503, "{failed:?}");
    assert_eq!(api.budget("c").await.is(200)["budget"], 1_000_000);
    // Its next life reads what is stored, and can be edited.
    let began = Instant::now();
    while api.call(Method::PATCH, uri, &[], patch.clone()).await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "it is not edited");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(api.budget("c").await.is(200)["budget"], 25);
}
