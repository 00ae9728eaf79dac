//! The rules of the audit log: records as lines, lines in blocks, blocks under a Merkle tree
//! (RFC 6962), signed tree heads, proofs, and the fold that verifies all of it.
//!
//! One log per account. A leaf is the line exactly as stored and exported, so anybody can verify an
//! exported file with SHA-256 and Ed25519 alone.

pub mod block;
pub mod cut;
pub mod head;
pub mod heads;
pub mod merkle;
pub mod month;
pub mod proof;
pub mod readable;
pub mod record;
pub mod report;
pub mod summary;
#[cfg(test)]
mod tests;
pub mod verify;
