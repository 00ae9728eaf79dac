//! What the journal is told.

use std::sync::Arc;

use super::job::Done;
use super::overflow::Line as Filed;
use super::told::Told;
use crate::actors::kernel::Reply;
use crate::models::cluster::shard::Shard;
use crate::models::flow::decision::Decision;

/// A bid.
pub struct Made {
    pub hold: u128,
    pub decision: Decision,
    /// The inner id of the customer that it is for, if it is for one.
    pub person: Option<Arc<str>>,
}

pub enum Msg {
    Bids(Vec<Made>),
    NoBids(Vec<Decision>),
    Changes(Vec<Decision>),
    /// Something that is told once under this id, however often it is heard.
    Change {
        id: u128,
        decision: Box<Decision>,
    },
    /// What became of a bid. Answered with `true` when the record that says so is durable; with `false`
    /// where that is not known, and then it is to be told again.
    Outcome {
        told: Box<Told>,
        reply: Option<Reply<bool>>,
    },
    /// Somebody is erased: no bid is written as theirs any more. Answered when none is being written.
    Forget {
        person: Arc<str>,
        reply: Reply<()>,
    },
    /// Campaigns of a shard are another node's now: what is known of their bids is written, and forgotten. `orderly`:
    /// answered when it is in the store; else it goes to the file, behind which is looked what the store has.
    Leave {
        shard: Shard,
        orderly: bool,
        reply: Reply<()>,
    },
    Flush,
    Soon,
    Done(Box<Done>),
    Filed(Result<Filing, String>),
}

impl Msg {
    /// Decisions that are lost with it.
    pub fn decisions(&self) -> usize {
        match self {
            Msg::Bids(made) => made.len(),
            Msg::NoBids(made) | Msg::Changes(made) => made.len(),
            Msg::Change { .. } | Msg::Outcome { .. } => 1,
            Msg::Forget { .. }
            | Msg::Leave { .. }
            | Msg::Flush
            | Msg::Soon
            | Msg::Done(_)
            | Msg::Filed(_) => 0,
        }
    }
}

/// What was added to the file, or was to be.
pub struct Filing {
    pub lines: Vec<Filed>,
    pub replies: Vec<Reply<bool>>,
    pub error: Option<String>,
}
