//! What the benches share: interleaved rounds, and the line that a figure has in the README.
#![allow(dead_code, reason = "each bench uses a part of it")]

pub mod http;
pub mod report;
pub mod settles;
