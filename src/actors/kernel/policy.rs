//! How a supervisor treats its children.

use std::time::Duration;

use serde::Serialize;

use super::restarts::{Backoff, Intensity};

/// When a child is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Always, also after it ended by itself.
    Permanent,
    /// After a failure.
    Transient,
    /// Never.
    Temporary,
}

/// Who restarts when one child fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The child alone.
    #[default]
    OneForOne,
    /// All children: ended last to first, begun first to last.
    OneForAll,
    /// The child and those started after it.
    RestForOne,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub restart: Restart,
    pub intensity: Intensity,
    pub backoff: Backoff,
    /// Letters that may wait, at most.
    pub mailbox: u32,
    /// How long a handler may go on after an order to stop or restart.
    pub grace: Duration,
    /// How long it has to end in a drain at least, however late its turn comes.
    pub reserve: Duration,
    /// How long an entity that failed too often is refused.
    pub quarantine: Duration,
}

pub(super) const MAILBOX_DEPTH: u32 = 1_024;
pub(super) const MAILBOX_DEPTH_MAX: u32 = 1 << 20;

impl Default for Policy {
    fn default() -> Self {
        Self {
            restart: Restart::Permanent,
            intensity: Intensity::default(),
            backoff: Backoff::default(),
            mailbox: MAILBOX_DEPTH,
            grace: Duration::from_secs(2),
            reserve: Duration::ZERO,
            quarantine: Duration::from_secs(30),
        }
    }
}

/// A minute, for `intensity(5, per_minute())`.
pub const fn per_minute() -> Duration {
    Duration::from_secs(60)
}
