//! The seeded simulation of the money rules: several nodes, one store, and every fault that they
//! must survive, in one thread and in virtual time. The rules that run here are the ones that serve.
//!
//! `KIKI_SIM_SEED=<seed> cargo test --lib shield::sim` replays one run; `KIKI_SIM_STEPS` sets how
//! many steps are walked (1,000,000 by default).

mod carry;
mod check;
mod client;
mod cluster;
mod faults;
mod node;
mod offline;
mod receive;
mod run;
mod store;
mod world;
