//! One `Idempotency-Key` at several nodes: one hold, one import, whichever of them a client's repetitions reach.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::common::{Server, client};
use crate::lab::{Lab, authorise, settle};

const SETTINGS: [&str; 1] = ["shield.window_cap=1000000"];

fn amount(seen: &Value, of: &str) -> f64 {
    seen[of].as_f64().expect("an amount")
}

/// The same until it is answered: whoever is told to come again does.
async fn approved(node: &Server, campaign: &str, amount: f64, key: &str) -> Value {
    let began = Instant::now();
    loop {
        match authorise(node, campaign, amount, key).await {
            Ok(hold) => return hold,
            Err(503) if began.elapsed() < Duration::from_secs(20) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(status) => panic!("{status}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_sent_to_all_nodes_at_once_holds_the_money_once() {
    let Some(mut lab) = Lab::open("keys", 3, &SETTINGS).await else { return };
    let campaign = lab.campaign_of(2, "keyed").await;
    lab.nodes[0].allocate(&campaign, 100).await;
    let mut holds = Vec::new();
    for n in 0..5 {
        let key = format!("key-{n}");
        let sent = (0..9).map(|at| approved(&lab.nodes[at % 3], &campaign, 10.0, &key));
        let answers = join_all(sent).await;
        for field in ["hold_id", "amount", "expires_at"] {
            let first = &answers[0][field];
            assert!(
                answers.iter().all(|it| it[field] == *first && !first.is_null()),
                "{answers:?}"
            );
        }
        for node in &lab.nodes {
            assert_eq!(authorise(node, &campaign, 11.0, &key).await.err(), Some(422));
        }
        holds.push(answers[0].clone());
    }
    let budget = format!("/api/v1/budget/{campaign}");
    let (_, seen) = lab.nodes[0].get(&budget).await;
    assert_eq!((amount(&seen, "held"), amount(&seen, "spent")), (50.0, 0.0), "{seen}");

    // A batch is of campaigns of several owners.
    let other = lab.campaign_of(0, "beside").await;
    lab.nodes[0].allocate(&other, 100).await;
    let bid = |campaign: &str| json!({"campaign_id": campaign, "bid_amount": 1.0});
    let batch = json!({"bids": [bid(&campaign), bid(&other)]}).to_string();
    let mut answers = Vec::new();
    for node in &lab.nodes {
        let request = client().post(node.url("/api/v1/check/batch")).body(batch.clone());
        let request = request.header("idempotency-key", "batch");
        let answer = request.header("content-type", "application/json").send().await;
        let answer: Value = answer.expect("an answer").json().await.expect("JSON");
        let of = |at: usize| answer["answers"][at]["hold_id"].clone();
        assert!(of(0).is_string() && of(1).is_string(), "{answer}");
        answers.push((of(0), of(1)));
    }
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");

    // Right after the last answer the owner is killed. The next one knows every key.
    lab.nodes[2].kill();
    let dead = lab.nodes.pop().expect("the third");
    for (n, hold) in holds.iter().enumerate() {
        let key = format!("key-{n}");
        let sent = (0..4).map(|at| approved(&lab.nodes[at % 2], &campaign, 10.0, &key));
        for again in join_all(sent).await {
            for field in ["hold_id", "amount", "expires_at"] {
                assert_eq!(again[field], hold[field], "{again}");
            }
        }
    }
    let (_, seen) = lab.nodes[0].get(&budget).await;
    assert_eq!(
        amount(&seen, "held"),
        0.0,
        "no second hold beside what the dead one set aside: {seen}"
    );
    for (n, hold) in holds.iter().enumerate() {
        for node in &lab.nodes {
            let (status, answer) = settle(node, hold, 2.5, n % 2 == 0).await;
            assert_eq!((status, &answer["state"]), (200, &json!("settled")), "{answer}");
        }
    }
    let (_, seen) = lab.nodes[1].get(&budget).await;
    assert_eq!(amount(&seen, "spent"), 12.5, "{seen}");
    drop(dead);
    lab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_was_let_go_is_so_for_all_nodes_before_anything_is_written_of_it() {
    let Some(lab) = Lab::open("letgo", 3, &SETTINGS).await else { return };
    let campaign = lab.campaign_of(1, "letgo").await;
    lab.nodes[0].allocate(&campaign, 100).await;
    for n in 0..12 {
        let hold = approved(&lab.nodes[n % 3], &campaign, 1.0, "").await;
        let path = format!("/api/v1/holds/{}/release", hold["hold_id"].as_str().expect("an id"));
        for turn in 0..4 {
            let (status, answer) = lab.nodes[(n + turn) % 3].post(&path, &json!({})).await;
            assert_eq!((status, &answer["state"]), (200, &json!("released")), "{turn} {answer}");
        }
        // What it set aside is free again: its token proves nothing any more.
        let mut told = Vec::new();
        for node in &lab.nodes {
            told.push(settle(node, &hold, 1.0, true).await.0);
        }
        assert_eq!(told, [409, 409, 409]);
    }
    let (_, seen) = lab.nodes[0].get(&format!("/api/v1/budget/{campaign}")).await;
    assert_eq!((amount(&seen, "held"), amount(&seen, "spent")), (0.0, 0.0), "{seen}");
    lab.close().await;
}

async fn import(node: &Server, key: &str, body: String) -> (u16, Value) {
    let url = format!("http://127.0.0.1:{}/api/v1/ltv/transactions", 8087 + node.offset);
    let request = client().post(url).header("idempotency-key", key).body(body);
    let answer = request.header("content-type", "application/json").send().await;
    let answer = answer.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_imports_under_one_key_one_is_taken_whichever_nodes_they_come_to() {
    let Some(lab) = Lab::open("imports", 3, &[]).await else { return };
    let body = |whose: usize| {
        let row = |n: usize| {
            json!({"customer_id": format!("c-{whose}-{n}"), "date": "2026-01-02", "amount": 1,
                "transaction_id": format!("t-{whose}-{n}")})
        };
        json!({"transactions": (0..2_000).map(row).collect::<Vec<_>>()}).to_string()
    };
    for round in 0..3 {
        let key = format!("import-{round}");
        let at = |n: usize| &lab.nodes[(round + n) % 3];
        let (one, two) = (body(2 * round), body(2 * round + 1));
        let sent = [import(at(0), &key, one.clone()), import(at(1), &key, two.clone())];
        let answers = join_all(sent).await;
        let taken: Vec<usize> = (0..2).filter(|n| answers[*n].0 == 200).collect();
        assert_eq!(taken.len(), 1, "{answers:?}");
        let (refused, code) = (&answers[1 - taken[0]], &answers[1 - taken[0]].1["code"]);
        let known = [(409, json!("in_progress")), (422, json!("idempotency_mismatch"))];
        assert!(known.contains(&(refused.0, code.clone())), "{refused:?}");
        // From then on everywhere.
        let (own, other) = if taken[0] == 0 { (one, two) } else { (two, one) };
        for node in &lab.nodes {
            let (status, answer) = import(node, &key, own.clone()).await;
            assert_eq!((status, &answer["replayed"]), (200, &json!(true)), "{answer}");
            let (status, answer) = import(node, &key, other.clone()).await;
            assert_eq!(
                (status, &answer["code"]),
                (422, &json!("idempotency_mismatch")),
                "{answer}"
            );
        }
        let kept = lab.number("SELECT CAST(COUNT(*) AS BIGINT) FROM ltv_purchase").await;
        assert_eq!(kept, 2_000 * (round as i64 + 1), "of one of the two each time");
    }
    lab.close().await;
}
