//! A node of a lab: its configuration and its start.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde::Serialize;

use super::super::clock::Clock;
use super::super::error::LabResult;
use super::super::host::HostName;
use super::super::process::Spec;
use super::super::processes::Processes;
use super::super::{record, tool};
use super::ports::Ports;

/// Time until a node is ready: the first one makes the tables.
pub const START: Duration = Duration::from_secs(90);

/// A node of a lab, as the suite reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Also the name of its process.
    pub name: String,
    pub host: HostName,
    pub urls: Urls,
    pub data_dir: PathBuf,
}

/// Where services are: HTTP as URLs without a slash at the end, the others as HOST:PORT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Urls {
    pub shield: String,
    pub value: String,
    pub flow: String,
    pub grpc: String,
    pub health: String,
    pub admin: String,
}

impl Urls {
    /// In the order of `Ports::served`.
    pub fn new(at: [SocketAddrV4; 6]) -> Urls {
        let [shield, value, flow, grpc, health, admin] = at;
        let http = |at: SocketAddrV4| format!("http://{at}");
        Urls {
            shield: http(shield),
            value: http(value),
            flow: http(flow),
            grpc: grpc.to_string(),
            health: http(health),
            admin: http(admin),
        }
    }
}

/// What a node is told.
pub struct Told<'a> {
    pub host: HostName,
    pub ports: Ports,
    pub bind: Ipv4Addr,
    /// Where other nodes reach it.
    pub advertise: SocketAddrV4,
    pub database_url: &'a str,
    pub redis: (SocketAddrV4, &'a str),
    /// Where exchanges reach SyncFlow: over the balancer.
    pub flow_url: &'a str,
    pub certs: &'a Path,
    pub data_dir: &'a Path,
    /// "default" or "fast".
    pub leases: &'a str,
    pub token_secret: &'a str,
    pub master_key: &'a str,
}

impl Told<'_> {
    /// Its configuration.
    fn text(&self) -> String {
        let mut out = String::new();
        let mut section = |name: &str, pairs: &[(&str, String)]| {
            out += &format!("[{name}]\n");
            for (key, value) in pairs {
                out += &format!("{key} = {value}\n");
            }
            out += "\n";
        };
        let text = |text: &dyn ToString| quoted(&text.to_string());
        let path = |path: &Path| quoted(&path.to_string_lossy());
        let ports = &self.ports;
        let mut server = vec![("bind", text(&self.bind))];
        let names =
            ["shield_port", "value_port", "flow_port", "grpc_port", "health_port", "admin_port"];
        server.extend(names.into_iter().zip(ports.served().map(|(_, port)| port.to_string())));
        section("server", &server);
        // Nobody else reaches these addresses: they are in a namespace of the suite, or on loopback.
        section("auth", &[("mode", text(&"open")), ("allow_open", "true".to_owned())]);
        section(
            "cluster",
            &[
                ("node", text(&self.host)),
                ("link_port", ports.link.to_string()),
                ("advertise", text(&self.advertise)),
                ("ca_file", path(&self.certs.join("ca.pem"))),
                ("cert_file", path(&self.certs.join(format!("{}.pem", self.host)))),
                ("key_file", path(&self.certs.join(format!("{}.key", self.host)))),
                ("leases", text(&self.leases)),
            ],
        );
        let store = [("data_dir", path(self.data_dir)), ("database_url", text(&self.database_url))];
        section("store", &store);
        section("redis", &[("addr", text(&self.redis.0)), ("password", text(&self.redis.1))]);
        section(
            "shield",
            &[("token_secret", text(&self.token_secret)), ("master_key", text(&self.master_key))],
        );
        section("flow", &[("notice_base_url", text(&self.flow_url))]);
        section("chaos", &[("enabled", "true".to_owned())]);
        out
    }
}

/// A string of TOML. What JSON escapes, TOML escapes alike; it has DEL beside that.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// How a node is started: its configuration is written to `own`, settings of the experiment are flags.
///
/// # Errors
/// The configuration cannot be written.
pub fn spec(
    told: &Told,
    binary: &Path,
    own: &Path,
    log: &Path,
    settings: &BTreeMap<String, String>,
    clock: Option<Clock>,
) -> LabResult<Spec> {
    let file = own.join("node.toml");
    record::put(&file, told.text().as_bytes())?;
    let mut args: Vec<std::ffi::OsString> = vec!["node".into(), "--config".into(), file.into()];
    for (key, value) in settings {
        args.extend(["--set".into(), format!("{key}={value}").into()]);
    }
    let mut env = Vec::new();
    // So that one can look closer.
    for name in ["RUST_LOG", "LOG_LEVEL", "LOG_FORMAT"] {
        env.extend(std::env::var_os(name).map(|value| (name.to_owned(), value)));
    }
    Ok(Spec {
        name: told.host.to_string(),
        host: told.host,
        program: binary.to_owned(),
        args,
        env,
        // There is no .env here.
        folder: own.to_owned(),
        log: log.to_owned(),
        user: None,
        stop: Signal::TERM,
        grace: Duration::from_secs(20),
        clock,
    })
}

/// Makes the certificates of these nodes, as a user does.
///
/// # Errors
/// The program says why.
pub async fn certificates(binary: &Path, folder: &Path, nodes: &[HostName]) -> LabResult<()> {
    let mut words: Vec<std::ffi::OsString> = vec![binary.into(), "cluster".into(), "certs".into()];
    words.extend(["--dir".into(), folder.into()]);
    for node in nodes {
        words.extend(["--node".into(), node.to_string().into()]);
    }
    tool::run(words).await.map(drop)
}

/// Waits until a node says that it is ready.
///
/// # Errors
/// It does not: with the end of its log.
pub async fn wait(processes: &Processes, node: &Node, client: &reqwest::Client) -> LabResult<()> {
    let url = format!("{}/ready", node.urls.health);
    super::ready::http(processes, &node.name, START, client, &url).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_stay_what_they_are() {
        assert_eq!(quoted("/a \"b\"\\c\n\u{7f}"), "\"/a \\\"b\\\"\\\\c\\n\\u007F\"");
    }

    #[test]
    fn a_node_is_told_where_it_and_the_others_are() {
        let at = |last: u8, port| SocketAddrV4::new([198, 18, 3, last].into(), port);
        let told = Told {
            host: HostName::Node(2),
            ports: Ports::DOCUMENTED,
            bind: *at(12, 0).ip(),
            advertise: at(12, 7940),
            database_url: "postgres://kiki:x@198.18.3.3:5432/postgres",
            redis: (at(4, 6379), "secret"),
            flow_url: "http://198.18.3.2:8082",
            certs: Path::new("/c"),
            data_dir: Path::new("/d"),
            leases: "fast",
            token_secret: "t",
            master_key: "m",
        };
        let text = told.text();
        for line in [
            "bind = \"198.18.3.12\"",
            "grpc_port = 50051",
            "admin_port = 8090",
            "allow_open = true",
            "node = \"node-2\"",
            "advertise = \"198.18.3.12:7940\"",
            "key_file = \"/c/node-2.key\"",
            "addr = \"198.18.3.4:6379\"",
            "leases = \"fast\"",
            "enabled = true",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
    }
}
