//! The network of a lab: what passes between two hosts goes through the suite, which applies a rule to each
//! direction.
//!
//! There are two kinds. With root and TUN, each host is a network namespace, and the [relay](relay) is the switch
//! between them: every fault, on every packet. It is the one way of disturbing the network there, also where the
//! kernel has netem: fates come from the seed, so that a run can be had again, and are the same on every kernel.
//! Without, everything is on loopback, with [proxies](proxy) of TCP in between, which know streams and no packets.

pub mod later;
pub mod packet;
pub mod path;
pub mod proxy;
pub mod relay;
pub mod rule;
pub mod whose;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use thiserror::Error;

use self::proxy::Proxies;
use self::relay::Relay;
pub use self::rule::{Bandwidth, Counts, Rule};
use super::error::LabResult;
use super::host::HostName;

/// A rule that this network cannot keep.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotPossible {
    #[error("{0}")]
    Rule(String),
    #[error("{0} is no host of this lab")]
    Host(HostName),
    #[error("{0} to itself is no way through the network")]
    Itself(HostName),
    #[error(
        "{0} of packets needs network namespaces (root and /dev/net/tun): a TCP proxy sees none"
    )]
    Packets(&'static str),
    #[error("disks of a given size need root, for tmpfs")]
    Disk,
}

/// The network of a lab.
pub enum Network {
    Relay(Relay),
    Proxy(Proxies),
}

/// From one host to another.
pub type Pair = (HostName, HostName);

impl Network {
    /// From now on this holds of what `from` sends to `to`. It takes the place of the rule before it.
    ///
    /// # Errors
    /// The rule is not good, or this network cannot keep it; then nothing is changed.
    pub fn set(&self, from: HostName, to: HostName, rule: Rule) -> Result<(), NotPossible> {
        rule.check().map_err(NotPossible::Rule)?;
        if from == to {
            return Err(NotPossible::Itself(from));
        }
        match self {
            Network::Relay(relay) => relay.set(from, to, rule),
            Network::Proxy(proxies) => proxies.set(from, to, rule),
        }
    }

    /// Everything passes again.
    ///
    /// # Errors
    /// There is no such host.
    pub fn clear(&self, from: HostName, to: HostName) -> Result<(), NotPossible> {
        self.set(from, to, Rule::default())
    }

    pub fn clear_all(&self) {
        match self {
            Network::Relay(relay) => relay.clear_all(),
            Network::Proxy(proxies) => proxies.clear_all(),
        }
    }

    /// Everybody who is on it, the suite among them.
    pub fn hosts(&self) -> &[HostName] {
        match self {
            Network::Relay(relay) => relay.hosts(),
            Network::Proxy(proxies) => proxies.hosts(),
        }
    }

    /// "relay" or "proxy".
    pub fn what(&self) -> &'static str {
        match self {
            Network::Relay(_) => "relay",
            Network::Proxy(_) => "proxy",
        }
    }

    /// What was done so far, for each pair with any traffic.
    pub fn counts(&self) -> BTreeMap<Pair, Counts> {
        match self {
            Network::Relay(relay) => relay.counts(),
            Network::Proxy(proxies) => proxies.counts(),
        }
    }

    /// What went wrong with the network itself, which no rule ordered. A run with any of it proves nothing.
    pub fn trouble(&self) -> Vec<String> {
        match self {
            Network::Relay(relay) => relay.trouble(),
            Network::Proxy(proxies) => proxies.trouble(),
        }
    }

    /// Where a host binds its ports.
    pub fn bind(&self, host: HostName) -> Ipv4Addr {
        match self {
            Network::Relay(relay) => relay.address(host),
            Network::Proxy(_) => Ipv4Addr::LOCALHOST,
        }
    }

    /// Where `from` reaches this port of `to`.
    ///
    /// # Errors
    /// There is no port left for a proxy.
    pub fn reach(&self, from: HostName, to: HostName, port: u16) -> LabResult<SocketAddrV4> {
        match self {
            Network::Relay(relay) => Ok(SocketAddrV4::new(relay.address(to), port)),
            Network::Proxy(proxies) => proxies.reach(Some(from), to, port),
        }
    }

    /// Where every host reaches this port of `to`, when all of them are told the same address.
    ///
    /// # Errors
    /// There is no port left for a proxy.
    pub fn reach_by_all(&self, to: HostName, port: u16) -> LabResult<SocketAddrV4> {
        match self {
            Network::Relay(relay) => Ok(SocketAddrV4::new(relay.address(to), port)),
            Network::Proxy(proxies) => proxies.reach(None, to, port),
        }
    }
}
