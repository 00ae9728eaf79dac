//! Campaigns of other nodes in the same auction: each node bids for its own, all at the same moment, and the one
//! that the exchange has asked answers with the best.

mod answer;
mod ask;
mod others;
mod running;
mod wire;

pub(super) use ask::{Elsewhere, Heard};
pub use others::{Others, OthersActor};
pub(super) use wire::Offered;
