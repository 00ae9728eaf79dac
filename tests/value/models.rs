//! Fits, promotions, roll backs, and what is answered meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kiki::actors::kernel::FaultKind;
use kiki::api::grpc::pb::LtvRequest;
use kiki::api::grpc::pb::ltv_service_client::LtvServiceClient;
use serde_json::{Value, json};

use crate::harness::{Api, api};

fn number(of: &Value, name: &str) -> f64 {
    of[name].as_f64().unwrap_or_else(|| panic!("{name} in {of}"))
}

#[tokio::test]
async fn without_a_model_the_rule_of_thumb_answers_and_says_so() {
    let api = api(&[]).await;
    let body = json!({"customer_id": "c", "spend": 500, "engagement_score": 0.85});
    let told = api.post("/api/v1/ltv/predict", body).await.is(200);
    assert_eq!((&told["status"], &told["confidence"]), (&json!("fallback"), &json!(0.0)), "{told}");
    assert!(told.get("model_version").is_none());
    let want = 500.0 * 0.85 * 365.0 / 365.25;
    assert!((number(&told, "predicted_ltv") - want).abs() < 1e-6);
    let health = api.get("/api/v1/ltv/health").await.is(200);
    assert_eq!(
        (&health["model_loaded"], &health["predictors_healthy"]),
        (&json!(false), &json!(true))
    );
    api.get("/api/v1/ltv/drift").await.problem(404, "unknown_model");
}

#[tokio::test]
async fn a_model_is_fitted_promoted_answers_with_reasons_and_is_there_after_a_restart() {
    let api = api(&[]).await;
    let model = api.champion(6).await;
    let shown = api.get(&format!("/api/v1/ltv/models/{model}")).await.is(200);
    assert_eq!(
        (&shown["alias"], &shown["kind"]),
        (&json!("champion"), &json!("bg-nbd")),
        "{shown}"
    );
    assert!(number(&shown["scores"], "normalised_gini") > 0.2, "{shown}");
    assert!(shown["report"]["cut"].is_string() && shown["report"]["fit"].is_object(), "{shown}");
    let told = api.predict("4").await;
    assert_eq!(
        (&told["status"], &told["model_version"]),
        (&json!("insufficient_data"), &json!(model))
    );
    // A customer of the part that was imported.
    let told = api.predict("00006").await;
    let told = if told["status"] == "success" { told } else { api.predict("6").await };
    let customer = crate::harness::sample(6);
    let id = customer.lines().nth(1).expect("a row").split(',').next().expect("an id");
    let of = if told["status"] == "success" { told } else { api.predict(id).await };
    assert_eq!(of["status"], "success", "{of}");
    let parts = of["contributions"].as_array().expect("a list");
    let sum: f64 = parts.iter().map(|part| number(part, "value")).sum();
    let value = number(&of, "predicted_ltv");
    assert!((number(&of, "baseline") + sum - value).abs() < 1e-6, "{of}");
    assert!(number(&of, "lower_bound") <= number(&of, "upper_bound"));
    let api = api.again().await;
    let after = api.predict(id).await;
    assert_eq!(
        (&after["model_version"], &after["predicted_ltv"]),
        (&json!(model), &of["predicted_ltv"])
    );
}

/// Two champions, one after the other; the second is promoted by force.
async fn two(api: &Api) -> (String, String) {
    let first = api.champion(8).await;
    let second = api.fit(json!({"model": "mbg-nbd", "horizon_days": 273})).await;
    let body = json!({"force": true, "reason": "the test wants two"});
    api.post(&format!("/api/v1/ltv/models/{second}/promote"), body).await.is(200);
    (first, second)
}

