//! One request: who bids, and how much.
//!
//! [`decide::decide`] finds the candidates of each slot in the index, checks them, prices them from the
//! snapshots that their bidders publish, and ranks them by what they are worth. It is a function of its
//! arguments, seed included, and allocates nothing once its scratch has grown. Every pair of a slot and a
//! campaign of the index ends as a winner or is counted under one reason.

#[cfg(test)]
mod accounts;
pub mod bid;
pub mod choose;
pub mod decide;
pub mod decisions;
pub mod explain;
#[cfg(test)]
mod newcomers;
#[cfg(test)]
mod offers;
pub mod rank;
pub mod rates;
pub mod snapshot;
#[cfg(test)]
mod speed;
pub mod standing;
#[cfg(test)]
mod tests;

pub use bid::Bid;
pub use decide::{Context, Scratch, decide};
pub use decisions::Decisions;
pub use rates::{Cross, Rates};
pub use snapshot::{Learned, Snapshot, Snapshots};
