//! `/api/v1/accounts/…`: advertisers that share an installation and nothing else.

use axum::http::Method;
use serde_json::{Value, json};

use super::harness::{WIDE, api, reason};

#[tokio::test]
async fn the_stop_all_switch_stops_every_campaign_and_no_fact() {
    let api = api(&[WIDE]).await;
    for campaign in ["a", "b"] {
        api.allocate(campaign, 100).await;
        api.check(campaign, 1.0).await.is(200);
    }
    let stopped = api.post("/api/v1/accounts/default/stop", Value::Null).await.is(200);
    assert_eq!(stopped["stopped"], true);
    for campaign in ["a", "b"] {
        assert_eq!(reason(api.check(campaign, 1.0).await), "stopped");
    }
    assert_eq!(api.get("/check?ltv=600").await.status, 403);
    api.post("/api/v1/spend", json!({"campaign_id": "a", "amount": 1})).await.is(201);
    api.post("/api/v1/accounts/default/start", Value::Null).await.is(200);
    api.check("a", 1.0).await.is(200);
    assert_eq!(api.get("/check?ltv=600").await.status, 200);
}

#[tokio::test]
async fn accounts_share_neither_campaigns_nor_windows() {
    let api = api(&[]).await;
    let acme = json!({"account": "acme", "currency": "EUR", "window_cap": 50});
    api.post("/api/v1/accounts", acme.clone()).await.is(201);
    api.post("/api/v1/accounts", acme).await.is(200);
    let other = json!({"account": "acme", "currency": "USD"});
    api.post("/api/v1/accounts", other).await.problem(409, "already_exists");
    let header = [("x-account", "acme")];
    let camp = json!({"campaign_id": "c", "budget": 1000});
    let made = api.post_as("/api/v1/allocate", &header, camp).await.is(201);
    assert_eq!((&made["account"], &made["currency"]), (&json!("acme"), &json!("EUR")));
    api.get("/api/v1/budget/c").await.problem(404, "unknown_campaign");
    api.call(Method::GET, "/api/v1/budget/c", &header, "").await.is(200);
    for _ in 0..6 {
        api.get("/spend?amount=100").await;
    }
    let bid = json!({"campaign_id": "c", "bid_amount": 50, "account": "acme"});
    let hold = api.post("/api/v1/check", bid.clone()).await.is(200);
    assert_eq!(reason(api.post("/api/v1/check", bid).await), "window_exceeded");
    let hold = format!("/api/v1/holds/{}", hold["hold_id"].as_str().expect("an id"));
    api.get(&hold).await.problem(404, "unknown_hold");
    assert_eq!(api.call(Method::GET, &hold, &header, "").await.is(200)["state"], "open");
    let unknown = [("x-account", "nobody")];
    api.call(Method::GET, "/check?ltv=600", &unknown, "").await.problem(404, "unknown_account");
    let list = api.get("/api/v1/accounts").await.is(200);
    assert_eq!(list["accounts"].as_array().map(Vec::len), Some(2));
}
