//! Limits that nodes share through Redis, and what is left of them when it is not there. Runs where
//! `KIKI_TEST_REDIS_URL` names a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use kiki::access::{DoorTerms, RedisLimit};
use kiki::api::access::Listener;
use kiki::config::Loader;
use kiki::connectors::redis::Redis;
use kiki::models::access::Role;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::harness::{World, world};
use super::limits::few;

const PASSES: u8 = 0;
/// Takes connections and bytes, and says nothing.
const HANGS: u8 = 1;
/// Hangs up.
const REFUSES: u8 = 2;

/// A way to Redis that can be blocked.
struct Way {
    mood: Arc<AtomicU8>,
    port: u16,
}

async fn way(to: String) -> Way {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let mood = Arc::new(AtomicU8::new(PASSES));
    let shared = Arc::clone(&mood);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (mood, to) = (Arc::clone(&shared), to.clone());
            tokio::spawn(async move {
                if mood.load(Ordering::SeqCst) == REFUSES {
                    return;
                }
                let Ok(mut far) = TcpStream::connect(to).await else { return };
                let changed = async {
                    while mood.load(Ordering::SeqCst) == PASSES {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                };
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    () = changed => {}
                }
                while mood.load(Ordering::SeqCst) == HANGS {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            });
        }
    });
    Way { mood, port }
}

async fn node(port: u16) -> World {
    let address = format!("127.0.0.1:{port}");
    let config = Loader::new().flag("redis.addr", address, "--set").load().expect("good").config;
    let redis = Redis::connect(&config.redis).expect("it begins");
    let began = Instant::now();
    while !redis.is_connected() {
        assert!(began.elapsed() < Duration::from_secs(10), "no redis");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let shared = RedisLimit::of(&redis);
    world(Some(DoorTerms { bearer: None, limits: Some(few()), shared })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_a_limit_and_fall_back_to_their_own_within_100_ms_when_redis_is_away() {
    let Ok(url) = std::env::var("KIKI_TEST_REDIS_URL") else {
        eprintln!("skipped: KIKI_TEST_REDIS_URL is not set");
        return;
    };
    let to = url.trim_start_matches("redis://").trim_end_matches('/').to_owned();
    let way = way(to).await;
    let (one, two) = (node(way.port).await, node(way.port).await);
    // One caller with a key of its own on each node: a token's subject would be the same on both, keys
    // of two stores are not. Addresses are.
    let call = async |world: &World| world.get(Listener::Shield, "/health", None).await.status;
    let mut passed = 0;
    for world in [&one, &two, &one, &two, &one] {
        passed += usize::from(call(world).await == 200);
    }
    assert!(passed <= 3, "each node alone would have let all five through: {passed}");
    let key = one.key(Role::Viewer, &["*"]).await;
    for mood in [HANGS, REFUSES] {
        way.mood.store(mood, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let began = Instant::now();
        let answer = one.get(Listener::Shield, "/ready", Some(&key)).await;
        let took = began.elapsed();
        assert_eq!(answer.status, 200);
        assert!(took < Duration::from_millis(100), "{took:?}");
        let view = one.app.door.shared_view().expect("shared");
        assert!(view.failures >= 1 && view.local_total >= 1, "{view:?}");
    }
    let admin = one.key(Role::Admin, &["*"]).await;
    let shown = one.get(Listener::Admin, "/api/admin/breakers", Some(&admin)).await.is(200).json;
    let shown = shown["breakers"].as_array().expect("a list").clone();
    let entry = shown.iter().find(|entry| entry["path"] == "/redis/limits").expect("an entry");
    assert_ne!(entry["state"], "closed", "{entry}");
    way.mood.store(PASSES, Ordering::SeqCst);
    let began = Instant::now();
    loop {
        let other = one.key(Role::Viewer, &["*"]).await;
        one.get(Listener::Shield, "/ready", Some(&other)).await;
        if one.app.door.shared_view().expect("shared").failures == 0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", one.app.door.shared_view());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(one.app.door.untold(), 0);
}
