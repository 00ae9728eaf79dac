//! KIKI runs marketing money: budgets, bids, creatives and their audit, as supervised actors.
//! The layers and what may be touched where are explained in `docs/ARCHITECTURE.md`.
#![forbid(unsafe_code)]

pub mod access;
pub mod actors;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connectors;
pub mod json;
pub mod metrics_names;
pub mod planted;
pub mod store;
pub mod telemetry;

/// The rules, crates of their own.
pub mod models {
    pub use kiki_flow as flow;
    pub use kiki_models::*;
}

/// Gives memory that idle actors held back to the system, which the C library's allocator keeps
/// (measured: 100,000 passivated entities left 690 MiB resident with it). SQLite takes its memory from
/// it, too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
