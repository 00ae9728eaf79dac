//! `/api/v1/holds/…`.

use std::time::{Duration, Instant};

use kiki::actors::shield::BudgetName;
use kiki::actors::shield::message::HoldFate;
use kiki::models::shield::entry::Op;
use kiki::models::shield::hold::HoldState;
use kiki::models::shield::money::Micros;
use kiki::models::shield::purse::HoldAnswer;
use kiki::store::Fault;
use serde_json::{Value, json};

use super::harness::{Api, WIDE, api};

async fn released(api: &Api, hold: &str) -> super::harness::Answer {
    api.post(&format!("/api/v1/holds/{hold}/release"), Value::Null).await
}

#[tokio::test]
async fn a_hold_settles_once_for_at_most_its_amount_and_gives_the_rest_back() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let (hold, _) = Api::hold_of(api.check("c", 60.0).await);
    let budget = api.get("/api/v1/budget/c").await.is(200);
    assert_eq!((&budget["held"], &budget["remaining"]), (&json!(60), &json!(40)));
    let more = api.settle(&hold, 60.000001).await;
    assert_eq!(more.json["field"], "amount");
    let why = more.json["detail"].as_str().expect("a detail");
    assert!(why.contains("the 60 held"), "{why}");
    more.problem(422, "settle_exceeds_hold");
    let settled = api.settle(&hold, 25.5).await.is(200);
    assert_eq!((&settled["state"], &settled["replayed"]), (&json!("settled"), &json!(false)));
    assert_eq!(settled["booked"]["kind"], "settle");
    let again = api.settle(&hold, 25.5).await.is(200);
    assert_eq!((&again["booked"], &again["replayed"]), (&settled["booked"], &json!(true)));
    api.settle(&hold, 25.0).await.problem(422, "idempotency_mismatch");
    let budget = api.get("/api/v1/budget/c").await.is(200);
    assert_eq!((&budget["held"], &budget["spent"]), (&json!(0), &json!(25.5)));
    api.check("c", 74.5).await.is(200);
    let seen = api.get(&format!("/api/v1/holds/{hold}")).await.is(200);
    assert_eq!(seen["state"], "settled");
}

#[tokio::test]
async fn a_release_gives_everything_back_and_repeats_its_answer() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let (hold, _) = Api::hold_of(api.check("c", 100.0).await);
    for _ in 0..2 {
        assert_eq!(released(&api, &hold).await.is(200)["state"], "released");
    }
    api.settle(&hold, 1.0).await.problem(409, "hold_over");
    api.check("c", 100.0).await.is(200);
}

#[tokio::test]
async fn an_expired_hold_gives_its_money_back_and_is_booked_late_by_its_token() {
    let api = api(&[WIDE, ("shield.grace_s", "0.2")]).await;
    api.allocate("c", 100).await;
    let body = json!({"campaign_id": "c", "bid_amount": 100, "ttl_s": 0.3});
    let (hold, token) = Api::hold_of(api.post("/api/v1/check", body).await);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    api.check("c", 100.0).await.is(200);
    let proof = json!({"amount": 40, "token": token});
    let late = api.post(&format!("/api/v1/holds/{hold}/settle"), proof).await.is(200);
    assert_eq!(late["booked"]["kind"], "late");
    let budget = api.get("/api/v1/budget/c").await.is(200);
    assert_eq!(budget["spent"], 40);
}