#[tokio::test]
async fn what_is_promoted_can_be_rolled_back_and_the_history_says_who_did_it_and_why() {
    let api = api(&[]).await;
    let (first, second) = two(&api).await;
    let list = api.get("/api/v1/ltv/models").await.is(200);
    assert_eq!((&list["champion"], &list["former"]), (&json!(second), &json!(first)), "{list}");
    api.post("/api/v1/ltv/rollback", json!({})).await.problem(400, "missing_field");
    let back = api.post("/api/v1/ltv/rollback", json!({"reason": "too high"})).await.is(200);
    assert_eq!(back["champion"], json!(first));
    api.post("/api/v1/ltv/rollback", json!({"reason": "again"})).await.problem(409, "conflict");
    let history = api.get("/api/v1/ltv/registry").await.is(200);
    let events: Vec<&str> = history["entries"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|e| e["event"].as_str())
        .collect();
    assert_eq!(
        events,
        [
            "rolled_back",
            "promoted",
            "challenged",
            "registered",
            "promoted",
            "challenged",
            "registered"
        ]
    );
    assert_eq!(history["entries"][0]["reason"], "too high");
    let api = api.again().await;
    assert_eq!(api.get("/api/v1/ltv/models").await.is(200)["champion"], json!(first));
    api.post("/api/v1/ltv/models/none/promote", json!({})).await.problem(404, "unknown_model");
    api.post("/api/v1/ltv/models/UPPER/promote", json!({})).await.problem(404, "unknown_model");
    let promote = format!("/api/v1/ltv/models/{first}/promote");
    api.post(&promote, json!({})).await.problem(409, "conflict");
    api.post(&promote, json!({"force": true})).await.problem(400, "missing_field");
}

#[tokio::test]
async fn a_version_that_is_worse_is_not_promoted_without_a_reason_whatever_its_holdout() {
    let api = api(&[]).await;
    let champion = api.champion(8).await;
    let day = api.get(&format!("/api/v1/ltv/models/{champion}")).await.is(200);
    let end = day["report"]["end"].as_str().expect("a day").to_owned();
    let end = kiki::models::value::log::day::Day::any(&end).expect("a day").number();
    let back =
        |days: i32| kiki::models::value::log::day::Day::new(end - days).expect("a day").to_string();
    let order = |model: &str, days: i32| json!({"model": model, "horizon_days": 273, "holdout_end": back(days)});
    // Customers who never leave: the champion's kind is scored on the other holdout beside it.
    let worse = api.fit(order("gamma-gamma", 30)).await;
    let promote = |version: &str| format!("/api/v1/ltv/models/{version}/promote");
    api.post(&promote(&worse), json!({})).await.problem(409, "not_better");
    let list = api.get("/api/v1/ltv/models").await.is(200);
    assert_eq!((&list["champion"], &list["challenger"]), (&json!(champion), &json!(worse)));
    let body = json!({"reason": "without force"});
    api.post(&promote(&worse), body).await.problem(409, "not_better");
    let body = json!({"force": true, "reason": "newer data"});
    let done = api.post(&promote(&worse), body).await.is(200);
    assert_eq!(done["entry"]["forced"]["reason"], "newer data", "{done}");
    // What is as good needs no reason, on whichever holdout.
    let same = api.fit(order("gamma-gamma", 20)).await;
    api.post(&promote(&same), json!({})).await.is(200);
    let other = api.fit(order("gamma-gamma", 10)).await;
    // The one that it was scored beside is not the champion any more: nobody knows.
    api.post("/api/v1/ltv/rollback", json!({"reason": "back"})).await.is(200);
    api.post(&promote(&other), json!({})).await.problem(409, "not_better");
    let again = api.fit(order("gamma-gamma", 15)).await;
    api.post(&promote(&again), json!({})).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_champion_under_load_drops_no_request() {
    // Nothing is answered from memory: every request meets the champion of its moment.
    let api = Arc::new(api(&[("value.cache_max", "0")]).await);
    let (first, second) = two(&api).await;
    let over = Arc::new(AtomicBool::new(false));
    let customers: Vec<String> = crate::harness::sample(8)
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split(',').next()?.to_owned()))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut asking = Vec::new();
    for task in 0..8 {
        let (over, customers, channel) =
            (Arc::clone(&over), customers.clone(), api.channel.clone());
        asking.push(tokio::spawn(async move {
            let mut client = LtvServiceClient::new(channel);
            let (mut asked, mut models) = (0_u64, BTreeSet::new());
            for customer in customers.iter().cycle().skip(task * 7) {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let customer_id = customer.clone();
                let request = LtvRequest { customer_id, ..LtvRequest::default() };
                let answer = client.predict_ltv(request).await.expect("an answer").into_inner();
                let told: Value = serde_json::from_str(&answer.explanation).expect("json");
                assert_eq!(told["status"], "success", "{told}");
                models.insert(told["model_version"].as_str().expect("a version").to_owned());
                asked += 1;
            }
            (asked, models)
        }));
    }
    for round in 0..10 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        if round % 2 == 0 {
            let body = json!({"reason": "back and forth"});
            api.post("/api/v1/ltv/rollback", body).await.is(200);
        } else {
            let body = json!({"force": true, "reason": "back and forth"});
            api.post(&format!("/api/v1/ltv/models/{second}/promote"), body).await.is(200);
        }
    }
    over.store(true, Ordering::Relaxed);
    let (mut all, mut seen) = (0, BTreeSet::new());
    for task in asking {
        let (asked, models) = task.await.expect("no request failed");
        all += asked;
        seen.extend(models);
    }
    assert_eq!(seen, BTreeSet::from([first, second]), "both answered");
    assert!(all > 100, "{all} requests");
}

