//! The audit log: what is recorded, proved, verified; and every attack on it.

#[path = "audit/outside.rs"]
mod outside;
#[path = "audit/retention.rs"]
mod retention;

use std::path::Path;
use std::time::Duration;

use kiki::models::shield::audit::merkle::{Hash, leaf_hash};
use kiki::models::shield::audit::proof::{verify_consistency, verify_inclusion};
use kiki::models::shield::audit::record::Record;
use serde_json::{Value, json};

use super::harness::{Api, api, reason};

crate::on_every_store!(
    every_booking_and_every_refusal_has_its_record,
    alike_refusals_are_gathered_and_none_is_lost,
    proofs_convince_with_the_rules_alone,
    a_byte_flipped_in_a_record_is_found,
    a_log_that_somebody_changed_is_told_of_without_asking,
    a_deleted_row_is_found,
    reordered_rows_are_found,
    a_cut_tail_is_found,
    old_heads_in_place_of_newer_ones_are_found_by_those_kept_outside,
    what_a_crash_kept_from_the_log_is_read_from_the_ledger,
    the_readable_copy_and_the_heads_are_written_beside_the_store,
    bad_questions_are_refused_by_name,
);

/// A campaign that booked `n` settles of 1 and was refused once.
async fn busy(api: &Api, n: usize) {
    api.post("/api/v1/allocate", json!({"campaign_id": "camp_001", "budget": 1_000})).await;
    for _ in 0..n {
        let (hold, _) = Api::hold_of(api.check("camp_001", 1.0).await);
        api.settle(&hold, 1.0).await.is(200);
    }
    assert_eq!(reason(api.check("camp_001", 5_000.0).await), "budget_exceeded");
}

pub async fn tamper(api: &Api, sql: &str) {
    api.tamper(sql).await;
}

async fn verified(api: &Api) -> Value {
    api.get("/api/v1/audit/verify").await.is(200)
}

/// The codes of what a verification finds.
async fn findings(api: &Api) -> Vec<String> {
    codes(&verified(api).await)
}

fn codes(report: &Value) -> Vec<String> {
    let found = report["findings"].as_array().expect("findings");
    assert_eq!(found.is_empty(), report["verified"] == true);
    found.iter().map(|f| f["code"].as_str().expect("a code").to_owned()).collect()
}

/// A file beside the store; nothing where there is none.
fn read(api: &Api, name: &str) -> String {
    std::fs::read_to_string(Path::join(api.dir(), name)).unwrap_or_default()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what} never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn search(api: &Api, query: &str) -> Vec<Value> {
    let page = api.get(&format!("/api/v1/audit?{query}")).await.is(200);
    page["records"].as_array().expect("records").clone()
}

async fn every_booking_and_every_refusal_has_its_record() {
    let api = api(&[]).await;
    busy(&api, 3).await;
    api.post("/api/v1/spend", json!({"campaign_id": "camp_001", "amount": -2})).await.is(201);
    let settled = search(&api, "event=budget.settled").await;
    assert_eq!(settled.len(), 3);
    assert_eq!(settled[0]["subject"], "camp_001");
    assert_eq!(settled[0]["data"]["seq"], 3);
    assert_eq!(settled[0]["data"]["amount"], "1");
    let refused = search(&api, "outcome=denied").await;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["data"]["reason"], "budget_exceeded");
    assert_eq!(search(&api, "event=budget.*&subject=camp_001").await.len(), 5);
    assert_eq!(search(&api, "event=budget.refunded&limit=1").await.len(), 1);
    assert!(search(&api, "subject=camp_002").await.is_empty());
    assert!(search(&api, "to=2020-01-01T00:00:00Z").await.is_empty());
    // pages, newest first, without a gap
    let first = api.get("/api/v1/audit?limit=2").await.is(200);
    let next = first["next"].as_i64().expect("a next page");
    let rest = api.get(&format!("/api/v1/audit?before={next}")).await.is(200);
    let index = |page: &Value| -> Vec<i64> {
        let records = page["records"].as_array().expect("records").clone();
        records.iter().map(|r| r["index"].as_i64().expect("an index")).collect()
    };
    // five of money, and the allocation
    assert_eq!([index(&first), index(&rest)].concat(), vec![5, 4, 3, 2, 1, 0]);
    let export = api.get("/api/v1/audit/export").await;
    assert_eq!(export.text.lines().filter(|line| line.contains("budget.")).count(), 5);
    assert!(export.text.lines().all(|line| Record::parse(line).is_ok()));
    let csv = api.get("/api/v1/audit/export?format=csv").await.text;
    assert!(csv.lines().any(|row| row.contains("budget.denied,DENIED,system,camp_001")), "{csv}");
}

