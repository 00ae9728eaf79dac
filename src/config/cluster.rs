//! This process among others on the same database.

use std::path::PathBuf;

use super::address::HostPort;
use super::choice::Leases;
use super::section::section;
use crate::models::cluster::node::Roles;

section! {
    /// This process among others on the same database.
    Cluster "cluster" {
        /// The name of this node, the same over all its lives.
        node: String, "KIKI_NODE";
        /// The services whose ports this node opens.
        roles: String, "KIKI_ROLES";
        /// Port of the links from other nodes.
        link_port: u16 ["1" "65535"], "KIKI_LINK_PORT";
        /// Where other nodes reach this one; empty: the address that is listened on.
        advertise: HostPort;
        /// The authority that good certificates of nodes come from; empty: no links.
        ca_file: PathBuf;
        /// This node's certificate, which names it.
        cert_file: PathBuf;
        /// The private key of that certificate.
        key_file: PathBuf;
        /// How long another has to wait before it takes the place of one that is gone.
        leases: Leases, "CLUSTER_LEASES";
    }
}

impl Cluster {
    /// Whether this node speaks with others.
    pub fn has_links(&self) -> bool {
        !self.ca_file.as_os_str().is_empty()
    }

    /// The services whose ports this node opens; what cannot be read was refused when loaded.
    pub fn opens(&self) -> Roles {
        self.roles.parse().unwrap_or(Roles::ALL)
    }
}
