//! Many campaigns.

use std::time::Instant;

use axum::http::Method;
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::harness::{api, campaign, request, rich, told};

const MANY: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_campaigns_are_started_at_once_and_are_there_after_a_restart() {
    let api = api().await;
    let began = Instant::now();
    let made = stream::iter(0..MANY).map(|n| {
        let api = &api;
        async move {
            let id = format!("c{n}");
            api.post("/api/v1/campaigns", campaign(&id)).await.is(201);
            api.order(&id, "start").await.is(200);
        }
    });
    made.buffer_unordered(64).collect::<Vec<()>>().await;
    api.running(MANY).await;
    println!("{MANY} campaigns created and started in {:?}", began.elapsed());
    let began = Instant::now();
    let api = api.again().await;
    api.running(MANY).await;
    println!("{MANY} campaigns are there {:?} after the order to stop", began.elapsed());
    let page = api.get("/api/v1/campaigns?status=active&prefix=c99&limit=5").await.is(200);
    let ids: Vec<_> = page["campaigns"]
        .as_array()
        .expect("campaigns")
        .iter()
        .map(|c| &c["campaign_id"])
        .collect();
    assert_eq!(ids, ["c99", "c990", "c991", "c992", "c993"]);
    assert_eq!(page["next_cursor"], "c993");
}

#[tokio::test]
async fn pages_of_large_definitions_are_bounded_in_bytes_and_come_to_their_end() {
    let api = api().await;
    let large = |id: &str| {
        let mut large = campaign(id);
        let creative = |n: usize| {
            json!({
                "id": format!("a{n}"), "format": {"banner": {"w": 300, "h": 250}},
                "markup": "x".repeat(60_000),
            })
        };
        large["creatives"] = (0..32).map(creative).collect();
        large
    };
    let ids = ["c1", "c2", "c3", "c4", "c5", "c6"];
    for id in ids {
        api.post("/api/v1/campaigns", large(id)).await.is(201);
    }
    let (mut seen, mut pages, mut uri) = (Vec::new(), 0, "/api/v1/campaigns?limit=1000".to_owned());
    loop {
        let page = api.get(&uri).await;
        assert!(page.text.len() < 9 << 20, "{} bytes", page.text.len());
        let page = page.is(200);
        let of = page["campaigns"].as_array().expect("campaigns");
        seen.extend(of.iter().map(|it| it["campaign_id"].as_str().expect("text").to_owned()));
        pages += 1;
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        uri = format!("/api/v1/campaigns?limit=1000&cursor={cursor}");
    }
    assert_eq!((seen, pages), (ids.map(str::to_owned).to_vec(), 2));
    for n in 0..5 {
        let name = json!({"name": format!("Boots {n}")});
        api.call(Method::PATCH, "/api/v1/campaigns/c1", &[], name).await.is(200);
    }
    let first = api.get("/api/v1/campaigns/c1/history").await.is(200);
    assert_eq!(first["changes"].as_array().map(Vec::len), Some(4));
    let cursor = first["next_cursor"].as_i64().expect("there are more");
    let rest = api.get(&format!("/api/v1/campaigns/c1/history?cursor={cursor}")).await.is(200);
    assert_eq!(rest["changes"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&rest["changes"][1]["kind"], &rest["next_cursor"]),
        (&json!("created"), &json!(null))
    );
}

#[tokio::test]
async fn requests_of_one_person_that_are_answered_at_once_do_not_pass_the_cap_together() {
    let api = api().await;
    api.bidding(rich("c", json!([{"impressions": 2, "period_s": 3_600}]))).await;
    let asked = |n: usize, person: &str| {
        let mut of = request(&format!("r{n}"));
        of["user"] = json!({"id": person});
        of.to_string()
    };
    let all = (0..24).map(|n| api.exchange(&[], asked(n, "ann")));
    let answers = futures_util::future::join_all(all).await;
    let bids: Vec<_> = answers.iter().filter(|heard| heard.status == 200).collect();
    assert_eq!(bids.len(), 2);
    // What is lost makes room again, for one.
    assert_eq!(api.notice(Method::GET, &told(&bids[0].bid()["lurl"], "1")).await.status, 200);
    let all = (24..32).map(|n| api.exchange(&[], asked(n, "ann")));
    let answers = futures_util::future::join_all(all).await;
    assert_eq!(answers.iter().filter(|heard| heard.status == 200).count(), 1);
    // Of requests without time nothing is bid, and nothing is left in the counts.
    let hurried = |n: usize| {
        let mut of: serde_json::Value = serde_json::from_str(&asked(n, "bob")).expect("json");
        of["tmax"] = json!(1);
        of.to_string()
    };
    for n in 32..40 {
        assert_eq!(api.exchange(&[], hurried(n)).await.status, 204);
    }
    let all = (40..48).map(|n| api.exchange(&[], asked(n, "bob")));
    let answers = futures_util::future::join_all(all).await;
    assert_eq!(answers.iter().filter(|heard| heard.status == 200).count(), 2);
}