async fn alike_refusals_are_gathered_and_none_is_lost() {
    let api = api(&[]).await;
    api.allocate("camp_001", 10).await;
    for _ in 0..200 {
        assert_eq!(reason(api.check("camp_001", 50.0).await), "budget_exceeded");
    }
    let records = search(&api, "event=budget.denied").await;
    let sum: u64 = records.iter().map(|r| r["count"].as_u64().expect("a count")).sum();
    assert_eq!(sum, 200);
    assert!(records.len() <= 60, "{} records", records.len());
}

async fn proofs_convince_with_the_rules_alone() {
    let api = api(&[]).await;
    busy(&api, 2).await;
    let old = api.post("/api/v1/audit/heads", json!({})).await.is(200);
    busy(&api, 2).await;
    let proof = api.get("/api/v1/audit/proof/1").await.is(200);
    let hash = |value: &Value| -> Hash { value.as_str().expect("text").parse().expect("a hash") };
    let path = |proof: &Value| -> Vec<Hash> {
        proof["path"].as_array().expect("a path").iter().map(hash).collect()
    };
    let leaf = leaf_hash(proof["line"].as_str().expect("the line").as_bytes());
    let (root, size) = (hash(&proof["head"]["root"]), proof["head"]["size"].as_u64().expect("n"));
    assert_eq!(verify_inclusion(&leaf, 1, size, &path(&proof), &root), Ok(()));
    assert!(verify_inclusion(&leaf, 2, size, &path(&proof), &root).is_err());
    let from = old["size"].as_u64().expect("a size");
    let consistency =
        api.get(&format!("/api/v1/audit/consistency?from={from}&to={size}")).await.is(200);
    assert!(from < size);
    assert_eq!(
        verify_consistency(from, size, &hash(&old["root"]), &root, &path(&consistency)),
        Ok(())
    );
    api.get("/api/v1/audit/proof/999").await.problem(404, "not_found");
    api.get("/api/v1/audit/proof/x").await.problem(400, "invalid_field");
    api.get("/api/v1/audit/consistency?from=1&to=999").await.problem(404, "not_found");
}

async fn a_byte_flipped_in_a_record_is_found() {
    let api = api(&[]).await;
    busy(&api, 3).await;
    assert!(findings(&api).await.is_empty());
    api.post("/api/v1/audit/heads", json!({})).await.is(200);
    let sql = "UPDATE audit_block SET lines = replace(lines, '\"amount\":\"1\"', '\"amount\":\"2\"') \
               WHERE lines LIKE '%\"amount\":\"1\"%'";
    tamper(&api, sql).await;
    assert!(findings(&api).await.contains(&"root_differs".to_owned()));
}

