//! Data-subject requests that act.

#[path = "erasure.rs"]
mod erasure;

use std::io::Read;
use std::time::{Duration, Instant};

use kiki::models::shield::personal::{PersonalData, faults, uncovered, unknown};
use serde_json::{Value, json};

use super::harness::{Api, api};

crate::on_every_store!(
    every_table_about_people_has_a_handler,
    access_gives_everything_that_is_stored_about_the_person,
    deletion_destroys_the_key_and_leaves_a_log_that_verifies,
    what_is_written_while_a_person_is_erased_goes_too,
    restriction_freezes_until_it_is_lifted_and_keeps_the_data,
    of_two_restrictions_each_ends_by_itself,
    objection_opt_out_and_rectification_take_effect,
    a_request_waits_for_verification_and_can_be_extended_or_refused_until_it_acts,
    a_request_sent_twice_with_one_key_is_taken_once,
    what_somebody_writes_about_a_person_is_sealed_and_goes_with_the_key,
    a_request_that_is_overdue_is_told_of_once,
    a_request_that_a_stop_cut_off_goes_on_at_the_next_start,
    bad_requests_are_refused_by_name,
);

async fn grant(api: &Api, customer: &str, kind: &str) {
    let body = json!({"customer_id": customer, "consent_type": kind, "proof": "the text"});
    api.post("/consent/grant", body).await.is(200);
}

async fn create(api: &Api, customer: &str, kind: &str, more: Value) -> Value {
    let mut body = json!({"customer_id": customer, "request_type": kind});
    for (name, value) in more.as_object().expect("fields") {
        body[name] = value.clone();
    }
    api.post("/dsr/create", body).await.is(201)
}

