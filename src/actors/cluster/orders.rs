//! What operators tell a node, whichever way it reached it. The member moves shards; whoever runs the process ends it.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::watch;

use super::member::Msg;
use super::placement::Placement;
use crate::actors::kernel::{AskError, Handle};
use crate::models::cluster::node::Incarnation;
use crate::models::cluster::shard::Shard;

/// How long the member may take to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(2);

/// Why a shard was not moved. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMoved {
    #[error("this server has no other node beside it")]
    Alone,
    #[error("the node has no lease at this moment")]
    NoLease,
    #[error("the node has let go of it a moment ago")]
    NotHere,
    #[error("it is on its way to another node already")]
    Closing,
    #[error("the node that is to have it takes none: it is about to leave, or its lease is over")]
    NoHeir,
    #[error("there is no such node")]
    NoNode,
    #[error("the node's member does not answer: {0}")]
    Unanswered(#[from] AskError),
}

/// What operators may tell this node.
#[derive(Default)]
pub struct Orders {
    member: OnceLock<Handle<Msg>>,
    stop: watch::Sender<bool>,
}

impl Orders {
    pub(super) fn carried_out_by(&self, member: Handle<Msg>) {
        // Once, when the node begins.
        let _ = self.member.set(member);
    }

    /// This process is to hand everything over and end, as at SIGTERM.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until it is told to.
    pub async fn stopped(&self) {
        // The sender is this very value.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }
}

impl Placement {
    /// Gives a shard of this node to another one, and waits for so long at most until that has it. `false`: it is on
    /// its way. What is here of it comes to rest first, and requests for it wait meanwhile.
    ///
    /// # Errors
    /// It stays where it is.
    pub async fn move_to(
        &self,
        shard: Shard,
        heir: Incarnation,
        patience: Duration,
    ) -> Result<bool, NotMoved> {
        let member = self.orders().member.get().ok_or(NotMoved::Alone)?;
        member.ask(BEGINS_WITHIN, |done| Msg::HandOver(shard, heir, done)).await??;
        let there = |it: &Placement| {
            it.is_lost() || it.roster().shard(shard).is_some_and(|row| row.owner == Some(heir))
        };
        Ok(tokio::time::timeout(patience, self.wait_for(there)).await.is_ok() && !self.is_lost())
    }
}
