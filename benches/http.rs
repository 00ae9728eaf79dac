//! The service over HTTP on loopback, each server a process of its own, beside what it is held
//! against, as interleaved rounds in one run.
//!
//!     cargo bench --bench http -- check    # beside a bare axum handler and a window in Redis
//!     cargo bench --bench http -- settle   # beside the raw group commit of the same rows
//!     cargo bench --bench http -- up       # start of an empty directory, idle memory
//!
//! `check` needs `KIKI_TEST_REDIS_URL` for its Redis part, `settle` takes PostgreSQL too when
//! `KIKI_TEST_POSTGRES_URL` names a server. `--seconds N` is the length of a round.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::http::{CONNECTIONS, Client, Server, load, post};
use common::report::{Bar, PAIRS, figure, ratios};
use common::settles::Settles;
use kiki::store::{Store, StoreConfig};
use serde::{Deserialize, Serialize};

const CAMPAIGNS: usize = 256;
/// Enough that every bid is approved.
const SETTINGS: [&str; 6] = [
    "--set",
    "shield.window_cap=1000000000",
    "--set",
    "shield.grace_s=0.05",
    "--set",
    "shield.holds_max=1000000",
];
const BUDGET: u64 = 1_000_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|a| a == name);
    let seconds = args.iter().position(|a| a == "--seconds").and_then(|at| args.get(at + 1));
    let seconds = seconds.map_or(2.0, |text| text.parse().expect("a number of seconds"));
    let time = Duration::from_secs_f64(seconds);
    if has("serve") {
        // As many threads as the service has.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        return runtime.expect("a runtime").block_on(bare::serve(has("redis")));
    }
    // The load comes from one thread: the servers have the rest of the machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let all = !has("check") && !has("settle") && !has("up");
        if all || has("check") {
            check(time).await;
        }
        if all || has("settle") {
            settle(time).await;
        }
        if all || has("up") {
            up().await;
        }
    });
}

fn campaign(n: usize) -> String {
    format!("camp_{n:06}")
}

