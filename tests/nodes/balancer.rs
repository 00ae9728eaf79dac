//! `kiki cluster up`: nodes behind HAProxy that are restarted one after the other.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rand::RngExt;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::common::{client, command};

const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// A cluster behind its balancer.
struct Front {
    child: Child,
    folder: TempDir,
    offset: u16,
    lines: mpsc::Receiver<String>,
    /// The process of each node.
    nodes: BTreeMap<String, i32>,
    /// Nodes that were started again, which are no children of the cluster's.
    again: Vec<Child>,
}

impl Front {
    /// `None` where there is no cluster to be had.
    fn up(nodes: usize) -> Option<Front> {
        let folder = tempfile::tempdir().expect("a folder");
        // PostgreSQL is run by another user where this is root, who has to reach what is in there.
        let open = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(folder.path(), open).expect("opened");
        for _ in 0..10 {
            let offset = rand::rng().random_range(2_000..12_000);
            match Front::at(&folder, nodes, offset) {
                Ok((child, lines, nodes)) => {
                    let again = Vec::new();
                    return Some(Front { child, folder, offset, lines, nodes, again });
                }
                // Somebody has one of its ports.
                Err(said) if said.contains("in use") => {}
                Err(said) if said.contains("a cluster needs what is not here") => {
                    eprintln!("skipped: {said}");
                    return None;
                }
                Err(said) => panic!("no cluster: {said}"),
            }
        }
        panic!("no free ports");
    }

