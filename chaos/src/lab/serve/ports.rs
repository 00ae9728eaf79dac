//! Which port is whose. Hosts with a network of their own have the documented ones; on loopback each process has
//! others.

use std::net::{Ipv4Addr, TcpListener};

use rand::RngExt;
use serde::Serialize;

use super::super::error::{LabError, LabResult};

/// Below what the system gives to connections that begin.
const FREE: std::ops::Range<u16> = 10_000..30_000;
const TRIES: usize = 2_000;

/// The ports of a node, or of the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
    pub const DOCUMENTED: Ports = Ports {
        shield: 8081,
        value: 8087,
        flow: 8082,
        grpc: 50051,
        health: 8080,
        admin: 8090,
        link: 7940,
    };

    /// Ports of 127.0.0.1 that nobody has.
    ///
    /// # Errors
    /// Hardly any are free.
    pub fn free() -> LabResult<Ports> {
        Ok(Ports {
            shield: free()?,
            value: free()?,
            flow: free()?,
            grpc: free()?,
            health: free()?,
            admin: free()?,
            link: free()?,
        })
    }

    /// Those that are balanced, with their names.
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

/// One port that nobody has. Which one is by chance, so that two labs that look at once do not find the same.
///
/// # Errors
/// Hardly any is free.
pub fn free() -> LabResult<u16> {
    let mut rng = rand::rng();
    (0..TRIES)
        .map(|_| rng.random_range(FREE))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| LabError::Bad(format!("no port of 127.0.0.1 in {FREE:?} is free")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_can_be_listened_on() {
        let ports = Ports::free().unwrap();
        for (name, port) in ports.served() {
            assert!(FREE.contains(&port), "{name}");
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }
}
