//! `kiki ltv import` against a server that is busy, away, small, or says no.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use crate::support::{command, ended, kiki, text};

#[derive(Default)]
pub struct Peer {
    /// Ids of purchases, each with how often it came.
    ids: HashMap<String, u32>,
    /// Requests by their keys.
    keys: HashMap<String, u32>,
    /// Answers to give before anything is taken.
    first: Vec<(u16, &'static str)>,
    /// The largest body that it takes.
    body_max: Option<usize>,
    /// Ids are not kept: there are too many of them.
    forgets: bool,
    pub taken: u64,
    slow: Option<Duration>,
}

pub type Shared = Arc<Mutex<Peer>>;

/// A server that counts purchases and keeps none.
pub fn forgetful() -> Shared {
    Shared::new(Mutex::new(Peer { forgets: true, ..Peer::default() }))
}

async fn take(State(peer): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let slow = peer.lock().expect("not poisoned").slow;
    tokio::time::sleep(slow.unwrap_or_default()).await;
    let mut peer = peer.lock().expect("not poisoned");
    let key = headers["idempotency-key"].to_str().expect("text").to_owned();
    *peer.keys.entry(key).or_default() += 1;
    if let Some((status, body)) = peer.first.pop() {
        let status = StatusCode::from_u16(status).expect("a status");
        return (status, [("retry-after", "0")], body).into_response();
    }
    if peer.body_max.is_some_and(|most| body.len() > most) {
        return (StatusCode::PAYLOAD_TOO_LARGE, r#"{"code":"body_too_large"}"#).into_response();
    }
    let rows = if peer.forgets {
        body.matches("\"transaction_id\"").count() as u64
    } else {
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let rows = body["transactions"].as_array().expect("a list");
        for row in rows {
            let id = row["transaction_id"].as_str().expect("an id").to_owned();
            *peer.ids.entry(id).or_default() += 1;
        }
        rows.len() as u64
    };
    peer.taken += rows;
    let answer = json!({
        "imported": rows, "duplicates": 0, "rejected": 0, "rejects": [], "replayed": false,
    });
    answer.to_string().into_response()
}

/// Serves on a free port and returns the address.
pub fn serve(peer: Shared) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let routes = Router::new().route("/api/v1/ltv/transactions", post(take));
            axum::serve(listener, routes.with_state(peer)).await.expect("served");
        });
    });
    url
}

/// As many rows, each customer with some, every tenth line twice.
fn orders(folder: &Path, rows: usize) -> usize {
    let mut log = String::from("customer_id,date,amount\n");
    let mut lines = 0;
    for row in 0..rows {
        for _ in 0..=usize::from(row % 10 == 0) {
            let (customer, day) = (row / 3, 1 + row % 28);
            log += &format!("c{customer},2024-01-{day:02},{}.25\n", row % 90);
            lines += 1;
        }
    }
    std::fs::write(folder.join("orders.csv"), log).expect("written");
    lines
}

#[test]
fn every_purchase_arrives_once_at_a_server_that_is_busy_at_first_and_takes_small_bodies_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = orders(folder.path(), 9_000);
    let busy = vec![(503, "{}"), (429, "{}"), (409, r#"{"code":"in_progress"}"#), (502, "<b>")];
    let peer =
        Shared::new(Mutex::new(Peer { first: busy, body_max: Some(60_000), ..Peer::default() }));
    let url = serve(Arc::clone(&peer));
    let args = ["import", "--transactions", "orders.csv", "--json", "--url", &url];
    let output = kiki(folder.path(), &args);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&told["rows"], &told["imported"]), (&lines.into(), &lines.into()), "{told}");
    assert!(told["complete"] == true && output.status.success() && output.stderr.is_empty());
    let ids = peer.lock().expect("not poisoned").ids.clone();
    assert_eq!((ids.len(), ids.values().max()), (lines, Some(&1)));
    // The same file again: the same ids, and the same keys.
    let keys = peer.lock().expect("not poisoned").keys.len();
    assert!(kiki(folder.path(), &args).status.success());
    let peer = peer.lock().expect("not poisoned");
    assert_eq!((peer.ids.len(), peer.keys.len()), (lines, keys));
    assert!(peer.ids.values().all(|times| *times == 2));
}

#[test]
fn who_is_refused_or_finds_nobody_is_told_so_soon() {
    let folder = tempfile::tempdir().expect("a folder");
    orders(folder.path(), 30);
    let words = r#"{"code":"unauthenticated","detail":"who are you?"}"#;
    let peer = Shared::new(Mutex::new(Peer { first: vec![(401, words)], ..Peer::default() }));
    let url = serve(peer);
    let args = ["import", "--transactions", "orders.csv", "--url"];
    let refused = kiki(folder.path(), &[&args[..], &[&url]].concat());
    ended(&refused, 1, "401 unauthenticated: who are you?");
    assert!(text(&refused.stdout).contains("unanswered  33"), "{}", text(&refused.stdout));
    let nobody = ["http://127.0.0.1:9", "--give-up-after", "300ms"];
    ended(&kiki(folder.path(), &[&args[..], &nobody].concat()), 1, "is `kiki up` running?");
    ended(&kiki(folder.path(), &[&args[..], &["ftp://x"]].concat()), 2, "expected a URL");
    let long = [&url, "--give-up-after", "soon"];
    ended(&kiki(folder.path(), &[&args[..], &long].concat()), 2, "expected a time");
}

#[test]
fn a_run_that_is_interrupted_says_how_to_go_on_and_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    orders(folder.path(), 60_000);
    let slow = Some(Duration::from_millis(300));
    let peer = Shared::new(Mutex::new(Peer { slow, forgets: true, ..Peer::default() }));
    let url = serve(Arc::clone(&peer));
    let args = ["import", "--transactions", "orders.csv", "--concurrency", "1", "--url", &url];
    let mut running = command(folder.path(), &args);
    let running = running.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let running = running.spawn().expect("kiki runs");
    let began = Instant::now();
    while peer.lock().expect("not poisoned").taken == 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing arrives");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("sent");
    let output = running.wait_with_output().expect("it ends");
    ended(&output, 130, "run the same command again to go on");
    assert!(peer.lock().expect("not poisoned").taken < 60_000);
}
