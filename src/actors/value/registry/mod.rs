//! The registry of an account's models: one entity each, the only writer of its history, and who
//! says who answers.

mod actor;
mod change;
pub(super) mod load;

use std::sync::Arc;

use serde::Serialize;

pub use actor::RegistryActor;
pub use load::sha256;

use super::fit::Fitted;
use crate::actors::kernel::Reply;
use crate::models::value::registry::command::{Command, Entry, Reason, Refusal};
use crate::models::value::registry::state::Registry;
use crate::models::value::split::Share;
use crate::store::LtvExperimentRow;

/// Why a registry did not do something.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Declined {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("there is no such account")]
    UnknownAccount,
    #[error("the store is not available")]
    Unavailable,
    #[error("there is no experiment")]
    NoExperiment,
    /// The stored bytes of a version are none of this program's.
    #[error("version {0} cannot be loaded: {1}")]
    Unreadable(String, String),
}

/// A registry as it is now.
#[derive(Clone, Debug)]
pub struct Seen {
    pub registry: Arc<Registry>,
    pub experiment: Option<LtvExperimentRow>,
}

pub enum Msg {
    /// Makes sure that who answers is known.
    Load {
        reply: Reply<Result<(), Declined>>,
    },
    See {
        reply: Reply<Result<Seen, Declined>>,
    },
    /// Adds a version, and makes it the challenger where that is wanted.
    Register {
        fitted: Box<Fitted>,
        challenge: bool,
        by: Reason,
        reply: Reply<Result<Vec<Entry>, Declined>>,
    },
    Order {
        command: Box<Command>,
        by: Reason,
        reply: Reply<Result<Entry, Declined>>,
    },
    /// Begins an experiment with the challenger, or changes the one that runs.
    Experiment {
        share: Share,
        shadow: bool,
        by: Reason,
        reply: Reply<Result<LtvExperimentRow, Declined>>,
    },
    EndExperiment {
        reply: Reply<Result<LtvExperimentRow, Declined>>,
    },
}

/// As operators see it.
#[derive(Clone, Default, Serialize)]
pub struct View {
    pub champion: Option<String>,
    pub challenger: Option<String>,
    pub versions: usize,
    pub entries: usize,
    /// The share of the customers whom the challenger answers, in millionths.
    pub experiment_share: Option<i64>,
    pub shadow: bool,
}
