//! Who owns what in a cluster: leases of nodes, shards and their epochs, hand-overs.
//!
//! One [`register::Register`] is the authority: rows in the database, changed by transactions. Every node has a
//! [`member::Member`], which renews its lease there, claims the shards that it should own, hands over what others
//! should, and knows at every moment whether it may still serve. What a campaign books does not depend
//! on any of it being on time: each write names the epoch of its shard, and an old epoch is refused (OW-1). Leases
//! see to it that nobody answers from memory that is out of date: what an account's window counts of bookings
//! elsewhere, what people allow, what a budget has left.

pub mod lease;
pub mod member;
pub mod node;
pub mod placement;
pub mod register;
pub mod roster;
pub mod shard;
pub mod terms;
