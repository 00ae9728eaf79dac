//! The outside world.

pub mod redis;
