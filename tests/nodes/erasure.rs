//! Somebody is erased while several nodes bid.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Server, client};
use crate::lab::Lab;

const PATIENCE: Duration = Duration::from_secs(30);

async fn to_flow(node: &Server, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("http://127.0.0.1:{}{path}", 8082 + node.offset);
    let request = client().post(url).header("content-type", "application/json");
    let answer = request.body(body.to_string()).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn bidding(node: &Server, campaign: &str) {
    let made = json!({
        "id": campaign, "name": "Winter boots", "advertiser_domain": "acme.example", "currency": "USD",
        "budget": {"amount": 1_000_000},
        "strategy": {"target_value": {"conversion_rate": 0.0001, "unknown_ltv": 40}},
        "creatives": [{"id": "a", "format": {"banner": {"w": 300, "h": 250}}, "markup": "x"}],
    });
    let (status, answer) = to_flow(node, "/api/v1/campaigns", &made).await;
    assert_eq!(status, 201, "{answer}");
    let path = format!("/api/v1/campaigns/{campaign}/start");
    let (status, answer) = to_flow(node, &path, &json!({})).await;
    assert_eq!(status, 200, "{answer}");
}

async fn ask(node: &Server, auction: &str) {
    // An impression for each campaign.
    let imp = |id: &str| json!({"id": id, "banner": {"w": 300, "h": 250}, "bidfloor": 0.01});
    let request = json!({
        "id": auction, "at": 2, "tmax": 2_000, "cur": ["USD"], "regs": {"gdpr": 0},
        "imp": [imp("1"), imp("2")], "user": {"id": "u", "buyeruid": "ann"},
        "site": {"id": "s", "domain": "news.example"}, "device": {"geo": {"country": "USA"}},
    });
    let (status, answer) = to_flow(node, "/openrtb2/bid", &request).await;
    assert!(status == 200 || status == 204, "{status} {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_node_writes_for_whom_it_has_bid_when_the_person_is_erased() {
    let Some(lab) = Lab::open("erased", 2, &["shield.window_cap=1000000"]).await else { return };
    for node in 0..2 {
        bidding(&lab.nodes[0], &lab.campaign_of(node, "camp").await).await;
    }
    let grant = json!({"customer_id": "ann", "consent_type": "targeting", "legal_basis": "consent", "source": "web"});
    let (status, answer) = lab.nodes[0].post("/consent/grant", &grant).await;
    assert!((200..300).contains(&status), "{status} {answer}");
    // Both of them bid for ann, and write so.
    let began = Instant::now();
    let reached = "SELECT CAST(COUNT(DISTINCT d.campaign) AS BIGINT) FROM flow_reach r JOIN flow_decision d \
                   ON d.account = r.account AND d.decision = r.decision";
    let mut auction = 0;
    while lab.number(reached).await < 2 {
        for node in &lab.nodes {
            auction += 1;
            ask(node, &format!("r{auction}")).await;
        }
        assert!(began.elapsed() < PATIENCE, "ann is not bid for by both");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let body = json!({"customer_id": "ann", "request_type": "DELETION"});
    let (status, request) = lab.nodes[1].post("/dsr/create", &body).await;
    assert_eq!(status, 201, "{request}");
    let path = format!("/api/v1/dsr/{}", request["id"].as_str().expect("an id"));
    let began = Instant::now();
    loop {
        for node in &lab.nodes {
            auction += 1;
            ask(node, &format!("r{auction}")).await;
        }
        let (_, seen) = lab.nodes[0].get(&path).await;
        if seen["status"] == "completed" {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{seen}");
    }
    // Longer than a bid waits in memory for its end.
    let left = "SELECT CAST(COUNT(*) AS BIGINT) FROM flow_reach";
    for _ in 0..15 {
        assert_eq!(lab.number(left).await, 0, "rows that name the person");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    lab.close().await;
}
