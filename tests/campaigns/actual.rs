//! What became of the customers that were bid for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::harness::{Api, api, campaign, request};

const DECISIONS: &str = "/api/v1/campaigns/c/decisions?kind=bid&limit=1000";
const PATIENCE: Duration = Duration::from_secs(20);

async fn ask(api: &Api, auction: &str, customer: &str) {
    let mut request = request(auction);
    request["user"] = json!({"id": "u", "buyeruid": customer});
    let status = api.post("/openrtb2/bid", request).await.status;
    assert!(status == 200 || status == 204, "{status}");
}

/// Bids for a customer until it is known for whom that is; the decision, without waiting for a purchase.
async fn bid_for(api: &Api, customer: &str) -> Value {
    let began = Instant::now();
    for turn in 0.. {
        ask(api, &format!("{customer}-{turn}"), customer).await;
        let page = api.get(DECISIONS).await.is(200);
        let all = page["decisions"].as_array().cloned().unwrap_or_default();
        let of = |it: &&Value| it["auction"].as_str().is_some_and(|it| it.starts_with(customer));
        if let Some(found) = all.iter().filter(of).find(|it| !it["actual"].is_null()) {
            return found.clone();
        }
        assert!(began.elapsed() < PATIENCE, "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    unreachable!("it is asked for ever")
}

async fn again(api: &Api, id: &Value) -> Value {
    let page = api.get(DECISIONS).await.is(200);
    let all = page["decisions"].as_array().expect("decisions");
    all.iter().find(|it| it["id"] == *id).expect("it is still there").clone()
}

async fn dsr(api: &Api, customer: &str, kind: &str) -> Value {
    let body = json!({"customer_id": customer, "request_type": kind});
    let made = api.to_shield("/dsr/create", &body).await.is(201);
    let uri = format!("/api/v1/dsr/{}", made["id"].as_str().expect("an id"));
    let began = Instant::now();
    loop {
        let seen = api.of_shield(&uri).await.is(200);
        if seen["status"] == "completed" {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "{seen}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_a_customer_buys_later_is_told_with_the_bid_until_the_person_is_erased() {
    let api = api().await;
    let mut worth = campaign("c");
    worth["strategy"] = json!({"target_value": {"conversion_rate": 0.0001, "unknown_ltv": 40}});
    api.bidding(worth).await;
    for customer in ["ann", "bob"] {
        let grant = json!({"customer_id": customer, "consent_type": "targeting", "source": "web"});
        api.to_shield("/consent/grant", &grant).await.is(200);
    }
    let (ann, bob) = (bid_for(&api, "ann").await, bid_for(&api, "bob").await);
    assert_eq!((&ann["actual"]["spent"], &ann["actual"]["purchases"]), (&json!(0), &json!(0)));
    assert!(ann["actual"]["days"].as_i64().is_some_and(|days| days > 0), "{ann}");
    let at = jiff::Timestamp::from_microsecond(ann["at_us"].as_i64().expect("a time"));
    let date = at.expect("a time").to_zoned(jiff::tz::TimeZone::UTC).date();
    // The day before does not count, the day itself does.
    let before = date.yesterday().expect("a day").to_string();
    api.bought("ann", "o-1", &before, 5.0).await;
    api.bought("ann", "o-2", &date.to_string(), 12.5).await;
    api.bought("ann", "o-3", &date.to_string(), 0.000_001).await;
    let told = again(&api, &ann["id"]).await;
    let of = |name: &str| &told["actual"][name];
    assert_eq!(
        (of("spent"), of("purchases"), of("currency")),
        (&json!(12.500_001), &json!(2), &json!("USD"))
    );
    assert_eq!(again(&api, &bob["id"]).await["actual"]["spent"], 0);
    // In exports beside the record, of which it is no part.
    let lines = api.get(&format!("{DECISIONS}&format=jsonl")).await.text;
    let line = lines.lines().find(|line| line.contains(ann["id"].as_str().expect("an id")));
    let line: Value = serde_json::from_str(line.expect("a line")).expect("json");
    assert_eq!(
        (&line["actual"]["spent"], &line["record"]["actual"]),
        (&json!(12.500_001), &Value::Null)
    );
    assert!(api.get(&format!("{DECISIONS}&format=csv")).await.text.contains(",12500001,USD,"));

    let copy = dsr(&api, "ann", "ACCESS").await;
    assert!(copy["rows"]["flow_reach"].as_u64().is_some_and(|rows| rows > 0), "{copy}");
    let person = api.shield.shield.people().identify("default", "ann").await.expect("a person");
    let gone = dsr(&api, "ann", "DELETION").await;
    assert!(gone["rows"]["flow_reach"].as_u64().is_some_and(|rows| rows > 0), "{gone}");
    let left = api.shield.shield.store().count_of_person("flow_reach", "default", &person).await;
    assert_eq!(left, Ok(0));
    assert!(again(&api, &ann["id"]).await["actual"].is_null(), "why it was bid stays");
    assert!(!again(&api, &bob["id"]).await["actual"].is_null());
}
