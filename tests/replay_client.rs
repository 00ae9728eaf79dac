//! `kiki replay` against a server that is busy, away, refuses, or knows the lines already.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

#[derive(Default)]
struct Peer {
    /// The body of each key, as first sent.
    bodies: HashMap<String, String>,
    /// Answers to give before booking, by the line's number.
    first: HashMap<u32, Vec<(u16, &'static str)>>,
    tries: u32,
    slow: Option<Duration>,
}

type Shared = Arc<Mutex<Peer>>;

async fn spend(State(peer): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let slow = peer.lock().expect("not poisoned").slow;
    tokio::time::sleep(slow.unwrap_or_default()).await;
    let mut peer = peer.lock().expect("not poisoned");
    peer.tries += 1;
    let key = headers["idempotency-key"].to_str().expect("text").to_owned();
    let line = key.rsplit_once('-').expect("a line number").1.parse().expect("a line number");
    if let Some(answers) = peer.first.get_mut(&line)
        && let Some((status, body)) = answers.pop()
    {
        let status = StatusCode::from_u16(status).expect("a status");
        return (status, [("retry-after", "0")], body).into_response();
    }
    let replayed = peer.bodies.insert(key, body).is_some();
    let answer = format!("{{\"status\":\"booked\",\"replayed\":{replayed},\"seq\":1}}");
    (if replayed { StatusCode::OK } else { StatusCode::CREATED }, answer).into_response()
}

/// Serves on a free port and returns the address.
fn serve(peer: Shared) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let routes = Router::new().route("/api/v1/spend", post(spend)).with_state(peer);
            axum::serve(listener, routes).await.expect("served");
        });
    });
    url
}

const LOG: &str = "customer_id date number_of_cds dollar_value\n\
    00001 19970101 1 11.77\n00002 19970112 1 0.00\n00003 19970112 5 077.00\n";

fn replay_command(folder: &Path, log: &str, url: &str, more: &[&str]) -> Command {
    std::fs::write(folder.join("log.txt"), log).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiki"));
    command.args(["replay", "--transactions", "log.txt", "--campaign", "camp_001", "--url", url]);
    command.args(more).current_dir(folder).env_clear();
    command
}

fn replay(log: &str, url: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    replay_command(folder.path(), log, url, more).output().expect("kiki runs")
}

