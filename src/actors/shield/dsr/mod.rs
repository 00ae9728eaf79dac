//! Data-subject requests: one entity each, a saga that is saved before each step.

mod actor;
mod erasures;
mod perform;
mod privacy;
mod service;

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

pub use actor::{DsrActor, Msg};
pub use erasures::{ERASURES_FILE, Erasure, add as add_erasures, read_whole as read_erasures};
pub use privacy::PrivacyActor;
pub use service::{Asking, Decision, Keyed, RequestError, Requests};

use crate::actors::kernel::Entities;

/// How long a package can be fetched.
pub const PACKAGE_DAYS: i64 = 30;

/// What the actors of requests share.
#[derive(Default)]
pub struct Dsrs {
    pub entities: OnceLock<Entities<DsrActor>>,
    /// Somebody was erased whose rows the store's files may still show.
    pub unscrubbed: AtomicBool,
}
