//! The outside world.

pub mod hook;
pub mod http;
pub mod redis;