#[tokio::test]
async fn a_hold_without_a_key_is_journaled_and_needs_no_token_after_a_restart() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let (hold, _) = Api::hold_of(api.check("c", 60.0).await);
    let bids = json!({"bids": [{"campaign_id": "c", "bid_amount": 10}]});
    let batch = api.post("/api/v1/check/batch", bids).await.is(200);
    let of_batch = batch["answers"][0]["hold_id"].as_str().expect("an id").to_owned();
    let (store, began) = (api.app.shield.store(), Instant::now());
    for id in [&hold, &of_batch] {
        let id = id.split('.').next().expect("a part");
        while store.hold("default", id).await.expect("read").is_none() {
            assert!(began.elapsed() < Duration::from_secs(10), "{id} is not journaled");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let api = api.again().await;
    for hold in [hold, of_batch] {
        let settled = api.settle(&hold, 5.0).await.is(200);
        assert_eq!(settled["booked"]["kind"], "late", "{settled}");
    }
    assert_eq!(api.get("/api/v1/budget/c").await.is(200)["spent"], 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_whose_asker_hung_up_stays_for_whoever_asks_under_its_key() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let (shield, name) = (&api.app.shield, BudgetName::campaign("default", "c"));
    // Both wait for money that commits take out of the caps.
    shield.store().faults().set(Fault::SlowCommit(Duration::from_millis(400)), u32::MAX);
    let keyed = (Op::of(&["k"]), 7);
    let ask = || shield.authorise(&name, keyed, Micros(10_000_000), None, None, None);
    let (gone, told) =
        tokio::join!(tokio::time::timeout(Duration::from_millis(200), ask()), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            ask().await
        });
    shield.store().faults().clear();
    assert!(gone.is_err(), "it waits for a commit: {gone:?}");
    let told = told.expect("an answer").answer;
    assert!(matches!(told, HoldAnswer::Held { replayed: true, .. }), "{told:?}");
    let budget = api.get("/api/v1/budget/c").await.is(200);
    assert_eq!((&budget["open_holds"], &budget["held"]), (&json!(1), &json!(10)), "{budget}");
    let settled = api.settle(&format!("{}.c", keyed.0), 4.0).await.is(200);
    assert_eq!(settled["booked"]["kind"], "settle");
}

#[tokio::test]
async fn a_hold_with_a_win_notice_books_its_price_at_its_end_and_once() {
    let api = api(&[WIDE, ("shield.grace_s", "0.2")]).await;
    api.allocate("c", 100).await;
    let body = json!({"campaign_id": "c", "bid_amount": 60, "ttl_s": 0.5});
    let (hold, _) = Api::hold_of(api.post("/api/v1/check", body).await);
    let id = Op::from_hex(hold.split('.').next().expect("a part")).expect("an id");
    let name = BudgetName::campaign("default", "c");
    let shield = &api.app.shield;
    for _ in 0..2 {
        let told = shield.notice(&name, id, Micros(25_000_000)).await.expect("an answer");
        let HoldFate::Answer(HoldAnswer::Noticed(kept)) = told else { panic!("{told:?}") };
        assert_eq!(kept.state, HoldState::Won(Micros(25_000_000)));
    }
    let more = shield.notice(&name, id, Micros(60_000_001)).await.expect("an answer");
    assert!(matches!(more, HoldFate::Answer(HoldAnswer::Mismatch)), "{more:?}");
    assert_eq!(released(&api, &hold).await.status, 409, "somebody has said that it was bought");
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    let budget = api.get("/api/v1/budget/c").await.is(200);
    assert_eq!((&budget["held"], &budget["spent"]), (&json!(0), &json!(25)), "{budget}");
    // Whoever books it as well finds it booked.
    let again = api.settle(&hold, 25.0).await.is(200);
    assert_eq!((&again["booked"]["kind"], &again["replayed"]), (&json!("settle"), &json!(true)));
    api.settle(&hold, 30.0).await.problem(422, "idempotency_mismatch");
    let gone = shield.notice(&name, id, Micros(25_000_000)).await.expect("an answer");
    assert!(matches!(gone, HoldFate::Answer(HoldAnswer::Unknown)), "{gone:?}");
    assert_eq!(api.get("/api/v1/budget/c").await.is(200)["spent"], 25);
}

#[tokio::test]
async fn a_replayed_settle_with_its_token_answers_all_that_the_first_did() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let (hold, token) = Api::hold_of(api.check("c", 10.0).await);
    let proof = json!({"amount": 4, "token": token});
    let uri = format!("/api/v1/holds/{hold}/settle");
    let mut first = api.post(&uri, proof.clone()).await.is(200);
    let again = api.post(&uri, proof).await.is(200);
    first["replayed"] = json!(true);
    assert_eq!(first, again);
}

#[tokio::test]
async fn a_token_proves_its_own_hold_and_no_other() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let (hold, _) = Api::hold_of(api.check("c", 10.0).await);
    let (_, other) = Api::hold_of(api.check("c", 10.0).await);
    for token in [other.as_str(), "x", ""] {
        let body = json!({"amount": 1, "token": token});
        let answer = api.post(&format!("/api/v1/holds/{hold}/settle"), body).await;
        answer.problem(400, "invalid_field");
    }
}
