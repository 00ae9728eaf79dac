//! HAProxy in front of a cluster on one machine: every documented port, each request to whichever node is ready.

use std::fmt::Write;
use std::process::Command;

use super::super::exit::CliError;
use super::children::{Children, Id};
use super::databases::bare;
use super::folder::Folder;
use super::nodes::Node;
use super::ports::Ports;
use super::private;
use super::programs::Programs;

/// What is the same for every cluster. A request is tried at another node only where no connection could be
/// made: one that was sent may have been done. A node that stops answers GET /ready with 503 for longer than two checks
/// take, so nothing new goes to it when it closes its ports.
const SETTINGS: &str = "\
global
    log stdout format raw local0 info
    stats socket unix@haproxy.sock mode 600 level admin
    maxconn 2000

defaults
    mode http
    log global
    option httplog
    option dontlog-normal
    option forwardfor
    balance roundrobin
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
    http-error status 503 content-type application/problem+json string \"{\\\"type\\\":\\\"urn:kiki:problem:not_reached\\\",\\\"title\\\":\\\"not reached\\\",\\\"status\\\":503,\\\"code\\\":\\\"not_reached\\\",\\\"detail\\\":\\\"no node is ready\\\",\\\"help\\\":\\\"nothing was done: repeat the same request after Retry-After\\\"}\" hdr Retry-After 1
    default-server inter 500ms fall 2 rise 1 slowstart 5s maxconn 4096
";

/// Whoever watches and steers a node reaches it for as long as it lives, also where it cannot serve: without the
/// database he needs it most.
const ALIVE: &str = "    http-check send meth GET uri /health ver HTTP/1.1 hdr Host localhost\n";
const CHANNELS: &str = "    timeout client 1h\n    timeout http-keep-alive 1h\n";
const CHANNELS_BACK: &str = "    http-reuse safe\n    timeout server 1h\n";

/// Bodies of purchases are read for as long as value.import_timeout_s says, which is an hour.
const IMPORTS: &str =
    "    use_backend value_import if METH_POST { path /api/v1/ltv/transactions }\n";

/// Its configuration.
fn settings(front: &Ports, nodes: &[Node]) -> String {
    let mut out = SETTINGS.to_owned();
    for (at, (name, port)) in front.served().into_iter().enumerate() {
        // A channel of gRPC may be silent for long; its node is asked at the health port, which speaks HTTP/1.
        let (bind, of_front, of_back, end) = match name {
            "grpc" => (" proto h2", CHANNELS, CHANNELS_BACK, "proto h2 track ready/"),
            "health" | "admin" => ("", "", ALIVE, "check"),
            "value" => ("", IMPORTS, "", "check"),
            _ => ("", "", "", "check"),
        };
        out += &format!("\nfrontend {name}\n    bind 127.0.0.1:{port}{bind}\n{of_front}");
        out += &format!("    default_backend {name}\n\nbackend {name}\n{of_back}");
        out += &servers(nodes, at, end);
        if name == "value" {
            out += "\nbackend value_import\n    timeout server 3700s\n";
            out += &servers(nodes, at, "track value/");
        }
        if name == "health" {
            // Nothing is sent there: it is asked whether a node takes anything.
            out += "\nbackend ready\n";
            out += &servers(nodes, at, "check");
        }
    }
    out
}

/// The lines of a backend's servers: the port at this place of each node, which is asked itself or tracks the
/// server of the same name in another backend: what ends with a slash is followed by the node's name.
fn servers(nodes: &[Node], at: usize, end: &str) -> String {
    let mut out = String::new();
    for Node { name, ports, .. } in nodes {
        let (_, port) = ports.served()[at];
        let whom = if end.ends_with('/') { name } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "    server {name} 127.0.0.1:{port} {end}{whom}");
    }
    out
}

/// Starts it.
///
/// # Errors
/// Its configuration or its process cannot be made.
pub fn start(
    children: &mut Children,
    folder: &Folder,
    programs: &Programs,
    front: &Ports,
    nodes: &[Node],
) -> Result<Id, CliError> {
    let file = folder.join("haproxy.cfg");
    private::put(&file, &settings(front, nodes))?;
    let mut command: Command = bare(&programs.haproxy);
    command.arg("-db").arg("-f").arg(&file).current_dir(folder.path());
    children.start("haproxy", command, &folder.join("haproxy.log"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn two() -> (Ports, String) {
        let node = |n: u16| Node {
            name: format!("node-{n}"),
            ports: Ports::documented(100 * n).unwrap(),
            file: PathBuf::new(),
        };
        let front = Ports::documented(0).unwrap();
        (front, settings(&front, &[node(1), node(2)]))
    }

    #[test]
    fn every_documented_port_leads_to_the_same_port_of_every_node() {
        let (front, text) = two();
        for (name, port) in front.served() {
            assert!(
                text.contains(&format!("\nfrontend {name}\n    bind 127.0.0.1:{port}")),
                "{text}"
            );
            let backend = text.split(&format!("\nbackend {name}\n")).nth(1).unwrap();
            let backend = backend.split("\n\n").next().unwrap();
            for n in [1, 2] {
                let server = format!("server node-{n} 127.0.0.1:{} ", port + 100 * n);
                assert!(backend.contains(&server), "{name}: {backend}");
            }
        }
        assert!(text.contains("server node-2 127.0.0.1:50251 proto h2 track ready/node-2\n"));
        assert!(text.contains("\nbackend ready\n    server node-1 127.0.0.1:8180 check\n"));
        assert!(text.contains("\nbackend value_import\n    timeout server 3700s\n"));
    }

    #[test]
    fn requests_go_to_nodes_that_are_ready_and_operators_to_those_that_live() {
        let (front, text) = two();
        let (settings, _) = text.split_once("\nfrontend ").unwrap();
        assert!(settings.contains("http-check send meth GET uri /ready "), "{settings}");
        for (name, _) in front.served() {
            let backend = text.split(&format!("\nbackend {name}\n")).nth(1).unwrap();
            let backend = backend.split("\n\n").next().unwrap();
            let asks: Vec<&str> =
                backend.lines().filter(|line| line.contains("http-check")).collect();
            match name {
                "health" | "admin" => {
                    assert_eq!(asks.len(), 1, "{backend}");
                    assert!(asks[0].contains(" uri /health "), "{backend}");
                }
                _ => assert!(asks.is_empty(), "{backend}"),
            }
        }
    }

    #[test]
    fn only_what_was_never_sent_is_tried_again() {
        let (_, text) = two();
        let retries: Vec<&str> = text.lines().filter(|line| line.contains("retry-on")).collect();
        assert_eq!(retries, ["    retry-on conn-failure"]);
    }

    #[test]
    fn haproxy_takes_it_where_there_is_one() {
        let Ok(programs) = Programs::find() else { return };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, two().1).unwrap();
        let mut command = Command::new(programs.haproxy);
        let output = command.arg("-c").arg("-f").arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
