//! Who knocks at the links of nodes without being one.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::net::TcpStream;

use crate::lab::{Lab, links, member};
use crate::load::allocate;

const SILENT: usize = 1_000;

/// Lets this process and those that it starts have as many files as they may.
fn many_files() {
    let had = getrlimit(Resource::Nofile);
    let limit = Rlimit { current: had.maximum, maximum: had.maximum };
    setrlimit(Resource::Nofile, limit).expect("the limit is raised");
    let enough = had.maximum.is_none_or(|most| most > 4 * SILENT as u64);
    assert!(enough, "this test needs {} open files", 4 * SILENT);
}

/// Keeps so many connections that say nothing, until it is told to stop.
async fn say_nothing(to: SocketAddr, stop: Arc<AtomicBool>) -> usize {
    let mut silent = Vec::new();
    let mut opened = 0;
    while !stop.load(Relaxed) || opened < SILENT {
        // Those that were closed there are opened anew, so that there is always somebody to wait for.
        silent.retain(|stream: &TcpStream| {
            let heard = stream.try_read(&mut [0; 16]);
            heard.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        });
        if silent.len() < SILENT
            && let Ok(stream) = TcpStream::connect(to).await
        {
            silent.push(stream);
            opened += 1;
        }
        if opened > SILENT {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    opened
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_silent_connections_to_each_node_keep_no_other_node_out() {
    many_files();
    let Some(mut lab) = Lab::prepare("silent", 4, &["shield.window_cap=1000000"]).await else {
        return;
    };
    for node in 1..=3 {
        lab.join(node, &[]);
    }
    lab.settle().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut crowd = tokio::task::JoinSet::new();
    for at in 0..3 {
        crowd.spawn(say_nothing(lab.link_address(at), Arc::clone(&stop)));
    }
    lab.join(4, &[]);
    lab.settle().await;
    let began = Instant::now();
    loop {
        let mut all = Vec::new();
        for node in &lab.nodes {
            all.extend(links(node).await);
        }
        if all.len() == 12 && all.iter().all(|(_, state, _)| state == "up") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{all:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What the fourth one owns is asked for at the others, and the other way round.
    for (owner, at) in [(3, 0), (0, 3), (3, 1), (2, 3)] {
        let campaign = lab.campaign_of(owner, &format!("at_{owner}_{at}")).await;
        allocate(&lab.nodes[at], &campaign, 100).await;
        let spend = json!({"campaign_id": campaign, "amount": 1});
        let (status, answer) = lab.nodes[at].post("/api/v1/spend", &spend).await;
        assert_eq!(status, 201, "{answer}");
    }
    stop.store(true, Relaxed);
    while let Some(opened) = crowd.join_next().await {
        assert!(opened.expect("the crowd") >= SILENT);
    }
    lab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_authority_is_not_let_in() {
    let Some(mut lab) = Lab::prepare("stranger", 3, &["shield.window_cap=1000000"]).await else {
        return;
    };
    for node in 1..=3 {
        lab.join(node, &[]);
    }
    lab.settle().await;
    lab.certify("elsewhere", 4..=4);
    lab.join(4, &elsewhere(&lab));
    let began = Instant::now();
    loop {
        let (theirs, ours) = (links(&lab.nodes[3]).await, links(&lab.nodes[0]).await);
        let to_it = ours.iter().filter(|(node, ..)| node == "node-4");
        let seen: Vec<_> = theirs.iter().chain(to_it).collect();
        let unknown = |error: &serde_json::Value| {
            error.as_str().is_some_and(|error| error.contains("UnknownIssuer"))
        };
        if seen.len() == 4 && seen.iter().all(|(_, state, why)| state == "away" && unknown(why)) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Who is no node any more leaves nothing behind.
    lab.nodes.truncate(3);
    lab.settle().await;
    for at in 0..3 {
        let campaign = lab.campaign_of((at + 1) % 3, &format!("camp_{at}")).await;
        allocate(&lab.nodes[at], &campaign, 100).await;
    }
    lab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_nobody_reaches_takes_no_shards() {
    let Some(mut lab) = Lab::prepare("unreached", 3, &["shield.window_cap=1000000"]).await else {
        return;
    };
    for node in 1..=3 {
        lab.join(node, &[]);
    }
    lab.settle().await;
    lab.certify("elsewhere", 4..=4);
    lab.join(4, &elsewhere(&lab));
    // Twice as long as the others wait before they hand shards to a new node, they are asked for all kinds of things.
    let (began, mut n) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(6) {
        let (node, campaign) = (&lab.nodes[n % 3], format!("camp_{n}"));
        allocate(node, &campaign, 100).await;
        assert_eq!(member(&lab.nodes[3]).await["shards"], 0, "shards that nobody reaches");
        n += 1;
    }
    lab.nodes.truncate(3);
    lab.close().await;
}

/// Settings of a node whose certificate is of another authority.
fn elsewhere(lab: &Lab) -> Vec<String> {
    let certs = lab.path("elsewhere");
    let file = |key: &str, name: &str| format!("cluster.{key}={}", certs.join(name).display());
    vec![file("ca_file", "ca.pem"), file("cert_file", "node-4.pem"), file("key_file", "node-4.key")]
}