async fn allocate(port: u16, campaigns: usize) {
    let mut client = Client::connect(port).await;
    for n in 0..campaigns {
        let body = format!(r#"{{"campaign_id":"{}","budget":{BUDGET}}}"#, campaign(n));
        client.expect(&post("/api/v1/allocate", &body), 201).await;
    }
}

/// A bid whose hold is soon over: what is open stays bounded.
fn bid(n: usize, ttl_s: f64) -> Vec<u8> {
    let body = format!(
        r#"{{"campaign_id":"{}","bid_amount":1.25,"platform":"google","currency":"USD","ttl_s":{ttl_s}}}"#,
        campaign(n)
    );
    post("/api/v1/check", &body)
}

async fn check(time: Duration) {
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
    let command = "cargo bench --bench http -- check";
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

async fn settle(time: Duration) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let kiki = Server::kiki(&dir.path().join("kiki"), &SETTINGS);
    settle_on("SQLite", kiki, StoreConfig::sqlite(dir.path().join("raw")), time).await;
    let Ok(url) = std::env::var("KIKI_TEST_POSTGRES_URL") else { return };
    let databases = ["kiki", "raw"].map(|name| format!("{name}_bench_{}", std::process::id()));
    for database in &databases {
        admin(&url, &format!("CREATE DATABASE {database}")).await;
    }
    let [serve, raw] = databases.each_ref().map(|name| {
        let (server, _) = url.rsplit_once('/').expect("a URL with a database");
        format!("{server}/{name}")
    });
    let setting = format!("store.database_url={serve}");
    let args: Vec<&str> = SETTINGS.iter().copied().chain(["--set", &setting]).collect();
    let kiki = Server::kiki(&dir.path().join("kiki-postgres"), &args);
    settle_on("PostgreSQL", kiki, StoreConfig::postgres(raw), time).await;
    for database in &databases {
        admin(&url, &format!("DROP DATABASE {database} WITH (FORCE)")).await;
    }
}

async fn admin(url: &str, sql: &str) {
    use sqlx::Connection;
    sqlx::any::install_default_drivers();
    let mut conn = sqlx::AnyConnection::connect(url).await.expect("the server is reachable");
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(&mut conn).await.expect("it obeys");
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
    let command = "cargo bench --bench http -- settle";
    let told = |text: &str, values: &[f64], unit| {
        figure(&format!("{text}, {name}"), values, unit, Bar::Told, command);
    };
    told("durable settles over HTTP, each after its check, 64 connections", &served, "/s");
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
struct Held {
    hold_id: String,
}

/// Every connection authorises a bid and settles it, again and again.
async fn settle_load(port: u16, time: Duration) -> Settled {
    let before = batches(port).await;
    let began = Instant::now();
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|n| {
            tokio::spawn(async move {
                let mut client = Client::connect(port).await;
                let (bid, mut settles) = (bid(n, 60.0), 0);
                while began.elapsed() < time {
                    let held: Held = serde_json::from_slice(client.expect(&bid, 200).await)
                        .expect("an approval");
                    let path = format!("/api/v1/holds/{}/settle", held.hold_id);
                    client.expect(&post(&path, r#"{"amount":1.25}"#), 200).await;
                    settles += 1;
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

async fn up() {
    let (mut ready, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let kiki = Server::kiki(&dir.path().join("data"), &[]);
        let mut client = Client::connect(kiki.port).await;
        client.expect(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", 200).await;
        ready.push(kiki.ready.as_secs_f64() * 1_000.0);
        tokio::time::sleep(Duration::from_secs(2)).await;
        resident.push(kiki.resident_mb());
    }
    let command = "cargo bench --bench http -- up";
    let text = "`kiki up` on an empty directory, from start to ready";
    figure(text, &ready, " ms", Bar::AtMost(1_000.0), command);
    figure("idle resident memory", &resident, " MB", Bar::AtMost(80.0), command);
}

/// What the service is held against.
mod bare {
    use std::sync::atomic::{AtomicU64, Ordering};

    use axum::Json;
    use axum::extract::State;
    use axum::http::StatusCode;
    use axum::serve::ListenerExt;
    use fred::clients::Client;
    use fred::interfaces::{ClientLike, LuaInterface};

    use super::{Deserialize, Serialize};

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "parsed as the service does, and not looked at")]
    struct Bid {
        campaign_id: String,
        bid_amount: f64,
        platform: Option<String>,
        currency: Option<String>,
        ttl_s: Option<f64>,
    }

    /// An answer as long as the service's.
    #[derive(Serialize)]
    struct Answer {
        approved: bool,
        campaign_id: String,
        hold_id: &'static str,
        token: &'static str,
        amount: f64,
        currency: &'static str,
        expires_at: &'static str,
        remaining: f64,
    }

    fn answer(bid: Bid) -> Json<Answer> {
        Json(Answer {
            approved: true,
            campaign_id: bid.campaign_id,
            hold_id: "0f2c9a44e1d87b3560af1be2c8d94e17.camp_000017",
            token: "djF8ZGVmYXVsdHxjYW1wXzAwMDAxN3wwZjJjOWE0NGUxZDg3YjM1NjBhZjFiZTJjOGQ5NGUxN3wxMjUwMDAwfDEyNTAwMDB8MTc2MzY5NTQzODAwMDAwMHwwZjJjOWE0NGUxZDg3YjM1fDYwYWYxYmUyYzhkOTRlMTd8MjAyNjExMjF8MA.3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            amount: bid.bid_amount,
            currency: "USD",
            expires_at: "2026-11-21T03:23:58.000000Z",
            remaining: 999_875.25,
        })
    }

    async fn plain(Json(bid): Json<Bid>) -> Json<Answer> {
        answer(bid)
    }

    /// The sliding window of 60 s in one key of entries and one of their sum; one round trip.
    const WINDOW: &str = "
        local now, amount = tonumber(ARGV[1]), tonumber(ARGV[2])
        local sum = tonumber(redis.call('GET', KEYS[2]) or '0')
        local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - 60000000)
        if #old > 0 then
            for _, e in ipairs(old) do sum = sum - tonumber(string.match(e, ':(%d+)$')) end
            redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60000000)
        end
        if sum + amount > 1000000000000000 then
            redis.call('SET', KEYS[2], string.format('%.0f', sum))
            return 0
        end
        redis.call('ZADD', KEYS[1], now, ARGV[3] .. ':' .. ARGV[2])
        redis.call('SET', KEYS[2], string.format('%.0f', sum + amount))
        return 1";

    #[derive(Clone)]
    struct Window {
        redis: Client,
        script: String,
    }

    async fn windowed(
        State(window): State<Window>,
        Json(bid): Json<Bid>,
    ) -> Result<Json<Answer>, StatusCode> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let amount = (bid.bid_amount * 1e6) as i64;
        let id = IDS.fetch_add(1, Ordering::Relaxed) as i64;
        let args = vec![kiki::clock::wall_us(), amount, id];
        let keys = vec!["kiki:bench:window", "kiki:bench:sum"];
        let granted: i64 = window
            .redis
            .evalsha(window.script.as_str(), keys, args)
            .await
            .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        if granted == 1 { Ok(answer(bid)) } else { Err(StatusCode::FORBIDDEN) }
    }

    pub async fn serve(in_redis: bool) {
        let router = axum::Router::new();
        let path = "/api/v1/check";
        let router = if in_redis {
            let url = std::env::var("KIKI_TEST_REDIS_URL").expect("KIKI_TEST_REDIS_URL");
            let config = fred::types::config::Config::from_url(&url).expect("a URL");
            // It pipelines what concurrent tasks ask for on its one connection.
            let redis = fred::types::Builder::from_config(config).build().expect("a client");
            redis.init().await.expect("Redis answers");
            let script: String = redis.script_load(WINDOW).await.expect("it takes the script");
            let window = Window { redis, script };
            router.route(path, axum::routing::post(windowed)).with_state(window)
        } else {
            router.route(path, axum::routing::post(plain))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("ready {}", listener.local_addr().expect("an address").port());
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await.expect("it serves");
    }
}
