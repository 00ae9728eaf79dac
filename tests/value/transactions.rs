//! `/api/v1/ltv/transactions` and `/api/v1/ltv/customers/…`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Api, api, sample};

const URI: &str = "/api/v1/ltv/transactions";

async fn customer(api: &Api, id: &str) -> Value {
    api.get(&format!("/api/v1/ltv/customers/{id}")).await.is(200)
}

fn counts(done: &Value) -> (u64, u64, u64) {
    let count = |name: &str| done[name].as_u64().expect("a count");
    (count("imported"), count("duplicates"), count("rejected"))
}

#[tokio::test]
async fn a_file_that_comes_twice_is_taken_once_also_after_a_restart() {
    let api = api(&[]).await;
    let file = sample(64);
    let rows = file.lines().count() as u64 - 1;
    let done = api.csv(URI, &[], file.clone()).await.is(200);
    assert_eq!(counts(&done), (rows, 0, 0));
    let done = api.csv(URI, &[], file.clone()).await.is(200);
    assert_eq!(counts(&done), (0, rows, 0));
    let first = file.lines().nth(1).expect("a row").split(',').next().expect("an id");
    let before = customer(&api, first).await;
    assert!(before["purchases"].as_u64() > Some(0) && before["currency"] == "USD", "{before}");
    let api = api.again().await;
    assert_eq!(customer(&api, first).await, before);
    let done = api.csv(URI, &[], file).await.is(200);
    assert_eq!(counts(&done), (0, rows, 0));
}

#[tokio::test]
async fn a_request_with_a_key_is_answered_again_and_another_one_with_it_is_refused() {
    let api = api(&[]).await;
    let key = [("idempotency-key", "k1")];
    let row =
        |day: u32| json!({"customer_id": "c", "date": format!("2026-01-{day:02}"), "amount": 5});
    let body = json!({"transactions": [row(1), row(1), row(2)]});
    let done = api.post_as(URI, &key, body.clone()).await.is(200);
    assert_eq!((counts(&done), &done["replayed"]), ((3, 0, 0), &json!(false)));
    let again = api.post_as(URI, &key, body.clone()).await.is(200);
    assert_eq!((counts(&again), &again["replayed"]), ((3, 0, 0), &json!(true)));
    let other = json!({"transactions": [row(3)]});
    api.post_as(URI, &key, other.clone()).await.problem(422, "idempotency_mismatch");
    api.csv(URI, &key, "customer_id,date,amount\nc,2026-01-05,1\n")
        .await
        .problem(422, "idempotency_mismatch");
    let seen = customer(&api, "c").await;
    assert_eq!(
        (&seen["purchases"], &seen["days"], &seen["total"]),
        (&json!(3), &json!(2), &json!(15))
    );
    // Another key is another purchase, of the same look.
    let done = api.post_as(URI, &[("idempotency-key", "k2")], body).await.is(200);
    assert_eq!(counts(&done), (3, 0, 0));
}

#[tokio::test]
async fn a_transaction_id_names_one_purchase_whatever_else_is_said() {
    let api = api(&[]).await;
    let row = |id: &str, amount: f64| json!({"customer_id": "c", "date": "2026-01-01", "amount": amount, "transaction_id": id});
    let body =
        json!({"transactions": [row("a", 5.5), row("b", 5.5), row("a", 5.5), row("a", 6.0)]});
    let done = api.post(URI, body).await.is(200);
    assert_eq!(counts(&done), (2, 1, 1));
    assert_eq!(done["rejects"][0]["line"], 4);
    assert!(done["rejects"][0]["reason"].as_str().expect("words").contains("another purchase"));
    assert_eq!(customer(&api, "c").await["total"], 11);
}

