//! The rules: pure, deterministic functions and state machines. No I/O, no clock, no actor.

pub mod access;
pub mod breaker;
pub mod shield;
