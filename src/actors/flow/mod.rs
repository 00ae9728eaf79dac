//! SyncFlow: campaigns, and the bids that they make.

pub mod auction;
pub mod bidder;
pub mod campaign;
mod frequency;
mod holdings;
mod index;
pub mod journal;
pub mod ltv;
mod metrics;
pub mod notices;
mod owned;
mod parts;
mod prehashed;
mod roster;
mod service;
mod shared;
mod tenant;
mod terms;
mod tree;

pub use holdings::FlowHoldings;
pub use roster::{Live, Roster};
pub use service::{Flow, FlowError, FlowHealth, Page};
pub use terms::FlowTerms;
