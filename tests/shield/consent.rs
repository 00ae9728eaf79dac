//! Consent: the documented calls, the history, and what a revocation promises.

use std::time::{Duration, Instant};

use kiki::actors::kernel::OperatorOrder;
use serde_json::{Value, json};

use super::harness::{Api, api};

crate::on_every_store!(
    the_documented_calls_answer_as_documented,
    the_history_keeps_every_change_with_what_was_shown,
    a_revocation_is_true_for_everybody_when_it_is_answered,
    a_revocation_is_true_also_after_an_order_to_restart,
    consents_survive_a_restart,
    accounts_know_a_customer_each_for_itself,
    a_tcf_string_is_taken_over,
    a_tcf_string_takes_back_also_while_the_data_is_restricted,
    a_full_history_takes_no_grant_and_every_withdrawal,
    a_lookup_costs_microseconds,
);

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
    // whoever asks is told why not, and the log knows it too
    for (kind, reason) in [("marketing", "revoked"), ("analytics", "no_consent")] {
        let uri = format!("/api/v1/consent/check?customer_id=cust_123&type={kind}");
        let answer = api.get(&uri).await.is(200);
        assert_eq!((&answer["allowed"], &answer["reason"]), (&json!(false), &json!(reason)));
        let uri = "/api/v1/audit?event=consent.denied&limit=1";
        let found = api.get(uri).await.is(200);
        assert_eq!(found["records"][0]["data"]["reason"], reason, "{found}");
    }
}

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

async fn a_revocation_is_true_also_after_an_order_to_restart() {
    let api = api(&[]).await;
    grant(&api, "c", "targeting").await;
    assert!(allowed(&api, "c", "targeting").await, "and is remembered");
    let path = format!("/shield/person/{}", api.app.shield.people().name("default", "c").key());
    assert!(api.app.registry.order(&path, OperatorOrder::Restart).await);
    let body = json!({"customer_id": "c", "consent_type": "targeting"});
    api.post("/consent/revoke", body).await.is(200);
    assert!(!allowed(&api, "c", "targeting").await);
}

async fn consents_survive_a_restart() {
    let api = api(&[]).await;
    grant(&api, "c", "analytics").await;
    let before = status(&api, "c").await;
    let api = api.again().await;
    assert_eq!(status(&api, "c").await, before);
    assert!(allowed(&api, "c", "analytics").await);
}

async fn accounts_know_a_customer_each_for_itself() {
    let api = api(&[]).await;
    api.post("/api/v1/accounts", json!({"account": "acme", "currency": "USD"})).await.is(201);
    grant(&api, "c", "marketing").await;
    let of_acme = [("x-account", "acme")];
    let other =
        api.call(axum::http::Method::GET, "/consent/status?customer_id=c", &of_acme, "").await;
    assert_eq!(other.is(200)["marketing"]["status"], "unknown");
}

/// An example of the IAB's decoder for Java: purposes 2 and 10 have consent, and purpose 1, without
/// which nothing is granted, has none.
const GRANTS_NOTHING: &str =
    "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA.IBAgAAAgAIAwgAgAAAAEAAAACA";
/// The example of the IAB's specification: purposes 1 to 3 have consent. So has vendor 2, which was
/// disclosed.
const GRANTS_MARKETING: &str = "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw";

async fn take(api: &Api, text: &str, vendor: Option<u16>) -> Value {
    let mut body = json!({"customer_id": "c", "tc_string": text});
    if let Some(vendor) = vendor {
        body["vendor_id"] = json!(vendor);
    }
    api.post("/api/v1/consent/tcf", body).await.is(200)
}

