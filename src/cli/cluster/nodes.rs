//! The nodes of a cluster on one machine: their configuration and their start.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Client;
use toml::{Table, Value};
use zeroize::Zeroizing;

use super::super::exit::CliError;
use super::children::{Children, Id};
use super::databases::{Postgres, Redis, bare};
use super::folder::Folder;
use super::ports::Ports;
use super::{certs, private};
use crate::config::{MASTER_KEY_FILE, TOKEN_SECRET_FILE};

/// Time until a node is ready: the first one makes the tables.
const START: Duration = Duration::from_secs(90);
/// Days that certificates between them are good.
const DAYS: u16 = 365;
/// What nodes get of this process's environment, so that one can look closer.
const LOGGING: [&str; 3] = ["RUST_LOG", "LOG_LEVEL", "LOG_FORMAT"];

/// One node, as it is started.
pub struct Node {
    pub name: String,
    pub ports: Ports,
    /// Its configuration.
    pub file: PathBuf,
}

/// What all nodes have in common.
pub struct Common<'a> {
    pub postgres: &'a Postgres,
    pub redis: Option<&'a Redis>,
    /// Where exchanges reach SyncFlow: over the balancer.
    pub flow_url: String,
    /// Whether leases are short.
    pub fast: bool,
}

/// The name of the node that is started as the `n`th, from 1.
pub fn name(n: usize) -> String {
    format!("node-{n}")
}

/// Writes what the nodes need: certificates, the secrets that all of them share, and a configuration for each.
///
/// # Errors
/// A file cannot be written.
pub fn prepare(folder: &Folder, all: &[Ports], common: &Common) -> Result<Vec<Node>, CliError> {
    let names: Vec<String> = (1..=all.len()).map(name).collect();
    let certs = folder.join("certs");
    certs::provide(&certs, &names, DAYS)?;
    let mut nodes = Vec::new();
    for (name, ports) in names.into_iter().zip(all) {
        let data_dir = folder.within(&name)?;
        for secret in [TOKEN_SECRET_FILE, MASTER_KEY_FILE] {
            let shared = private::secret(&folder.join(secret))?;
            private::put(&data_dir.join(secret), &shared)?;
        }
        let file = folder.join(format!("{name}.toml"));
        let text = Zeroizing::new(settings(&name, ports, &data_dir, &certs, common).to_string());
        private::put(&file, &text)?;
        nodes.push(Node { name, ports: *ports, file });
    }
    Ok(nodes)
}

