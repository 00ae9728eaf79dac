//! Manual corrections: two people, one booking.

use axum::body::Body;
use axum::http::Request;
use kiki::api::admin;
use kiki::models::access::KeyId;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::harness::{Answer, Api, WIDE, api};

crate::on_every_store!(
    a_correction_is_booked_when_another_person_approves_it_and_only_once,
    a_refused_correction_is_never_booked_and_who_proposed_it_may_take_it_back,
    who_proposed_it_cannot_approve_it_with_a_key_that_he_made_or_that_made_his,
    two_keys_of_one_maker_are_two_people_unless_one_was_made_since_the_proposal,
    where_nobody_is_asked_who_he_is_nothing_is_approved,
    a_proposal_sent_twice_with_one_key_is_made_once,
    what_a_crash_left_approved_is_booked_once_at_the_next_start,
);

const WITH_KEYS: (&str, &str) = ("auth.mode", "required");

/// A caller by his key.
struct Person<'a> {
    api: &'a Api,
    bearer: String,
}

impl Person<'_> {
    async fn of<'a>(api: &'a Api, name: &str, role: &str) -> Person<'a> {
        Person { api, bearer: format!("Bearer {}", api.key(name, role).await) }
    }

    async fn post(&self, uri: &str, body: Value) -> Answer {
        self.api.post_as(uri, &[("authorization", &self.bearer)], body).await
    }

    async fn get(&self, uri: &str) -> Value {
        let headers = [("authorization", &*self.bearer)];
        self.api.call(axum::http::Method::GET, uri, &headers, "").await.is(200)
    }

    async fn propose(&self, amount: f64) -> String {
        let body = json!({"campaign_id": "c", "amount": amount, "reason": "booked twice"});
        let made = self.post("/api/v1/corrections", body).await.is(201);
        assert_eq!(made["status"], "proposed");
        made["id"].as_str().expect("an id").to_owned()
    }

    async fn approve(&self, id: &str) -> Answer {
        self.post(&format!("/api/v1/corrections/{id}/approve"), json!({})).await
    }

    async fn ledger(&self) -> Vec<Value> {
        let page = self.get("/api/v1/budget/c/ledger").await;
        page["rows"].as_array().expect("rows").clone()
    }
}

impl<'a> Person<'a> {
    /// Makes a key with his own, through the admin listener.
    async fn makes(&self, name: &str, role: &str) -> Person<'a> {
        let router = admin::listener(self.api.app.registry.clone(), false, &self.api.app);
        let request = Request::post("/api/admin/keys")
            .header("content-type", "application/json")
            .header("authorization", &self.bearer);
        let body = Body::from(json!({"name": name, "role": role}).to_string());
        let response =
            router.oneshot(request.body(body).expect("a request")).await.expect("infallible");
        assert_eq!(response.status(), 201);
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        let made: Value = serde_json::from_slice(&bytes).expect("json");
        let key = made["api_key"].as_str().expect("a key");
        Person { api: self.api, bearer: format!("Bearer {key}") }
    }

    /// The id of his key.
    fn id(&self) -> KeyId {
        let key = self.bearer.strip_prefix("Bearer kiki_").expect("a key");
        key[..8].parse().expect("an id")
    }

    /// Is told that this takes another person.
    async fn may_not_approve(&self, id: &str) {
        let answer = self.approve(id).await;
        assert!(answer.text.contains("another person has to approve it"), "{}", answer.text);
        answer.problem(403, "forbidden");
    }
}

async fn with_campaign(api: &Api) -> (Person<'_>, Person<'_>) {
    let (ann, bob) =
        (Person::of(api, "ann", "operator").await, Person::of(api, "bob", "operator").await);
    let body = json!({"campaign_id": "c", "budget": 100});
    ann.post("/api/v1/allocate", body).await.is(201);
    (ann, bob)
}

async fn a_correction_is_booked_when_another_person_approves_it_and_only_once() {
    let api = api(&[WIDE, WITH_KEYS]).await;
    let (ann, bob) = with_campaign(&api).await;
    let id = ann.propose(-2.5).await;
    assert!(ann.ledger().await.is_empty(), "nothing is booked by one alone");
    ann.approve(&id).await.problem(403, "forbidden");
    let booked = bob.approve(&id).await.is(200);
    assert_eq!((&booked["status"], &booked["seq"]), (&json!("booked"), &json!(1)));
    assert_eq!(bob.approve(&id).await.is(200), booked, "the same again");
    ann.approve(&id).await.problem(403, "forbidden");
    let rows = ann.ledger().await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["kind"], "refund");
    assert_eq!(rows[0]["amount"], -2.5);
    assert_eq!(rows[0]["memo"], format!("correction {id}: booked twice"));
    let refuse = format!("/api/v1/corrections/{id}/refuse");
    bob.post(&refuse, json!({"reason": "late"})).await.problem(409, "conflict");
    for event in ["correction.proposed", "correction.approved", "correction.booked"] {
        let found = ann.get(&format!("/api/v1/audit?event={event}")).await;
        assert_eq!(found["records"].as_array().expect("records").len(), 1, "{event}");
        assert_eq!(found["records"][0]["subject"], id, "{event}");
    }
}

