//! Servers on one database: one at a time has the place, and who was replaced ends.

#[path = "common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use common::{Server, client};

/// A database of its own, dropped at the end; `None` where no server is named.
struct Database {
    server: String,
    name: String,
    url: String,
}

impl Database {
    async fn make(name: &str) -> Option<Database> {
        let Ok(server) = std::env::var("KIKI_TEST_POSTGRES_URL") else {
            eprintln!("skipped on postgresql: KIKI_TEST_POSTGRES_URL is not set");
            return None;
        };
        let name = format!("kiki_{name}_{}", std::process::id());
        admin(&server, &format!("CREATE DATABASE {name}")).await;
        let (base, query) = server.split_once('?').map_or((&*server, ""), |(b, q)| (b, q));
        let at = base.rsplit_once('/').expect("a database").0;
        let url = format!("{at}/{name}?{query}");
        Some(Database { name, url, server })
    }

    fn settings(&self) -> [String; 2] {
        [format!("store.database_url={}", self.url), "cluster.leases=fast".to_owned()]
    }

    async fn drop(self) {
        admin(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

async fn admin(url: &str, sql: &str) {
    sqlx::any::install_default_drivers();
    let mut conn = AnyConnection::connect(url).await.expect("the test server is reachable");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.expect("it obeys");
}

fn start(folder: &tempfile::TempDir, name: &str, settings: &[String]) -> Server {
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    Server::start(&folder.path().join(name), &settings)
}

/// The data directory of a stand-by: the secrets of the first server, and nothing else of it.
fn beside(folder: &tempfile::TempDir, first: &Server, name: &str) {
    let data = folder.path().join(name);
    std::fs::create_dir(&data).expect("a folder");
    for secret in ["master.key", "token.secret"] {
        std::fs::copy(first.data.join(secret), data.join(secret)).expect("copied");
    }
}

/// The member as operators see it, once it shows that it is in.
async fn member(server: &Server) -> Value {
    let url = server.admin_url("/api/admin/actors/cluster/member");
    let began = Instant::now();
    loop {
        let answer = client().get(&url).send().await.expect("an answer");
        let view = answer.json::<Value>().await.expect("JSON")["view"].clone();
        if view["phase"] == "in" && view["shards"] == 256 {
            return view;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{view}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stood_still_is_replaced_and_ends_when_it_wakes() {
    let Some(database) = Database::make("replaced").await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let settings = database.settings();
    let mut first = start(&folder, "first", &settings);
    first.allocate("camp", 100).await;
    assert_eq!(member(&first).await["nodes"], 1);

    // While the first lives, there is no second.
    beside(&folder, &first, "second");
    let refused = Server::start_at(&folder.path().join("second"), first.offset + 11, &settings);
    let refused = refused.err().expect("two servers on one database");
    let told = format!("another server of this database, at {}, is there", first.address());
    assert!(refused.said.contains(&told), "{refused:?}");

    first.signal(Signal::STOP);
    let began = Instant::now();
    let second = start(&folder, "second", &settings);
    let waited = began.elapsed();
    assert!(waited < Duration::from_secs(8), "{waited:?}");
    second.allocate("other", 50).await;

    first.signal(Signal::CONT);
    let status = first.ended(Duration::from_secs(10));
    assert!(!status.success(), "{}", first.said());
    assert!(first.said().contains("has taken its place"), "{}", first.said());
    let (status, budget) = second.get("/api/v1/budget/camp").await;
    assert_eq!((status, &budget["status"]), (200, &json!("active")), "{budget}");

    drop((first, second));
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_killed_and_starts_on_its_own_data_waits_for_no_lease() {
    let Some(database) = Database::make("killed").await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let [url, _] = database.settings();
    // Leases of ten seconds.
    let mut server = start(&folder, "data", &[url]);
    server.allocate("camp", 100).await;
    let before = member(&server).await["incarnation"].clone();
    let began = Instant::now();
    server.restart();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_ne!(member(&server).await["incarnation"], before);
    let body = json!({"campaign_id": "camp", "bid_amount": 1});
    let (status, answer) = server.post("/api/v1/check", &body).await;
    assert_eq!(status, 200, "{answer}");
    // The slices of all lives of the directory are known to be over: a pause waits for none of them.
    server.restart();
    let began = Instant::now();
    let (status, answer) = server.post("/api/v1/allocations/camp/pause", &json!({})).await;
    assert_eq!(status, 200, "{answer}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // An orderly end leaves nothing to wait for, whoever comes next.
    assert!(server.terminate().success(), "{}", server.said());
    beside(&folder, &server, "elsewhere");
    let began = Instant::now();
    let other = start(&folder, "elsewhere", &database.settings()[..1]);
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    drop((server, other));
    database.drop().await;
}
