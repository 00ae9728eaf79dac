//! Nodes of one cluster as real processes on one database, with certificates of their own.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kiki::actors::shield::BudgetName;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use tempfile::TempDir;

use crate::common::{Server, client, command};

/// Shards of all roles.
const SHARDS: u64 = 256;

pub struct Lab {
    pub nodes: Vec<Server>,
    folder: TempDir,
    server: String,
    database: String,
    pub url: String,
    settings: Vec<String>,
}

impl Lab {
    /// So many nodes, each with its part of the shards. `None` where no database is named.
    pub async fn open(name: &str, nodes: usize, settings: &[&str]) -> Option<Lab> {
        let mut lab = Lab::prepare(name, nodes, settings).await?;
        for node in 1..=nodes {
            lab.join(node, &[]);
        }
        lab.settle().await;
        Some(lab)
    }

    /// A database and certificates for so many nodes, of which none runs yet.
    pub async fn prepare(name: &str, nodes: usize, settings: &[&str]) -> Option<Lab> {
        let Ok(server) = std::env::var("KIKI_TEST_POSTGRES_URL") else {
            eprintln!("skipped: KIKI_TEST_POSTGRES_URL is not set");
            return None;
        };
        Some(Lab::prepare_on(server, name, nodes, settings).await)
    }

    /// The same on a server of PostgreSQL that the test has for itself.
    pub async fn prepare_on(server: String, name: &str, nodes: usize, settings: &[&str]) -> Lab {
        let database = format!("kiki_{name}_{}", std::process::id());
        sql(&server, &format!("CREATE DATABASE {database}")).await;
        let (base, query) = server.split_once('?').map_or((&*server, ""), |(b, q)| (b, q));
        let url = format!("{}/{database}?{query}", base.rsplit_once('/').expect("a database").0);
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings.iter().map(|s| (*s).to_owned()).collect();
        let lab = Lab { nodes: Vec::new(), folder, server, database, url, settings };
        lab.certify("certs", 1..=nodes);
        lab
    }

    /// Certificates for nodes, of an authority that is made with them.
    pub fn certify(&self, dir: &str, nodes: RangeInclusive<usize>) {
        let mut certs = command();
        certs.args(["cluster", "certs", "--dir"]).arg(self.path(dir));
        for node in nodes {
            certs.args(["--node", &format!("node-{node}")]);
        }
        let made = certs.output().expect("kiki runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts one more node. `own`: settings of this one.
    pub fn join(&mut self, node: usize, own: &[String]) {
        let data = self.path(&format!("node-{node}"));
        if let Some(first) = self.nodes.first() {
            std::fs::create_dir(&data).expect("a folder");
            for secret in ["master.key", "token.secret"] {
                std::fs::copy(first.data.join(secret), data.join(secret)).expect("copied");
            }
        }
        let certs = self.path("certs");
        let file = |name: &str| certs.join(name).display().to_string();
        let mut settings = vec![
            format!("store.database_url={}", self.url),
            "cluster.leases=fast".to_owned(),
            format!("cluster.node=node-{node}"),
            format!("cluster.ca_file={}", file("ca.pem")),
            format!("cluster.cert_file={}", file(&format!("node-{node}.pem"))),
            format!("cluster.key_file={}", file(&format!("node-{node}.key"))),
            "log.level=info,kiki::actors::cluster=debug".to_owned(),
        ];
        settings.extend_from_slice(&self.settings);
        settings.extend_from_slice(own);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        self.nodes.push(Server::start(&data, &settings));
    }

    /// Where a node that runs takes links of others.
    pub fn link_address(&self, at: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 7940 + self.nodes[at].offset))
    }

