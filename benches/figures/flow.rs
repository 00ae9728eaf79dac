//! Bids over HTTP beside a bare axum handler that parses the same JSON, each server a process of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::campaigns::COLD_PER_HOT;
use crate::flow_load::{closed, open, request};
use crate::flow_peer;
use crate::flow_seed::Hall;
use crate::flow_world::bodies;
use crate::load::Server;
use crate::report::{Bar, PAIRS, figure, middle, ratios};

/// Campaigns that the traffic meets.
const HOT: usize = 1_000;
/// Campaigns that are loaded in all, where that is measured.
const LOADED: usize = HOT * (1 + COLD_PER_HOT);
/// Campaigns that are activated at once.
const MANY: usize = 10_000;
/// Bodies of 2 to 4 kB, in turn.
const REQUESTS: usize = 8_192;
const COMMAND: &str = "cargo bench --bench figures -- flow";

type Requests = Arc<Vec<Vec<u8>>>;

/// What one server has shown, round by round.
#[derive(Default)]
struct Shown {
    rates: Vec<f64>,
    p99s: Vec<f64>,
    /// CPU time of the server for a request, with what it has left to do after a round, µs.
    cpu: Vec<f64>,
    /// Percent of the requests that were answered with bids.
    shares: Vec<f64>,
    resident: Vec<f64>,
    notices: Vec<f64>,
    /// Seconds until the last decision of a round was stored.
    stored: Vec<f64>,
    /// Decisions of a round that the journal had no room for.
    left_out: Vec<f64>,
}

impl Shown {
    /// A round of a bare handler.
    async fn bare(&mut self, server: &Server, requests: &Requests, time: Duration) {
        let before = server.cpu_us();
        let seen = closed(server.port, requests, time, false).await;
        self.cpu.push((server.cpu_us() - before) / seen.requests() as f64);
        self.rates.push(seen.per_s());
        self.p99s.push(seen.p99_us() / 1e3);
    }

    async fn kiki(&mut self, hall: &Hall, requests: &Requests, time: Duration) {
        let left_out = hall.left_out().await;
        let before = hall.kiki.cpu_us();
        let seen = closed(hall.port(), requests, time, true).await;
        self.resident.push(hall.kiki.resident_mb());
        let ended = Instant::now();
        hall.stored().await;
        self.stored.push(ended.elapsed().as_secs_f64());
        self.cpu.push((hall.kiki.cpu_us() - before) / seen.requests() as f64);
        self.left_out.push(hall.left_out().await - left_out);
        self.rates.push(seen.per_s());
        self.p99s.push(seen.p99_us() / 1e3);
        self.shares.push(seen.share());
        self.notices.push(seen.notices as f64 / seen.lasted.as_secs_f64());
        assert_eq!(seen.left_out, 0, "the load keeps up with its own notices");
        hall.quiet().await;
    }
}

pub async fn run(time: Duration) {
    let bodies = bodies(REQUESTS);
    flow_peer::reads(&bodies);
    let requests = Arc::new(bodies.iter().map(|body| request(body)).collect::<Vec<_>>());
    let hot = Hall::open(0).await;
    hot.create(HOT).await;
    hot.start(HOT, 0).await;
    let full = Hall::open(LOADED - HOT).await;
    full.create(HOT).await;
    full.start(HOT, LOADED - HOT).await;
    for hall in [&hot, &full] {
        warm_up(hall, &requests, time).await;
    }
    let seen = closed(hot.port(), &requests, time, true).await;
    hot.stored().await;
    assert!(seen.share() > 30.0, "requests are bid on: {} %", seen.share());
    let answer = (seen.bytes / seen.bids).to_string();
    let typed = Server::own(&["serve", "flow-peer", "typed", &answer]);
    let value = Server::own(&["serve", "flow-peer", "value", &answer]);
    for bare in [&typed, &value] {
        closed(bare.port, &requests, time, false).await;
    }
    hot.quiet().await;
    let mut shown: [Shown; 4] = Default::default();
    for pair in 0..PAIRS {
        for turn in 0..shown.len() {
            // Each goes first as often as another.
            let who = (pair + turn) % shown.len();
            match who {
                0 => shown[0].kiki(&hot, &requests, time).await,
                1 => shown[1].bare(&typed, &requests, time).await,
                2 => shown[2].bare(&value, &requests, time).await,
                _ => shown[3].kiki(&full, &requests, time).await,
            }
        }
    }
    let [of_hot, of_typed, of_value, of_full] = &shown;
    capacity(of_hot, of_typed, of_value, &answer);
    loaded(of_full, of_hot, &full);
    drop(full);
    latency(&hot, &typed, &requests, middle(&of_hot.rates).0 / 2.0, time).await;
    drop((hot, typed, value));
    activation().await;
}

