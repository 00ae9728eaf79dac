//! Erasures: under way, cut off, and undone by a backup.

use std::process::Command;
use std::time::{Duration, Instant};

use kiki::actors::shield::dsr::{ERASURES_FILE, Erasure, add_erasures};
use kiki::store::{Store, StoreConfig};
use serde_json::{Value, json};

use super::{create, ended, grant, recorded, rewrite, status};
use crate::common::{self, Server};
use crate::harness::api;

crate::on_every_store!(
    nothing_is_kept_about_somebody_whose_erasure_was_cut_off,
    an_erasure_that_a_backup_undid_is_made_again_and_one_under_way_goes_on_alone,
);

async fn nothing_is_kept_about_somebody_whose_erasure_was_cut_off() {
    let api = api(&[]).await;
    let request = create(&api, "c", "DELETION", json!({"verified": false})).await;
    recorded(&api, "dsr.received", 1).await;
    // as after a crash behind the first step, with the next one waiting for its next try
    let now = kiki::clock::wall_us();
    rewrite(&api, &request, |state| {
        state["status"] = json!("in_progress");
        state["started_at"] = json!(now);
        state["done"] = json!(["stop_processing"]);
        state["trouble"] = json!({"failures": 1, "retry_at": now + 50_000_000, "last_error": "x"});
    })
    .await;
    let api = api.again().await;
    let body = json!({"customer_id": "c", "consent_type": "marketing"});
    let late = api.post("/consent/grant", body.clone()).await;
    assert!(late.text.contains("being erased"), "{}", late.text);
    late.problem(409, "conflict");
    assert_eq!(api.post("/consent/revoke", body.clone()).await.is(200)["replayed"], true);
    let objection = create(&api, "c", "OBJECTION", json!({})).await;
    let deadline = Instant::now() + Duration::from_secs(5);
    let path = format!("/api/v1/dsr/{}", objection["id"].as_str().expect("an id"));
    while api.get(&path).await.is(200)["status"] != "cancelled" {
        assert!(Instant::now() < deadline, "an objection of somebody who is being erased acts");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!api.rows().await.contains_key("consent"));
    let other = json!({"customer_id": "d", "consent_type": "marketing"});
    api.post("/consent/grant", other).await.is(200);
}

async fn an_erasure_that_a_backup_undid_is_made_again_and_one_under_way_goes_on_alone() {
    let api = api(&[]).await;
    let mut requests = Vec::new();
    for customer in ["back", "going"] {
        grant(&api, customer, "marketing").await;
        requests.push(create(&api, customer, "DELETION", json!({"verified": false})).await);
    }
    recorded(&api, "dsr.received", 2).await;
    // both are in the journal, behind a line that is damaged; neither is erased
    let erasure = |request: &Value| {
        let text = |field: &str| request[field].as_str().expect("text").to_owned();
        let (person, request) = (text("person"), text("id"));
        let at = "2026-01-31T00:00:00Z".to_owned();
        Erasure { account: "default".to_owned(), person, request, at }
    };
    std::fs::write(api.dir().join(ERASURES_FILE), "{\"account\":\n").expect("written");
    let erasures: Vec<Erasure> = requests.iter().map(erasure).collect();
    add_erasures(api.dir(), &erasures).expect("added");
    // the one request is as old as the backup; the other had only its key left to destroy
    let (back, going) = (&requests[0], &requests[1]);
    rewrite(&api, going, |state| state["status"] = json!("in_progress")).await;
    let api = api.again().await;
    ended(&api, going).await;
    recorded(&api, "person.erased", 2).await;
    let again = recorded(&api, "person.erased_again", 1).await;
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!((&again[0]["subject"], &again[0]["person"]), (&back["id"], &back["person"]));
    for customer in ["back", "going"] {
        assert_eq!(status(&api, customer, "marketing").await["status"], "unknown", "{customer}");
    }
    let rows = api.rows().await;
    assert!(rows["person"].iter().all(|row| row["person"]["wrapped_key"] == ""));
    assert!(!rows.contains_key("consent"));
}

