//! Signed webhooks: events leave the outbox as deliveries, one for each webhook that wants them, and
//! are sent until they are taken or three days are over.

mod actor;
mod attempt;
mod fan;
mod hook;
mod message;
mod metrics;
mod rest;
mod service;
mod turn;

use std::sync::OnceLock;
use std::time::Duration;

pub use actor::HooksActor;
pub use fan::fan_out;
pub use message::Msg;
pub use metrics::describe;
pub use service::{HookError, Hooks, Shown, WEBHOOKS_MAX};

use crate::actors::kernel::Handle;
use crate::models::access::retry::Schedule;

/// Settings of webhooks.
#[derive(Clone, Copy, Debug)]
pub struct HookTerms {
    /// Whether receivers may be on this machine and in private networks.
    pub allow_private: bool,
    /// Time of one attempt.
    pub patience: Duration,
    pub schedule: Schedule,
}

/// The way to the actor of webhooks.
#[derive(Default)]
pub struct Post {
    pub actor: OnceLock<Handle<Msg>>,
}
