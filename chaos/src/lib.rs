//! Faults that people can order against a KIKI cluster, and a verdict that can be believed. The suite uses what a
//! user could use: HTTP, gRPC, the admin API, processes and the network; never the platform's own code.
#![forbid(unsafe_code)]

pub mod experiment;
pub mod fault;
pub mod check;
pub mod history;
pub mod lab;
pub mod probe;
pub mod load;
pub mod report;
pub mod verdict;