async fn a_tcf_string_is_taken_over() {
    let api = api(&[]).await;
    grant(&api, "c", "targeting").await;
    let taken = take(&api, GRANTS_MARKETING, None).await;
    let others = json!(["analytics", "targeting", "profiling", "data_sharing"]);
    let want = json!({"cmp_id": 27, "policy_version": 2, "vendor_list_version": 15,
        "granted": ["marketing"], "not_granted": others, "refused": [], "changes": 2});
    assert_eq!(taken, want);
    assert!(allowed(&api, "c", "marketing").await);
    assert!(!allowed(&api, "c", "targeting").await);
    assert_eq!(take(&api, GRANTS_MARKETING, None).await["changes"], 0, "the same again");
    // with a vendor there is somebody to share with
    let taken = take(&api, GRANTS_MARKETING, Some(2)).await;
    assert_eq!(taken["granted"], json!(["marketing", "data_sharing"]));
    assert_eq!(taken["changes"], 1);
    assert_eq!(take(&api, GRANTS_MARKETING, Some(1)).await["granted"], json!([]));
    assert!(!allowed(&api, "c", "marketing").await);
    grant(&api, "c", "analytics").await;
    let taken = take(&api, GRANTS_NOTHING, None).await;
    assert_eq!((&taken["granted"], &taken["changes"]), (&json!([]), &json!(1)));
    assert_eq!(taken["not_granted"].as_array().map(Vec::len), Some(5));
    assert!(!allowed(&api, "c", "analytics").await);
    let bad = api.post("/api/v1/consent/tcf", json!({"customer_id": "c", "tc_string": "nonsense"}));
    let bad = bad.await;
    assert_eq!(bad.json["field"], "tc_string");
    bad.problem(400, "invalid_field");
}

async fn a_tcf_string_takes_back_also_while_the_data_is_restricted() {
    let api = api(&[]).await;
    grant(&api, "c", "targeting").await;
    let body = json!({"customer_id": "c", "request_type": "RESTRICTION"});
    let request = api.post("/dsr/create", body).await.is(201);
    let deadline = Instant::now() + Duration::from_secs(5);
    while allowed(&api, "c", "targeting").await {
        assert!(Instant::now() < deadline, "never restricted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let taken = take(&api, GRANTS_MARKETING, None).await;
    let refused = json!([{"consent_type": "marketing", "reason": "restricted"}]);
    assert_eq!((&taken["granted"], &taken["refused"]), (&json!([]), &refused));
    assert_eq!(taken["changes"], 1);
    let of = status(&api, "c").await;
    assert_eq!(of["targeting"]["status"], "revoked", "whatever became of the rest");
    assert_eq!(of["marketing"]["status"], "unknown");
    let id = request["id"].as_str().expect("an id");
    api.post(&format!("/api/v1/dsr/{id}/complete"), json!({})).await.is(200);
    api.post(&format!("/api/v1/dsr/{id}/lift"), json!({"reason": "settled"})).await.is(200);
    let deadline = Instant::now() + Duration::from_secs(5);
    while take(&api, GRANTS_MARKETING, None).await["granted"] != json!(["marketing"]) {
        assert!(Instant::now() < deadline, "never lifted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!allowed(&api, "c", "targeting").await, "what was taken back stays so");
}

async fn a_full_history_takes_no_grant_and_every_withdrawal() {
    let api = api(&[]).await;
    grant(&api, "c", "marketing").await;
    api.tamper(
        "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
         INSERT INTO consent (account, person, seq, at, change, sealed) \
         SELECT c.account, c.person, n.i, c.at, \
         replace(c.change, '\"seq\":1,', '\"seq\":' || n.i || ','), NULL \
         FROM consent c, n WHERE c.seq = 1",
    )
    .await;
    let api = api.again().await;
    assert!(allowed(&api, "c", "marketing").await);
    let body = json!({"customer_id": "c", "consent_type": "analytics"});
    let refused = api.post("/consent/grant", body).await;
    assert!(refused.text.contains("full"), "{}", refused.text);
    refused.problem(409, "conflict");
    let body = json!({"customer_id": "c", "consent_type": "marketing"});
    assert_eq!(api.post("/consent/grant", body.clone()).await.is(200)["replayed"], true);
    assert_eq!(api.post("/consent/revoke", body).await.is(200)["seq"], 10_001);
    assert!(!allowed(&api, "c", "marketing").await);
    let taken = take(&api, GRANTS_MARKETING, None).await;
    let refused = json!([{"consent_type": "marketing", "reason": "history_full"}]);
    assert_eq!(taken["refused"], refused);
    // requests act as well, and the whole history is read
    for kind in ["OBJECTION", "OPT_OUT", "RESTRICTION", "DELETION"] {
        let body = json!({"customer_id": "c", "request_type": kind});
        let id = api.post("/dsr/create", body).await.is(201)["id"].clone();
        let id = id.as_str().expect("an id");
        let path = format!("/api/v1/dsr/{id}/complete");
        let deadline = Instant::now() + Duration::from_secs(20);
        while api.post(&path, json!({})).await.is(200)["status"] != "completed" {
            assert!(Instant::now() < deadline, "{kind} did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(!api.rows().await.contains_key("consent"));
}

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
