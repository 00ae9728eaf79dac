//! This version beside another build of `kiki`, turn by turn: what a change costs on a machine whose
//! speed drifts. `BENCH_BESIDE` names the other program.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crate::audit::{Work, round};
use crate::load::{Client, SETTINGS, Server, allocate};
use crate::report::{Bar, PAIRS, figure, ratios};
use crate::settle::Databases;

const COMMAND: &str = "BENCH_BESIDE=… cargo bench --bench figures -- beside";
const CAMPAIGNS: usize = 256;

pub async fn run(other: OsString, time: Duration) {
    let this = Server::program();
    let programs = [this.as_path(), Path::new(&other)];
    starts(programs).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dirs = ["this", "other"].map(|name| dir.path().join(name));
    let servers = [0, 1].map(|n| Server::kiki_as(programs[n], &dirs[n], &SETTINGS, &[]));
    for server in &servers {
        allocate(server.port, CAMPAIGNS).await;
    }
    compare("authorisations", &servers, Work::Check, time).await;
    compare("durable settles, SQLite", &servers, Work::Settle, time).await;
    drop(servers);
    let Some(databases) = Databases::create(["this", "other"]).await else { return };
    let servers = [0, 1].map(|n| {
        let setting = format!("store.database_url={}", databases.url(["this", "other"][n]));
        let args: Vec<&str> = SETTINGS.iter().copied().chain(["--set", &setting]).collect();
        Server::kiki_as(programs[n], &dir.path().join(n.to_string()), &args, &[])
    });
    for server in &servers {
        allocate(server.port, CAMPAIGNS).await;
    }
    compare("durable settles, PostgreSQL", &servers, Work::Settle, time).await;
    drop(servers);
    databases.drop().await;
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
    pair(&format!("{name}, rate"), &rates, "/s");
    pair(&format!("{name}, CPU time of the server for one"), &costs, " µs");
}

async fn starts(programs: [&Path; 2]) {
    let (mut ready, mut resident) = ([vec![], vec![]], [vec![], vec![]]);
    for round in 0..PAIRS {
        for turn in 0..2 {
            let who = (round + turn) % 2;
            let dir = tempfile::tempdir().expect("a temporary directory");
            let kiki = Server::kiki_as(programs[who], &dir.path().join("data"), &[], &[]);
            let mut client = Client::connect(kiki.port).await;
            client.expect(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", 200).await;
            ready[who].push(kiki.ready.as_secs_f64() * 1_000.0);
            tokio::time::sleep(Duration::from_secs(2)).await;
            resident[who].push(kiki.resident_mb());
        }
    }
    pair("from start to ready on an empty directory", &ready, " ms");
    pair("idle resident memory", &resident, " MB");
}

fn pair(name: &str, values: &[Vec<f64>; 2], unit: &str) {
    figure(&format!("{name}: this"), &values[0], unit, Bar::Told, COMMAND);
    figure(&format!("{name}: the other"), &values[1], unit, Bar::Told, COMMAND);
    let beside = ratios(&values[0], &values[1]);
    figure(&format!("{name}: this beside the other"), &beside, "x", Bar::Told, COMMAND);
}
