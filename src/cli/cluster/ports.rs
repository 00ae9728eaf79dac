//! Which port is whose in a cluster on one machine.

use std::net::{Ipv4Addr, TcpListener};

use super::super::exit::CliError;
use crate::config::{Loader, Server};

/// The default ports of two nodes are so far from each other.
const STEP: u16 = 100;

/// The ports of one node, or of what balances over all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub shield: u16,
    pub value: u16,
    pub flow: u16,
    pub grpc: u16,
    pub health: u16,
    pub admin: u16,
    /// Of the links between nodes: not balanced.
    pub link: u16,
}

impl Ports {
    /// The documented ports, moved on.
    ///
    /// # Errors
    /// One of them would be beyond 65535.
    pub fn documented(offset: u16) -> Result<Ports, CliError> {
        let loaded = Loader::new().flag("server.port_offset", offset, "--port-offset").load()?;
        let (server, cluster) = (loaded.config.server, loaded.config.cluster);
        let link = cluster.link_port.checked_add(offset).ok_or_else(|| {
            CliError::usage(format!(
                "--port-offset {offset}: port {} + {offset} is beyond 65535",
                cluster.link_port
            ))
        })?;
        Ok(Ports { link, ..Ports::of(&server) })
    }

    fn of(server: &Server) -> Ports {
        Ports {
            shield: server.shield_addr().port(),
            value: server.value_addr().port(),
            flow: server.flow_addr().port(),
            grpc: server.grpc_addr().port(),
            health: server.health_addr().port(),
            admin: server.admin_addr().port(),
            link: 0,
        }
    }

    /// Those that clients know, with their names.
    pub fn served(&self) -> [(&'static str, u16); 6] {
        [
            ("shield", self.shield),
            ("value", self.value),
            ("flow", self.flow),
            ("grpc", self.grpc),
            ("health", self.health),
            ("admin", self.admin),
        ]
    }
}

/// Who listens where. All of it was free when it was planned.
#[derive(Clone, Debug)]
pub struct Plan {
    pub front: Ports,
    pub nodes: Vec<Ports>,
    pub postgres: u16,
    pub redis: u16,
}

impl Plan {
    /// Whether there can be such a plan, whoever has the ports now.
    ///
    /// # Errors
    /// A port would be beyond 65535: exit code 2.
    pub fn judge(nodes: u16, offset: u16) -> Result<(), CliError> {
        Ports::documented(offset)?;
        Ports::documented(offset.saturating_add(STEP.saturating_mul(nodes))).map(drop)
    }

    /// Ports for a balancer at the documented ports plus `offset`, and for so many nodes above it.
    ///
    /// # Errors
    /// A port of the balancer is taken, with exit code 2, or there are not enough ports.
    pub fn new(nodes: u16, offset: u16) -> Result<Plan, CliError> {
        let front = Ports::documented(offset)?;
        // Held until all are known: no port is given twice.
        let mut held = Vec::new();
        for (name, port) in front.served() {
            let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
            held.push(bound.map_err(|error| {
                CliError::usage(format!(
                    "127.0.0.1:{port} ({name}): {error}. --port-offset N moves all ports by N"
                ))
            })?);
        }
        let mut plan = Plan { front, nodes: Vec::new(), postgres: 0, redis: 0 };
        let mut at = offset;
        for _ in 0..nodes {
            plan.nodes.push(loop {
                at = at
                    .checked_add(STEP)
                    .ok_or_else(|| CliError::failed("there are not enough free ports"))?;
                let ports = Ports::documented(at)?;
                let all = ports.served().into_iter().map(|(_, port)| port).chain([ports.link]);
                let bound: Result<Vec<_>, _> =
                    all.map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port))).collect();
                if let Ok(bound) = bound {
                    held.extend(bound);
                    break ports;
                }
            });
        }
        for port in [&mut plan.postgres, &mut plan.redis] {
            let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            *port = bound.local_addr()?.port();
            held.push(bound);
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_balancer_has_the_documented_ports_and_nobody_has_two() {
        // A quarter of its own, where nothing else of the tests listens.
        let base = 9_000;
        let documented = Ports::documented(0).unwrap();
        assert_eq!((documented.shield, documented.grpc), (8_081, 50_051));
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, documented.admin + base + STEP));
        let plan = Plan::new(3, base).unwrap();
        assert_eq!(plan.front, Ports::documented(base).unwrap());
        let mut all: Vec<u16> = vec![plan.postgres, plan.redis];
        all.extend(plan.front.served().map(|(_, port)| port));
        for node in &plan.nodes {
            all.extend(node.served().map(|(_, port)| port));
            all.push(node.link);
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(!all.contains(&(documented.admin + base + STEP)), "a port that is taken");
        drop(taken);
    }

    #[test]
    fn a_port_of_the_balancer_that_is_taken_is_told_with_what_to_do() {
        let base = 10_500;
        let port = Ports::documented(base).unwrap().value;
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let refused = Plan::new(1, base).unwrap_err();
        assert_eq!(refused.code, 2);
        let expected = format!("127.0.0.1:{port} (value)");
        assert!(refused.message.starts_with(&expected), "{}", refused.message);
        drop(taken);
        assert_eq!(Ports::documented(60_000).unwrap_err().code, 2);
        Plan::judge(1, base).unwrap();
        for (nodes, offset) in [(1, 60_000), (9, 15_000)] {
            assert_eq!(Plan::judge(nodes, offset).unwrap_err().code, 2);
        }
    }
}
