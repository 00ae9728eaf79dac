//! What the audit costs the money path: the same load, turn by turn, on a server that keeps its
//! audit and on one whose bookings and refusals reach no log.
//!
//! Rates are counted in the middle of a load that goes on, where the log is as far behind at the
//! end as at the beginning. The server's CPU time is taken when all is written, so that work put
//! off until after the load counts too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;

use crate::load::{CONNECTIONS, Client, SETTINGS, Server, UNAUDITED, allocate, bid, bids, post};
use crate::report::{Bar, PAIRS, figure, ratios};
use crate::settle::Databases;

/// Before the first count, and after the last for the log to be written and copied.
const RUN_UP: Duration = Duration::from_millis(1_000);
const RUN_OUT: Duration = Duration::from_millis(1_800);
const COMMAND: &str = "cargo bench --bench figures -- audit";
const CAMPAIGNS: usize = 256;

#[derive(Clone, Copy)]
pub enum Work {
    /// Bids are authorised, and their holds run out.
    Check,
    /// Bids are authorised and settled.
    Settle,
}

pub async fn run(time: Duration) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let servers = ["audited", "not"].map(|name| start(name, &dir.path().join(name), &SETTINGS));
    for server in &servers {
        allocate(server.port, CAMPAIGNS).await;
    }
    compare("authorisations", &servers, Work::Check, time).await;
    compare("durable settles, SQLite", &servers, Work::Settle, time).await;
    drop(servers);
    let Some(databases) = Databases::create(["audited", "not"]).await else { return };
    let servers = ["audited", "not"].map(|name| {
        let setting = format!("store.database_url={}", databases.url(name));
        let args: Vec<&str> = SETTINGS.iter().copied().chain(["--set", &setting]).collect();
        start(name, &dir.path().join(format!("{name}-postgres")), &args)
    });
    for server in &servers {
        allocate(server.port, CAMPAIGNS).await;
    }
    compare("durable settles, PostgreSQL", &servers, Work::Settle, time).await;
    drop(servers);
    databases.drop().await;
}

/// This program as `kiki`: `audited`, or not.
fn start(name: &str, dir: &std::path::Path, args: &[&str]) -> Server {
    let envs: &[_] = if name == "audited" { &[] } else { &[(UNAUDITED, "1")] };
    Server::kiki_as(&std::env::current_exe().expect("this program"), dir, args, envs)
}

async fn compare(name: &str, servers: &[Server; 2], work: Work, time: Duration) {
    for server in servers {
        round(server, work, time).await;
    }
    let (mut rates, mut costs) = ([vec![], vec![]], [vec![], vec![]]);
    for pair in 0..PAIRS {
        for turn in 0..2 {
            // Each goes first as often as the other.
            let who = (pair + turn) % 2;
            let seen = round(&servers[who], work, time).await;
            rates[who].push(seen.per_s);
            costs[who].push(seen.cpu_us);
        }
    }
    figure(
        &format!("{name}: audited beside not audited, rate"),
        &ratios(&rates[0], &rates[1]),
        "x",
        Bar::AtLeast(0.95),
        COMMAND,
    );
    figure(
        &format!("{name}: CPU time of the server for one, not audited"),
        &costs[1],
        " µs",
        Bar::Told,
        COMMAND,
    );
    figure(
        &format!("{name}: audited beside not audited, CPU time"),
        &ratios(&costs[0], &costs[1]),
        "x",
        Bar::AtMost(1.05),
        COMMAND,
    );
}

pub struct Seen {
    pub per_s: f64,
    /// CPU time of the server for one of what was counted, micros.
    pub cpu_us: f64,
}

pub async fn round(server: &Server, work: Work, time: Duration) -> Seen {
    let (done, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let cpu = server.cpu_us();
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|n| {
            let (port, done, over) = (server.port, Arc::clone(&done), Arc::clone(&over));
            tokio::spawn(async move {
                let mut client = Client::connect(port).await;
                match work {
                    Work::Check => check(&mut client, n, &done, &over).await,
                    Work::Settle => settle(&mut client, n, &done, &over).await,
                }
            })
        })
        .collect();
    tokio::time::sleep(RUN_UP).await;
    let (began, before) = (std::time::Instant::now(), done.load(Ordering::Relaxed));
    tokio::time::sleep(time).await;
    let counted = done.load(Ordering::Relaxed) - before;
    let per_s = counted as f64 / began.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("a client");
    }
    tokio::time::sleep(RUN_OUT).await;
    let cpu_us = (server.cpu_us() - cpu) / done.load(Ordering::Relaxed) as f64;
    Seen { per_s, cpu_us }
}

async fn check(client: &mut Client, n: usize, done: &AtomicU64, over: &AtomicBool) {
    let requests: Vec<_> = (0..CAMPAIGNS).map(|n| bid(n, 0.2)).collect();
    let mut next = n * CAMPAIGNS / CONNECTIONS;
    while !over.load(Ordering::Relaxed) {
        client.expect(&requests[next % CAMPAIGNS], 200).await;
        done.fetch_add(1, Ordering::Relaxed);
        next += 1;
    }
}

#[derive(Deserialize)]
struct Approved {
    answers: Vec<Held>,
}

#[derive(Deserialize)]
struct Held {
    hold_id: String,
}

async fn settle(client: &mut Client, n: usize, done: &AtomicU64, over: &AtomicBool) {
    let bids = bids(n, 32, 60.0);
    while !over.load(Ordering::Relaxed) {
        let approved: Approved =
            serde_json::from_slice(client.expect(&bids, 200).await).expect("approvals");
        for held in approved.answers {
            let path = format!("/api/v1/holds/{}/settle", held.hold_id);
            client.expect(&post(&path, r#"{"amount":1.25}"#), 200).await;
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}
