//! Nodes that do not hear each other, or not the database: nothing is booked twice or above its budget, nobody owns
//! what another owns, and what was parted comes together again by itself.

use std::collections::BTreeMap;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{AnyConnection, Connection, Row};
use tokio::task::JoinHandle;

use crate::common::client;
use crate::lab::{Lab, links, member};
use crate::load::{Load, allocate};
use crate::wires::{Direction, Wire};

const SETTINGS: [&str; 1] = ["shield.window_cap=1000000"];

/// Looks at who owns what until it is told to stop. An epoch never gets smaller, and nobody owns with another's.
pub struct Watch {
    stop: Arc<AtomicBool>,
    looks: JoinHandle<usize>,
}

impl Watch {
    pub fn begin(lab: &Lab) -> Watch {
        let (stop, url) = (Arc::new(AtomicBool::new(false)), lab.url.clone());
        let told = Arc::clone(&stop);
        let looks = tokio::spawn(async move {
            let mut conn = AnyConnection::connect(&url).await.expect("a connection");
            let (mut seen, mut looks) = (BTreeMap::<i64, (i64, String)>::new(), 0);
            while !told.load(Relaxed) {
                let rows = sqlx::query("SELECT shard, epoch, owner FROM shard");
                for row in rows.fetch_all(&mut conn).await.expect("shards") {
                    let (shard, epoch) = (row.get::<i64, _>(0), row.get::<i64, _>(1));
                    let owner = row.get::<String, _>(2);
                    if let Some((before, whose)) = seen.get(&shard) {
                        assert!(epoch >= *before, "shard {shard}: {before}, then {epoch}");
                        let same = epoch > *before || owner == *whose;
                        assert!(same, "shard {shard}: {owner} in the epoch of {whose}");
                    }
                    seen.insert(shard, (epoch, owner));
                }
                looks += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            looks
        });
        Watch { stop, looks }
    }

    pub async fn end(self) {
        self.stop.store(true, Relaxed);
        assert!(self.looks.await.expect("no two owners") > 20);
    }
}

/// Three nodes that reach each other over wires.
async fn wired(name: &str) -> Option<(Lab, Vec<Wire>)> {
    let mut lab = Lab::prepare(name, 3, &SETTINGS).await?;
    let mut wires = Vec::new();
    for node in 1..=3 {
        let wire = Wire::open().await;
        lab.join(node, &[format!("cluster.advertise=127.0.0.1:{}", wire.port)]);
        wire.lead_to(lab.link_address(node - 1));
        wires.push(wire);
    }
    lab.settle().await;
    Some((lab, wires))
}

/// Waits until the two others find the second node in this state.
async fn second_is(state: &str, lab: &Lab, within: Duration) {
    let began = Instant::now();
    loop {
        let mut seen = Vec::new();
        for node in [&lab.nodes[0], &lab.nodes[2]] {
            let found = links(node).await.into_iter().find(|(name, ..)| name == "node-2");
            seen.extend(found);
        }
        if seen.len() == 2 && seen.iter().all(|(_, it, _)| it == state) {
            return;
        }
        assert!(began.elapsed() < within, "not {state}: {seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_hear_each_other_one_way_only_spend_nothing_twice_and_heal() {
    let Some((lab, wires)) = wired("oneway").await else { return };
    let load = Load::begin(&lab, 6, None).await;
    let watch = Watch::begin(&lab);
    // People, too: what is known of them travels to the node that has them.
    for (n, node) in lab.nodes.iter().enumerate() {
        let customer = format!("zelda-zimmermann-{n}");
        let grant = json!({"customer_id": customer, "consent_type": "targeting",
            "legal_basis": "consent", "source": "web"});
        let (status, answer) = node.post("/consent/grant", &grant).await;
        assert!((200..300).contains(&status), "{status} {answer}");
    }
    load.proceed(200, Duration::from_secs(10)).await;
    // Questions do not arrive at the second node; then they do, and its answers do not come back.
    for direction in [Direction::There, Direction::Back] {
        wires[1].stop(direction);
        second_is("away", &lab, Duration::from_secs(8)).await;
        load.proceed(1, Duration::from_secs(20)).await;
        wires[1].heal();
        second_is("up", &lab, Duration::from_secs(8)).await;
        let calm = load.calm(Duration::from_secs(10)).await;
        println!("calm {calm:?} after the way was healed");
    }
    watch.end().await;
    load.end(&lab).await;
    // Nothing of all that could be read on the way.
    let carried: usize = wires.iter().map(Wire::carried).sum();
    assert!(carried > 100_000, "{carried}");
    for wire in &wires {
        for name in ["tight_campaign", "wide_campaign", "zelda", "/api/v1/"] {
            assert!(!wire.heard(name), "{name} was sent in the open");
        }
    }
    lab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_cut_off_from_the_database_is_replaced_and_what_it_had_is_not_spent_twice() {
    let Some(mut lab) = Lab::prepare("cutoff", 3, &SETTINGS).await else { return };
    let wire = Wire::open().await;
    let (url, address) = by_wire(&lab.url, wire.port);
    wire.lead_to(address);
    lab.join(1, &[]);
    lab.join(2, &[format!("store.database_url={url}")]);
    lab.join(3, &[]);
    lab.settle().await;
    let theirs = lab.campaign_of(1, "theirs").await;
    allocate(&lab.nodes[0], &theirs, 1_000).await;
    let load = Load::begin(&lab, 6, Some(1)).await;
    let watch = Watch::begin(&lab);
    load.proceed(200, Duration::from_secs(10)).await;
    wire.stop(Direction::There);
    wire.stop(Direction::Back);
    let cut = Instant::now();
    // The others take over all that it had, and answer for it.
    let spend = json!({"campaign_id": theirs, "amount": 1});
    loop {
        let shards = [member(&lab.nodes[0]).await, member(&lab.nodes[2]).await];
        if shards.iter().filter_map(|it| it["shards"].as_u64()).sum::<u64>() == 256 {
            break;
        }
        assert!(cut.elapsed() < Duration::from_secs(10), "nobody takes over: {shards:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (status, answer) = lab.nodes[2].post("/api/v1/spend", &spend).await;
    assert!((200..300).contains(&status), "{status} {answer}");
    println!("taken over and answered after {:?}", cut.elapsed());
    // Who was replaced says that it is not ready, and books nothing.
    let ready = client().get(lab.nodes[1].url("/ready")).send().await.expect("an answer");
    assert_eq!(ready.status(), 503);
    let request = client().post(lab.nodes[1].url("/api/v1/spend")).body(spend.to_string());
    let request = request.header("content-type", "application/json");
    let refused = request.send().await.expect("an answer");
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    // What it had sent to the database arrives, late. Then it ends: whoever supervises it starts it again.
    wire.heal();
    let status = lab.nodes[1].ended(Duration::from_secs(15));
    assert!(!status.success());
    assert!(lab.nodes[1].said().contains("has taken its place"), "{}", lab.nodes[1].said());
    lab.nodes[1].restart();
    lab.settle().await;
    load.calm(Duration::from_secs(15)).await;
    watch.end().await;
    let spent = format!("SELECT budget, amount FROM ledger WHERE budget = '{theirs}'");
    assert_eq!(lab.rows(&spent).await, [(theirs.clone(), 1_000_000)]);
    load.end_beside(&lab, &[&theirs]).await;
    lab.close().await;
}

/// The same database, reached over a wire; and where that is to lead.
fn by_wire(url: &str, port: u16) -> (String, std::net::SocketAddr) {
    let (scheme, rest) = url.split_once("://").expect("an address");
    let (place, path) = rest.split_once('/').expect("a database");
    let (user, host) = place.rsplit_once('@').map_or(("", place), |(user, host)| (user, host));
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:5432") };
    let address = host.to_socket_addrs().expect("resolved").next().expect("an address");
    let user = if user.is_empty() { String::new() } else { format!("{user}@") };
    (format!("{scheme}://{user}127.0.0.1:{port}/{path}"), address)
}