async fn a_refused_correction_is_never_booked_and_who_proposed_it_may_take_it_back() {
    let api = api(&[WIDE, WITH_KEYS]).await;
    let (ann, bob) = with_campaign(&api).await;
    let viewer = Person::of(&api, "eve", "viewer").await;
    let id = ann.propose(1.0).await;
    viewer.approve(&id).await.problem(403, "forbidden");
    let refuse = format!("/api/v1/corrections/{id}/refuse");
    let refused = ann.post(&refuse, json!({"reason": "a slip"})).await.is(200);
    assert_eq!((&refused["status"], &refused["refusal"]), (&json!("refused"), &json!("a slip")));
    bob.approve(&id).await.problem(409, "conflict");
    let other = ann.propose(2.0).await;
    let all = viewer.get("/api/v1/corrections").await;
    let ids: Vec<&Value> =
        all["corrections"].as_array().expect("a list").iter().map(|c| &c["id"]).collect();
    assert_eq!(ids, [&json!(other), &json!(id)], "newest first");
    let page = viewer.get("/api/v1/corrections?limit=1").await;
    let next = page["next"].as_str().expect("more");
    let rest = viewer.get(&format!("/api/v1/corrections?before={next}&status=refused")).await;
    assert_eq!(rest["corrections"][0]["id"], json!(id));
    assert!(ann.ledger().await.is_empty());
}

async fn who_proposed_it_cannot_approve_it_with_a_key_that_he_made_or_that_made_his() {
    let api = api(&[WIDE, WITH_KEYS]).await;
    let (_, bob) = with_campaign(&api).await;
    let ann = Person::of(&api, "ann", "admin").await;
    let before = ann.makes("before", "operator").await;
    let id = ann.propose(1.0).await;
    let second = ann.makes("second", "admin").await;
    let third = second.makes("third", "operator").await;
    for own in [&ann, &before, &second, &third] {
        own.may_not_approve(&id).await;
    }
    // A key that is gone was there.
    let now = kiki::clock::wall_us();
    api.app.door.keys().revoke(second.id(), "test", now).await.expect("revoked");
    third.may_not_approve(&id).await;
    // Nor the other way around.
    let of_third = third.propose(2.0).await;
    ann.may_not_approve(&of_third).await;
    assert!(bob.ledger().await.is_empty(), "nothing is booked");
    for id in [&id, &of_third] {
        assert_eq!(bob.approve(id).await.is(200)["status"], "booked");
        ann.may_not_approve(id).await;
    }
    assert_eq!(bob.ledger().await.len(), 2);
}

async fn two_keys_of_one_maker_are_two_people_unless_one_was_made_since_the_proposal() {
    let api = api(&[WIDE, WITH_KEYS]).await;
    with_campaign(&api).await;
    let root = Person::of(&api, "root", "admin").await;
    let (ann, bob) = (root.makes("ann", "operator").await, root.makes("bob", "operator").await);
    let id = ann.propose(1.0).await;
    let late = root.makes("late", "operator").await;
    root.may_not_approve(&id).await;
    late.may_not_approve(&id).await;
    assert_eq!(bob.approve(&id).await.is(200)["status"], "booked");
    let next = ann.propose(2.0).await;
    assert_eq!(late.approve(&next).await.is(200)["status"], "booked");
}

async fn where_nobody_is_asked_who_he_is_nothing_is_approved() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let body = json!({"campaign_id": "c", "amount": 1, "reason": "x"});
    let id = api.post("/api/v1/corrections", body).await.is(201)["id"].clone();
    let uri = format!("/api/v1/corrections/{}/approve", id.as_str().expect("an id"));
    let answer = api.post(&uri, json!({})).await;
    assert!(answer.text.contains("turn authentication on"), "{}", answer.text);
    answer.problem(403, "forbidden");
}

async fn a_proposal_sent_twice_with_one_key_is_made_once() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let body = json!({"campaign_id": "@account", "amount": 3, "reason": "x", "currency": "USD"});
    let key = [("idempotency-key", "k1")];
    let first = api.post_as("/api/v1/corrections", &key, body.clone()).await.is(201);
    let second = api.post_as("/api/v1/corrections", &key, body).await.is(200);
    assert_eq!(first, second);
    let other = json!({"campaign_id": "@account", "amount": 4, "reason": "x"});
    let answer = api.post_as("/api/v1/corrections", &key, other).await;
    answer.problem(422, "idempotency_mismatch");
    assert_eq!(api.counts().await["correction"], 1);
}

async fn what_a_crash_left_approved_is_booked_once_at_the_next_start() {
    let api = api(&[WIDE, WITH_KEYS]).await;
    let (unbooked, unmarked) = {
        let (ann, bob) = with_campaign(&api).await;
        let (unbooked, unmarked) = (ann.propose(5.0).await, ann.propose(7.0).await);
        bob.approve(&unmarked).await.is(200);
        (unbooked, unmarked)
    };
    // Before the booking of the one, and between the booking of the other and its mark.
    let approved = "UPDATE correction SET status = 'approved', decided_by = 'key:b', seq = NULL";
    api.tamper(approved).await;
    let api = api.again().await;
    let ann = Person::of(&api, "ann", "operator").await;
    let mut shown = Vec::new();
    for _ in 0..200 {
        shown.clear();
        for id in [&unbooked, &unmarked] {
            shown.push(ann.get(&format!("/api/v1/corrections/{id}")).await);
        }
        if shown.iter().all(|c| c["status"] == "booked") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!((&shown[0]["seq"], &shown[1]["seq"]), (&json!(2), &json!(1)), "{shown:?}");
    assert_eq!(ann.ledger().await.len(), 2, "each is booked once");
}
