//! KIKI runs marketing money: budgets, bids, creatives and their audit, as supervised actors.
//! The layers and what may be touched where are explained in `docs/ARCHITECTURE.md`.
#![forbid(unsafe_code)]

pub mod actors;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connectors;
pub mod metrics_names;
pub mod models;
pub mod store;
pub mod telemetry;
