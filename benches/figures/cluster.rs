//! Three nodes on one database beside a single one on the same cores, and what it costs to ask a node for
//! what another one owns.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use hdrhistogram::Histogram;
use kiki::actors::shield::BudgetName;
use sqlx::{AnyConnection, Connection, Row};

use crate::load::{CONNECTIONS, Client, SERVE, SETTINGS, Server, bid, campaign, post};
use crate::report::{Bar, PAIRS, figure, ratios};
use crate::settle::Databases;

const COMMAND: &str = "cargo bench --bench figures -- cluster";
const NODES: usize = 3;
/// Shards of all roles.
const SHARDS: u64 = 768;
/// Shards go where they belong when the nodes have been the same for 15 s.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);
/// Far above what the holds of all connections come to.
const BUDGET: u64 = 100_000_000;
/// The holds of a load are over by then: neither the next load nor the count of what idles has to do with them.
const RUN_OUT: Duration = Duration::from_millis(1_000);
/// Answers before those that count.
const WARM: usize = 50;

pub async fn run(time: Duration) {
    let Some(databases) = Databases::create(["one", "three"]).await else {
        println!("cluster: skipped, for KIKI_TEST_POSTGRES_URL names no server");
        return;
    };
    // A failure ends the servers, as values of what failed, and leaves no databases behind.
    let done = AssertUnwindSafe(measure(&databases, time)).catch_unwind().await;
    databases.drop().await;
    if let Err(failure) = done {
        std::panic::resume_unwind(failure);
    }
}

