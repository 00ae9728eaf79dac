//! `/api/v1/check` and its batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::harness::{Api, WIDE, api, reason};

#[tokio::test]
async fn an_approval_names_its_hold_and_a_refusal_its_reason() {
    let api = api(&[]).await;
    api.allocate("camp_001", 1_000).await;
    let body = json!({"campaign_id": "camp_001", "bid_amount": 50, "platform": "google_ads"});
    let approved = api.post("/api/v1/check", body.clone()).await.is(200);
    assert_eq!((&approved["approved"], &approved["amount"]), (&json!(true), &json!(50)));
    for field in ["hold_id", "token", "expires_at", "remaining"] {
        assert!(!approved[field].is_null(), "{field}");
    }
    assert_eq!(reason(api.check("nobody", 1.0).await), "unknown_campaign");
    assert_eq!(reason(api.check("camp_001", 2_000.0).await), "budget_exceeded");
    assert_eq!(reason(api.check("camp_001", 600.0).await), "window_exceeded");
    for _ in 0..6 {
        api.get("/spend?amount=100").await;
    }
    assert_eq!(reason(api.post("/api/v1/check", body).await), "window_exceeded");
}

#[tokio::test]
async fn the_same_key_gets_the_same_hold() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let key = [("idempotency-key", "k")];
    let body = json!({"campaign_id": "c", "bid_amount": 60});
    let (first, _) = Api::hold_of(api.post_as("/api/v1/check", &key, body.clone()).await);
    let (again, _) = Api::hold_of(api.post_as("/api/v1/check", &key, body).await);
    assert_eq!(first, again);
    api.settle(&first, 20.0).await.is(200);
    let body = json!({"campaign_id": "c", "bid_amount": 60});
    let (settled, _) = Api::hold_of(api.post_as("/api/v1/check", &key, body).await);
    assert_eq!(settled, first);
    let budget = api.get("/api/v1/budget/c").await.is(200);
    assert_eq!((&budget["open_holds"], &budget["held"]), (&json!(0), &json!(0)), "{budget}");
    api.settle(&first, 21.0).await.problem(422, "idempotency_mismatch");

    // A key counts within its campaign: the holds are two, and both can be settled.
    api.allocate("d", 100).await;
    let body = json!({"campaign_id": "d", "bid_amount": 60});
    let (of_d, _) = Api::hold_of(api.post_as("/api/v1/check", &key, body).await);
    assert_ne!(of_d.split('.').next(), first.split('.').next());
    api.settle(&of_d, 20.0).await.is(200);
    assert_eq!(api.get("/api/v1/budget/d").await.is(200)["spent"], 20);
    let other = json!({"campaign_id": "c", "bid_amount": 61});
    api.post_as("/api/v1/check", &key, other).await.problem(422, "idempotency_mismatch");
}

#[tokio::test]
async fn a_batch_is_answered_bid_by_bid_and_refused_whole_when_one_is_malformed() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let bid = |campaign: &str, amount: f64| json!({"campaign_id": campaign, "bid_amount": amount});
    let bids =
        json!({"bids": [bid("c", 60.0), bid("c", 60.0), bid("nobody", 1.0), bid("c", 40.0)]});
    let key = [("idempotency-key", "k")];
    let body = api.post_as("/api/v1/check/batch", &key, bids.clone()).await.is(200);
    let approved = |n: usize| body["answers"][n]["approved"].as_bool();
    assert_eq!([0, 1, 2, 3].map(approved), [true, false, false, true].map(Some));
    assert_eq!(body["answers"][2]["reason"], "unknown_campaign");
    let again = api.post_as("/api/v1/check/batch", &key, bids).await.is(200);
    assert_eq!(again["answers"][0]["hold_id"], body["answers"][0]["hold_id"]);
    let wrong = json!({"bids": [bid("c", 0.01), bid("c", -1.0)]});
    let answer = api.post("/api/v1/check/batch", wrong).await;
    assert_eq!(answer.json["field"], "bids[1].bid_amount");
    answer.problem(400, "invalid_field");
    assert_eq!(api.get("/api/v1/budget/c").await.is(200)["open_holds"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_at_once_use_a_budget_up_and_never_pass_it() {
    for settings in [[WIDE], [("shield.window_cap", "100")]] {
        let api = Arc::new(api(&settings).await);
        // The tighter of the two caps is 100: first the campaign's, then the account's window.
        let budget = if settings == [WIDE] { 100 } else { 10_000 };
        api.allocate("c", budget).await;
        let asks = (0..200).map(|_| {
            let api = Arc::clone(&api);
            tokio::spawn(async move {
                let answer = api.check("c", 1.0).await;
                (answer.status, answer.json["reason"].as_str().unwrap_or_default().to_owned())
            })
        });
        let mut seen = BTreeMap::new();
        for ask in asks.collect::<Vec<_>>() {
            *seen.entry(ask.await.expect("answered")).or_insert(0) += 1;
        }
        let why = if budget == 100 { "budget_exceeded" } else { "window_exceeded" };
        let wanted = [((200, String::new()), 100), ((403, why.to_owned()), 100)];
        assert_eq!(seen, BTreeMap::from(wanted));
    }
}

#[tokio::test]
async fn the_window_is_shared_and_what_one_campaign_does_not_use_another_gets() {
    let api = api(&[]).await;
    for campaign in ["a", "b", "c"] {
        api.allocate(campaign, 10_000).await;
        api.check(campaign, 10.0).await.is(200);
    }
    // 470 of 500 are left, whoever has them in slices.
    api.check("b", 470.0).await.is(200);
    assert_eq!(reason(api.check("a", 1.0).await), "window_exceeded");
}

#[tokio::test]
async fn another_currency_needs_an_exchange_rate() {
    let api = api(&[]).await;
    let euros = json!({"campaign_id": "e", "budget": 10_000, "currency": "EUR"});
    api.post("/api/v1/allocate", euros).await.is(201);
    assert_eq!(reason(api.check("e", 1.0).await), "no_exchange_rate");
    let spend = json!({"campaign_id": "e", "amount": 1});
    api.post("/api/v1/spend", spend.clone()).await.problem(422, "no_exchange_rate");
    let rate = json!({"currency": "EUR", "rate": 2}).to_string();
    let kind = [("content-type", "application/json")];
    api.call(axum::http::Method::PUT, "/api/v1/rates", &kind, rate).await.is(200);
    api.post("/api/v1/spend", spend).await.is(201);
    assert_eq!(reason(api.check("e", 250.0).await), "window_exceeded", "500 dollars, 2 are spent");
    api.check("e", 249.0).await.is(200);
    let dollars = json!({"campaign_id": "e", "bid_amount": 1, "currency": "USD"});
    assert_eq!(reason(api.post("/api/v1/check", dollars).await), "currency_mismatch");
    let dollars = json!({"campaign_id": "e", "amount": 1, "currency": "USD"});
    api.post("/api/v1/spend", dollars).await.problem(422, "currency_mismatch");
}
