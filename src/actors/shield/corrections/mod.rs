//! Manual corrections of ledgers: proposed by one, approved by another, booked once.

mod actor;
mod row;
mod service;

use std::sync::OnceLock;

pub use actor::{CorrectionsActor, Msg, serve};
pub use row::parse;
pub use service::{CorrectionError, Corrections, Proposal};

use crate::actors::kernel::Handle;

/// The way to the actor of corrections.
#[derive(Default)]
pub struct Desk {
    pub actor: OnceLock<Handle<Msg>>,
}
