//! `/api/v1/budget/{campaign_id}/ledger`.

use serde_json::json;

use super::harness::{Api, WIDE, api};

#[tokio::test]
async fn the_ledger_is_dense_and_read_in_pages() {
    let api = api(&[WIDE]).await;
    api.allocate("c", 100).await;
    for amount in 0..4 {
        let body = json!({"campaign_id": "c", "amount": amount, "memo": format!("n {amount}")});
        api.post("/api/v1/spend", body).await.is(201);
    }
    let (hold, _) = Api::hold_of(api.check("c", 10.0).await);
    api.settle(&hold, 4.0).await.is(200);
    let (mut cursor, mut seen) = (json!(0), Vec::new());
    loop {
        let uri = format!("/api/v1/budget/c/ledger?limit=2&cursor={cursor}");
        let page = api.get(&uri).await.is(200);
        seen.extend(page["rows"].as_array().expect("rows").clone());
        match page.get("next_cursor") {
            Some(next) => cursor = next.clone(),
            None => break,
        }
    }
    let column = |name: &str| seen.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(column("seq"), [1, 2, 3, 4, 5].map(|n| json!(n)));
    assert_eq!(column("amount"), [0, 1, 2, 3, 4].map(|n| json!(n)));
    assert_eq!(column("kind"), ["spend", "spend", "spend", "spend", "settle"].map(|k| json!(k)));
    assert_eq!(seen[4]["hold_id"], hold);
    assert_eq!(seen[3]["memo"], "n 3");
    api.get("/spend?amount=7").await;
    let own = api.get("/api/v1/budget/@account/ledger").await.is(200);
    assert_eq!((&own["rows"][0]["seq"], &own["rows"][0]["amount"]), (&json!(1), &json!(7)));
}
