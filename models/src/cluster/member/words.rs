//! What a member asks, hears and wants done.

use crate::cluster::node::{Incarnation, Roles};
use crate::cluster::register::{Joined, Joining};
use crate::cluster::roster::Roster;
use crate::cluster::shard::Shard;

/// A node, whichever life of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub name: String,
    pub address: String,
    pub roles: Roles,
    pub version: String,
}

/// A shard that is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    pub shard: Shard,
    pub epoch: i64,
    pub heir: Option<Incarnation>,
}

/// Asked of the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// [`crate::cluster::register::Register::join`], and the roster.
    Join(Box<Joining>),
    /// [`crate::cluster::register::Register::renew`], and the roster.
    Renew {
        draining: bool,
    },
    /// The roster.
    Look,
    Bury(Incarnation),
    Claim(Vec<(Shard, i64)>),
    Release(Vec<Release>),
    Leave,
}

impl Request {
    /// Whether it is about the lease; else it changes something.
    pub fn is_of_the_lease(&self) -> bool {
        matches!(self, Request::Join(_) | Request::Renew { .. } | Request::Look)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Joined(Joined, Box<Roster>),
    /// `None`: this life is over.
    Renewed(Option<Box<Roster>>),
    Looked(Box<Roster>),
    Buried,
    Claimed(Vec<(Shard, i64)>),
    Released,
    Left,
    /// It could not be asked, or nobody knows what came of it.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Ask(Request),
    /// The shard is ours: serve it.
    Take {
        shard: Shard,
        epoch: i64,
    },
    /// Take in nothing more for this shard, bring what is under way to its end, then call [`super::Member::given`].
    Give {
        shard: Shard,
        epoch: i64,
    },
    /// The shard is somebody else's: end what is there of it, now.
    Drop {
        shard: Shard,
    },
    /// This life is over: end everything that it serves. Whoever goes on does so with a new incarnation.
    Lost,
}

/// Who answers for a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// This node, with this epoch.
    Here(i64),
    There(Incarnation),
    /// Nobody at this moment: it is on its way from one to another, or its owner is gone.
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not in, or not any more.
    Out,
    In,
    /// Hands everything over.
    Leaving,
    /// Has left.
    Left,
    /// Its life was ended by others.
    Over,
}

/// What this node knows of one of its shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    Held {
        epoch: i64,
    },
    /// Coming to rest, for somebody.
    Giving {
        epoch: i64,
        heir: Option<Incarnation>,
        since_us: i64,
    },
    /// At rest, and not yet let go.
    Given {
        epoch: i64,
        heir: Option<Incarnation>,
    },
}

impl Own {
    pub(super) fn epoch(self) -> i64 {
        match self {
            Own::Held { epoch } | Own::Giving { epoch, .. } | Own::Given { epoch, .. } => epoch,
        }
    }
}
