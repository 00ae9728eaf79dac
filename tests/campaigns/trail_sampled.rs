//! Why campaigns did not win: of each request where all are sampled.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kiki::models::flow::reason::Reason;
use serde_json::{Value, json};

use super::harness::{Api, api_with, request, rich};

const PATIENCE: Duration = Duration::from_secs(30);

pub async fn api() -> Api {
    api_with(&[("flow.sample_ratio", "1")]).await
}

/// Pairs that were refused for this, as the metric has it.
pub fn refused(api: &Api, reason: Reason) -> u64 {
    let office = api.flow.office().expect("it runs");
    let of = |(other, refused, _)| (other == reason).then_some(refused);
    office.counts.reasons().find_map(of).expect("it is counted")
}

/// What is kept of a request, once there is so much.
pub async fn kept(api: &Api, auction: &str, many: usize) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let page = api.get(&format!("/api/v1/decisions/{auction}")).await.is(200);
        let all = page["decisions"].as_array().expect("decisions").clone();
        if all.len() >= many {
            return all;
        }
        assert!(began.elapsed() < PATIENCE, "{auction}: {page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A refusal of a campaign for this reason, once there is one; until then requests are made.
async fn refusal(api: &Api, campaign: &str, reason: &str, asked: impl Fn(&str) -> Value) -> Value {
    let began = Instant::now();
    for n in 0.. {
        let asked = asked(&format!("{reason}-{n}"));
        let answer = api.exchange(&[], asked.to_string()).await;
        assert!([200, 204].contains(&answer.status), "{answer:?}");
        let uri = format!("/api/v1/campaigns/{campaign}/decisions?kind=no_bid&limit=1000");
        let page = api.get(&uri).await.is(200);
        let all = page["decisions"].as_array().expect("decisions");
        if let Some(found) = all.iter().find(|it| it["reasons"][0]["reason"] == reason) {
            return found.clone();
        }
        assert!(began.elapsed() < PATIENCE, "{reason} is not kept: {page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    unreachable!("it has no end")
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_bid_it_is_kept_why_others_of_ours_did_not_win_and_by_what() {
    let api = api().await;
    let mut second = rich("second", json!([]));
    second["strategy"] = json!({"max_cpm": {"cpm": 1}});
    api.bidding(rich("first", json!([]))).await;
    api.post("/api/v1/campaigns", second).await.is(201);
    api.order("second", "start").await.is(200);
    api.running(2).await;
    let asked = |floor: f64| {
        move |id: &str| {
            let mut it = request(id);
            let imp =
                |id: &str| json!({"id": id, "banner": {"w": 300, "h": 250}, "bidfloor": floor});
            it["imp"] = json!([imp("1"), imp("2")]);
            it
        }
    };
    // It wins one of the two, and may have no more.
    let full = refusal(&api, "first", "one_per_request", asked(0.01)).await;
    assert_eq!((&full["hold"], &full["outcome"]), (&Value::Null, &json!("none")), "{full}");
    let outbid = refusal(&api, "second", "outbid", asked(0.01)).await;
    for told in [&full, &outbid] {
        assert!(told["price"]["cpm"].as_f64().is_some_and(|cpm| cpm > 0.0), "{told}");
        assert!(told["multipliers"]["mu"].is_number(), "{told}");
    }
    let below = refusal(&api, "second", "below_floor", asked(1.5)).await;
    let price = &below["price"];
    assert_eq!((price["floor"].as_f64(), price["cpm"].as_f64()), (Some(1.5), Some(0.0)), "{below}");
    assert_eq!(price["value"].as_f64(), Some(1_000.0));
    assert!(price["worth"].as_f64().is_some_and(|worth| worth <= 1_000.0), "{below}");
    assert!(below["multipliers"]["mu"].is_number(), "{below}");
    // A pair is kept once: what won is a bid, and no refusal.
    for told in [&full, &outbid] {
        let auction = told["auction"].as_str().expect("an id");
        let began = Instant::now();
        let all = loop {
            let all = kept(&api, auction, 1).await;
            if all.iter().any(|it| it["kind"] == "bid" && it["campaign"] == "first") {
                break all;
            }
            assert!(began.elapsed() < PATIENCE, "{all:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let pair = |it: &Value| format!("{} {}", it["campaign"], it["impression"]);
        let pairs: BTreeSet<String> = all.iter().map(pair).collect();
        assert_eq!(pairs.len(), all.len(), "{all:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_to_be_looked_at_is_found_by_its_id() {
    let api = api().await;
    let large = |id: &str, test: u8| {
        let mut it = request(id);
        let imp = |n: usize| json!({"id": n.to_string(), "banner": {"w": 300, "h": 250}});
        (it["imp"], it["test"]) = ((0..65).map(imp).collect(), json!(test));
        it.to_string()
    };
    // Of a test nothing is kept.
    for (id, test) in [("tried", 1), ("large", 0)] {
        assert_eq!(api.exchange(&[], large(id, test)).await.status, 204);
    }
    let told = &kept(&api, "large", 1).await[0];
    assert_eq!(
        (&told["kind"], &told["reasons"][0]["reason"]),
        (&json!("no_bid"), &json!("oversized"))
    );
    assert_eq!(told["reasons"][0]["detail"], "more than 64 impressions");
    assert!(told["campaign"].is_null(), "{told}");
    assert_eq!(kept(&api, "tried", 0).await, [] as [Value; 0]);
    // What ends before campaigns are looked at: the same.
    let mut early = request("early");
    (early["tmax"], early["test"]) = (json!(1), json!(1));
    let answer = api.exchange(&[], early.to_string()).await;
    assert_eq!(answer.status, 200, "it is told why: {answer:?}");
    (early["id"], early["test"]) = (json!("late"), json!(0));
    assert_eq!(api.exchange(&[], early.to_string()).await.status, 204);
    assert_eq!(kept(&api, "late", 1).await[0]["reasons"][0]["reason"], "deadline");
    assert_eq!(kept(&api, "early", 0).await, [] as [Value; 0]);
}
