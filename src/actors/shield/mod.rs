//! SyncShield: budgets that are never overspent.

pub mod audit;
mod budget;
mod carry;
pub mod committer;
pub mod compliance;
pub mod corrections;
pub mod dsr;
mod far;
mod forget;
mod journal;
mod live;
mod load;
pub mod message;
pub mod metrics;
mod names;
mod outbox;
pub mod person;
mod resolve;
mod rows;
mod serve;
mod service;
mod shared;
mod tenant;
mod tree;
pub mod vault;
pub mod view;
pub mod webhooks;
mod writes;

pub use forget::Forgets;
pub use load::AccountTerms;
pub use names::{ACCOUNT_BUDGET, BudgetName, NAME_CHARS_MAX, is_name};
pub use service::{Shield, ShieldError};
pub use shared::{ShieldTerms, now};
pub use writes::{Rows, Writes, Written};
