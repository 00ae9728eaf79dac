//! Retention drops whole months with a signed cut, and what only looks like it is found.

use std::time::Instant;

use axum::body::Body;
use axum::http::Request;
use kiki::actors::shield::audit::Msg;
use kiki::api::admin;
use kiki::models::shield::audit::head::SignedHead;
use kiki::models::shield::audit::merkle::Frontier;
use kiki::models::shield::audit::month::time_parse;
use kiki::models::shield::audit::record::{Event, Outcome};

use tower::ServiceExt;

use super::*;

crate::on_every_store!(
    old_months_are_dropped_with_a_signed_cut_and_their_copies_go,
    a_log_of_which_all_was_dropped_verifies_and_goes_on,
    a_beginning_that_somebody_deleted_is_found,
    months_that_somebody_made_old_are_not_dropped,
    a_log_whose_row_is_gone_or_set_back_is_found_by_its_own_heads,
);

/// Appends `n` records of a month to a log that has none of later ones.
async fn old(api: &Api, month: &str, n: i64) {
    after_the_first_round(api).await;
    let first_us = time_parse(&format!("{month}-10T00:00:00.000000Z")).expect("a time");
    let record = |n| Record {
        at_us: first_us + n,
        event: Event::fixed("test.old"),
        actor: "system".to_owned(),
        subject: None,
        person: None,
        outcome: Outcome::Ok,
        count: 1,
        data: None,
        sealed: None,
    };
    let records: Vec<Record> = (0..n).map(record).collect();
    let appended = api.app.shield.audit().append("default", &records, Duration::from_secs(10));
    appended.await.expect("appended");
}

fn retain(api: &Api, before: &str) {
    let logs = api.app.shield.audit().logs.get().expect("logs");
    let told = logs.tell("default", Msg::Retain(before.parse().expect("a month")));
    assert!(told.is_ok());
}