async fn a_log_that_somebody_changed_is_told_of_without_asking() {
    let api = api(&[("audit.verify_every_s", "1")]).await;
    busy(&api, 3).await;
    assert!(findings(&api).await.is_empty());
    api.post("/api/v1/audit/heads", json!({})).await.is(200);
    let told = "event=audit.unverified";
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(search(&api, told).await.is_empty(), "it verifies so far");
    tamper(&api, "DELETE FROM audit_block WHERE block = 0").await;
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while search(&api, told).await.is_empty() {
        assert!(std::time::Instant::now() < deadline, "nobody was told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let record = search(&api, told).await.remove(0);
    assert_eq!((&record["outcome"], &record["actor"]), (&json!("failed"), &json!("system")));
    assert!(record["data"]["findings"].as_u64().is_some_and(|n| n > 0), "{record}");
}

async fn a_deleted_row_is_found() {
    let api = api(&[]).await;
    for _ in 0..3 {
        busy(&api, 1).await;
        verified(&api).await;
    }
    tamper(&api, "DELETE FROM audit_block WHERE block = 1").await;
    let found = findings(&api).await;
    assert!(found.contains(&"block_order".to_owned()), "{found:?}");
}

async fn reordered_rows_are_found() {
    let api = api(&[]).await;
    for _ in 0..3 {
        busy(&api, 1).await;
        verified(&api).await;
    }
    let swap = "UPDATE audit_block SET lines = (SELECT o.lines FROM audit_block o \
                WHERE o.block = 3 - audit_block.block) WHERE block IN (1, 2)";
    tamper(&api, swap).await;
    let found = findings(&api).await;
    assert!(
        found.contains(&"root_differs".to_owned()) || found.contains(&"log_row".to_owned()),
        "{found:?}"
    );
}

async fn a_cut_tail_is_found() {
    let api = api(&[]).await;
    for _ in 0..3 {
        busy(&api, 1).await;
        api.post("/api/v1/audit/heads", json!({})).await.is(200);
    }
    tamper(&api, "DELETE FROM audit_block WHERE block = (SELECT max(block) FROM audit_block)")
        .await;
    let found = findings(&api).await;
    assert!(found.contains(&"truncated".to_owned()), "{found:?}");
}

async fn old_heads_in_place_of_newer_ones_are_found_by_those_kept_outside() {
    let api = api(&[]).await;
    busy(&api, 1).await;
    api.post("/api/v1/audit/heads", json!({})).await.is(200);
    let old = api.rows().await;
    busy(&api, 1).await;
    let head = api.post("/api/v1/audit/heads", json!({})).await.is(200);
    let newest = api.rows().await["audit_head"].last().cloned().expect("a head");
    let kept: Value =
        serde_json::from_str(newest["audit_head"]["head"].as_str().expect("text")).expect("json");
    assert_eq!(kept["size"], head["size"]);
    // the store is put back to what it was, heads and all, while nobody writes
    let log = &old["audit_log"][0]["audit_log"];
    let size = log["size"].as_i64().expect("a size");
    tamper(&api, &format!("DELETE FROM audit_head WHERE size > {size}")).await;
    tamper(&api, &format!("DELETE FROM audit_block WHERE first >= {size}")).await;
    let text = |name: &str| log[name].as_str().expect("text").to_owned();
    let back = format!(
        "UPDATE audit_log SET size = {size}, root = '{}', frontier = '{}', blocks = {}, version = {}",
        text("root"),
        text("frontier"),
        log["blocks"],
        log["version"]
    );
    tamper(&api, &back).await;
    let alone = kiki::actors::shield::audit::verify(
        api.app.shield.store(),
        "default",
        Vec::new(),
        api.app.shield.vault().public_keys(),
    );
    assert!(alone.await.expect("a report").verified, "nothing inside can tell");
    let outside = api.post("/api/v1/audit/verify", json!({"heads": [kept]})).await.is(200);
    let found = codes(&outside);
    assert!(
        found.iter().any(|code| code == "truncated" || code == "head_gone" || code == "rewritten"),
        "{found:?}"
    );
}

async fn what_a_crash_kept_from_the_log_is_read_from_the_ledger() {
    let api = api(&[]).await;
    busy(&api, 4).await;
    verified(&api).await;
    // as after a crash between the ledger's commit and the log's
    tamper(&api, "UPDATE audit_cursor SET seq = 2").await;
    tamper(&api, "DELETE FROM audit_block").await;
    tamper(&api, "DELETE FROM audit_log").await;
    let api = api.again().await;
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while search(&api, "event=budget.settled").await.len() < 2 {
        assert!(std::time::Instant::now() < deadline, "the log never caught up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let settled = search(&api, "event=budget.settled").await;
    let seqs: Vec<i64> = settled.iter().map(|r| r["data"]["seq"].as_i64().expect("n")).collect();
    assert_eq!(seqs, vec![4, 3]);
}

async fn the_readable_copy_and_the_heads_are_written_beside_the_store() {
    let api = api(&[]).await;
    busy(&api, 1).await;
    api.post("/api/v1/audit/heads", json!({})).await.is(200);
    let read = |name: &str| read(&api, name);
    until("the copy", || !read("shield_audit_heads.jsonl").is_empty()).await;
    let copy = read("shield_audit_gdpr.csv");
    assert!(copy.starts_with("timestamp,account,index,event,outcome"), "{copy}");
    assert!(
        copy.contains("budget.denied,DENIED,system,camp_001,,reason=budget_exceeded"),
        "{copy}"
    );
    let head: Value =
        serde_json::from_str(read("shield_audit_heads.jsonl").lines().next().expect("a head"))
            .expect("json");
    let outside = api.post("/api/v1/audit/verify", json!({"heads": [head]})).await.is(200);
    assert_eq!((outside["verified"].clone(), outside["exported"].clone()), (json!(true), json!(1)));
}

async fn bad_questions_are_refused_by_name() {
    let api = api(&[]).await;
    for (query, field) in [
        ("from=yesterday", "from"),
        ("outcome=maybe", "outcome"),
        ("person=Ann", "person"),
        ("limit=0", "limit"),
        ("before=-1", "before"),
        ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
    ] {
        let answer = api.get(&format!("/api/v1/audit?{query}")).await;
        assert_eq!(answer.json["field"], field, "{query}");
        answer.problem(400, "invalid_field");
    }
    api.get("/api/v1/audit/export?format=xml").await.problem(400, "invalid_field");
    api.post("/api/v1/audit/verify", json!({"heads": [{"size": 1}]}))
        .await
        .problem(400, "invalid_field");
    api.call(axum::http::Method::GET, "/api/v1/audit", &[("x-account", "nobody")], "")
        .await
        .problem(404, "unknown_account");
}
