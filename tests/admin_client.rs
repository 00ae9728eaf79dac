//! `kiki admin` against answers of the admin API's shape.

use std::process::{Command, Output};

use axum::extract::{Path, Query, RawQuery};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

fn summary(path: &str) -> Value {
    json!({"path": path, "type": "budget", "state": "running", "depth": 1, "capacity": 8,
           "handled": 12, "restarts": 0})
}

async fn actors(Query(query): Query<std::collections::HashMap<String, String>>) -> Json<Value> {
    assert_eq!(query["prefix"], "/shield/a b", "the prefix arrives decoded");
    Json(match query.get("cursor").map(String::as_str) {
        None => json!({"actors": [summary("/shield/a b/1")], "next": "c&2", "total": 7}),
        Some("c&2") => json!({"actors": [summary("/shield/a b/2")], "total": 7}),
        Some(other) => panic!("an unknown cursor {other}"),
    })
}

async fn actor(Path(path): Path<String>) -> Json<Value> {
    let mut detail = summary(&format!("/{path}"));
    let latency = json!({"samples": 3, "p50_us": 1.5, "p99_us": 2000.0, "max_us": 3_000_000.0});
    let more = json!({"since_us": 0, "depth_max": 5, "failed": 1, "expired": 0, "refused": 0,
        "wait": latency, "handle": latency, "restart_reasons": [], "children": [],
        "last_errors": [{"at_us": 1_000_000, "reason": "bad\u{1b}[31m luck"}],
        "handling": {"message": "settle", "for_ms": 31}, "view": {"held": 5}, "view_at_us": 0});
    for (name, value) in more.as_object().expect("an object") {
        detail[name] = value.clone();
    }
    Json(detail)
}

async fn refuse() -> impl IntoResponse {
    let problem =
        json!({"code": "chaos_disabled", "detail": "faults are off: chaos.enabled is false"});
    (StatusCode::FORBIDDEN, Json(problem))
}

async fn events() -> impl IntoResponse {
    let event = |seq: u64| {
        format!(
            "id: {seq}\nevent: restart\ndata: {{\"seq\":{seq},\"at_us\":0,\"event\":\"restart\",\
             \"path\":\"/a/{seq}\",\"reason\":\"panic\"}}\n\n"
        )
    };
    (
        [("content-type", "text/event-stream")],
        format!(": hello\n\n{}{}{}", event(1), event(2), event(3)),
    )
}

async fn removed(RawQuery(query): RawQuery) -> StatusCode {
    assert_eq!(query, None);
    StatusCode::NO_CONTENT
}

async fn of_a_node(Query(query): Query<std::collections::HashMap<String, String>>) -> Json<Value> {
    let name = query.get("node").map_or("this one", String::as_str);
    Json(json!({"services": [{"name": name, "path": "/shield", "ready": true, "children": {}}]}))
}

async fn moved(
    Path(shard): Path<u16>,
    RawQuery(query): RawQuery,
    Json(body): Json<Value>,
) -> impl IntoResponse {
    assert_eq!((query, &body), (None, &json!({"to": "node-2"})));
    match shard {
        17 => {
            (StatusCode::OK, Json(json!({"shard": 17, "to": "node-2", "done": true, "epoch": 9})))
        }
        18 => (StatusCode::ACCEPTED, Json(json!({"shard": 18, "to": "node-2", "done": false}))),
        _ => {
            let why = "shard 19 is not moved to node-2: there is no such node";
            (StatusCode::CONFLICT, Json(json!({"code": "conflict", "detail": why})))
        }
    }
}

async fn found(Query(query): Query<std::collections::HashMap<String, String>>) -> Json<Value> {
    assert_eq!((&*query["campaign"], &*query["account"], query.len()), ("c 1", "acme", 2));
    Json(json!({"account": "acme", "campaign": "c 1", "shard": 7, "state": "held", "epoch": 3,
        "owner": "node-1", "age_ms": 61_000, "home": "node-1"}))
}

async fn drained(Path(name): Path<String>) -> impl IntoResponse {
    (StatusCode::ACCEPTED, Json(json!({"node": name, "incarnation": "0", "draining": true})))
}

/// Serves the answers on a free port and returns the address.
fn serve() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let routes = Router::new()
                .route("/api/admin/actors", get(actors))
                .route("/api/admin/actors/{*path}", get(actor))
                .route("/api/admin/faults", post(refuse))
                .route("/api/admin/faults/{id}", delete(removed))
                .route("/api/admin/services", get(of_a_node))
                .route("/api/admin/cluster/shards/{shard}/move", post(moved))
                .route("/api/admin/cluster/nodes/{name}/drain", post(drained))
                .route("/api/admin/cluster/where", get(found))
                .route("/api/admin/events", get(events));
            axum::serve(listener, routes).await.expect("served");
        });
    });
    url
}