async fn measure(databases: &Databases<2>, time: Duration) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let own = [format!("store.database_url={}", databases.url("one"))];
    let one = [node(&dir.path().join("one"), &own)];
    let three = Nodes::open(dir.path(), databases.url("three")).await;
    let hot = three.campaign_at_home().await;
    for port in [one[0].port, three.nodes[three.home].port] {
        let body = format!(r#"{{"campaign_id":"{}","budget":{BUDGET}}}"#, campaign(hot));
        Client::connect(port).await.expect(&post("/api/v1/allocate", &body), 201).await;
    }
    authorisations([&one, &three.nodes], hot, time).await;
    // What follows is of one request at a time.
    drop(one);
    let campaign = campaign(hot);
    let look = format!("GET /api/v1/budget/{campaign} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let [here, there] = three.here_and_there(look.as_bytes(), 200, time).await;
    told("`GET /api/v1/budget/{campaign}` at its owner, 1 connection, median", &here, " ms");
    told("this look at a node that passes it on, median", &there, " ms");
    let more: Vec<f64> = there.iter().zip(&here).map(|(there, here)| there - here).collect();
    figure(
        "a request that needs a hop, more at the median",
        &more,
        " ms",
        Bar::AtMost(1.0),
        COMMAND,
    );
    let spend = format!(r#"{{"campaign_id":"{campaign}","amount":0.01}}"#);
    let spend = post("/api/v1/spend", &spend);
    let [here, there] = three.here_and_there(&spend, 201, time).await;
    told("durable `POST /api/v1/spend` at the owner, 1 connection, median", &here, " ms");
    told("this spend at a node that passes it on, median", &there, " ms");
}

fn told(name: &str, values: &[f64], unit: &str) {
    figure(name, values, unit, Bar::Told, COMMAND);
}

/// A node with these settings beside those of all.
fn node(data: &Path, own: &[String]) -> Server {
    let own = own.iter().flat_map(|setting| ["--set", setting]);
    Server::kiki(data, &SETTINGS.into_iter().chain(own).collect::<Vec<_>>())
}

/// Authorisations of one campaign, by one node and by three, turn by turn. The other installation idles.
async fn authorisations(installations: [&[Server]; 2], hot: usize, time: Duration) {
    let request: Arc<[u8]> = bid(hot, 0.2).into();
    for nodes in installations {
        spread(nodes, &request, time).await;
        tokio::time::sleep(RUN_OUT).await;
    }
    let (mut rates, mut others) = ([vec![], vec![]], [vec![], vec![]]);
    let mut idle = [vec![], vec![]];
    for pair in 0..PAIRS {
        for turn in 0..2 {
            // Each goes first as often as the other.
            let who = (pair + turn) % 2;
            let rests = installations[1 - who];
            let (began, before) = (Instant::now(), cpu_us(rests));
            let seen = spread(installations[who], &request, time).await;
            let share = (cpu_us(rests) - before) / began.elapsed().as_micros() as f64;
            idle[1 - who].push(share * 100.0);
            rates[who].push(seen.approved_per_s);
            others[who].push(seen.others * 100.0);
            tokio::time::sleep(RUN_OUT).await;
        }
    }
    let text = "`POST /api/v1/check` of one campaign, approvals, PostgreSQL, 64 connections";
    for (who, name) in ["1 node", "3 nodes on the same cores"].into_iter().enumerate() {
        told(&format!("{text}, {name}"), &rates[who], "/s");
    }
    let share = ratios(&rates[1], &rates[0]);
    let text = "authorisations on one hot campaign, 3 nodes against 1, rate";
    figure(text, &share, "x", Bar::AtLeast(0.9), COMMAND);
    for (who, name) in ["1 node", "3 nodes"].into_iter().enumerate() {
        told(&format!("answers of {name} that were no approval"), &others[who], "%");
        let text = format!("CPU time of {name} while the other installation is asked");
        told(&text, &idle[who], "% of a core");
    }
}

fn cpu_us(nodes: &[Server]) -> f64 {
    nodes.iter().map(Server::cpu_us).sum()
}

/// What a round of authorisations saw.
struct Seen {
    approved_per_s: f64,
    /// Share of the answers that were none.
    others: f64,
}

/// Sends a bid again and again over all connections, spread over the nodes as by a load balancer.
async fn spread(nodes: &[Server], request: &Arc<[u8]>, time: Duration) -> Seen {
    let mut clients = Vec::new();
    for n in 0..CONNECTIONS {
        clients.push(Client::connect(nodes[n % nodes.len()].port).await);
    }
    let began = Instant::now();
    let tasks = clients.into_iter().map(|mut client| {
        let request = Arc::clone(request);
        tokio::spawn(async move {
            let (mut approved, mut all) = (0_u64, 0_u64);
            while began.elapsed() < time {
                // A refusal is a 403.
                let (status, _) = client.send(&request).await;
                approved += u64::from(status == 200);
                all += 1;
            }
            (approved, all)
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let (mut approved, mut all) = (0, 0);
    for task in tasks {
        let seen = task.await.expect("a client");
        approved += seen.0;
        all += seen.1;
    }
    let approved_per_s = approved as f64 / began.elapsed().as_secs_f64();
    Seen { approved_per_s, others: (all - approved) as f64 / all as f64 }
}

/// Nodes of one cluster, each with its part of the shards.
struct Nodes {
    nodes: Vec<Server>,
    url: String,
    /// The node that has the account's shard.
    home: usize,
}

impl Nodes {
    async fn open(dir: &Path, url: String) -> Nodes {
        let certs = dir.join("certs");
        let mut make = Command::new(Server::program());
        make.env(SERVE, "1").args(["cluster", "certs", "--dir"]).arg(&certs);
        for n in 1..=NODES {
            make.args(["--node", &format!("node-{n}")]);
        }
        let made = make.stdin(Stdio::null()).output().expect("kiki starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut nodes = Vec::new();
        for n in 1..=NODES {
            let data = dir.join(format!("node-{n}"));
            if n > 1 {
                // The first has made what all of them share.
                std::fs::create_dir(&data).expect("a folder");
                for secret in ["master.key", "token.secret"] {
                    let made = dir.join("node-1").join(secret);
                    std::fs::copy(made, data.join(secret)).expect("copied");
                }
            }
            let own = [
                format!("store.database_url={url}"),
                format!("cluster.node=node-{n}"),
                format!("cluster.ca_file={}", certs.join("ca.pem").display()),
                format!("cluster.cert_file={}", certs.join(format!("node-{n}.pem")).display()),
                format!("cluster.key_file={}", certs.join(format!("node-{n}.key")).display()),
            ];
            nodes.push(node(&data, &own));
        }
        let mut nodes = Nodes { nodes, url, home: 0 };
        nodes.settle().await;
        nodes.home = nodes.owner(&BudgetName::account("default")).await;
        nodes
    }

    /// Waits until all nodes are in, and each has its part of the shards.
    async fn settle(&self) {
        let began = Instant::now();
        loop {
            let mut owned = Vec::new();
            for node in &self.nodes {
                owned.push(member(node).await["shards"].as_u64().unwrap_or(0));
            }
            let even = owned.iter().all(|own| own * 3 * NODES as u64 >= SHARDS);
            if owned.iter().sum::<u64>() == SHARDS && even {
                return;
            }
            assert!(began.elapsed() < SETTLED_WITHIN, "shards by node: {owned:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Which node has a shard, as the database has it.
    async fn owner(&self, of: &BudgetName) -> usize {
        let mut conn = AnyConnection::connect(&self.url).await.expect("a connection");
        let row = sqlx::query("SELECT owner FROM shard WHERE shard = $1").bind(of.shard());
        let row = row.fetch_one(&mut conn).await.expect("a shard");
        let owner: String = row.try_get("owner").expect("an owner");
        for (at, node) in self.nodes.iter().enumerate() {
            let view = member(node).await;
            if owner.contains(view["incarnation"].as_str().expect("a life")) {
                return at;
            }
        }
        panic!("no node has the life {owner}");
    }

    /// A campaign of the node that has its account, too. A look at a budget shows the account's window with
    /// it: where both are at one node, whoever has to pass it on does so once.
    async fn campaign_at_home(&self) -> usize {
        for n in 0..1_000 {
            if self.owner(&BudgetName::campaign("default", &campaign(n))).await == self.home {
                return n;
            }
        }
        panic!("no campaign is where its account is");
    }

    /// Sends a request by turns to the node that answers it and to one that passes it on: the medians of the
    /// rounds of each, ms.
    async fn here_and_there(&self, request: &[u8], status: u16, time: Duration) -> [Vec<f64>; 2] {
        let mut medians = [vec![], vec![]];
        for round in 0..PAIRS {
            let other = (self.home + 1 + round % (NODES - 1)) % NODES;
            let mut clients = [
                Client::connect(self.nodes[self.home].port).await,
                Client::connect(self.nodes[other].port).await,
            ];
            for client in &mut clients {
                for _ in 0..WARM {
                    client.expect(request, status).await;
                }
            }
            let took = || Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).expect("bounds");
            let mut took = [took(), took()];
            let (began, mut first) = (Instant::now(), round % 2);
            while began.elapsed() < time {
                for who in [first, 1 - first] {
                    let sent = Instant::now();
                    clients[who].expect(request, status).await;
                    took[who].saturating_record(sent.elapsed().as_micros() as u64);
                }
                first = 1 - first;
            }
            for (medians, took) in medians.iter_mut().zip(&took) {
                medians.push(took.value_at_quantile(0.5) as f64 / 1_000.0);
            }
        }
        medians
    }
}

/// A node's member as operators see it.
async fn member(node: &Server) -> serde_json::Value {
    let mut client = Client::connect(node.port + 9).await;
    let request = b"GET /api/admin/actors/cluster/member HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let actor: serde_json::Value =
        serde_json::from_slice(client.expect(request, 200).await).expect("an actor");
    actor["view"].clone()
}
