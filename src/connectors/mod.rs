//! The outside world.

pub mod http;
pub mod redis;