fn admin(url: &str, args: &[&str]) -> (Output, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiki"));
    command.arg("admin").args(args).current_dir(folder.path()).env_clear();
    let output = command.env("KIKI_ADMIN_URL", url).output().expect("kiki runs");
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (output, String::from_utf8_lossy(&both).into_owned())
}

#[test]
fn a_list_is_paged_by_its_cursor() {
    let url = serve();
    let (output, said) = admin(&url, &["actors", "--prefix", "/shield/a b"]);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("/shield/a b/1  budget  running  1/8      12       0"), "{said}");
    assert!(said.contains("1 of 7 actors\nnext page: --cursor c&2\n"), "{said}");
    let (_, all) = admin(&url, &["actors", "--prefix", "/shield/a b", "--all"]);
    assert!(all.contains("a b/1") && all.contains("a b/2") && !all.contains("next page"), "{all}");
}

#[test]
fn an_actor_is_shown_whole_and_cannot_write_over_the_terminal() {
    let (output, said) = admin(&serve(), &["actor", "/shield/budget/camp 1"]);
    assert!(output.status.success(), "{said}");
    for want in [
        "path       /shield/budget/camp 1\n",
        "mailbox    1/8 (most 5)\n",
        "handling   settle for 31 ms\n",
        "wait       p50 1 µs, p99 2.0 ms, max 3.00 s (3 measured)\n",
        "error      1970-01-01T00:00:01.000Z bad\\u{1b}[31m luck\n",
        "\"held\": 5",
    ] {
        assert!(said.contains(want), "{want}\nis not in\n{said}");
    }
}

#[test]
fn events_are_followed_and_refusals_are_told_in_their_words() {
    let url = serve();
    let (output, said) = admin(&url, &["events", "--count", "2"]);
    assert!(output.status.success(), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert_eq!(lines[1], "1970-01-01T00:00:00.000Z  restart       path=/a/2 reason=panic");
    let (output, said) = admin(&url, &["faults", "add", "/shield/*", "panic"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said, "403 chaos_disabled: faults are off: chaos.enabled is false\n");
    let (output, said) = admin(&url, &["faults", "remove", "3"]);
    assert_eq!((output.status.code(), said.as_str()), (Some(0), "removed\n"));
}

#[test]
fn the_cluster_is_steered_and_another_node_is_asked_by_its_name() {
    let url = serve();
    for (args, said, code) in [
        (&["cluster", "move", "17", "node-2"][..], "shard 17: node-2 has it, epoch 9\n", 0),
        (&["cluster", "move", "18", "node-2"], "shard 18: is on its way to node-2\n", 0),
        (
            &["cluster", "move", "19", "node-2"],
            "409 conflict: shard 19 is not moved to node-2: there is no such node\n",
            1,
        ),
        (&["cluster", "drain", "node-2"], "node-2: hands everything over, and ends\n", 0),
        (
            &["cluster", "where", "c 1", "--account", "acme"],
            "SHARD  STATE  OWNER   EPOCH  SINCE   HEIR  HOME\n\
             7      held   node-1  3      61.0 s  -     node-1\n",
            0,
        ),
        (
            &["cluster", "--shards", "drain", "node-2"],
            "--shards: goes with `kiki admin cluster` alone\n",
            2,
        ),
    ] {
        let (output, told) = admin(&url, args);
        assert_eq!((told.as_str(), output.status.code()), (said, Some(code)), "{args:?}");
    }
    let (output, _) = admin(&url, &["cluster", "move", "256", "node-2"]);
    assert_eq!(output.status.code(), Some(2));
    for (args, name) in [
        (&["services"][..], "this one"),
        (&["services", "--node", "node-3"], "node-3"),
        (&["--node", "node-3", "services"], "node-3"),
    ] {
        let (_, told) = admin(&url, args);
        assert!(told.contains(&format!("\n{name}  ")), "{told}");
    }
}

#[test]
fn a_node_that_does_not_answer_is_named() {
    let (output, said) = admin("http://127.0.0.1:9", &["services"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.starts_with("no answer from http://127.0.0.1:9/api/admin: "), "{said}");
    assert!(said.contains("is `kiki up` running?"), "{said}");
}
