//! SyncShield's budgets over HTTP, as its users see them.

mod common;

#[path = "shield/accounts.rs"]
mod accounts;
#[path = "shield/allocations.rs"]
mod allocations;
#[path = "shield/audit.rs"]
mod audit;
#[path = "shield/bad_input.rs"]
mod bad_input;
#[path = "shield/check.rs"]
mod check;
#[path = "shield/compliance.rs"]
mod compliance;
#[path = "shield/consent.rs"]
mod consent;
#[path = "shield/corrections.rs"]
mod corrections;
#[path = "shield/dsr.rs"]
mod dsr;
#[path = "shield/harness.rs"]
mod harness;
#[path = "shield/holds.rs"]
mod holds;
#[path = "shield/ledger.rs"]
mod ledger;
#[path = "shield/process.rs"]
mod process;
#[path = "shield/rotation.rs"]
mod rotation;
#[path = "shield/spend.rs"]
mod spend;
#[path = "shield/store_down.rs"]
mod store_down;
#[path = "shield/webhooks.rs"]
mod webhooks;
