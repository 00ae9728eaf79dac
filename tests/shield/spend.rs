//! `/spend`, `/check` and `/api/v1/spend`.

use serde_json::{Value, json};

use super::harness::{Api, WIDE, api};

#[tokio::test]
async fn six_spends_close_the_window_and_refunds_open_it_again() {
    let api = api(&[]).await;
    for _ in 0..6 {
        let answer = api.call(axum::http::Method::POST, "/spend?amount=100", &[], "").await;
        assert_eq!((answer.status, &*answer.text), (200, "Spend recorded: 100.00"));
    }
    let check = api.get("/check?ltv=600").await;
    assert_eq!((check.status, &*check.text), (403, "Bid validation failed"));
    let refund = api.get("/spend?amount=-100").await;
    assert_eq!((refund.status, &*refund.text), (200, "Spend recorded: -100.00"));
    assert_eq!(api.get("/check?ltv=600").await.status, 403, "500 of 500 are spent");
    assert_eq!(api.get("/spend?amount=-100").await.status, 200);
    let check = api.get("/check?ltv=600").await;
    assert_eq!((check.status, &*check.text), (200, "Compliance check passed"));
}

#[tokio::test]
async fn the_documented_calls_answer_mistakes_in_their_own_words() {
    let api = api(&[]).await;
    for (uri, status, text) in [
        ("/spend", 400, "Invalid amount"),
        ("/spend?amount=abc", 400, "Invalid amount"),
        ("/spend?amount=NaN", 400, "Invalid amount"),
        ("/spend?amount=1e300", 400, "Invalid amount"),
        ("/check", 400, "Missing LTV parameter"),
        ("/check?ltv=abc", 400, "Invalid LTV value"),
        ("/check?ltv=inf", 400, "Invalid LTV value"),
        ("/check?ltv=9.99", 403, "Bid validation failed"),
        ("/check?ltv=10", 200, "Compliance check passed"),
        ("/check?ltv=10000", 200, "Compliance check passed"),
        ("/check?ltv=10000.1", 403, "Bid validation failed"),
    ] {
        let answer = api.get(uri).await;
        assert_eq!((answer.status, &*answer.text), (status, text), "{uri}");
    }
}

#[tokio::test]
async fn a_spend_is_booked_once_per_key_and_never_refused_by_a_cap() {
    let api = api(&[]).await;
    api.allocate("c", 1).await;
    let key = [("idempotency-key", "one")];
    let body = json!({"campaign_id": "c", "amount": 700.25, "memo": "a fact"});
    let first = api.post_as("/api/v1/spend", &key, body.clone()).await.is(201);
    assert_eq!((&first["status"], &first["replayed"]), (&json!("booked"), &json!(false)));
    let again = api.post_as("/api/v1/spend", &key, body).await.is(200);
    assert_eq!((&again["replayed"], &again["seq"]), (&json!(true), &first["seq"]));
    let other = json!({"campaign_id": "c", "amount": 1});
    api.post_as("/api/v1/spend", &key, other).await.problem(422, "idempotency_mismatch");
    api.post("/api/v1/spend", json!({"campaign_id": "c", "amount": 0})).await.is(201);
    let budget = api.get("/api/v1/budget/c").await.is(200);
    assert_eq!(budget["spent"].to_string(), "700.25");
    assert_eq!((&budget["ledger_seq"], &budget["remaining"]), (&json!(2), &json!(-699.25)));
    let refund = api.post("/api/v1/spend", json!({"campaign_id": "c", "amount": -0.25})).await;
    assert_eq!(refund.is(201)["kind"], "refund");
}

#[tokio::test]
async fn the_exact_digits_of_an_amount_survive() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 1_000).await;
    for _ in 0..10 {
        api.post("/api/v1/spend", json!({"campaign_id": "c", "amount": 0.1})).await.is(201);
    }
    api.post("/api/v1/spend", json!({"campaign_id": "c", "amount": "0.000001"})).await.is(201);
    let budget = api.get("/api/v1/budget/c").await.is(200);
    assert_eq!(budget["spent"].to_string(), "1.000001");
}

#[tokio::test]
async fn looking_at_a_spend_books_nothing() {
    let api = api(&[WIDE]).await;
    let head = api.call(axum::http::Method::HEAD, "/spend?amount=3", &[], "").await;
    assert_eq!(head.status, 405);
    for (text, said) in [(".5", "0.50"), ("5.", "5.00"), ("-.5", "-0.50")] {
        let answer = api.get(&format!("/spend?amount={text}")).await;
        assert_eq!((answer.status, &*answer.text), (200, &*format!("Spend recorded: {said}")));
    }
    for text in [".", "", "-", "1..", "."] {
        assert_eq!(api.get(&format!("/spend?amount={text}")).await.status, 400, "{text}");
    }
    let account = api.get("/api/v1/accounts/default").await.is(200);
    assert_eq!(account["ledger_seq"], 3, "{account}");
}

#[tokio::test]
async fn a_spend_for_a_hold_and_its_settle_are_one_booking_whichever_comes_first() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    let (first, _) = Api::hold_of(api.check("c", 10.0).await);
    api.post(&format!("/api/v1/holds/{first}/release"), Value::Null).await.is(200);
    let spend =
        |hold: &str, amount: f64| json!({"campaign_id": "c", "amount": amount, "hold_id": hold});
    let of = |key: &'static str| [("idempotency-key", key)];
    let booked = api.post_as("/api/v1/spend", &of("a"), spend(&first, 5.5)).await.is(201);
    assert_eq!(booked["kind"], "spend");
    let again = api.post_as("/api/v1/spend", &of("b"), spend(&first, 5.5)).await.is(200);
    assert_eq!((&again["replayed"], &again["seq"]), (&json!(true), &booked["seq"]));
    let more = api.post("/api/v1/spend", spend(&first, 6.0)).await;
    more.problem(422, "idempotency_mismatch");
    assert_eq!(api.settle(&first, 5.5).await.is(200)["replayed"], true);
    api.settle(&first, 6.0).await.problem(422, "idempotency_mismatch");
    let (second, _) = Api::hold_of(api.check("c", 10.0).await);
    api.settle(&second, 7.0).await.is(200);
    let again = api.post_as("/api/v1/spend", &of("c"), spend(&second, 7.0)).await.is(200);
    assert_eq!((&again["replayed"], &again["kind"]), (&json!(true), &json!("settle")));
    let budget = api.get("/api/v1/budget/c").await.is(200);
    assert_eq!((&budget["spent"], &budget["held"]), (&json!(12.5), &json!(0)));
    let other = first.replace(".c", ".d");
    for (body, field) in [
        (spend(&other, 1.0), "hold_id"),
        (spend("x", 1.0), "hold_id"),
        (spend(&first, -1.0), "amount"),
    ] {
        assert_eq!(api.post("/api/v1/spend", body).await.is(400)["field"], field);
    }
}