#[tokio::test]
async fn a_predictor_that_fails_or_talks_nonsense_is_passed_over_and_the_rule_of_thumb_says_that_it_answers()
 {
    let api = api(&[("value.cache_max", "0"), ("value.predict_timeout_ms", "200")]).await;
    let model = api.champion(8).await;
    for kind in [FaultKind::Error, FaultKind::Corrupt] {
        let fault = api.fault("/value/predictor/*", kind);
        for _ in 0..12 {
            let told = api.predict("nobody").await;
            assert_eq!(told["status"], "fallback", "{told}");
            assert!(told["predicted_ltv"].as_f64().is_some_and(|it| it >= 0.0), "{told}");
        }
        let breakers = api.registry.breakers();
        let open = breakers.iter().filter(|b| b.path.starts_with("/value/predictor/")).count();
        assert!(open > 0, "operators see them");
        api.registry.clear_faults(Some(fault));
        api.answers_again(&model).await;
    }
}

#[tokio::test]
async fn a_predictor_that_takes_few_questions_is_spared_and_answers_again() {
    let api = api(&[("value.cache_max", "0"), ("value.predict_timeout_ms", "200")]).await;
    let model = api.champion(8).await;
    let fault = api.fault("/value/predictor/*", FaultKind::Throttle { per_second: 1 });
    let mut fallbacks = 0;
    for _ in 0..30 {
        let told = api.predict("nobody").await;
        fallbacks += u32::from(told["status"] == "fallback");
    }
    // A second or two may pass on a busy machine.
    assert!(fallbacks >= 25, "{fallbacks} of 30");
    api.registry.clear_faults(Some(fault));
    api.answers_again(&model).await;
}

#[tokio::test]
async fn a_fit_can_be_given_up_and_one_without_purchases_says_why() {
    let api = api(&[]).await;
    let fit = api.post("/api/v1/ltv/fits", json!({"model": "bg-nbd"})).await.is(202);
    let fit = api.ended(&fit).await;
    assert_eq!(
        (&fit["state"], &fit["error"]),
        (&json!("failed"), &json!("there are no purchases"))
    );
    api.import_sample(8).await;
    // The second waits for the first, and is given up before its turn.
    let first = api.post("/api/v1/ltv/fits", json!({"model": "bg-nbd"})).await.is(202);
    let second = api.post("/api/v1/ltv/fits", json!({"model": "pareto-nbd"})).await.is(202);
    let uri = format!("/api/v1/ltv/fits/{}", second["id"].as_str().expect("an id"));
    let given = api.delete(&uri).await.is(202);
    assert!(matches!(given["state"].as_str(), Some("cancelled" | "running")), "{given}");
    assert_eq!(api.ended(&second).await["state"], "cancelled");
    assert_eq!(api.ended(&first).await["state"], "done");
    api.delete(&uri).await.problem(409, "conflict");
    api.delete("/api/v1/ltv/fits/none").await.problem(404, "not_found");
    let fits = api.get("/api/v1/ltv/fits").await.is(200);
    assert_eq!(fits["fits"].as_array().map(Vec::len), Some(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_in_the_middle_of_a_fit_waits_for_nothing_and_leaves_nothing_half_done() {
    let api = api(&[]).await;
    api.import_sample(1).await;
    let fit = api.post("/api/v1/ltv/fits", json!({"model": "blend"})).await.is(202);
    let uri = format!("/api/v1/ltv/fits/{}", fit["id"].as_str().expect("an id"));
    let begun = Instant::now();
    while api.get(&uri).await.is(200)["state"] != "running" {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never began");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = Instant::now();
    let api = api.again().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
    let models = api.get("/api/v1/ltv/models").await.is(200);
    assert_eq!(models["models"], json!([]), "a fit that was cut off is no version");
    // what waits for the next fit is not in its way
    let fit = json!({"model": "bg-nbd", "horizon_days": 273});
    assert!(!api.fit(fit).await.is_empty());
}
