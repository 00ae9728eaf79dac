//! The outside world.

pub mod hook;
pub mod http;
pub mod mlflow;
pub mod redis;
