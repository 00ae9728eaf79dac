//! Consent: the documented calls, the history, and what a revocation promises.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::harness::{Api, api};

async fn status(api: &Api, customer: &str) -> Value {
    api.get(&format!("/consent/status?customer_id={customer}")).await.is(200)
}

async fn grant(api: &Api, customer: &str, kind: &str) -> Value {
    let body = json!({"customer_id": customer, "consent_type": kind});
    api.post("/consent/grant", body).await.is(200)
}

async fn allowed(api: &Api, customer: &str, kind: &str) -> bool {
    let answer =
        api.get(&format!("/api/v1/consent/check?customer_id={customer}&type={kind}")).await;
    answer.is(200)["allowed"] == true
}

#[tokio::test]
async fn the_documented_calls_answer_as_documented() {
    let api = api(&[]).await;
    let granted = grant(&api, "cust_123", "marketing").await;
    assert_eq!(granted["status"], "granted");
    assert!(granted["message"].is_string());
    let revoked = api.call(
        axum::http::Method::POST,
        "/consent/revoke?customer_id=cust_123&type=marketing",
        &[],
        "",
    );
    assert_eq!(revoked.await.is(200)["status"], "revoked");
    let status = status(&api, "cust_123").await;
    let of = status.as_object().expect("an object");
    assert_eq!(of.len(), 5);
    let marketing = &of["marketing"];
    assert_eq!(marketing["status"], "revoked");
    assert!(marketing["granted_at"].is_string() && marketing["revoked_at"].is_string());
    assert_eq!(
        (&marketing["legal_basis"], &marketing["version"]),
        (&json!("consent"), &Value::Null)
    );
    assert_eq!(of["analytics"]["status"], "unknown");
    assert_eq!(of["analytics"]["reason"], "no_consent");
}

#[tokio::test]
async fn the_history_keeps_every_change_with_what_was_shown() {
    let api = api(&[]).await;
    let body = json!({"customer_id": "ann@example.com", "consent_type": "profiling",
        "legal_basis": "legitimate_interests", "source": "checkout", "version": "2026-11",
        "proof": "May we build a profile of you?"});
    api.post("/consent/grant", body.clone()).await.is(200);
    assert_eq!(api.post("/consent/grant", body).await.is(200)["replayed"], true);
    grant(&api, "ann@example.com", "profiling").await;
    let history = api.get("/api/v1/consent/history?customer_id=ann%40example.com").await.is(200);
    let changes = history["changes"].as_array().expect("changes");
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0]["shown"], "May we build a profile of you?");
    assert_eq!(changes[0]["proof"].as_str().expect("a hash").len(), 64);
    assert_eq!(changes[1]["legal_basis"], "consent");
    // neither the customer nor the text is anywhere in clear
    let rows = serde_json::to_string(&api.rows().await).expect("json");
    assert!(!rows.contains("ann@example.com") && !rows.contains("build a profile"));
    let person = history["person"].as_str().expect("an id");
    let records = api.get(&format!("/api/v1/audit?person={person}")).await.is(200);
    let records = records["records"].as_array().expect("records");
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["event"], "consent.granted");
    assert_eq!(records[0]["actor"], "open");
}

#[tokio::test]
async fn a_revocation_is_true_for_everybody_when_it_is_answered() {
    let api = api(&[]).await;
    grant(&api, "c", "targeting").await;
    assert!(allowed(&api, "c", "targeting").await);
    assert!(allowed(&api, "c", "targeting").await, "from memory");
    let began = Instant::now();
    api.post("/consent/revoke", json!({"customer_id": "c", "consent_type": "targeting"}))
        .await
        .is(200);
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(!allowed(&api, "c", "targeting").await);
    assert!(!allowed(&api, "somebody", "targeting").await);
}

#[tokio::test]
async fn consents_survive_a_restart() {
    let api = api(&[]).await;
    grant(&api, "c", "analytics").await;
    let before = status(&api, "c").await;
    let api = api.again().await;
    assert_eq!(status(&api, "c").await, before);
    assert!(allowed(&api, "c", "analytics").await);
}

#[tokio::test]
async fn accounts_know_a_customer_each_for_itself() {
    let api = api(&[]).await;
    api.post("/api/v1/accounts", json!({"account": "acme", "currency": "USD"})).await.is(201);
    grant(&api, "c", "marketing").await;
    let of_acme = [("x-account", "acme")];
    let other =
        api.call(axum::http::Method::GET, "/consent/status?customer_id=c", &of_acme, "").await;
    assert_eq!(other.is(200)["marketing"]["status"], "unknown");
}

#[tokio::test]
async fn a_tcf_string_is_taken_over() {
    let api = api(&[]).await;
    // The example of the IAB's specification: purposes 1 to 3 have consent.
    let text = "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA.IBAgAAAgAIAwgAgAAAAEAAAACA";
    let body = json!({"customer_id": "c", "tc_string": text});
    let taken = api.post("/api/v1/consent/tcf", body).await;
    match taken.status {
        200 => {
            let taken = taken.is(200);
            let (granted, not) = (
                taken["granted"].as_array().expect("a list"),
                taken["not_granted"].as_array().expect("a list"),
            );
            assert_eq!(granted.len() + not.len(), 5);
            for kind in granted {
                assert!(allowed(&api, "c", kind.as_str().expect("a name")).await);
            }
        }
        _ => taken.problem(400, "invalid_field"),
    }
    let bad = api.post("/api/v1/consent/tcf", json!({"customer_id": "c", "tc_string": "nonsense"}));
    let bad = bad.await;
    assert_eq!(bad.json["field"], "tc_string");
    bad.problem(400, "invalid_field");
}

#[tokio::test]
async fn a_lookup_costs_microseconds() {
    let api = api(&[]).await;
    grant(&api, "c", "marketing").await;
    let people = api.app.shield.people();
    let kind = kiki::models::shield::consent::kind::Kind::Marketing;
    assert!(people.allows("default", "c", kind).await.expect("an answer").allowed);
    let began = Instant::now();
    let mut cached = 0;
    for _ in 0..10_000 {
        cached += u32::from(people.allows("default", "c", kind).await.expect("an answer").cached);
    }
    let each = began.elapsed() / 10_000;
    assert!(cached > 9_000, "{cached} of 10000 from memory");
    assert!(each < Duration::from_micros(100), "{each:?}");
}
