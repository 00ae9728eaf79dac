//! A person's copy and a person's erasure, with what SyncValue holds.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::{Api, api};

/// A request at its end.
pub async fn request(api: &Api, customer: &str, kind: &str) -> Value {
    let body = json!({"customer_id": customer, "request_type": kind});
    let made = api.shield(Method::POST, "/dsr/create", body).await.is(201);
    let uri = format!("/api/v1/dsr/{}", made["id"].as_str().expect("an id"));
    for _ in 0..200 {
        let seen = api.shield(Method::GET, &uri, Value::Null).await.is(200);
        if seen["status"] == "completed" {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the request has no end");
}

pub async fn buy(api: &Api, customer: &str, id: &str) {
    let row = json!({"customer_id": customer, "date": "2026-01-02", "amount": 12.5, "transaction_id": id});
    api.post("/api/v1/ltv/transactions", json!({"transactions": [row]})).await.is(200);
}

async fn purchases(api: &Api, customer: &str) -> Value {
    api.get(&format!("/api/v1/ltv/customers/{customer}")).await.is(200)["purchases"].clone()
}

#[tokio::test]
async fn an_erased_customer_is_unknown_and_the_others_are_not_touched() {
    let api = api(&[]).await;
    buy(&api, "cust_1", "order-1").await;
    buy(&api, "cust_2", "order-2").await;
    let person = api.shield.shield.people().identify("default", "cust_1").await.expect("a person");
    let access = request(&api, "cust_1", "ACCESS").await;
    assert_eq!(access["rows"]["ltv_purchase"], 1, "{access}");
    assert_eq!(purchases(&api, "cust_1").await, 1);
    let done = request(&api, "cust_1", "DELETION").await;
    assert_eq!(done["rows"]["ltv_purchase"], 1, "{done}");
    let store = api.shield.shield.store();
    for table in ["ltv_customer", "ltv_purchase", "ltv_forecast"] {
        assert_eq!(store.count_of_person(table, "default", &person).await, Ok(0), "{table}");
    }
    assert_eq!(purchases(&api, "cust_1").await, 0, "nor in memory");
    assert_eq!(purchases(&api, "cust_2").await, 1);
    // Who comes again is somebody new.
    buy(&api, "cust_1", "order-3").await;
    assert_eq!(purchases(&api, "cust_1").await, 1);
    let again = api.shield.shield.people().identify("default", "cust_1").await.expect("a person");
    assert_ne!(again, person);
    assert_eq!(store.count_of_person("ltv_purchase", "default", &person).await, Ok(0));
}

#[tokio::test]
async fn an_erased_customer_whose_actor_is_not_in_memory_is_gone_from_the_answers() {
    // answers are kept longer than actors
    let settings = [("kernel.passivate_after_s", "0.1"), ("value.horizon_days", "273")];
    let api = api(&settings).await;
    api.champion(8).await;
    buy(&api, "cust_1", "order-1").await;
    let person = api.shield.shield.people().identify("default", "cust_1").await.expect("a person");
    assert_eq!(api.predict("cust_1").await["status"], "success");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told = api.predict("cust_1").await;
    assert_eq!((&told["status"], &told["cached"]), (&json!("success"), &json!(true)));
    request(&api, "cust_1", "DELETION").await;
    assert_ne!(api.predict("cust_1").await["status"], "success");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let store = api.shield.shield.store();
    assert_eq!(store.count_of_person("ltv_forecast", "default", &person).await, Ok(0));
}
