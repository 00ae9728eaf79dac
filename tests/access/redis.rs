//! Limits that nodes share through Redis, and what is left of them when it is not there. Runs where
//! `KIKI_TEST_REDIS_URL` names a server.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kiki::access::{DoorTerms, RedisLimit};
use kiki::api::access::Listener;
use kiki::config::Loader;
use kiki::connectors::redis::{Hint, Redis};
use kiki::models::access::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::harness::{World, world};
use super::limits::{few, from};

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
    let mut limits = few();
    // Room for every caller of the tests: beyond it they would share what is left.
    limits.rates.callers_max = 1_000_000;
    let address = format!("127.0.0.1:{port}");
    let config = Loader::new().flag("redis.addr", address, "--set").load().expect("good").config;
    let redis = Redis::connect(&config.redis).expect("it begins");
    let began = Instant::now();
    while !redis.is_connected() {
        assert!(began.elapsed() < Duration::from_secs(10), "no redis");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let shared = RedisLimit::of(&redis);
    world(Some(DoorTerms { bearer: None, limits: Some(limits), shared })).await
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
    for mood in [HANGS, REFUSES] {
        way.mood.store(mood, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let before = one.app.door.shared_view().expect("shared");
        let began = Instant::now();
        // Once it has failed it is left alone for a while: until it is asked anew, and fails anew.
        loop {
            let key = one.key(Role::Viewer, &["*"]).await;
            let called = Instant::now();
            let answer = one.get(Listener::Shield, "/ready", Some(&key)).await;
            let took = called.elapsed();
            assert_eq!(answer.status, 200);
            assert!(took < Duration::from_millis(100), "{took:?}");
            let view = one.app.door.shared_view().expect("shared");
            if view.failures > before.failures && view.local_total > before.local_total {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "never asked again: {view:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
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

/// A server of this test's own, killed with its value.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    async fn start(port: u16) -> Server {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no"]);
        let child = command.stdout(Stdio::null()).spawn().expect("redis-server starts");
        let server = Server { child, port };
        let began = Instant::now();
        while server.say("PING").await.is_none_or(|answer| !answer.starts_with("+PONG")) {
            assert!(began.elapsed() < Duration::from_secs(10), "it does not answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server
    }

    async fn say(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await.ok()?;
        let mut answer = [0; 64];
        let n = stream.read(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer[..n]).into_owned())
    }

    fn signal(&self, name: &str) {
        let told = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(told.expect("kill runs").success(), "{name}");
    }
}

fn address(n: u32) -> String {
    format!("198.51.{}.{}", n / 250 % 250, n % 250 + 1)
}

/// Of one address, five requests in turn at two nodes: how many pass.
async fn five(nodes: [&World; 2], n: u32) -> usize {
    let mut passed = 0;
    for turn in 0..5 {
        let answer = from(nodes[turn % 2], &address(n), "/health", None).await;
        assert!(matches!(answer.status, 200 | 429), "{answer:?}");
        passed += usize::from(answer.status == 200);
    }
    passed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_flushed_stopped_and_restarted_during_load_makes_nothing_wrong() {
    if std::env::var_os("KIKI_TEST_REDIS_URL").is_none() {
        eprintln!("skipped: KIKI_TEST_REDIS_URL is not set");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let server = Server::start(port).await;
    let nodes = Arc::new([node(port).await, node(port).await]);
    let (next, over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (nodes, next, over) = (Arc::clone(&nodes), Arc::clone(&next), Arc::clone(&over));
            tokio::spawn(async move {
                let (mut addresses, mut slowest) = (0_u32, Duration::ZERO);
                while !over.load(Ordering::SeqCst) {
                    let (began, n) = (Instant::now(), next.fetch_add(1, Ordering::SeqCst));
                    let passed = five([&nodes[0], &nodes[1]], n).await;
                    slowest = slowest.max(began.elapsed() / 5);
                    // Nobody is refused who has requests left, and nobody has more than both nodes
                    // give without Redis: 3 each, of which 5 were asked.
                    assert!((3..=5).contains(&passed), "{passed} of address {n}");
                    addresses += 1;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                (addresses, slowest)
            })
        })
        .collect();
    let pause = async |ms| tokio::time::sleep(Duration::from_millis(ms)).await;
    pause(300).await;
    assert!(server.say("FLUSHALL").await.is_some_and(|answer| answer.starts_with("+OK")));
    pause(200).await;
    server.signal("STOP");
    pause(700).await;
    server.signal("CONT");
    pause(300).await;
    drop(server);
    pause(700).await;
    let ready = from(&nodes[0], "203.0.113.1", "/ready", None).await;
    assert_eq!(ready.status, 200, "{}", ready.text);
    let _server = Server::start(port).await;
    // What is shared is shared again, without anybody's help, while the load goes on.
    let began = Instant::now();
    let mut probe = 60_000;
    loop {
        probe += 1;
        let shared = five([&nodes[0], &nodes[1]], probe).await == 3;
        let healthy = |world: &World| {
            let view = world.app.door.shared_view().expect("shared");
            view.failures == 0
        };
        if shared && nodes.iter().all(healthy) {
            break;
        }
        let views: Vec<_> = nodes.iter().map(|world| world.app.door.shared_view()).collect();
        assert!(began.elapsed() < Duration::from_secs(60), "{views:?}");
        pause(100).await;
    }
    over.store(true, Ordering::SeqCst);
    let (mut addresses, mut slowest) = (0, Duration::ZERO);
    for task in load {
        let (seen, slow) = task.await.expect("nothing was wrong");
        (addresses, slowest) = (addresses + seen, slowest.max(slow));
    }
    println!("{addresses} callers; the slowest had its answers after {slowest:?} each");
    assert!(addresses > 100, "there was a load: {addresses}");
    assert!(
        nodes.iter().all(|world| world.app.door.shared_view().expect("shared").local_total > 0)
    );
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_started_after_us_is_used_and_carries_hints() {
    if std::env::var_os("KIKI_TEST_REDIS_URL").is_none() {
        eprintln!("skipped: KIKI_TEST_REDIS_URL is not set");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let address = format!("127.0.0.1:{port}");
    let config = Loader::new().flag("redis.addr", address, "--set").load().expect("good").config;
    let [ear, mouth] = [(); 2].map(|()| Redis::connect(&config.redis).expect("it begins"));
    let (hints, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let listening = tokio::spawn(async move {
        let tell = |hint| {
            let hints = hints.clone();
            async move { hints.send(hint).expect("the test listens") }
        };
        ear.hear(tell).await;
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!mouth.is_connected() && heard.is_empty());
    let server = Server::start(port).await;
    let connected = async |redis: &Redis| {
        let began = Instant::now();
        while !redis.is_connected() {
            assert!(began.elapsed() < Duration::from_secs(20), "never connected");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    connected(&mouth).await;
    let mut next = async || {
        let hint = tokio::time::timeout(Duration::from_secs(20), heard.recv()).await;
        hint.expect("in time").expect("it listens")
    };
    // Whoever begins to listen may have missed anything.
    assert_eq!([next().await, next().await], [Hint::Keys, Hint::Rotated]);
    mouth.hint(Hint::Rotated).await;
    assert_eq!(next().await, Hint::Rotated);
    // After a restart, too.
    drop(server);
    let _server = Server::start(port).await;
    assert_eq!([next().await, next().await], [Hint::Keys, Hint::Rotated]);
    connected(&mouth).await;
    mouth.hint(Hint::Keys).await;
    assert_eq!(next().await, Hint::Keys);
    listening.abort();
    mouth.close().await;
}
