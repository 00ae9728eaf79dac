//! What came true, and drift.

use std::time::Duration;

use kiki::store::LtvForecastRow;
use serde_json::json;

use crate::harness::{api, customers, sample};

#[tokio::test]
async fn a_forecast_whose_horizon_is_over_is_compared_with_what_was_spent() {
    let api = api(&[]).await;
    let model = api.champion(8).await;
    let today = kiki::actors::value::today().number();
    let day = |back: i32| {
        kiki::models::value::log::day::Day::new(today - back).expect("a day").to_string()
    };
    let row =
        |back: i32, amount: u32| json!({"customer_id": "c", "date": day(back), "amount": amount});
    let rows = json!([row(90, 10), row(50, 20), row(30, 30), row(5, 40)]);
    api.post("/api/v1/ltv/transactions", json!({"transactions": rows})).await.is(200);
    let person = api.shield.shield.people().identify("default", "c").await.expect("a person");
    // Made 60 days ago, about the 30 days after it: the purchase of day -50, and that of day -30.
    let forecast = LtvForecastRow {
        account: "default".to_owned(),
        person,
        model: model.clone(),
        period: 1,
        made_day: i64::from(today - 60),
        due_day: i64::from(today - 30),
        arm: "champion".to_owned(),
        value: 45_000_000,
        lower_value: 0,
        upper_value: 90_000_000,
        p_active: 500_000,
        actual: None,
        created_at: 1,
        closed_at: None,
    };
    let store = api.shield.shield.store();
    let waits = LtvForecastRow { period: 2, due_day: i64::from(today), ..forecast.clone() };
    store.ltv_forecasts_put(&[forecast, waits]).await.expect("kept");
    assert_eq!(api.value.close_forecasts().await, Ok(1));
    let seen = api.get(&format!("/api/v1/ltv/models/{model}/outcomes")).await.is(200);
    assert_eq!(
        (&seen["closed"], &seen["open"], &seen["arms"]["champion"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(seen["calibration"][0], json!({"forecasts": 1, "predicted": 45.0, "actual": 50.0}));
    assert_eq!(seen["coverage"]["covered"], json!(1.0));
    assert_eq!(api.value.close_forecasts().await, Ok(0), "once");
}

#[tokio::test]
async fn inputs_that_are_not_those_of_the_fit_any_more_are_reported() {
    let api = api(&[]).await;
    let model = api.champion(8).await;
    let file = sample(8);
    let mut customers: Vec<&str> =
        file.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    customers.dedup();
    for customer in &customers {
        api.predict(customer).await;
    }
    let mut report = json!(null);
    for _ in 0..100 {
        report = api.get("/api/v1/ltv/drift").await.is(200);
        let seen = report["features"][0]["values"].as_u64().unwrap_or(0);
        if seen == customers.len() as u64 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(report["model"], json!(model));
    let features = report["features"].as_array().expect("a list");
    assert!(!features.is_empty(), "{report}");
    for feature in features {
        assert_eq!(feature["values"], json!(customers.len()), "{feature}");
        assert!(feature["psi"].is_number() && feature["ks_d"].is_number(), "{feature}");
    }
    let health = api.get("/api/v1/ltv/health").await.is(200);
    assert_eq!((&health["champion"], &health["kind"]), (&json!(model), &json!("bg-nbd")));
    // Customers of another kind: many small purchases each.
    let today = kiki::actors::value::today().number();
    let mut rows = Vec::new();
    for customer in 0..60 {
        for purchase in 0..30 {
            let day = kiki::models::value::log::day::Day::new(today - 1 - purchase * 3);
            let day = day.expect("a day").to_string();
            rows.push(
                json!({"customer_id": format!("odd{customer}"), "date": day, "amount": 0.01}),
            );
        }
    }
    for part in rows.chunks(900) {
        api.post("/api/v1/ltv/transactions", json!({"transactions": part})).await.is(200);
    }
    for round in 0..3 {
        for customer in 0..60 {
            let horizon = 30 + round;
            let body = json!({"customer_id": format!("odd{customer}"), "horizon_days": horizon});
            api.post("/api/v1/ltv/predict", body).await.is(200);
        }
    }
    for _ in 0..100 {
        report = api.get("/api/v1/ltv/drift").await.is(200);
        if report["drifted"] == true {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no drift: {report}");
}

#[tokio::test]
async fn what_is_compared_is_of_the_horizon_that_the_version_was_fitted_for() {
    let api = api(&[]).await;
    let model = api.champion(8).await;
    let customer = customers(8).swap_remove(0);
    // first about the 365 days of the settings: of a week the first forecast is kept
    api.predict(&customer).await;
    let body = json!({"customer_id": customer, "horizon_days": 273});
    api.post("/api/v1/ltv/predict", body).await.is(200);
    let person = api.shield.shield.people().identify("default", &customer).await.expect("a person");
    let store = api.shield.shield.store();
    for _ in 0..100 {
        let kept = store.ltv_forecasts_of_person("default", &person).await.expect("they are read");
        if let [row] = &kept[..] {
            assert_eq!((&row.model, row.due_day - row.made_day), (&model, 273));
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no forecast is kept");
}

#[tokio::test]
async fn a_forecast_that_is_due_waits_some_days_for_purchases_that_are_told_of_late() {
    let api = api(&[("value.outcome_grace_days", "5")]).await;
    let model = api.champion(8).await;
    let person = api.shield.shield.people().identify("default", "c").await.expect("a person");
    let today = i64::from(kiki::actors::value::today().number());
    let due = |period, back| LtvForecastRow {
        account: "default".to_owned(),
        person: person.clone(),
        model: model.clone(),
        period,
        made_day: today - 60,
        due_day: today - back,
        arm: "champion".to_owned(),
        value: 1,
        lower_value: 0,
        upper_value: 2,
        p_active: 500_000,
        actual: None,
        created_at: 1,
        closed_at: None,
    };
    let store = api.shield.shield.store();
    store.ltv_forecasts_put(&[due(1, 5), due(2, 6)]).await.expect("kept");
    assert_eq!(api.value.close_forecasts().await, Ok(1), "the one of six days ago");
}

#[tokio::test]
async fn a_store_that_does_not_answer_leaves_the_watch_alive_and_the_service_ready() {
    let api = api(&[]).await;
    let model = api.champion(8).await;
    api.tamper("ALTER TABLE ltv_drift RENAME TO elsewhere").await;
    let customers = customers(8);
    let (first, second) = customers.split_at(30);
    for customer in first {
        api.predict(customer).await;
    }
    // more often than an actor may fail in a minute
    for _ in 0..15 {
        let answer = api.get("/api/v1/ltv/drift").await;
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    assert!(api.value.ready());
    api.tamper("ALTER TABLE elsewhere RENAME TO ltv_drift").await;
    // whoever asks for it reads it, and from then on samples count
    let report = api.get("/api/v1/ltv/drift").await.is(200);
    assert_eq!((&report["model"], &report["drifted"]), (&json!(model), &json!(false)));
    for customer in second {
        api.predict(customer).await;
    }
    for _ in 0..100 {
        let report = api.get("/api/v1/ltv/drift").await.is(200);
        if report["features"][0]["values"] == json!(second.len()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the watch sees nothing any more");
}