/// Bidders wake and see how much traffic there is before they bid, people are looked up.
async fn warm_up(hall: &Hall, requests: &Requests, time: Duration) {
    let mut before = 0.0;
    for round in 0..20 {
        let share = closed(hall.port(), requests, time, true).await.share();
        hall.stored().await;
        if round > 2 && share > 0.0 && share < 1.02 * before {
            break;
        }
        before = share;
    }
    hall.quiet().await;
}

fn told(name: &str, values: &[f64], unit: &str) {
    figure(name, values, unit, Bar::Told, COMMAND);
}

fn capacity(kiki: &Shown, typed: &Shown, value: &Shown, answer: &str) {
    let text = "`POST /openrtb2/bid`, 1,000 active campaigns, requests of 2 to 4 kB, 64 connections, 1 bid in 20 wins";
    told(text, &kiki.rates, "/s");
    told("requests of these that were answered with bids", &kiki.shares, " %");
    told("notices booked beside them", &kiki.notices, "/s");
    let text = "a bare axum handler that parses the same into structs, and answers a constant bid";
    told(&format!("{text} of {answer} bytes"), &typed.rates, "/s");
    told("the same, parsed into `serde_json::Value`", &value.rates, "/s");
    let share = ratios(&kiki.rates, &typed.rates);
    figure("bids beside the bare handler, rate", &share, "x", Bar::AtLeast(0.5), COMMAND);
    let share = ratios(&kiki.rates, &value.rates);
    told("bids beside the one with values, rate", &share, "x");
    told("CPU time of a request, until its decision is stored", &kiki.cpu, " µs");
    told("CPU time of a request, bare handler", &typed.cpu, " µs");
    told("from the end of a round until its last decision is stored", &kiki.stored, " s");
    told("decisions of a round that the journal had no room for", &kiki.left_out, "");
    told("p99 of bids under that load", &kiki.p99s, " ms");
    told("p99 of the bare handler under its own", &typed.p99s, " ms");
    let text = "resident memory with 1,000 hot campaigns, under load";
    figure(text, &kiki.resident, " MB", Bar::AtMost(512.0), COMMAND);
}

fn loaded(full: &Shown, hot: &Shown, hall: &Hall) {
    told("100,000 campaigns loaded, 1,000 of them hot: bids", &full.rates, "/s");
    let share = ratios(&full.rates, &hot.rates);
    let text = "the same beside 1,000 campaigns alone, rate";
    figure(text, &share, "x", Bar::AtLeast(0.85), COMMAND);
    let text = "resident memory with 100,000 campaigns, under load";
    // 2 GB of 10⁹ bytes, in the MB of 2²⁰ that are measured.
    figure(text, &full.resident, " MB", Bar::AtMost(1_907.0), COMMAND);
    let text = "from start until auctions see 99,000 active campaigns of the store";
    told(text, &[hall.saw.as_secs_f64()], " s");
}

async fn latency(hall: &Hall, typed: &Server, requests: &Requests, rate: f64, time: Duration) {
    let (mut kiki, mut bare) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        for turn in 0..2 {
            if (pair + turn) % 2 == 0 {
                let seen = open(hall.port(), requests, 2 * time, rate, true).await;
                kiki.push(seen.p99_us() / 1e3);
                hall.stored().await;
                hall.quiet().await;
            } else {
                let seen = open(typed.port, requests, 2 * time, rate, false).await;
                bare.push(seen.p99_us() / 1e3);
            }
        }
    }
    let text = "p99 of bids at half of that rate, open loop, coordinated omission corrected";
    figure(text, &kiki, " ms", Bar::AtMost(10.0), COMMAND);
    told("p99 of the bare handler at as many requests", &bare, " ms");
}

async fn activation() {
    let hall = Hall::open(0).await;
    let created = hall.create(MANY).await.as_secs_f64();
    told("10,000 campaigns created through the API, 64 connections", &[created], " s");
    let started = hall.start(MANY, 0).await.as_secs_f64();
    told("10,000 campaigns activated, until auctions see the last of them", &[started], " s");
}
