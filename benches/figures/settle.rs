//! Durable settles over HTTP beside the raw group commit of the same rows, on both stores.

use std::time::{Duration, Instant};

use kiki::store::{Store, StoreConfig};
use serde::Deserialize;

use crate::common::settles::Settles;
use crate::load::{CONNECTIONS, Client, SETTINGS, Server, allocate, bids, post};
use crate::report::{Bar, PAIRS, figure, ratios};

pub async fn run(time: Duration) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let kiki = Server::kiki(&dir.path().join("kiki"), &SETTINGS);
    settle_on("SQLite", kiki, StoreConfig::sqlite(dir.path().join("raw")), time).await;
    let Some(databases) = Databases::create(["kiki", "raw"]).await else { return };
    let setting = format!("store.database_url={}", databases.url("kiki"));
    let args: Vec<&str> = SETTINGS.iter().copied().chain(["--set", &setting]).collect();
    let kiki = Server::kiki(&dir.path().join("kiki-postgres"), &args);
    settle_on("PostgreSQL", kiki, StoreConfig::postgres(databases.url("raw")), time).await;
    databases.drop().await;
}

/// Databases of a run on the server that `KIKI_TEST_POSTGRES_URL` names.
pub struct Databases<const N: usize> {
    url: String,
    names: [&'static str; N],
}

impl<const N: usize> Databases<N> {
    /// Creates them. `None`: no server is named.
    pub async fn create(names: [&'static str; N]) -> Option<Databases<N>> {
        let url = std::env::var("KIKI_TEST_POSTGRES_URL").ok()?;
        let databases = Databases { url, names };
        for name in names {
            databases.admin(&format!("CREATE DATABASE {}", Self::name(name))).await;
        }
        Some(databases)
    }

    fn name(name: &str) -> String {
        format!("{name}_bench_{}", std::process::id())
    }

    pub fn url(&self, name: &str) -> String {
        let (server, _) = self.url.rsplit_once('/').expect("a URL with a database");
        format!("{server}/{}", Self::name(name))
    }

    pub async fn drop(self) {
        for name in self.names {
            self.admin(&format!("DROP DATABASE {} WITH (FORCE)", Self::name(name))).await;
        }
    }

    async fn admin(&self, sql: &str) {
        use sqlx::Connection;
        sqlx::any::install_default_drivers();
        let mut conn = sqlx::AnyConnection::connect(&self.url).await.expect("a server");
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql).execute(&mut conn).await.expect("it obeys");
    }
}

async fn settle_on(name: &str, kiki: Server, raw: StoreConfig, time: Duration) {
    allocate(kiki.port, CONNECTIONS).await;
    let store = Store::open(raw).await.expect("the store opens");
    let mut raw = Settles::new(&store, CONNECTIONS).await;
    settle_load(kiki.port, time).await;
    let (mut served, mut raws, mut batches) = (Vec::new(), Vec::new(), Vec::new());
    let mut batch = settle_load(kiki.port, time).await.batch;
    for pair in 0..PAIRS {
        // Each goes first as often as second.
        if pair % 2 == 0 {
            raws.push(raw_rate(&store, &mut raw, batch, time).await);
        }
        let seen = settle_load(kiki.port, time).await;
        batch = seen.batch;
        served.push(seen.per_s);
        batches.push(batch as f64);
        if pair % 2 == 1 {
            raws.push(raw_rate(&store, &mut raw, batch, time).await);
        }
    }
    store.close().await;
    let command = "cargo bench --bench figures -- settle";
    let told = |text: &str, values: &[f64], unit| {
        figure(&format!("{text}, {name}"), values, unit, Bar::Told, command);
    };
    told("durable settles over HTTP, 32 bids authorised at a time, 64 connections", &served, "/s");
    told("raw group commit of the same rows in batches as large", &raws, "/s");
    told("writes of a batch", &batches, "");
    let text = format!("settle over HTTP beside the raw commit, {name}");
    figure(&text, &ratios(&served, &raws), "x", Bar::AtLeast(0.5), command);
}

async fn raw_rate(store: &Store, raw: &mut Settles, batch: usize, time: Duration) -> f64 {
    let (began, mut settles) = (Instant::now(), 0);
    while began.elapsed() < time {
        raw.commit(store, batch, false, false).await;
        settles += batch;
    }
    settles as f64 / began.elapsed().as_secs_f64()
}

struct Settled {
    per_s: f64,
    /// Writes that the server's committer had in a batch, on average.
    batch: usize,
}

#[derive(Deserialize)]
struct Approved {
    answers: Vec<Held>,
}

#[derive(Deserialize)]
struct Held {
    hold_id: String,
}

/// Bids that a connection authorises in one request, before it settles each in one of its own.
const BIDS: usize = 32;

/// Every connection authorises bids and settles them, again and again.
async fn settle_load(port: u16, time: Duration) -> Settled {
    let before = batches(port).await;
    let began = Instant::now();
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|n| {
            tokio::spawn(async move {
                let mut client = Client::connect(port).await;
                let (bids, mut settles) = (bids(n, BIDS, 60.0), 0);
                while began.elapsed() < time {
                    let approved: Approved =
                        serde_json::from_slice(client.expect(&bids, 200).await).expect("approvals");
                    for held in approved.answers {
                        let path = format!("/api/v1/holds/{}/settle", held.hold_id);
                        client.expect(&post(&path, r#"{"amount":1.25}"#), 200).await;
                        settles += 1;
                    }
                }
                settles
            })
        })
        .collect();
    let mut settles = 0;
    for task in tasks {
        settles += task.await.expect("a client");
    }
    let per_s = f64::from(settles) / began.elapsed().as_secs_f64();
    let after = batches(port).await;
    let batch = (after.1 - before.1) as f64 / (after.0 - before.0).max(1) as f64;
    Settled { per_s, batch: (batch.round() as usize).max(1) }
}

/// Batches and writes that the committer has made durable, from its view.
async fn batches(port: u16) -> (u64, u64) {
    // Views are some 100 ms old.
    tokio::time::sleep(Duration::from_millis(250)).await;
    let mut client = Client::connect(port + 9).await;
    let request = b"GET /api/admin/actors/shield/committer HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let actor: serde_json::Value =
        serde_json::from_slice(client.expect(request, 200).await).expect("an actor");
    let number = |key: &str| actor["view"][key].as_u64().expect("a number in the view");
    (number("batches_total"), number("committed_total"))
}