    #[expect(clippy::type_complexity, reason = "the parts of a front, before it is one")]
    fn at(
        folder: &TempDir,
        nodes: usize,
        offset: u16,
    ) -> Result<(Child, mpsc::Receiver<String>, BTreeMap<String, i32>), String> {
        let mut up = command();
        up.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        up.args(["cluster", "up", "--fast", "--nodes", &nodes.to_string()]);
        up.arg("--dir").arg(folder.path().join("cluster"));
        up.args(["--port-offset", &offset.to_string()]);
        let mut child =
            up.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kiki starts");
        let (tell, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let err = BufReader::new(child.stderr.take().expect("piped"));
        let told = tell.clone();
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|it| told.send(it))
        });
        std::thread::spawn(move || {
            err.lines().map_while(Result::ok).try_for_each(|it| tell.send(it))
        });
        let (mut said, mut pids) = (String::new(), BTreeMap::new());
        while let Ok(line) = lines.recv_timeout(STARTS_WITHIN * 2) {
            let mut words = line.split_whitespace();
            if let (Some(name), Some(Ok(pid))) = (words.next(), words.next().map(str::parse))
                && name.starts_with("node-")
            {
                pids.insert(name.to_owned(), pid);
            }
            if line.starts_with("ready in") {
                assert_eq!(pids.len(), nodes, "{said}");
                return Ok((child, lines, pids));
            }
            said = said + &line + "\n";
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(said)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", 8081 + self.offset)
    }

    fn cluster(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }

    /// Ends a node in good order; the order that starts it again, as the cluster prints it.
    fn end(&self, node: &str) -> String {
        let pid = Pid::from_raw(self.nodes[node]).expect("a process");
        kill_process(pid, Signal::TERM).expect("sent");
        let ended = self.line(&format!("{node} (pid "));
        assert!(ended.contains("exit status: 0"), "{ended}");
        self.line("  start it again: ").trim_start_matches("  start it again: ").to_owned()
    }

    fn start(&mut self, order: &str) {
        let mut shell = Command::new("sh");
        shell.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        shell.args(["-c", order]).process_group(0);
        let quiet = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.again.push(quiet.spawn().expect("a shell"));
    }

    /// The next line that begins so.
    fn line(&self, begins: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(STARTS_WITHIN).expect("a line");
            if line.starts_with(begins) {
                return line;
            }
        }
    }

    /// Ends all of it, what was started again first.
    fn stop(mut self) {
        self.end_again();
        self.end_command();
    }

    fn end_command(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("sent");
        let began = Instant::now();
        while self.child.try_wait().expect("a child").is_none() {
            assert!(began.elapsed() < Duration::from_secs(40), "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end_again(&mut self) {
        for mut shell in self.again.drain(..) {
            // It may have ended by itself.
            let _ = kill_process_group(Pid::from_child(&shell), Signal::TERM);
            let _ = shell.wait();
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.end_again();
        if matches!(self.child.try_wait(), Ok(None)) {
            // In good order: it has children of its own to end.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

/// What the balancer says of each node's SyncShield.
async fn seen(cluster: &Path) -> BTreeMap<String, String> {
    let mut socket = UnixStream::connect(cluster.join("haproxy.sock")).await.expect("the balancer");
    socket.write_all(b"show stat\n").await.expect("asked");
    let mut text = String::new();
    socket.read_to_string(&mut text).await.expect("an answer");
    let rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let nodes = rows.filter(|row| row.len() > 17 && row[0] == "shield" && row[1].contains("node"));
    nodes.map(|row| (row[1].to_owned(), row[17].to_owned())).collect()
}

/// Waits until the balancer has each node in this state.
async fn all_are_up(cluster: &Path) {
    let began = Instant::now();
    loop {
        let seen = seen(cluster).await;
        if seen.len() == 3 && seen.values().all(|state| state == "UP") {
            return;
        }
        assert!(began.elapsed() < STARTS_WITHIN, "{seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the balancer knows that a node is gone.
async fn is_out(cluster: &Path, node: &str) {
    let began = Instant::now();
    while !seen(cluster).await.get(node).is_some_and(|state| state.starts_with("DOWN")) {
        assert!(began.elapsed() < STARTS_WITHIN, "{node} is taken for ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_behind_the_balancer_fails_no_request() {
    let Some(mut front) = Front::up(3) else { return };
    let cluster = front.cluster();
    for n in 0..9 {
        let body =
            json!({"campaign_id": format!("camp_{n}"), "budget": 100_000, "currency": "USD"});
        let request = client().post(front.url("/api/v1/allocate")).body(body.to_string());
        let answer = request.header("content-type", "application/json").send().await;
        assert_eq!(answer.expect("an answer").status(), 201);
    }
    all_are_up(&cluster).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..4_usize {
        let (url, stop) = (front.url("/api/v1/spend"), Arc::clone(&stop));
        callers.spawn(async move {
            let (http, mut failed, mut n) = (client(), Vec::new(), caller);
            while !stop.load(Relaxed) {
                n += 1;
                let body = json!({"campaign_id": format!("camp_{}", n % 9), "amount": 0.01});
                let request = http.post(&url).header("content-type", "application/json");
                match request.body(body.to_string()).send().await {
                    Ok(answer) if answer.status() == 201 => {}
                    Ok(answer) => {
                        let status = answer.status();
                        failed
                            .push(format!("{status} {}", answer.text().await.unwrap_or_default()));
                    }
                    Err(error) => failed.push(format!("{error:?}")),
                }
            }
            (n - caller, failed)
        });
    }
    for node in ["node-1", "node-2", "node-3"] {
        let began = Instant::now();
        let order = tokio::task::block_in_place(|| front.end(node));
        is_out(&cluster, node).await;
        front.start(&order);
        all_are_up(&cluster).await;
        println!("{node} was out for {:?}", began.elapsed());
    }
    stop.store(true, Relaxed);
    let (mut sent, mut failed) = (0, Vec::new());
    while let Some(done) = callers.join_next().await {
        let (some, bad) = done.expect("a caller");
        sent += some;
        failed.extend(bad);
    }
    println!("{sent} requests");
    assert!(failed.is_empty(), "{} of {sent} failed: {:?}", failed.len(), failed.first());
    tokio::task::block_in_place(|| front.stop());
}

/// Whether a process does anything still.
fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.starts_with(" Z"))
}

async fn is_ready(front: &Front) {
    let began = Instant::now();
    loop {
        let answer = client().get(front.url("/ready")).send().await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            return;
        }
        assert!(began.elapsed() < STARTS_WITHIN, "it is not ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_taken_up_after_its_command_was_killed_and_ends_with_what_was_started_by_hand()
{
    let Some(mut front) = Front::up(1) else { return };
    let left = front.nodes["node-1"];
    front.child.kill().expect("killed");
    front.child.wait().expect("a child");
    assert!(runs(left), "it is nobody's child now");
    let taken = tokio::task::block_in_place(|| Front::at(&front.folder, 1, front.offset));
    let (child, lines, nodes) = taken.expect("a cluster in the same folder, at the same ports");
    (front.child, front.lines, front.nodes) = (child, lines, nodes);
    assert!(!runs(left), "what was left is stopped");
    is_ready(&front).await;

    let order = tokio::task::block_in_place(|| front.end("node-1"));
    front.start(&order);
    is_ready(&front).await;
    tokio::task::block_in_place(|| front.end_command());
    front.line("stopping node-1 (pid ");
    let began = Instant::now();
    while front.again[0].try_wait().expect("a child").is_none() {
        assert!(began.elapsed() < Duration::from_secs(5), "what was started by hand runs on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
