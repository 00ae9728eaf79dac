//! HAProxy in front of the nodes of a lab: as `deploy/haproxy.cfg`, for as many nodes as there are.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use super::super::error::LabResult;
use super::super::host::HostName;
use super::super::process::Spec;
use super::super::processes::Processes;
use super::super::programs::Programs;
use super::super::record;
use super::folder;
use super::ports::Ports;

pub const NAME: &str = "lb";

/// A request is tried at another node only where no connection could be made: one that was sent may have been done.
const SETTINGS: &str = "\
global
    log stdout format raw local0 info
    stats socket unix@haproxy.sock mode 600 level admin
    maxconn 8192
    hard-stop-after 45s

defaults
    mode http
    log global
    option httplog
    option dontlog-normal
    option forwardfor
    balance leastconn
    retries 3
    retry-on conn-failure
    option redispatch 1
    http-reuse never
    timeout http-keep-alive 3s
    timeout http-request 10s
    timeout connect 1s
    timeout queue 1s
    timeout client 40s
    timeout server 40s
    timeout check 2s
    option httpchk
    http-check send meth GET uri /ready ver HTTP/1.1 hdr Host localhost
    http-check expect status 200
    default-server inter 500ms fall 2 rise 1 slowstart 5s maxconn 4096
";

/// A node, as the balancer reaches it: its ports in the order of `Ports::served`.
pub struct Behind {
    pub name: String,
    pub at: [SocketAddrV4; 6],
}

/// Its configuration.
fn text(bind: Ipv4Addr, front: &Ports, nodes: &[Behind]) -> String {
    let mut out = SETTINGS.to_owned();
    for (at, (name, port)) in front.served().into_iter().enumerate() {
        // A channel of gRPC may be silent for long; its node is asked at the health port, which speaks HTTP/1.
        let (proto, of_front, of_back, end) = match name {
            "grpc" => (
                " proto h2",
                "    timeout client 1h\n    timeout http-keep-alive 1h\n",
                "    http-reuse safe\n    timeout server 1h\n",
                "proto h2 track health/",
            ),
            "value" => (
                "",
                "    use_backend value_import if METH_POST { path /api/v1/ltv/transactions }\n",
                "",
                "check",
            ),
            _ => ("", "", "", "check"),
        };
        out += &format!("\nfrontend {name}\n    bind {bind}:{port}{proto}\n{of_front}");
        out += &format!("    default_backend {name}\n\nbackend {name}\n{of_back}");
        out += &servers(nodes, at, end);
        if name == "value" {
            out += "\nbackend value_import\n    timeout server 3700s\n";
            out += &servers(nodes, at, "track value/");
        }
    }
    out
}

/// What ends with a slash is followed by the node's name.
fn servers(nodes: &[Behind], at: usize, end: &str) -> String {
    let mut out = String::new();
    for node in nodes {
        let whom = if end.ends_with('/') { node.name.as_str() } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "    server {} {} {end}{whom}", node.name, node.at[at]);
    }
    out
}

/// Starts HAProxy.
///
/// # Errors
/// Its configuration or its process cannot be made.
pub async fn start(
    processes: &Processes,
    programs: &Programs,
    own: &Path,
    log: &Path,
    bind: Ipv4Addr,
    front: &Ports,
    nodes: &[Behind],
) -> LabResult<()> {
    let own = folder(own)?;
    let file = own.join("haproxy.cfg");
    record::put(&file, text(bind, front, nodes).as_bytes())?;
    let spec = Spec {
        name: NAME.to_owned(),
        host: HostName::Balancer,
        program: programs.haproxy.clone(),
        args: vec!["-db".into(), "-f".into(), file.into()],
        env: Vec::new(),
        folder: own,
        log: log.to_owned(),
        user: None,
        stop: Signal::TERM,
        grace: Duration::from_secs(2),
        clock: None,
    };
    processes.spawn(spec).await.map(drop)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn nodes() -> Vec<Behind> {
        let node = |n: u8| Behind {
            name: format!("node-{n}"),
            at: Ports::DOCUMENTED
                .served()
                .map(|(_, port)| SocketAddrV4::new([198, 18, 0, 10 + n].into(), port)),
        };
        vec![node(1), node(2)]
    }

    #[test]
    fn every_port_leads_to_the_same_port_of_every_node() {
        let text = text([198, 18, 0, 2].into(), &Ports::DOCUMENTED, &nodes());
        for (name, port) in Ports::DOCUMENTED.served() {
            assert!(
                text.contains(&format!("frontend {name}\n    bind 198.18.0.2:{port}")),
                "{text}"
            );
            for n in 1..=2 {
                assert!(text.contains(&format!("server node-{n} 198.18.0.1{n}:{port} ")), "{text}");
            }
        }
        let retries: Vec<&str> = text.lines().filter(|line| line.contains("retry-on")).collect();
        assert_eq!(retries, ["    retry-on conn-failure"]);
    }

    #[test]
    fn haproxy_takes_it_where_there_is_one() {
        let Some(haproxy) = crate::lab::programs::program("haproxy") else {
            eprintln!("skipped: there is no haproxy here");
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, text(Ipv4Addr::LOCALHOST, &Ports::DOCUMENTED, &nodes())).unwrap();
        let output = Command::new(haproxy).arg("-c").arg("-f").arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
