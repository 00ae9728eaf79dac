//! SyncValue: what customers are worth, from models of the account's own purchases.

mod answer;
mod cache;
pub mod customer;
mod far;
pub mod fit;
mod holdings;
mod loaded;
mod memory;
pub mod metrics;
mod mlflow;
mod nodes;
mod pool;
mod predict;
mod predictor;
mod recorder;
pub mod registry;
mod service;
mod shared;
mod tree;
pub mod watch;

pub use answer::{Answer, Ask, History};
pub use holdings::ValueHoldings;
pub use loaded::{Loaded, OnlineCounts, Running, Serving};
pub use nodes::claims::{Claim, Claimed};
pub use nodes::import::OfCustomer;
pub use service::{ServiceHealth, Value, ValueError};
pub use shared::{ValueTerms, today};
