//! This process as a node: its lease, its shards, and what others may know of them. The rules are in
//! `models/cluster/`, the register in the database is `store/cluster.rs`.

pub mod detour;
mod last_life;
pub mod links;
mod member;
mod metrics;
mod orders;
mod placement;
mod reach;
mod service;
mod shown;
mod tenants;

pub use links::{LinkSettings, LinkView, Links};
pub use member::MemberView;
pub use metrics::describe;
pub use orders::{NotMoved, Orders};
pub use placement::Placement;
pub use service::{Cluster, ClusterError, ClusterSettings};
pub use shown::{ClusterView, NodeView, ShardCounts, ShardState, ShardView};
pub use tenants::{Tenant, Tenants};