    /// Waits until all nodes are in, and each has its part of the shards.
    pub async fn settle(&self) {
        let began = Instant::now();
        loop {
            let mut owned = Vec::new();
            for node in &self.nodes {
                owned.push(member(node).await["shards"].as_u64().unwrap_or(0));
            }
            let even = owned.iter().all(|own| *own * 3 * self.nodes.len() as u64 >= SHARDS);
            if owned.iter().sum::<u64>() == SHARDS && even {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(40), "shards by node: {owned:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The life of the node that owns a shard, as the database has it.
    async fn owner_of(&self, shard: i64) -> String {
        let mut conn = AnyConnection::connect(&self.url).await.expect("a connection");
        let row = sqlx::query("SELECT owner FROM shard WHERE shard = $1").bind(shard);
        let row = row.fetch_one(&mut conn).await.expect("a shard");
        row.try_get::<String, _>("owner").expect("an owner")
    }

    /// Which of the nodes that run owns a campaign.
    pub async fn home(&self, campaign: &str) -> usize {
        self.holder(BudgetName::campaign("default", campaign).shard()).await
    }

    /// Which of the nodes that run is the home of the default account.
    pub async fn account_home(&self) -> usize {
        self.holder(BudgetName::account("default").shard()).await
    }

    async fn holder(&self, shard: i64) -> usize {
        let owner = self.owner_of(shard).await;
        for (at, node) in self.nodes.iter().enumerate() {
            if let Some(view) = try_member(node).await
                && owner.contains(view["incarnation"].as_str().unwrap_or("?"))
            {
                return at;
            }
        }
        panic!("no node has the life {owner}");
    }

    /// A campaign that this node owns.
    pub async fn campaign_of(&self, node: usize, prefix: &str) -> String {
        for n in 0..1_000 {
            let campaign = format!("{prefix}_{n}");
            if self.home(&campaign).await == node {
                return campaign;
            }
        }
        panic!("no campaign of node {node}");
    }

    /// One number out of the database.
    pub async fn number(&self, query: &str) -> i64 {
        let mut conn = AnyConnection::connect(&self.url).await.expect("a connection");
        let row = sqlx::query(AssertSqlSafe(query.to_owned())).fetch_one(&mut conn).await;
        row.expect("a row").try_get::<i64, _>(0).expect("a number")
    }

    /// Rows of a name and a number out of the database.
    pub async fn rows(&self, query: &str) -> Vec<(String, i64)> {
        let mut conn = AnyConnection::connect(&self.url).await.expect("a connection");
        let rows = sqlx::query(AssertSqlSafe(query.to_owned())).fetch_all(&mut conn).await;
        let rows = rows.expect("rows");
        let read = rows
            .iter()
            .map(|row| Some((row.try_get::<String, _>(0).ok()?, row.try_get::<i64, _>(1).ok()?)));
        read.collect::<Option<_>>().expect("a name and a number")
    }

    pub async fn close(mut self) {
        self.nodes.clear();
        sql(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.database)).await;
    }
}

async fn sql(url: &str, sql: &str) {
    sqlx::any::install_default_drivers();
    let mut conn = AnyConnection::connect(url).await.expect("the test server is reachable");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.expect("it obeys");
}

/// A node's member as operators see it.
pub async fn member(node: &Server) -> Value {
    try_member(node).await.expect("a member")
}

pub async fn try_member(node: &Server) -> Option<Value> {
    let url = node.admin_url("/api/admin/actors/cluster/member");
    let answer = client().get(&url).timeout(Duration::from_secs(2)).send().await.ok()?;
    Some(answer.json::<Value>().await.ok()?["view"].clone())
}

/// The ways from a node to the others, as operators see them: the other's name, and how it stands.
pub async fn links(node: &Server) -> Vec<(String, String, Value)> {
    let url = node.admin_url("/api/admin/actors/cluster/links");
    let answer = client().get(&url).timeout(Duration::from_secs(2)).send().await;
    let view = answer.expect("an answer").json::<Value>().await.expect("JSON")["view"].clone();
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let links = view["links"].as_array().cloned().unwrap_or_default();
    links
        .iter()
        .map(|link| (text(&link["node"]), text(&link["state"]), link["last_error"].clone()))
        .collect()
}

/// What became of an authorisation: its hold, or the status. Without a key ("") the node grants it by itself, from
/// what it has of the budget; with one the owner does.
pub async fn authorise(
    node: &Server,
    campaign: &str,
    amount: f64,
    key: &str,
) -> Result<Value, u16> {
    let body = json!({"campaign_id": campaign, "bid_amount": amount});
    let mut request = client().post(node.url("/api/v1/check"));
    if !key.is_empty() {
        request = request.header("idempotency-key", key);
    }
    let request = request.header("content-type", "application/json").body(body.to_string());
    let answer = request.timeout(Duration::from_secs(20)).send().await.map_err(|_| 0_u16)?;
    let status = answer.status().as_u16();
    let text = answer.text().await.map_err(|_| 0_u16)?;
    match status {
        200 => Ok(serde_json::from_str(&text).expect("JSON")),
        other => Err(other),
    }
}

/// Settles a hold, wherever it was granted.
pub async fn settle(node: &Server, hold: &Value, amount: f64, token: bool) -> (u16, Value) {
    let id = hold["hold_id"].as_str().expect("an id");
    let mut body = json!({"amount": amount});
    if token {
        body["token"] = hold["token"].clone();
    }
    node.post(&format!("/api/v1/holds/{id}/settle"), &body).await
}
