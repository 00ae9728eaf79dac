//! This process among others on the same database.

use super::choice::Leases;
use super::section::section;

section! {
    /// This process among others on the same database.
    Cluster "cluster" {
        /// How long another has to wait before it takes the place of one that is gone.
        leases: Leases, "CLUSTER_LEASES";
    }
}
