//! Adapters: extract, ask, map. No rules, no SQL, no spawning of actors.

pub mod problem;