/// A deletion that has come to its end.
async fn completed(server: &Server, id: &str) {
    let began = Instant::now();
    loop {
        let (_, seen) = server.get(&format!("/api/v1/dsr/{id}")).await;
        if seen["status"] == "completed" {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{seen}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn granted(server: &Server, customer: &str) {
    let body = json!({"customer_id": customer, "consent_type": "marketing", "proof": "the text"});
    assert_eq!(server.post("/consent/grant", &body).await.0, 200);
}

/// Takes a deletion; its id.
async fn deletion(server: &Server, customer: &str) -> String {
    let body = json!({"customer_id": customer, "request_type": "DELETION"});
    let (status, request) = server.post("/dsr/create", &body).await;
    assert_eq!(status, 201, "{request}");
    request["id"].as_str().expect("an id").to_owned()
}

async fn standing(server: &Server, customer: &str) -> Value {
    let (status, of) = server.get(&format!("/consent/status?customer_id={customer}")).await;
    assert_eq!(status, 200, "{of}");
    of["marketing"]["status"].clone()
}

/// The records of an event, once there are so many: what a kill kept from the log comes after a while.
async fn records(server: &Server, event: &str, count: usize) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let (status, found) = server.get(&format!("/api/v1/audit?event={event}")).await;
        assert_eq!(status, 200, "{found}");
        let records = found["records"].as_array().expect("records").clone();
        if records.len() >= count {
            return records;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{event}: {records:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_is_killed_anywhere_ends_after_the_restart() {
    const ROUNDS: usize = 5;
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(&folder.path().join("data"), &[]);
    let mut cut = 0;
    for round in 0..ROUNDS {
        let customer = format!("c{round}");
        granted(&server, &customer).await;
        let id = deletion(&server, &customer).await;
        // each time a little later
        tokio::time::sleep(Duration::from_millis(3 * round as u64)).await;
        server.kill();
        let store = Store::open(StoreConfig::sqlite(&server.data)).await.expect("the store opens");
        let row = store.dsr("default", &id).await.expect("a read").expect("the request");
        cut += usize::from(row.status == "in_progress");
        store.close().await;
        server.restart();
        completed(&server, &id).await;
        assert_eq!(standing(&server, &customer).await, "unknown");
    }
    assert!(cut > 0, "none was killed in the middle");
    for event in ["person.erased", "dsr.completed"] {
        assert_eq!(records(&server, event, ROUNDS).await.len(), ROUNDS, "{event}");
    }
    let again = records(&server, "person.erased_again", 0).await;
    assert!(again.is_empty(), "no backup was restored: {again:?}");
    assert_eq!(server.get("/api/v1/audit/verify").await.1["verified"], true);
}

/// Runs a command to its good end.
fn run(command: &mut Command) {
    let output = command.output().expect("kiki runs");
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_restore_brings_back_is_erased_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let backup = folder.path().join("backup.gz");
    let mut server = Server::start(&data, &[]);
    granted(&server, "goes").await;
    granted(&server, "stays").await;
    run(common::command().arg("backup").arg(&backup).arg("--data-dir").arg(&data));
    let id = deletion(&server, "goes").await;
    completed(&server, &id).await;
    assert!(server.terminate().success());

    let journal = data.join(ERASURES_FILE);
    let restore = ["restore", backup.to_str().expect("UTF-8"), "--erasures"];
    run(common::command().args(restore).arg(&journal).arg("--data-dir").arg(&other));
    std::fs::copy(data.join("master.key"), other.join("master.key")).expect("the key is copied");
    let server = Server::start(&other, &[]);
    let again = records(&server, "person.erased_again", 1).await;
    assert_eq!((again.len(), &again[0]["subject"]), (1, &json!(id)));
    assert_eq!(standing(&server, "goes").await, "unknown");
    assert_eq!(standing(&server, "stays").await, "granted");
    assert_eq!(server.get("/api/v1/audit/verify").await.1["verified"], true);
}
