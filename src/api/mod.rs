//! Adapters: extract, ask, map. No rules, no SQL, no spawning of actors.

pub mod access;
pub mod admin;
pub mod body;
pub mod docs;
pub mod flow;
pub mod forward;
pub mod gate;
pub mod grpc;
pub mod health;
pub mod peer;
pub mod problem;
pub mod query;
pub mod server;
pub mod shield;
pub mod tls;
pub mod value;