#[tokio::test]
async fn wrong_rows_are_named_by_line_and_the_others_taken_or_nothing_where_it_is_strict() {
    let api = api(&[]).await;
    let file = "customer_id,date,amount,currency\n\
        a,2026-01-01,5,USD\n\
        a,2026-01-32,5,USD\n\
        a,2999-01-01,5,USD\n\
        ,2026-01-01,5,USD\n\
        a,2026-01-01,-5,USD\n\
        a,2026-01-01,5.0000001,USD\n\
        a,2026-01-01,x,USD\n\
        a,2026-01-01,5,EUR\n\
        a,2026-01-01\n\
        b,2026-01-01,7,USD";
    api.csv(&format!("{URI}?strict=true"), &[], file).await.problem(422, "invalid_rows");
    assert_eq!(customer(&api, "a").await["purchases"], 0, "nothing is taken");
    let done = api.csv(URI, &[], file).await.is(200);
    assert_eq!(counts(&done), (2, 0, 8), "{done}");
    let lines: Vec<u64> = done["rejects"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|reject| reject["line"].as_u64().expect("a line"))
        .collect();
    assert_eq!(lines, [3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(customer(&api, "b").await["total"], 7);

    let rows = json!([
        {"customer_id": "c", "date": "2026-01-01", "amount": 1},
        {"customer_id": "c", "date": "2026-01-01", "amount": -1},
        {"customer_id": "c", "date": "2999-01-01", "amount": 1},
        {"customer_id": "c", "date": "2026-01-01", "amount": 1, "currency": "EUR"},
        {"customer_id": "c", "amount": 1},
        {"customer_id": "c", "date": "2026-01-01", "amount": 1, "odd": 1},
        5
    ]);
    let strict = format!("{URI}?strict=true");
    api.post(&strict, json!({"transactions": rows})).await.problem(422, "invalid_rows");
    let done = api.post(URI, json!({"transactions": rows})).await.is(200);
    assert_eq!(counts(&done), (1, 0, 6), "{done}");
}

#[tokio::test]
async fn a_file_without_rows_or_without_a_heading_is_refused() {
    let api = api(&[]).await;
    for body in ["", "\n\n", "a,b,c\n1,2,3\n", "customer_id,date\nx,2026-01-01\n"] {
        api.csv(URI, &[], body).await.problem(400, "malformed_body");
    }
    api.csv(URI, &[], "customer_id,date,amount\n").await.problem(400, "malformed_body");
    let done = api.csv(URI, &[], vec![0xff; 10_000]).await;
    assert_eq!(done.status, 400, "{}", done.text);
    for uri in ["/api/v1/ltv/transactions?strict=maybe"] {
        api.csv(uri, &[], "").await.problem(400, "invalid_field");
    }
}

#[tokio::test]
async fn a_purchase_changes_the_answer_at_once() {
    let api = api(&[]).await;
    api.champion(8).await;
    let row = |day: &str| json!({"customer_id": "new", "date": day, "amount": 40});
    let today = kiki::actors::value::today();
    let day = |back: i32| {
        let day = kiki::models::value::log::day::Day::new(today.number() - back);
        day.expect("a day").to_string()
    };
    let nobody = api.predict("new").await;
    assert_eq!(nobody["status"], "insufficient_data", "{nobody}");
    assert_eq!(api.predict("new").await["cached"], true);
    api.post(URI, json!({"transactions": [row(&day(60))]})).await.is(200);
    let once = api.predict("new").await;
    assert_eq!((&once["status"], &once["cached"]), (&json!("success"), &json!(false)), "{once}");
    assert_eq!(api.predict("new").await["cached"], true);
    api.post(URI, json!({"transactions": [row(&day(30)), row(&day(5))]})).await.is(200);
    let thrice = api.predict("new").await;
    assert_eq!(thrice["cached"], false);
    assert!(thrice["expected_purchases"].as_f64() > once["expected_purchases"].as_f64());
}

#[tokio::test]
async fn a_strict_import_takes_nothing_where_a_customer_would_not_take_a_row() {
    let api = api(&[]).await;
    let strict = format!("{URI}?strict=true");
    let row = |customer: &str, id: &str, amount: u32| json!({"customer_id": customer, "date": "2026-01-01", "amount": amount, "transaction_id": id});
    api.post(URI, json!({"transactions": [row("a", "one", 5)]})).await.is(200);
    // another purchase has the id: only the customer knows
    let rows = json!([row("b", "x", 1), row("a", "one", 6), row("c", "x", 1), row("a", "two", 1)]);
    let body = json!({"transactions": rows});
    let refused = api.post(&strict, body.clone()).await.problem(422, "invalid_rows");
    let detail = refused["detail"].as_str().expect("words");
    assert!(detail.contains("1 rows are wrong: line 2 "), "{detail}");
    for (id, purchases) in [("a", 1), ("b", 0), ("c", 0)] {
        assert_eq!(customer(&api, id).await["purchases"], purchases, "{id}");
    }
    // two rows of the request itself with one id
    let twice = json!({"transactions": [row("b", "x", 1), row("b", "x", 2)]});
    api.post(&strict, twice).await.problem(422, "invalid_rows");
    // another currency than the account's, of all rows
    let foreign = "customer_id,date,amount,currency\nb,2026-01-01,1,EUR\nc,2026-01-01,1,EUR\n";
    api.csv(&strict, &[], foreign).await.problem(422, "invalid_rows");
    assert_eq!(customer(&api, "b").await["purchases"], 0);
    // without strict the others are taken; and what can all be taken is, in strictness, too
    assert_eq!(counts(&api.post(URI, body).await.is(200)), (3, 0, 1));
    let good = json!({"transactions": [row("a", "one", 5), row("d", "x", 1)]});
    assert_eq!(counts(&api.post(&strict, good).await.is(200)), (1, 1, 0));
}

#[tokio::test]
async fn a_request_with_rejected_rows_is_worked_on_again_under_its_key() {
    let api = api(&[]).await;
    let key = [("idempotency-key", "k1")];
    let row = |day: u32, amount: i32| json!({"customer_id": "c", "date": format!("2026-01-{day:02}"), "amount": amount});
    let body = json!({"transactions": [row(1, 5), row(2, -1), row(3, 5)]});
    assert_eq!(counts(&api.post_as(URI, &key, body.clone()).await.is(200)), (2, 0, 1));
    let again = api.post_as(URI, &key, body).await.is(200);
    assert_eq!((counts(&again), &again["replayed"]), ((0, 2, 1), &json!(false)));
    // the row is corrected in its place
    let right = json!({"transactions": [row(1, 5), row(2, 1), row(3, 5)]});
    assert_eq!(counts(&api.post_as(URI, &key, right.clone()).await.is(200)), (1, 2, 0));
    let again = api.post_as(URI, &key, right).await.is(200);
    assert_eq!((counts(&again), &again["replayed"]), ((1, 2, 0), &json!(true)));
    assert_eq!(customer(&api, "c").await["total"], 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_of_many_customers_keeps_few_of_them_in_memory_and_loses_nothing() {
    const CUSTOMERS: u64 = 3_000;
    let api = api(&[("kernel.resident_max", "50")]).await;
    let mut file = "customer_id,date,amount\n".to_owned();
    for day in ["2026-01-01", "2026-02-01"] {
        (0..CUSTOMERS).for_each(|n| file.push_str(&format!("c{n},{day},{}\n", n + 1)));
    }
    let registry = api.registry.clone();
    let in_memory = move || {
        let of_customers = |kind: &str| matches!(kind, "ltv_customer" | "person");
        let types = registry.types();
        types.iter().filter(|t| of_customers(t.kind)).map(|t| t.active).max().unwrap_or(0)
    };
    let most = Arc::new(AtomicUsize::new(0));
    let watching = tokio::spawn({
        let (in_memory, most) = (in_memory.clone(), Arc::clone(&most));
        async move {
            loop {
                most.fetch_max(in_memory(), Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    });
    let done = api.csv(URI, &[], file.clone()).await.is(200);
    assert_eq!(counts(&done), (2 * CUSTOMERS, 0, 0));
    watching.abort();
    let most = most.load(Relaxed);
    assert!((51..1_000).contains(&most), "{most} of {CUSTOMERS} were in memory at once");
    let begun = Instant::now();
    while in_memory() > 50 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} stay", in_memory());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let done = api.csv(URI, &[], file).await.is(200);
    assert_eq!(counts(&done), (0, 2 * CUSTOMERS, 0));
    for n in [0, 1_234, CUSTOMERS - 1] {
        let seen = customer(&api, &format!("c{n}")).await;
        assert_eq!((&seen["purchases"], &seen["total"]), (&json!(2), &json!(2 * (n + 1))));
    }
}
