//! `/api/v1/allocate` and `/api/v1/allocations/…`.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{Api, WIDE, api, reason};

#[tokio::test]
async fn an_allocation_is_set_never_added() {
    let api = api(&[WIDE]).await;
    let body = json!({"campaign_id": "camp_001", "budget": 1000, "currency": "USD"});
    let made = api.post("/api/v1/allocate", body.clone()).await.is(201);
    assert_eq!((&made["budget"], &made["status"]), (&json!(1000), &json!("active")));
    let set = api.post("/api/v1/allocate", body).await.is(200);
    assert_eq!(set["budget"], 1000);
    let budget = api.get("/api/v1/budget/camp_001").await.is(200);
    assert_eq!((&budget["budget"], &budget["remaining"]), (&json!(1000), &json!(1000)));
    for field in ["spent", "held", "window", "pacing_plan", "thresholds", "status"] {
        assert!(!budget[field].is_null(), "{field}");
    }
}

#[tokio::test]
async fn a_top_up_adds_once_per_key() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let uri = "/api/v1/allocations/c/top-up";
    let key = [("idempotency-key", "k")];
    for _ in 0..2 {
        let topped = api.post_as(uri, &key, json!({"amount": 50})).await.is(200);
        assert_eq!(topped["budget"], 150);
    }
    api.post_as(uri, &key, json!({"amount": 51})).await.problem(422, "idempotency_mismatch");
    assert_eq!(api.post(uri, json!({"amount": 50})).await.is(200)["budget"], 200);
}

#[tokio::test]
async fn a_paused_campaign_authorises_nothing_until_it_is_resumed_and_an_ended_one_until_it_is_new()
{
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let (hold, _) = Api::hold_of(api.check("c", 10.0).await);
    let order = async |what: &str| {
        let answer = api.post(&format!("/api/v1/allocations/c/{what}"), Value::Null).await;
        answer.is(200)["status"].clone()
    };
    assert_eq!(order("pause").await, "paused");
    assert_eq!(reason(api.check("c", 10.0).await), "paused");
    assert_eq!(api.settle(&hold, 10.0).await.is(200)["state"], "settled", "open holds may settle");
    assert_eq!(order("resume").await, "active");
    api.check("c", 10.0).await.is(200);
    assert_eq!(order("end").await, "ended");
    assert_eq!(reason(api.check("c", 10.0).await), "ended");
    api.post("/api/v1/allocate", json!({"campaign_id": "c", "budget": 100})).await.is(200);
    api.check("c", 10.0).await.is(200);
}

#[tokio::test]
async fn a_daily_cap_and_a_schedule_bound_what_is_authorised() {
    let api = api(&[WIDE]).await;
    let daily = json!({"campaign_id": "d", "budget": 1000, "daily_budget": 30});
    api.post("/api/v1/allocate", daily).await.is(201);
    api.check("d", 20.0).await.is(200);
    assert_eq!(reason(api.check("d", 20.0).await), "daily_exceeded");
    api.check("d", 10.0).await.is(200);
    let later = json!({"campaign_id": "l", "budget": 10, "starts_at": "2199-01-01T00:00:00Z"});
    api.post("/api/v1/allocate", later).await.is(201);
    assert_eq!(reason(api.check("l", 1.0).await), "not_started");
    let over = json!({"campaign_id": "o", "budget": 10, "ends_at": "2001-01-01T00:00:00Z"});
    api.post("/api/v1/allocate", over).await.is(201);
    assert_eq!(reason(api.check("o", 1.0).await), "ended");
}

#[tokio::test]
async fn each_threshold_raises_its_event_once() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    for amount in [79, 1, 1, 14, 1, 10] {
        api.post("/api/v1/spend", json!({"campaign_id": "c", "amount": amount})).await.is(201);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let rows = api.rows().await;
    let raised: Vec<String> = rows["outbox"]
        .iter()
        .map(Value::to_string)
        .filter(|row| row.contains("budget.threshold"))
        .collect();
    assert_eq!(raised.len(), 2, "{raised:?}");
    for percent in ["80", "95"] {
        let named = |row: &&String| row.contains(&format!(r#"\"percent\":{percent}"#));
        assert_eq!(raised.iter().filter(named).count(), 1, "{percent}: {raised:?}");
    }
    let budget = api.get("/api/v1/budget/c").await.is(200);
    assert_eq!(budget["thresholds_reached"], json!([80, 95]));
}

#[tokio::test]
async fn allocations_are_listed_in_pages() {
    let api = api(&[WIDE]).await;
    for n in 0..5 {
        api.allocate(&format!("camp_{n}"), 10).await;
    }
    api.allocate("other", 10).await;
    let (mut uri, mut seen) = ("/api/v1/allocations?prefix=camp_&limit=2".to_owned(), Vec::new());
    loop {
        let page = api.get(&uri).await.is(200);
        let names = page["allocations"].as_array().expect("a list").iter();
        seen.extend(names.map(|a| a["campaign_id"].as_str().expect("an id").to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        uri = format!("/api/v1/allocations?prefix=camp_&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["camp_0", "camp_1", "camp_2", "camp_3", "camp_4"]);

    // The account's own row is in nobody's way.
    api.get("/spend?amount=1").await.is(200);
    let (mut uri, mut seen) = ("/api/v1/allocations?limit=1".to_owned(), 0);
    loop {
        let page = api.get(&uri).await.is(200);
        seen += page["allocations"].as_array().expect("a list").len();
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        uri = format!("/api/v1/allocations?limit=1&cursor={cursor}");
    }
    assert_eq!(seen, 6);
}
