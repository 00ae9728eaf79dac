//! Faults that people can order against a KIKI cluster, and a verdict that can be believed. The suite uses what a
//! user could use: HTTP, gRPC, the admin API, processes and the network; never the platform's own code.
#![forbid(unsafe_code)]

pub mod check;
pub mod cli;
pub mod experiment;
#[cfg(test)]
mod fake;
pub mod fault;
pub mod files;
pub mod history;
pub mod lab;
pub mod load;
pub mod probe;
pub mod report;
pub mod run;
pub mod verdict;