/// The request, once it has come to its end.
async fn ended(api: &Api, request: &Value) -> Value {
    let id = request["id"].as_str().expect("an id");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let seen = api.get(&format!("/api/v1/dsr/{id}")).await.is(200);
        if seen["status"] == "completed" {
            return seen;
        }
        assert!(Instant::now() < deadline, "{seen}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The records of an event, once there are so many.
async fn recorded(api: &Api, event: &str, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let found = api.get(&format!("/api/v1/audit?event={event}")).await.is(200);
        let records = found["records"].as_array().expect("records").clone();
        if records.len() >= count {
            return records;
        }
        assert!(Instant::now() < deadline, "{event}: {records:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Changes what is saved of a request, behind the server's back.
async fn rewrite(api: &Api, request: &Value, with: impl FnOnce(&mut Value)) {
    let rows = api.rows().await;
    let row = rows["dsr"].iter().map(|row| &row["dsr"]).find(|row| row["dsr"] == request["id"]);
    let state = row.expect("the request")["state"].as_str().expect("text");
    let mut state: Value = serde_json::from_str(state).expect("json");
    with(&mut state);
    let sql = format!(
        "UPDATE dsr SET state = '{}', status = '{}', due_at = {} WHERE dsr = '{}'",
        state.to_string().replace('\'', "''"),
        state["status"].as_str().expect("a status"),
        state["due_at"],
        request["id"].as_str().expect("an id"),
    );
    api.tamper(&sql).await;
}

async fn status(api: &Api, customer: &str, kind: &str) -> Value {
    api.get(&format!("/consent/status?customer_id={customer}")).await.is(200)[kind].clone()
}

fn unzipped(bytes: &[u8]) -> std::collections::BTreeMap<String, String> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("an archive");
    (0..archive.len())
        .map(|at| {
            let mut file = archive.by_index(at).expect("a file");
            let mut text = String::new();
            file.read_to_string(&mut text).expect("text");
            (file.name().expect("a name").into_owned(), text)
        })
        .collect()
}

async fn every_table_about_people_has_a_handler() {
    let api = api(&[]).await;
    let tables = api.app.shield.store().person_tables().await.expect("the tables");
    assert!(tables.len() >= 6, "{tables:?}");
    let handlers: Vec<&dyn PersonalData> =
        api.app.shield.handlers().iter().map(|h| &**h as &dyn PersonalData).collect();
    assert_eq!(uncovered(&tables, &handlers), Vec::<String>::new());
    assert_eq!(unknown(&tables, &handlers), Vec::<String>::new());
    assert_eq!(faults(&handlers), Vec::<String>::new());
    let mut more = tables.clone();
    more.push("visit".to_owned());
    assert_eq!(uncovered(&more, &handlers), vec!["visit".to_owned()], "a new table is missed");
}

async fn access_gives_everything_that_is_stored_about_the_person() {
    let api = api(&[]).await;
    grant(&api, "cust_123", "marketing").await;
    grant(&api, "cust_456", "marketing").await;
    let request = create(&api, "cust_123", "ACCESS", json!({})).await;
    assert_eq!(request["request_type"], "ACCESS");
    assert!(request["due_date"].is_string() && request["status"].is_string());
    let done = ended(&api, &request).await;
    let path = done["package"].as_str().expect("a package");
    let answer = api.bytes(path).await;
    let files = unzipped(&answer);
    let manifest: Value = serde_json::from_str(&files["manifest.json"]).expect("json");
    assert!(manifest.to_string().contains(request["id"].as_str().expect("an id")));
    assert!(files["data/person.json"].contains("cust_123"));
    assert!(files["data/consent.csv"].contains("the text"));
    assert!(files["data/audit_person.json"].contains("consent.granted"));
    assert!(!files.values().any(|text| text.contains("cust_456")));
    // PORTABILITY leaves out what the person did not give
    let request = create(&api, "cust_123", "PORTABILITY", json!({})).await;
    let done = ended(&api, &request).await;
    let files = unzipped(&api.bytes(done["package"].as_str().expect("a package")).await);
    assert!(
        files.contains_key("data/consent.json") && !files.contains_key("data/audit_person.json")
    );
}

async fn deletion_destroys_the_key_and_leaves_a_log_that_verifies() {
    let api = api(&[]).await;
    grant(&api, "cust_123", "marketing").await;
    let access = create(&api, "cust_123", "ACCESS", json!({})).await;
    let path = ended(&api, &access).await["package"].as_str().expect("a package").to_owned();
    let request = create(&api, "cust_123", "DELETION", json!({})).await;
    let done = ended(&api, &request).await;
    // the grant, and a revocation of each type
    assert_eq!(done["rows"]["consent"], 6, "{done}");
    api.get(&path).await.problem(404, "not_found");
    let rows = api.rows().await;
    let person = &rows["person"][0]["person"];
    assert_eq!((&person["customer"], &person["wrapped_key"]), (&json!(""), &json!("")));
    assert!(person["erased_at"].is_i64());
    for table in ["consent", "attribute", "dsr_package"] {
        assert!(!rows.contains_key(table), "{table} still has rows");
    }
    let journal =
        std::fs::read_to_string(api.dir().join("shield_erasures.jsonl")).expect("a journal");
    assert!(journal.contains(done["person"].as_str().expect("an id")));
    assert_eq!(api.get("/api/v1/audit/verify").await.is(200)["verified"], true);
    // who comes again is somebody new
    assert_eq!(status(&api, "cust_123", "marketing").await["status"], "unknown");
    grant(&api, "cust_123", "analytics").await;
    let history = api.get("/api/v1/consent/history?customer_id=cust_123").await.is(200);
    assert_ne!(history["person"], done["person"]);
    assert_eq!(history["changes"].as_array().expect("changes").len(), 1);
    // and a no of somebody new counts at once, too
    let check = "/api/v1/consent/check?customer_id=cust_123&type=analytics";
    assert_eq!(api.get(check).await.is(200)["allowed"], true);
    assert_eq!(api.get(check).await.is(200)["allowed"], true);
    let body = json!({"customer_id": "cust_123", "consent_type": "analytics"});
    api.post("/consent/revoke", body).await.is(200);
    assert_eq!(api.get(check).await.is(200)["allowed"], false);
}

async fn what_is_written_while_a_person_is_erased_goes_too() {
    let api = api(&[]).await;
    for round in 0..5 {
        let customer = format!("c{round}");
        grant(&api, &customer, "marketing").await;
        // a package may be made after the tables were emptied
        let access = create(&api, &customer, "ACCESS", json!({})).await;
        let deletion = create(&api, &customer, "DELETION", json!({})).await;
        assert_eq!(access["person"], deletion["person"]);
        ended(&api, &deletion).await;
        let rows = api.rows().await;
        for table in ["consent", "attribute"] {
            assert!(!rows.contains_key(table), "{table} still has rows");
        }
    }
}

async fn restriction_freezes_until_it_is_lifted_and_keeps_the_data() {
    let api = api(&[]).await;
    grant(&api, "c", "marketing").await;
    let request = create(&api, "c", "RESTRICTION", json!({"ground": "legal_claims"})).await;
    let done = ended(&api, &request).await;
    let frozen = status(&api, "c", "marketing").await;
    assert_eq!((&frozen["allowed"], &frozen["reason"]), (&json!(false), &json!("restricted")));
    let body = json!({"customer_id": "c", "consent_type": "analytics"});
    api.post("/consent/grant", body).await.problem(409, "conflict");
    let id = done["id"].as_str().expect("an id");
    api.post(&format!("/api/v1/dsr/{id}/lift"), json!({"reason": "settled"})).await.is(200);
    let deadline = Instant::now() + Duration::from_secs(5);
    while status(&api, "c", "marketing").await["allowed"] != true {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn of_two_restrictions_each_ends_by_itself() {
    let api = api(&[]).await;
    grant(&api, "c", "marketing").await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let request = create(&api, "c", "RESTRICTION", json!({})).await;
        let done = ended(&api, &request).await;
        ids.push(done["id"].as_str().expect("an id").to_owned());
    }
    for (nth, id) in ids.iter().enumerate() {
        assert_eq!(status(&api, "c", "marketing").await["reason"], "restricted");
        api.post(&format!("/api/v1/dsr/{id}/lift"), json!({"reason": "settled"})).await.is(200);
        recorded(&api, "dsr.lifted", nth + 1).await;
    }
    assert_eq!(status(&api, "c", "marketing").await["allowed"], true);
}

async fn objection_opt_out_and_rectification_take_effect() {
    let api = api(&[]).await;
    for kind in ["marketing", "profiling", "analytics"] {
        grant(&api, "c", kind).await;
    }
    let only = json!({"consent_types": ["profiling"]});
    ended(&api, &create(&api, "c", "OBJECTION", only).await).await;
    assert_eq!(status(&api, "c", "profiling").await["reason"], "objected");
    assert_eq!(status(&api, "c", "marketing").await["allowed"], true);
    let only = json!({"consent_types": ["analytics"]});
    ended(&api, &create(&api, "c", "OPT_OUT", only).await).await;
    assert_eq!(status(&api, "c", "analytics").await["reason"], "opted_out");
    assert_eq!(status(&api, "c", "marketing").await["allowed"], true, "it was not named");
    grant(&api, "c", "analytics").await;
    ended(&api, &create(&api, "c", "OPT_OUT", json!({})).await).await;
    assert_eq!(status(&api, "c", "marketing").await["reason"], "opted_out");
    assert_eq!(status(&api, "c", "analytics").await["allowed"], true);
    let corrections = json!({"corrections": {"email": "ann@example.com"}});
    ended(&api, &create(&api, "c", "RECTIFICATION", corrections).await).await;
    let access = ended(&api, &create(&api, "c", "ACCESS", json!({})).await).await;
    let files = unzipped(&api.bytes(access["package"].as_str().expect("a package")).await);
    assert!(files["data/attribute.json"].contains("ann@example.com"));
    let rows = serde_json::to_string(&api.rows().await).expect("json");
    assert!(!rows.contains("ann@example.com"));
}

async fn a_request_waits_for_verification_and_can_be_extended_or_refused_until_it_acts() {
    let api = api(&[]).await;
    let request = create(&api, "c", "DELETION", json!({"verified": false})).await;
    let id = request["id"].as_str().expect("an id");
    assert_eq!(request["status"], "awaiting_verification");
    let path = |what: &str| format!("/api/v1/dsr/{id}/{what}");
    api.post(&path("extend"), json!({})).await.problem(400, "missing_field");
    let extended = api.post(&path("extend"), json!({"reason": "many sources"})).await.is(200);
    assert!(extended["due_date"].as_str() > request["due_date"].as_str());
    assert_eq!(extended["extension_reason"], "many sources");
    api.post(&path("extend"), json!({"reason": "again"})).await.problem(409, "conflict");
    let done = api.call(axum::http::Method::POST, &path("complete"), &[], "").await.is(200);
    assert_eq!(done["status"], "completed");
    api.post(&path("reject"), json!({"reason": "too late"})).await.problem(409, "conflict");
    let other = create(&api, "c", "ACCESS", json!({"verified": false})).await;
    let other_id = other["id"].as_str().expect("an id");
    let rejected = api
        .post(&format!("/api/v1/dsr/{other_id}/reject"), json!({"reason": "not the person"}))
        .await
        .is(200);
    assert_eq!(rejected["status"], "rejected");
    let listed = api.get("/api/v1/dsr?status=rejected").await.is(200);
    assert_eq!(listed["requests"].as_array().expect("requests").len(), 1);
}

async fn a_request_sent_twice_with_one_key_is_taken_once() {
    let api = api(&[]).await;
    let (one, two) = ([("idempotency-key", "k1")], [("idempotency-key", "k2")]);
    let access = json!({"customer_id": "c", "request_type": "ACCESS"});
    let deletion = json!({"customer_id": "c", "request_type": "DELETION"});
    let first = api.post_as("/dsr/create", &one, access.clone()).await.is(201);
    let again = api.post_as("/dsr/create", &one, access.clone()).await.is(200);
    assert_eq!(first["id"], again["id"]);
    let other = api.post_as("/dsr/create", &one, deletion.clone()).await;
    other.problem(422, "idempotency_mismatch");
    assert_eq!(api.counts().await["dsr"], 1);
    let erased = api.post_as("/dsr/create", &two, deletion.clone()).await.is(201);
    ended(&api, &erased).await;
    let again = api.post_as("/dsr/create", &two, deletion).await.is(200);
    assert_eq!((&again["id"], &again["status"]), (&erased["id"], &json!("completed")));
    let people = api.rows().await["person"].clone();
    assert_eq!(people.len(), 1, "a repeated call makes nobody known again");
    api.post("/dsr/create", access).await.is(201);
    assert_eq!(api.counts().await["dsr"], 3);
}

async fn what_somebody_writes_about_a_person_is_sealed_and_goes_with_the_key() {
    const WHY: &str = "Ann Example asked by mail";
    let api = api(&[]).await;
    let body = json!({"customer_id": "c", "consent_type": "marketing",
        "source": "ann-example-form", "version": "ann-example-2"});
    api.post("/consent/grant", body).await.is(200);
    let request = create(&api, "c", "ACCESS", json!({"verified": false})).await;
    assert_eq!(request["asked_by"], "open");
    let path = format!("/api/v1/dsr/{}", request["id"].as_str().expect("an id"));
    let rejected = api.post(&format!("{path}/reject"), json!({"reason": WHY})).await.is(200);
    assert_eq!(rejected["reason"], WHY);
    let corrections = json!({"corrections": {"ann-example-nick": "x"}});
    ended(&api, &create(&api, "c", "RECTIFICATION", corrections).await).await;
    for event in ["dsr.received", "dsr.rejected", "consent.granted"] {
        let records = recorded(&api, event, 1).await;
        assert_eq!(records[0]["actor"], "open", "{event}");
        assert_eq!(records[0]["sealed"].is_string(), event != "dsr.received", "{event}");
        for field in ["reason", "source", "version"] {
            assert!(records[0]["data"].get(field).is_none(), "{event} has its {field} in clear");
        }
    }
    assert_eq!(recorded(&api, "dsr.completed", 1).await[0]["actor"], "system");
    // but for what goes in the erasure, nothing has it in clear: no request, no log, nothing sent out
    let said = |rows: &std::collections::BTreeMap<&str, Vec<Value>>, gone: &[&str]| {
        let kept = rows.iter().filter(|(table, _)| !gone.contains(table));
        let text = serde_json::to_string(&kept.collect::<Vec<_>>()).expect("json");
        text.contains("Ann Example") || text.contains("ann-example")
    };
    assert!(!said(&api.rows().await, &["consent", "attribute"]));
    let access = ended(&api, &create(&api, "c", "ACCESS", json!({})).await).await;
    let files = unzipped(&api.bytes(access["package"].as_str().expect("a package")).await);
    let requests = &files["data/dsr.json"];
    assert!(requests.contains(WHY) && requests.contains("ann-example-nick"), "{requests}");
    let records = &files["data/audit_person.json"];
    assert!(records.contains(WHY) && records.contains("ann-example-form"), "{records}");
    ended(&api, &create(&api, "c", "DELETION", json!({})).await).await;
    assert_eq!(api.get(&path).await.is(200)["reason"], "(sealed)");
    assert!(!said(&api.rows().await, &[]));
    // what is decided about somebody who is nobody any more is kept without the words
    let waiting = create(&api, "d", "ACCESS", json!({"verified": false})).await;
    ended(&api, &create(&api, "d", "DELETION", json!({})).await).await;
    let path = format!("/api/v1/dsr/{}/reject", waiting["id"].as_str().expect("an id"));
    let rejected = api.post(&path, json!({"reason": WHY})).await.is(200);
    assert_eq!(rejected["status"], "rejected");
    assert!(!said(&api.rows().await, &[]));
}

async fn a_request_that_is_overdue_is_told_of_once() {
    let api = api(&[]).await;
    let request = create(&api, "c", "ACCESS", json!({"verified": false})).await;
    recorded(&api, "dsr.received", 1).await;
    rewrite(&api, &request, |state| state["due_at"] = json!(1_000_000)).await;
    let api = api.again().await;
    let records = recorded(&api, "dsr.overdue", 1).await;
    assert_eq!((&records[0]["subject"], &records[0]["actor"]), (&request["id"], &json!("system")));
    let rows = api.rows().await;
    let mut sent = rows["outbox"].iter().map(|row| &row["outbox"]);
    assert!(sent.any(|row| row["kind"] == "dsr.overdue" && row["subject"] == request["id"]));
    let api = api.again().await;
    let path = format!("/api/v1/dsr/{}", request["id"].as_str().expect("an id"));
    assert_eq!(api.get(&path).await.is(200)["overdue"], true);
    api.post(&format!("{path}/complete"), json!({})).await.is(200);
    ended(&api, &request).await;
    recorded(&api, "dsr.completed", 1).await;
    assert_eq!(recorded(&api, "dsr.overdue", 1).await.len(), 1, "and no second time");
}

async fn a_request_that_a_stop_cut_off_goes_on_at_the_next_start() {
    let api = api(&[]).await;
    grant(&api, "c", "marketing").await;
    let request = create(&api, "c", "DELETION", json!({})).await;
    // at whatever step it is
    let api = api.again().await;
    ended(&api, &request).await;
    assert_eq!(status(&api, "c", "marketing").await["status"], "unknown");
}

async fn bad_requests_are_refused_by_name() {
    let api = api(&[]).await;
    for (body, field) in [
        (json!({"request_type": "ACCESS"}), "customer_id"),
        (json!({"customer_id": "c"}), "request_type"),
        (json!({"customer_id": "", "request_type": "ACCESS"}), "customer_id"),
        (json!({"customer_id": "c", "request_type": "access"}), "request_type"),
        (json!({"customer_id": "c", "request_type": "RECTIFICATION"}), "corrections"),
        (
            json!({"customer_id": "c", "request_type": "ACCESS", "corrections": {"a": "b"}}),
            "corrections",
        ),
        (
            json!({"customer_id": "c", "request_type": "OPT_OUT", "consent_types": ["x"]}),
            "consent_types",
        ),
        (json!({"customer_id": "c", "request_type": "RESTRICTION", "ground": "x"}), "ground"),
        (json!({"customer_id": "c", "request_type": "ACCESS", "typo": 1}), "typo"),
    ] {
        let answer = api.post("/dsr/create", body.clone()).await;
        assert_eq!((answer.status, &answer.json["field"]), (400, &json!(field)), "{body}");
    }
    api.get("/api/v1/dsr/00000000000000000000000000000000").await.problem(404, "not_found");
    api.get("/api/v1/dsr?status=x").await.problem(400, "invalid_field");
}
