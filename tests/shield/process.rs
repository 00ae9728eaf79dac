//! The real process: starts, restarts, refusals and stops.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use kiki::store::{PAUSED_BY_RESTORE, Store, StoreConfig};
use serde_json::json;

use crate::common::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_clean_restart_nor_a_kill_resets_the_window() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(&folder.path().join("data"), &[]);
    for _ in 0..5 {
        assert_eq!(server.get("/spend?amount=100").await.0, 200);
    }
    assert_eq!(server.get("/check?ltv=600").await.0, 403);
    assert!(server.terminate().success());
    server.restart();
    assert_eq!(server.get("/check?ltv=600").await.0, 403, "after a clean restart");
    server.restart();
    assert_eq!(server.get("/check?ltv=600").await.0, 403, "after a kill");
    assert_eq!(server.get("/spend?amount=-1").await.0, 200);
    assert_eq!(server.get("/check?ltv=600").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_of_a_killed_server_settles_late_by_its_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(&folder.path().join("data"), &[]);
    server.allocate("c", 100).await;
    let body = json!({"campaign_id": "c", "bid_amount": 40});
    let (status, hold) = server.post("/api/v1/check", &body).await;
    assert_eq!(status, 200, "{hold}");
    server.restart();
    let uri = format!("/api/v1/holds/{}/settle", hold["hold_id"].as_str().expect("an id"));
    let (status, unknown) = server.post(&uri, &json!({"amount": 30})).await;
    assert_eq!((status, &unknown["code"]), (404, &json!("unknown_hold")), "{unknown}");
    let proof = json!({"amount": 30, "token": hold["token"]});
    for replayed in [false, true] {
        let (status, settled) = server.post(&uri, &proof).await;
        assert_eq!((status, &settled["booked"]["kind"]), (200, &json!("late")), "{settled}");
        assert_eq!(settled["replayed"], replayed);
    }
    assert_eq!(server.get("/api/v1/budget/c").await.1["spent"], 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_passes_while_a_restore_has_paused_spending() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(&folder.path().join("data"), &[]);
    server.allocate("c", 100).await;
    assert!(server.terminate().success());
    let store = Store::open(StoreConfig::sqlite(&server.data)).await.expect("the store opens");
    let restored = json!({"at": 0, "rows": {}, "slices_closed": 0}).to_string();
    store.put_meta("*", PAUSED_BY_RESTORE, Some(&restored)).await.expect("paused");
    store.close().await;
    server.restart();
    let bid = json!({"campaign_id": "c", "bid_amount": 1});
    assert_eq!(server.post("/api/v1/check", &bid).await.1["reason"], "paused");
    assert_eq!(server.get("/check?ltv=600").await.0, 403);
    assert_eq!(server.post("/api/v1/restore/resume", &json!({})).await.0, 200);
    assert_eq!(server.get("/check?ltv=600").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_port_says_what_it_is_whether_it_serves_and_what_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"), &[]);
    let client = crate::common::client();
    for (port, paths) in [
        (8080, &["/", "/health", "/ready", "/metrics"][..]),
        (8081, &["/", "/health", "/ready", "/metrics", "/openapi.json", "/docs"]),
        (8087, &["/", "/health", "/ready", "/metrics", "/openapi.json", "/docs"]),
        (8090, &["/", "/health", "/ready", "/metrics", "/openapi.json", "/docs"]),
    ] {
        let url = |path: &str| format!("http://127.0.0.1:{}{path}", port + server.offset);
        for path in paths {
            let answer = client.get(url(path)).send().await.expect("an answer");
            assert_eq!(answer.status(), 200, "{port}{path}");
        }
        for (request, status) in
            [(client.get(url("/nothing")), 404), (client.delete(url("/health")), 405)]
        {
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), status, "{port}");
            assert_eq!(answer.headers()["content-type"], "application/problem+json", "{port}");
        }
    }
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_told_of_the_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let why = Server::start_at(&data, server.offset + 20, &[]).err().expect("refused");
    assert_eq!(why.status.and_then(|s| s.code()), Some(1), "{why:?}");
    assert!(why.said.contains(&server.address()), "{}", why.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_finishes_what_runs_and_ends_with_0() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(&folder.path().join("data"), &[]);
    server.allocate("c", 100).await;
    let began = Instant::now();
    assert_eq!(server.terminate().code(), Some(0), "{}", server.said());
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(server.said().contains("stopped"), "{}", server.said());
    assert!(!server.said().contains("ERROR"), "{}", server.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_comes_too_slowly_is_hung_up_on_while_others_are_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"), &["server.header_timeout_ms=500"]);
    let began = Instant::now();
    let mut slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address()).expect("connected");
            stream.write_all(b"POST /spend?amount=1 HTTP/1.1\r\nhost: x\r\nx-").expect("sent");
            stream
        })
        .collect();
    while began.elapsed() < Duration::from_millis(300) {
        assert_eq!(server.get("/check?ltv=600").await.0, 200);
    }
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
        let mut rest = Vec::new();
        // A reset is as good an end as any.
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{rest:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(server.get("/check?ltv=600").await.0, 200);
    let (_, ledger) = server.get("/api/v1/budget/@account/ledger").await;
    assert_eq!(ledger["rows"], json!([]), "nothing was booked");
}