/// A report, as soon as the records before this one are gone.
async fn dropped(api: &Api, first: u64) -> Value {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        // one that is asked for just when they go is refused
        let answer = api.get("/api/v1/audit/verify").await;
        if answer.status == 200 && answer.json["first"] == first {
            return answer.json;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The auditor's first round drops what is older than it has to be kept: what is made old in here is
/// to stay until it is told to go.
async fn after_the_first_round(api: &Api) {
    let router = admin::listener(api.app.registry.clone(), false, &api.app);
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let request = Request::get("/api/admin/actors/shield/auditor").body(Body::empty());
        let answer = router.clone().oneshot(request.expect("a request")).await.expect("infallible");
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        let actor: Value = serde_json::from_slice(&bytes).expect("json");
        if actor["view"]["rounds"].as_u64() >= Some(1) {
            return;
        }
        assert!(Instant::now() < deadline, "{actor}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn old_months_are_dropped_with_a_signed_cut_and_their_copies_go() {
    let api = api(&[]).await;
    old(&api, "2010-01", 600).await;
    old(&api, "2010-02", 3).await;
    busy(&api, 1).await;
    api.post("/api/v1/audit/heads", json!({})).await.is(200);
    let copies = ["shield_audit_gdpr-2010-01.csv", "shield_audit_gdpr-2010-02.csv"];
    let there = |name: &&str| Path::join(api.dir(), name).exists();
    until("the copies", || copies.iter().all(there)).await;
    retain(&api, "2010-03");
    let report = dropped(&api, 603).await;
    assert!(codes(&report).is_empty(), "{report}");
    assert_eq!((&report["dropped"], &report["records"]), (&json!("2010-02"), &json!(3)));
    until("the copies' end", || !copies.iter().any(there)).await;
    assert!(read(&api, "shield_audit_gdpr.csv").contains("budget.settled"));
    api.get("/api/v1/audit/proof/602").await.problem(404, "not_found");
    api.get("/api/v1/audit/proof/603").await.is(200);
    // the cut is with the heads outside, and these hold the rest
    until("the cut", || read(&api, "shield_audit_heads.jsonl").contains("\"cut\":")).await;
    let heads: Vec<Value> = read(&api, "shield_audit_heads.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a head"))
        .collect();
    let later: Vec<&Value> =
        heads.iter().filter(|head| head["size"].as_u64() >= Some(603)).collect();
    let report = api.post("/api/v1/audit/verify", json!({"heads": later})).await.is(200);
    assert!(codes(&report).is_empty(), "{report}");
    // they also know when the log was how long: these records were not written in 2010
    let report = api.post("/api/v1/audit/verify", json!({"heads": heads})).await.is(200);
    assert_eq!(codes(&report), ["dropped_younger"]);
    let api = api.again().await;
    busy(&api, 1).await;
    let report = verified(&api).await;
    assert!(codes(&report).is_empty(), "{report}");
}

async fn a_log_of_which_all_was_dropped_verifies_and_goes_on() {
    let api = api(&[]).await;
    old(&api, "2010-01", 5).await;
    retain(&api, "2010-03");
    let report = dropped(&api, 5).await;
    assert!(codes(&report).is_empty(), "{report}");
    assert_eq!((&report["size"], &report["records"]), (&json!(5), &json!(0)));
    let api = api.again().await;
    assert!(findings(&api).await.is_empty());
    busy(&api, 1).await;
    let report = verified(&api).await;
    assert!(codes(&report).is_empty(), "{report}");
    assert_eq!((&report["first"], &report["records"]), (&json!(5), &json!(3)));
}

async fn a_beginning_that_somebody_deleted_is_found() {
    let api = api(&[]).await;
    busy(&api, 2).await;
    let size = api.post("/api/v1/audit/heads", json!({})).await.is(200)["size"].clone();
    busy(&api, 2).await;
    api.post("/api/v1/audit/heads", json!({})).await.is(200);
    assert!(findings(&api).await.is_empty());
    // any signed head can be made to look like one that retention kept: its frontier follows from
    // the lines
    let rows = api.rows().await;
    let mut blocks: Vec<&Value> =
        rows["audit_block"].iter().map(|row| &row["audit_block"]).collect();
    blocks.retain(|block| block["first"].as_u64() < size.as_u64());
    blocks.sort_by_key(|block| block["first"].as_u64());
    let mut frontier = Frontier::new();
    for block in blocks {
        let lines = block["lines"].as_str().expect("lines");
        lines.split('\n').for_each(|line| frontier.push(leaf_hash(line.as_bytes())));
    }
    let mut heads = rows["audit_head"].iter().map(|row| &row["audit_head"]);
    let head = heads.find(|head| head["size"] == size).expect("the head");
    let head = SignedHead::parse(head["head"].as_str().expect("text")).expect("a head");
    let line = head.with_frontier(frontier).expect("of this tree").line().expect("a line");
    tamper(&api, &format!("UPDATE audit_head SET kept = 2, head = '{line}' WHERE size = {size}"))
        .await;
    tamper(&api, &format!("DELETE FROM audit_block WHERE first < {size}")).await;
    let report = verified(&api).await;
    assert_eq!(codes(&report), ["dropped_without_cut"]);
    assert_eq!(report["first"], size);
}

async fn months_that_somebody_made_old_are_not_dropped() {
    let api = api(&[]).await;
    busy(&api, 2).await;
    let size = api.post("/api/v1/audit/heads", json!({})).await.is(200)["size"].clone();
    // the end of a month, so that there is a kept head: then all of it is said to be old
    old(&api, "2199-01", 1).await;
    busy(&api, 1).await;
    tamper(&api, &format!("UPDATE audit_block SET month = '2010-01' WHERE first < {size}")).await;
    retain(&api, "2010-03");
    let refused = || {
        let log = api.app.registry.actor("/shield/audit/default");
        log.and_then(|log| log.view).is_some_and(|view| {
            view["last_error"].as_str().is_some_and(|error| error.starts_with("retention"))
        })
    };
    until("the refusal", refused).await;
    let report = verified(&api).await;
    assert_eq!((&report["first"], codes(&report)[0].as_str()), (&json!(0), "block_facts"));
}

async fn a_log_whose_row_is_gone_or_set_back_is_found_by_its_own_heads() {
    let api = api(&[]).await;
    busy(&api, 2).await;
    api.post("/api/v1/audit/heads", json!({})).await.is(200);
    let old = api.rows().await["audit_log"][0]["audit_log"].clone();
    busy(&api, 2).await;
    api.post("/api/v1/audit/heads", json!({})).await.is(200);
    let (size, root) = (&old["size"], old["root"].as_str().expect("text"));
    tamper(&api, &format!("UPDATE audit_log SET size = {size}, root = '{root}'")).await;
    tamper(&api, &format!("DELETE FROM audit_block WHERE first >= {size}")).await;
    let (store, keys) = (api.app.shield.store(), api.app.shield.vault().public_keys());
    let verify = async || {
        let verified = kiki::actors::shield::audit::verify(store, "default", vec![], keys.clone());
        let report = serde_json::to_value(verified.await.expect("a report")).expect("json");
        codes(&report)
    };
    assert_eq!(verify().await, ["truncated"]);
    tamper(&api, "DELETE FROM audit_log").await;
    assert_eq!(verify().await, ["truncated", "log_row"]);
    tamper(&api, "DELETE FROM audit_block").await;
    assert_eq!(verify().await, ["truncated"]);
}
