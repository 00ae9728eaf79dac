//! Consent: what one person said yes and no to, and how long other nodes may go by an old answer.
//!
//! [`state::Consents`] is rebuilt from its history and decides the next changes; [`lease::Leases`]
//! and [`cache::Cache`] are the two ends of a cached answer, which hold CO-1 between them.

pub mod cache;
pub mod change;
pub mod kind;
pub mod lease;
mod planted;
#[cfg(test)]
mod sim;
pub mod state;
