//! Authorisations over HTTP beside a bare axum handler and beside a window in Redis, each server a
//! process of its own.

use std::sync::Arc;
use std::time::Duration;

use crate::load::{SETTINGS, Server, allocate, bid, load};
use crate::report::{Bar, PAIRS, figure, ratios};

const CAMPAIGNS: usize = 256;

pub async fn run(time: Duration) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let kiki = Server::kiki(dir.path(), &SETTINGS);
    allocate(kiki.port, CAMPAIGNS).await;
    let bare = Server::own(&["serve"]);
    let redis = std::env::var_os("KIKI_TEST_REDIS_URL").map(|_| Server::own(&["serve", "redis"]));
    let requests = Arc::new((0..CAMPAIGNS).map(|n| bid(n, 0.2)).collect::<Vec<_>>());
    let mut servers = vec![&kiki, &bare];
    servers.extend(&redis);
    for server in &servers {
        load(server.port, &requests, time).await;
    }
    let (mut rates, mut p99s) = (vec![Vec::new(); 3], vec![Vec::new(); 3]);
    for pair in 0..PAIRS {
        for turn in 0..servers.len() {
            // Each goes first as often as another.
            let who = (pair + turn) % servers.len();
            let seen = load(servers[who].port, &requests, time).await;
            rates[who].push(seen.per_s);
            p99s[who].push(seen.p99_us);
        }
    }
    let command = "cargo bench --bench figures -- check";
    let told = |name: &str, values: &[f64], unit| figure(name, values, unit, Bar::Told, command);
    told("`POST /api/v1/check`, approvals, 64 connections", &rates[0], "/s");
    told("the bare axum handler beside it", &rates[1], "/s");
    let share = ratios(&rates[0], &rates[1]);
    figure("check beside the bare handler, rate", &share, "x", Bar::AtLeast(0.65), command);
    told("p99 of check", &p99s[0], " µs");
    let share = ratios(&p99s[0], &p99s[1]);
    figure("p99 of check beside the bare handler's", &share, "x", Bar::AtMost(2.0), command);
    if redis.is_some() {
        told("a sliding window as a Lua script in Redis behind the bare handler", &rates[2], "/s");
        let share = ratios(&rates[0], &rates[2]);
        figure("check beside the window in Redis, rate", &share, "x", Bar::AtLeast(1.0), command);
    }
}
