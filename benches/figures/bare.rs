//! What the service is held against: the same JSON parsed and answered, alone and with a window in
//! Redis.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::serve::ListenerExt;
use fred::clients::Client;
use fred::interfaces::{ClientLike, LuaInterface};

use serde::{Deserialize, Serialize};

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
    let path = "/api/v1/check";
    let router = if in_redis {
        let url = std::env::var("KIKI_TEST_REDIS_URL").expect("KIKI_TEST_REDIS_URL");
        let config = fred::types::config::Config::from_url(&url).expect("a URL");
        // It pipelines what concurrent tasks ask for on its one connection.
        let redis = fred::types::Builder::from_config(config).build().expect("a client");
        redis.init().await.expect("Redis answers");
        let script: String = redis.script_load(WINDOW).await.expect("it takes the script");
        let window = Window { redis, script };
        axum::Router::new().route(path, axum::routing::post(windowed)).with_state(window)
    } else {
        axum::Router::new().route(path, axum::routing::post(plain))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("ready {}", listener.local_addr().expect("an address").port());
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await.expect("it serves");
}
