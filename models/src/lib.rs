//! The rules: pure, deterministic functions and state machines. No I/O, no clock, no actor. A crate of
//! its own, so that nothing else can be reached from here.
#![forbid(unsafe_code)]

pub mod access;
pub mod breaker;
pub mod cluster;
pub mod shield;
pub mod value;
