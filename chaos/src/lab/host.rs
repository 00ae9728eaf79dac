//! The hosts of a lab and their names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Most nodes that a lab has.
pub const NODES_MAX: u8 = 9;

/// One host. In namespaces each has a network of its own; on loopback it is a name for the ports of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostName {
    /// Where the suite itself is: its clients, its probes.
    Suite,
    Balancer,
    Database,
    Redis,
    /// `node-1` and so on.
    Node(u8),
}

impl HostName {
    /// The last number of its address.
    pub fn octet(self) -> u8 {
        match self {
            HostName::Suite => 1,
            HostName::Balancer => 2,
            HostName::Database => 3,
            HostName::Redis => 4,
            HostName::Node(n) => 10 + n,
        }
    }

    /// The host with this last number.
    pub fn of_octet(octet: u8) -> Option<HostName> {
        match octet {
            1 => Some(HostName::Suite),
            2 => Some(HostName::Balancer),
            3 => Some(HostName::Database),
            4 => Some(HostName::Redis),
            11..=19 => Some(HostName::Node(octet - 10)),
            _ => None,
        }
    }

    /// All hosts of a lab with so many nodes, the suite's first.
    pub fn all(nodes: u8) -> Vec<HostName> {
        let servers = [HostName::Suite, HostName::Balancer, HostName::Database, HostName::Redis];
        servers.into_iter().chain((1..=nodes).map(HostName::Node)).collect()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostName::Suite => f.pad("suite"),
            HostName::Balancer => f.pad("lb"),
            HostName::Database => f.pad("db"),
            HostName::Redis => f.pad("redis"),
            HostName::Node(n) => f.pad(&format!("node-{n}")),
        }
    }
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<HostName, String> {
        match text {
            "suite" => Ok(HostName::Suite),
            "lb" => Ok(HostName::Balancer),
            "db" => Ok(HostName::Database),
            "redis" => Ok(HostName::Redis),
            _ => text
                .strip_prefix("node-")
                .filter(|n| n.len() == 1)
                .and_then(|n| n.parse().ok())
                .filter(|n| (1..=NODES_MAX).contains(n))
                .map(HostName::Node)
                .ok_or_else(|| {
                    let name: String = text.chars().take(40).collect();
                    format!("{name:?} is no host: allowed are node-1 to node-{NODES_MAX}, db, redis, lb and suite")
                }),
        }
    }
}

impl TryFrom<String> for HostName {
    type Error = String;

    fn try_from(text: String) -> Result<HostName, String> {
        text.parse()
    }
}

impl From<HostName> for String {
    fn from(host: HostName) -> String {
        host.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_is_found_by_its_name_and_by_its_number() {
        let all = HostName::all(NODES_MAX);
        assert_eq!(all.len(), 13);
        for host in all {
            assert_eq!(host.to_string().parse(), Ok(host));
            assert_eq!(HostName::of_octet(host.octet()), Some(host));
        }
        assert_eq!(HostName::of_octet(10), None);
        assert_eq!(HostName::of_octet(255), None);
    }

    #[test]
    fn other_names_are_refused_with_what_is_allowed() {
        for bad in ["", "node-0", "node-10", "node-+1", "node-01", "Node-1", "node--1", "database"]
        {
            let refused = bad.parse::<HostName>().unwrap_err();
            assert!(refused.contains("allowed are node-1 to node-9, db"), "{refused}");
        }
    }
}
