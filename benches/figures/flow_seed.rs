//! A `kiki up` with campaigns: those that are met are made through its API, those that are only loaded are
//! written to its store before it starts.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use kiki::clock;
use kiki::models::flow::campaign::state::Campaign;
use kiki::store::{FlowCampaignRow, Outcome, Put, Store, StoreConfig, Write};
use serde_json::Value;

use crate::campaigns::{Market, definition, name};
use crate::flow_load::{CONNECTIONS, Connection};
use crate::flow_world::{EURO, campaign};
use crate::load::Server;

/// Enough that budgets refuse nothing; all else is as it comes.
pub const SETTINGS: [&str; 6] = [
    "--set",
    "shield.window_cap=1000000000",
    "--set",
    "shield.holds_max=1000000",
    // Whom the sampled consent names.
    "--set",
    "flow.tcf_vendor_id=755",
];
/// Rows of a commit.
const OF_COMMIT: usize = 500;
/// The account of callers that name none.
const ACCOUNT: &str = "default";

/// A server, its data with it.
pub struct Hall {
    pub kiki: Server,
    /// From the start of its process until auctions saw the campaigns of its store.
    pub saw: Duration,
    _dir: tempfile::TempDir,
}

impl Hall {
    /// Without a campaign that is met; so many that are not.
    pub async fn open(cold: usize) -> Hall {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let kiki = Server::kiki(dir.path(), &SETTINGS);
        let rate = format!(r#"{{"currency":"EUR","day":"2025-01-01","rate":{EURO}}}"#);
        let mut shield = Connection::open(kiki.port).await;
        shield.expect(&json("PUT", "/api/v1/rates", &rate), 200).await;
        // The rates are read when it starts.
        drop(kiki);
        if cold > 0 {
            seed(dir.path(), cold).await;
        }
        let began = Instant::now();
        let kiki = Server::kiki(dir.path(), &SETTINGS);
        let mut hall = Hall { kiki, saw: Duration::ZERO, _dir: dir };
        hall.running(cold).await;
        hall.saw = began.elapsed();
        hall
    }

    /// Where SyncFlow listens.
    pub fn port(&self) -> u16 {
        self.kiki.port + 1
    }

    /// Waits until auctions see so many campaigns.
    pub async fn running(&self, campaigns: usize) {
        let mut flow = Connection::open(self.port()).await;
        let began = Instant::now();
        loop {
            let request = b"GET /health?verbose HTTP/1.1\r\nhost: localhost\r\n\r\n";
            let health: Value =
                serde_json::from_slice(flow.expect(request, 200).await).expect("its health");
            if health["campaigns_running"].as_u64() == Some(campaigns as u64) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{campaigns} campaigns: {health}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Makes drafts.
    pub async fn create(&self, campaigns: usize) -> Duration {
        self.each(campaigns, 201, |n| {
            json("POST", "/api/v1/campaigns", &definition(n, Market::Hot))
        })
        .await
    }

    /// Starts them: until auctions see the last of them, beside those that ran before.
    pub async fn start(&self, campaigns: usize, before: usize) -> Duration {
        let began = Instant::now();
        let path = |n| format!("/api/v1/campaigns/{}/start", name(n, Market::Hot));
        self.each(campaigns, 200, |n| json("POST", &path(n), "")).await;
        self.running(before + campaigns).await;
        began.elapsed()
    }

    /// A request for each, over all connections.
    async fn each(
        &self,
        campaigns: usize,
        status: u16,
        request: impl Fn(usize) -> Vec<u8>,
    ) -> Duration {
        let requests: Arc<Vec<Vec<u8>>> = Arc::new((0..campaigns).map(request).collect());
        let (began, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let (requests, next, port) =
                    (Arc::clone(&requests), Arc::clone(&next), self.port());
                tokio::spawn(async move {
                    let mut connection = Connection::open(port).await;
                    while let Some(request) = requests.get(next.fetch_add(1, Relaxed)) {
                        connection.expect(request, status).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a connection");
        }
        began.elapsed()
    }

    /// Decisions so far for which the journal had no room.
    pub async fn left_out(&self) -> f64 {
        let mut flow = Connection::open(self.port()).await;
        let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let text = String::from_utf8_lossy(flow.expect(request, 200).await).into_owned();
        let count =
            text.lines().find_map(|line| line.strip_prefix("flow_decisions_left_out_total "));
        count.and_then(|count| count.parse().ok()).expect("the counter")
    }

    /// Waits until every decision is stored.
    pub async fn stored(&self) {
        let mut admin = Connection::open(self.kiki.port + 9).await;
        let began = Instant::now();
        loop {
            // Views are some 100 ms old.
            tokio::time::sleep(Duration::from_millis(150)).await;
            let request = b"GET /api/admin/actors/flow/journal HTTP/1.1\r\nhost: localhost\r\n\r\n";
            let journal: Value =
                serde_json::from_slice(admin.expect(request, 200).await).expect("an actor");
            let view = &journal["view"];
            let waiting = journal["depth"].as_u64().expect("a depth")
                + view["waiting"].as_u64().expect("a number in the view");
            if waiting == 0 {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{journal}");
        }
    }

    /// Waits until it leaves the machine to others: what it has left to do is not theirs to wait for.
    pub async fn quiet(&self) {
        for _ in 0..80 {
            let before = self.kiki.cpu_us();
            tokio::time::sleep(Duration::from_millis(250)).await;
            // The clock of these has ticks of 10 ms.
            if self.kiki.cpu_us() - before <= 25_000.0 {
                return;
            }
        }
    }
}

fn json(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Campaigns as the service itself has stored them once they run. Their budgets, which nobody asks, are left
/// out, and so is their history.
async fn seed(dir: &Path, campaigns: usize) {
    let store = Store::open(StoreConfig::sqlite(dir)).await.expect("the store opens");
    let epoch = store.acquire(&[0], "bench").await.expect("a shard")[&0];
    let all: Vec<usize> = (0..campaigns).collect();
    for part in all.chunks(OF_COMMIT) {
        let writes = part.iter().map(|n| {
            let row = row(&campaign(*n, Market::Cold, clock::wall_us()));
            Write {
                account: ACCOUNT.to_owned(),
                budget: format!("@flow/{}", row.campaign),
                shard: 0,
                epoch,
                puts: vec![Put::from(row)],
                ..Write::default()
            }
        });
        let outcomes = store.commit(writes.collect()).await;
        assert!(outcomes.iter().all(|it| *it == Outcome::Committed), "{:?}", outcomes.first());
    }
    store.close().await;
}

fn row(campaign: &Campaign) -> FlowCampaignRow {
    FlowCampaignRow {
        account: ACCOUNT.to_owned(),
        campaign: campaign.definition.id.clone(),
        status: campaign.status.as_str().to_owned(),
        state: serde_json::to_string(campaign).expect("JSON"),
        todo: "[]".to_owned(),
        revision: i64::try_from(campaign.revision).expect("few"),
        wake_at: None,
        created_at: campaign.created_us,
        updated_at: campaign.changed_us,
        version: 2,
    }
}
