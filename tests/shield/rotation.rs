//! Keys that sign are replaced while everything goes on.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use kiki::api::admin;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::harness::{Api, WIDE, api};

crate::on_every_store!(
    a_token_from_before_a_rotation_settles_after_it_and_after_a_restart,
    keys_of_tokens_are_not_rotated_without_end,
    heads_by_the_old_and_by_the_new_key_are_both_verified,
);

/// Rotates through the admin listener; gives the name of the new key.
async fn rotate(api: &Api, purpose: &str) -> (u16, Value) {
    let router = admin::listener(api.app.registry.clone(), false, &api.app);
    let request =
        Request::post("/api/admin/keys/rotate").header("content-type", "application/json");
    let body = Body::from(json!({"purpose": purpose}).to_string());
    let response =
        router.oneshot(request.body(body).expect("a request")).await.expect("infallible");
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    (status, serde_json::from_slice(&bytes).expect("json"))
}

async fn settle(api: &Api, hold: &str, token: &str) -> u16 {
    let body = json!({"amount": 1, "token": token});
    api.post(&format!("/api/v1/holds/{hold}/settle"), body).await.status
}

/// A token for a hold that no memory has: its hold is told by the token alone.
async fn lost_hold(api: &Api) -> (String, String) {
    Api::hold_of(api.check("c", 2.0).await)
}

async fn a_token_from_before_a_rotation_settles_after_it_and_after_a_restart() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let (hold, token) = lost_hold(&api).await;
    let (second, kept) = lost_hold(&api).await;
    let (status, made) = rotate(&api, "token").await;
    assert_eq!((status, &made["purpose"]), (200, &json!("token")), "{made}");
    let (newer, new_token) = lost_hold(&api).await;
    let open = |token: &str| {
        let now = kiki::clock::wall_us();
        api.app.tokens.ring().open("default", "c", token, now).is_ok()
    };
    assert!(open(&token) && open(&new_token));
    assert_eq!(settle(&api, &hold, &token).await, 200);
    let forged = kiki::models::shield::token::SignerRing::of(&[7; 32]);
    assert!(forged.open("default", "c", &new_token, 0).is_err(), "another key has signed it");
    let api = api.again().await;
    assert_eq!(settle(&api, &second, &kept).await, 200);
    assert_eq!(settle(&api, &newer, &new_token).await, 200);
}

async fn keys_of_tokens_are_not_rotated_without_end() {
    let api = api(&[WIDE]).await;
    for _ in 1..16 {
        assert_eq!(rotate(&api, "token").await.0, 200);
    }
    let (status, problem) = rotate(&api, "token").await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")), "{problem}");
    let (status, problem) = rotate(&api, "other").await;
    assert_eq!((status, &problem["field"]), (400, &json!("purpose")), "{problem}");
}

async fn heads_by_the_old_and_by_the_new_key_are_both_verified() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    api.post("/api/v1/audit/heads", json!({})).await.is(200);
    let (status, made) = rotate(&api, "audit").await;
    assert_eq!(status, 200, "{made}");
    api.post("/api/v1/spend", json!({"campaign_id": "c", "amount": 1})).await.is(201);
    api.post("/api/v1/audit/heads", json!({})).await.is(200);
    let heads = api.get("/api/v1/audit/heads").await.is(200);
    let keys: BTreeSet<&str> = heads["heads"]
        .as_array()
        .expect("heads")
        .iter()
        .filter_map(|head| head["key_id"].as_str())
        .collect();
    assert_eq!(keys.len(), 2, "{heads}");
    assert!(keys.contains(made["key"].as_str().expect("a key")));
    let report = api.get("/api/v1/audit/verify").await.is(200);
    assert_eq!(report["verified"], true, "{report}");
}
