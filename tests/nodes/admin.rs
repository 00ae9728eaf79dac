//! Operators see and steer all nodes from any of them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Server, client};
use crate::lab::Lab;

async fn get(node: &Server, path: &str) -> (u16, Value) {
    let answer = client().get(node.admin_url(path)).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn post(node: &Server, path: &str, body: &Value) -> (u16, Value) {
    let request = client().post(node.admin_url(path)).header("content-type", "application/json");
    let answer = request.body(body.to_string()).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

/// Asks again until it is so.
async fn until(node: &Server, path: &str, so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let (status, answer) = get(node, path).await;
        if status == 200 && so(&answer) {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{path}: {status} {answer}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn names(view: &Value) -> Vec<&str> {
    let nodes = view["nodes"].as_array().expect("nodes");
    nodes.iter().filter_map(|node| node["name"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_and_steer_all_nodes_from_any() {
    let Some(mut lab) = Lab::open("steer", 3, &[]).await else { return };
    let linked = |view: &Value| {
        let links = view["links"].as_array().expect("links");
        links.len() == 2 && links.iter().all(|link| link["state"] == "up")
    };
    let whole = |view: &Value| linked(view) && view["shards"]["held"] == 256;
    let view = until(&lab.nodes[0], "/api/admin/cluster?shards=true", whole).await;
    assert_eq!(
        (&view["node"], names(&view)),
        (&json!("node-1"), vec!["node-1", "node-2", "node-3"])
    );
    assert_eq!(view["shards"]["each"].as_array().map(Vec::len), Some(256));
    let owners = view["shards"]["owners"].as_object().expect("owners");
    assert_eq!(owners.values().filter_map(Value::as_u64).sum::<u64>(), 256, "{owners:?}");

    // Another node is asked through this one.
    let (status, view) = get(&lab.nodes[0], "/api/admin/cluster?node=node-3").await;
    assert_eq!((status, &view["node"]), (200, &json!("node-3")));
    let member = "/api/admin/actors/cluster/member";
    let (_, there) = get(&lab.nodes[2], member).await;
    let (_, here) = get(&lab.nodes[0], &format!("{member}?node=node-3")).await;
    assert_eq!(here["view"]["incarnation"], there["view"]["incarnation"]);
    assert_eq!(here["view"]["phase"], "in");
    let (status, stream) = get(&lab.nodes[0], "/api/admin/events?node=node-3").await;
    assert_eq!((status, &stream["field"]), (400, &json!("node")));

    // A campaign of the second node goes to the third one; the first is told.
    let campaign = lab.campaign_of(1, "moves").await;
    lab.nodes[0].allocate(&campaign, 100).await;
    let place = format!("/api/admin/cluster/where?campaign={campaign}");
    let (_, found) = get(&lab.nodes[0], &place).await;
    assert_eq!((&found["owner"], &found["home"]), (&json!("node-2"), &json!("node-2")));
    let order = format!("/api/admin/cluster/shards/{}/move", found["shard"]);
    // Unknown is unknown, whichever way it is named, and whichever node is told.
    for node in &lab.nodes {
        let (status, refused) = post(node, &order, &json!({"to": "nobody"})).await;
        assert_eq!((status, &refused["code"]), (404, &json!("not_found")), "{refused}");
        let (status, refused) = get(node, "/api/admin/cluster?node=nobody").await;
        assert_eq!((status, &refused["code"]), (404, &json!("not_found")), "{refused}");
    }
    let (status, moved) = post(&lab.nodes[0], &order, &json!({"to": "node-3"})).await;
    assert!(matches!(status, 200 | 202), "{moved}");
    let found = until(&lab.nodes[0], &place, |it| it["owner"] == "node-3").await;
    assert_eq!((&found["home"], &found["state"]), (&json!("node-2"), &json!("held")));
    let spend = json!({"campaign_id": campaign, "amount": 2.5});
    let (status, answer) = lab.nodes[0].post("/api/v1/spend", &spend).await;
    assert!((200..300).contains(&status), "{status} {answer}");
    // Where it is already, it stays.
    let (status, moved) = post(&lab.nodes[1], &order, &json!({"to": "node-3"})).await;
    assert_eq!((status, &moved["done"]), (200, &json!(true)), "{moved}");

    // The second node is told to end, through the first.
    let drain = "/api/admin/cluster/nodes/node-2/drain";
    let (status, draining) = post(&lab.nodes[0], drain, &json!({})).await;
    assert_eq!((status, &draining["node"]), (202, &json!("node-2")), "{draining}");
    let ended = lab.nodes[1].ended(Duration::from_secs(40));
    assert!(ended.success(), "{}", lab.nodes[1].said());
    let gone = |view: &Value| names(view) == ["node-1", "node-3"] && view["shards"]["held"] == 256;
    until(&lab.nodes[0], "/api/admin/cluster", gone).await;
    let (status, nobody) = post(&lab.nodes[0], drain, &json!({})).await;
    assert_eq!((status, &nobody["code"]), (404, &json!("not_found")), "{nobody}");
    let (status, budget) = lab.nodes[2].get(&format!("/api/v1/budget/{campaign}")).await;
    assert_eq!((status, &budget["spent"]), (200, &json!(2.5)), "{budget}");
    lab.close().await;
}