/// A node's configuration.
fn settings(name: &str, ports: &Ports, data_dir: &Path, certs: &Path, common: &Common) -> Table {
    let path = |path: &Path| Value::String(path.to_string_lossy().into_owned());
    let text = |text: &str| Value::String(text.to_owned());
    let port = |port: u16| Value::Integer(i64::from(port));
    let section = |pairs: Vec<(&str, Value)>| {
        Value::Table(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    let server = vec![
        ("bind", text("127.0.0.1")),
        ("shield_port", port(ports.shield)),
        ("value_port", port(ports.value)),
        ("flow_port", port(ports.flow)),
        ("grpc_port", port(ports.grpc)),
        ("health_port", port(ports.health)),
        ("admin_port", port(ports.admin)),
    ];
    let cluster = vec![
        ("node", text(name)),
        ("link_port", port(ports.link)),
        ("advertise", text(&format!("127.0.0.1:{}", ports.link))),
        ("ca_file", path(&certs.join("ca.pem"))),
        ("cert_file", path(&certs.join(format!("{name}.pem")))),
        ("key_file", path(&certs.join(format!("{name}.key")))),
        ("leases", text(if common.fast { "fast" } else { "default" })),
    ];
    let mut all = Table::new();
    let mut put = |name: &str, pairs| all.insert(name.to_owned(), section(pairs));
    put("server", server);
    put("cluster", cluster);
    put("store", vec![("data_dir", path(data_dir)), ("database_url", text(&common.postgres.url))]);
    if let Some(redis) = common.redis {
        let addr = format!("127.0.0.1:{}", redis.port);
        put("redis", vec![("addr", text(&addr)), ("password", text(&redis.password))]);
    }
    put("flow", vec![("notice_base_url", text(&common.flow_url))]);
    all
}

/// Starts the nodes and waits until all are ready. The first is alone until then: it makes the tables.
///
/// # Errors
/// A node does not get ready: the error has what it said.
pub async fn start(
    children: &mut Children,
    folder: &Folder,
    nodes: &[Node],
    client: &Client,
) -> Result<Vec<Id>, CliError> {
    let program = std::env::current_exe()?;
    let mut started: Vec<Id> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let mut command = bare(&program);
        for name in LOGGING {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.arg("node").arg("--config").arg(&node.file).current_dir(folder.path());
        let log = folder.join(format!("{}.log", node.name));
        let id = children.start(&node.name, command, &log)?;
        started.push(id);
        if at == 0 {
            ready(children, id, node.ports.health, client).await?;
        }
    }
    for (node, id) in nodes.iter().zip(&started).skip(1) {
        ready(children, *id, node.ports.health, client).await?;
    }
    Ok(started)
}

/// Waits until what listens on this port is ready.
pub async fn ready(
    children: &mut Children,
    id: Id,
    port: u16,
    client: &Client,
) -> Result<(), CliError> {
    let url = format!("http://127.0.0.1:{port}/ready");
    let serves = async || {
        let answer = client.get(&url).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    };
    children.until(id, START, serves).await
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::config::Loader;

    #[tokio::test]
    async fn every_node_has_a_good_configuration_and_all_share_their_secrets() {
        let given = tempfile::tempdir().unwrap();
        let folder = Folder::open(Some(&given.path().join("a \"b\""))).unwrap();
        let mut children = Children::new();
        let id = children.start("nobody", Command::new("/bin/true"), &folder.join("log")).unwrap();
        let url = Zeroizing::new("postgres://kiki:secret@127.0.0.1:5432/postgres".to_owned());
        let postgres =
            Postgres { id, url: url.clone(), password_file: PathBuf::new(), again: String::new() };
        let redis = Redis {
            id,
            port: 7001,
            password: Zeroizing::new("hidden".to_owned()),
            again: String::new(),
        };
        let flow_url = "http://127.0.0.1:8082".to_owned();
        let common = Common { postgres: &postgres, redis: Some(&redis), flow_url, fast: true };
        let ports = [Ports::documented(100).unwrap(), Ports::documented(200).unwrap()];
        let nodes = prepare(&folder, &ports, &common).unwrap();
        // A second start changes no secret.
        prepare(&folder, &ports, &common).unwrap();
        for (at, node) in nodes.iter().enumerate() {
            let config = Loader::new().file(Some(&node.file)).load().unwrap().config;
            assert_eq!(config.cluster.node, format!("node-{}", at + 1));
            assert_eq!(config.server.shield_addr().port(), ports[at].shield);
            assert_eq!(config.server.grpc_addr().port(), ports[at].grpc);
            assert_eq!(config.cluster.link_port, ports[at].link);
            assert!(config.cluster.cert_file.exists() && config.cluster.key_file.exists());
            assert_eq!(config.redis.addr.as_str(), "127.0.0.1:7001");
            let text = std::fs::read_to_string(&node.file).unwrap();
            assert!(text.contains(url.as_str()) && text.contains("fast"), "{text}");
            for secret in [TOKEN_SECRET_FILE, MASTER_KEY_FILE] {
                let own = std::fs::read(config.store.data_dir.join(secret)).unwrap();
                assert_eq!(own, std::fs::read(folder.join(secret)).unwrap());
                assert_eq!(own.len(), 64);
            }
        }
    }
}