fn words(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
fn every_line_is_booked_as_written_and_a_second_run_books_nothing() {
    let peer = Shared::default();
    let url = serve(peer.clone());
    let first = replay(LOG, &url, &[]);
    let said = words(&first);
    assert!(first.status.success(), "{said}");
    for line in
        ["lines       3", "booked      3", "replayed    0", "refused     0", "total       $88.77"]
    {
        assert!(said.contains(line), "{line}\nis not in\n{said}");
    }
    let mut bodies: Vec<String> = peer.lock().expect("fine").bodies.values().cloned().collect();
    bodies.sort();
    assert_eq!(
        bodies,
        [
            r#"{"campaign_id":"camp_001","amount":0.00,"currency":"USD","memo":"cdnow line 3 customer 00002 date 19970112"}"#,
            r#"{"campaign_id":"camp_001","amount":11.77,"currency":"USD","memo":"cdnow line 2 customer 00001 date 19970101"}"#,
            r#"{"campaign_id":"camp_001","amount":77.00,"currency":"USD","memo":"cdnow line 4 customer 00003 date 19970112"}"#,
        ]
    );
    let second = replay(LOG, &url, &["--concurrency", "1"]);
    assert!(second.status.success());
    assert!(words(&second).contains("booked      0\nreplayed    3\n"), "{}", words(&second));
}

#[test]
fn busy_answers_are_tried_again_until_the_line_is_booked() {
    let peer = Shared::default();
    let busy = vec![(503, ""), (429, ""), (409, r#"{"code":"in_progress"}"#)];
    peer.lock().expect("fine").first.insert(2, busy);
    let output = replay(LOG, &serve(peer.clone()), &[]);
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(peer.lock().expect("fine").tries, 6);
}

#[test]
fn refusals_are_counted_by_reason_and_end_with_code_1() {
    let peer = Shared::default();
    let refusal = (422, r#"{"code":"amount_invalid","detail":"the amount is out of range"}"#);
    peer.lock().expect("fine").first.insert(3, vec![refusal]);
    let output = replay(LOG, &serve(peer), &[]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let reason = "  1 × 422 amount_invalid: the amount is out of range (first on line 3)\n";
    assert!(said.contains("booked      2") && said.contains(reason), "{said}");
    let last =
        "not every line was booked: line 3: 422 amount_invalid: the amount is out of range\n";
    assert!(said.ends_with(last), "{said}");
}

#[test]
fn an_unknown_campaign_ends_the_run_and_says_how_to_create_it() {
    let peer = Shared::default();
    let unknown = (404, r#"{"code":"unknown_campaign"}"#);
    peer.lock().expect("fine").first = (2..5).map(|line| (line, vec![unknown])).collect();
    let output = replay(LOG, &serve(peer.clone()), &["--concurrency", "1"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("does not exist") && said.contains("/api/v1/allocate"), "{said}");
    assert_eq!(peer.lock().expect("fine").tries, 1, "the other lines are not sent");
}

#[test]
fn what_is_to_be_created_names_the_account_and_repeats_the_servers_reason() {
    for (code, what) in [
        ("unknown_campaign", "\"currency\":\"USD\",\"account\":\"acme\"}'"),
        ("unknown_account", "/api/v1/accounts -H"),
    ] {
        let peer = Shared::default();
        let body: &'static str = match code {
            "unknown_campaign" => r#"{"code":"unknown_campaign","detail":"so it is"}"#,
            _ => r#"{"code":"unknown_account","detail":"so it is"}"#,
        };
        peer.lock().expect("fine").first = (2..5).map(|line| (line, vec![(404, body)])).collect();
        let more = ["--concurrency", "1", "--account", "acme"];
        let said = words(&replay(LOG, &serve(peer.clone()), &more));
        assert!(said.contains(what) && said.contains(&format!("404 {code}: so it is")), "{said}");
        assert_eq!(peer.lock().expect("fine").tries, 1);
    }
}

#[test]
fn a_name_that_cannot_be_one_is_refused_before_anything_is_sent() {
    let peer = Shared::default();
    for more in [["--account", "a/b"], ["--account", ".."]] {
        let output = replay(LOG, &serve(peer.clone()), &more);
        assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiki"));
    command.args(["replay", "--transactions", "none.txt", "--campaign", "a b"]).env_clear();
    let output = command.output().expect("kiki runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(words(&output).contains("--campaign \"a b\""), "{}", words(&output));
    assert_eq!(peer.lock().expect("fine").tries, 0);
}

#[test]
fn a_server_that_is_away_is_tried_for_the_given_time_only() {
    let begun = Instant::now();
    let output = replay(LOG, "http://127.0.0.1:9", &["--give-up-after", "300ms"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("gave up") && said.contains("again to go on"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_malformed_line_is_named_and_nothing_is_sent() {
    let peer = Shared::default();
    let output = replay(&format!("{LOG}00004 19970112 1\n"), &serve(peer.clone()), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(words(&output).contains("line 5: expected customer"), "{}", words(&output));
    assert_eq!(peer.lock().expect("fine").tries, 0);
}

#[test]
fn ctrl_c_stops_cleanly_and_says_how_to_go_on() {
    let peer = Shared::default();
    peer.lock().expect("fine").slow = Some(Duration::from_millis(20));
    let folder = tempfile::tempdir().expect("a folder");
    let log: String = (0..2000).map(|n| format!("{n:05} 19970101 1 1.00\n")).collect();
    let mut command =
        replay_command(folder.path(), &log, &serve(peer.clone()), &["--concurrency", "4"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kiki runs");
    while peer.lock().expect("fine").tries < 20 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("sent");
    let output = child.wait_with_output().expect("ended");
    let said = words(&output);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("run the same command again to go on"), "{said}");
    let booked = peer.lock().expect("fine").bodies.len();
    assert!(said.contains(&format!("booked      {booked}\n")), "{booked} booked\n{said}");
}

#[test]
fn the_whole_cdnow_log_is_sent_and_totalled_to_the_cent() {
    let peer = Shared::default();
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cdnow_master.txt.gz");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiki"));
    command.args(["replay", "--campaign", "camp_001", "--url", &serve(peer.clone())]);
    let output = command.arg("--transactions").arg(log).env_clear().output().expect("kiki runs");
    let said = words(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("booked      69,659\n"), "{said}");
    assert!(said.contains("total       $2,500,315.63\n"), "{said}");
    assert_eq!(peer.lock().expect("fine").bodies.len(), 69_659);
    println!("{said}");
}
