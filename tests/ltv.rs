//! `kiki ltv` as a user meets it: from files, and against a running server.

mod common;

#[path = "ltv/drift.rs"]
mod drift;
#[path = "ltv/files.rs"]
mod files;
#[path = "ltv/import.rs"]
mod import;
#[path = "ltv/memory.rs"]
mod memory;
#[path = "ltv/served.rs"]
mod served;
#[path = "ltv/support.rs"]
mod support;
