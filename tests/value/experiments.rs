//! The challenger on a share of the customers, and in the shadow of the champion.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{self, Api, api};

const URI: &str = "/api/v1/ltv/experiments";

/// A champion and a challenger.
async fn both(api: &Api) -> (String, String) {
    let champion = api.champion(8).await;
    let challenger = api.fit(json!({"model": "mbg-nbd", "horizon_days": 273})).await;
    (champion, challenger)
}

fn customers() -> Vec<String> {
    harness::customers(8)
}

async fn arms(api: &Api) -> Vec<String> {
    let mut arms = Vec::new();
    for customer in customers() {
        let told = api.predict(&customer).await;
        arms.push(told["arm"].as_str().expect("an arm").to_owned());
    }
    arms
}

#[tokio::test]
async fn a_share_of_the_customers_is_answered_by_the_challenger_and_always_the_same_ones() {
    let api = api(&[]).await;
    api.put(URI, json!({"share": 0.5})).await.problem(409, "conflict");
    let (_, challenger) = both(&api).await;
    let set = api.put(URI, json!({"share": 0.5})).await.is(200);
    assert_eq!((&set["challenger"], &set["running"]), (&json!(challenger), &json!(true)));
    let before = arms(&api).await;
    let share = before.iter().filter(|arm| *arm == "challenger").count();
    let all = before.len();
    assert!(share > all / 4 && share < all * 3 / 4, "{share} of {all}");
    let api = api.again().await;
    assert_eq!(arms(&api).await, before, "nobody has moved");
    let more = api.put(URI, json!({"share": 0.8})).await.is(200);
    assert_eq!(more["experiment"], set["experiment"]);
    let after = arms(&api).await;
    let went_back = |(old, new): (&String, &String)| old == "challenger" && new == "champion";
    assert!(!before.iter().zip(&after).any(went_back));
    // It ends with the challenge.
    api.delete("/api/v1/ltv/challenger").await.is(200);
    assert!(arms(&api).await.iter().all(|arm| arm == "champion"));
    let listed = api.get(URI).await.is(200);
    assert_eq!(listed["experiments"][0]["running"], false, "{listed}");
    api.delete(URI).await.problem(409, "conflict");
    for body in [json!({}), json!({"share": 1.1}), json!({"share": -0.1}), json!({"share": "x"})] {
        let answer = api.put(URI, body).await;
        assert_eq!((answer.status, answer.json["field"].as_str()), (400, Some("share")));
    }
}

#[tokio::test]
async fn a_shadow_forecasts_for_all_and_nobody_is_told() {
    // that of the versions: forecasts of other horizons are not kept
    let api = api(&[("value.horizon_days", "273")]).await;
    let (champion, challenger) = both(&api).await;
    api.put(URI, json!({"share": 0, "shadow": true})).await.is(200);
    let asked = customers().len() as i64;
    for customer in customers() {
        let told = api.predict(&customer).await;
        assert_eq!(told["model_version"], json!(champion));
    }
    let open = async |model: &str| -> Value {
        api.get(&format!("/api/v1/ltv/models/{model}/outcomes")).await.is(200)
    };
    for _ in 0..100 {
        let (told, kept) = (open(&champion).await, open(&challenger).await);
        let of = |kept: &Value| kept["open"].as_i64().expect("a count");
        if of(&told) == asked && of(&kept) > asked / 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the shadow's forecasts are not kept");
}

#[tokio::test]
async fn a_challenger_that_cannot_be_loaded_answers_nobody_and_can_be_ended() {
    let api = api(&[]).await;
    let (champion, challenger) = both(&api).await;
    api.tamper(&format!("DELETE FROM ltv_model_part WHERE model = '{challenger}'")).await;
    let api = api.again().await;
    let body = json!({"force": true, "reason": "the test wants to see it refused"});
    let answer = api.post(&format!("/api/v1/ltv/models/{challenger}/promote"), body).await;
    assert!(answer.status >= 400, "{answer:?}");
    api.delete("/api/v1/ltv/challenger").await.is(200);
    let list = api.get("/api/v1/ltv/models").await.is(200);
    assert_eq!((&list["champion"], &list["challenger"]), (&json!(champion), &Value::Null));
}
