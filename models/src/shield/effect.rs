//! Everything that the money rules may do to the world. A new side effect is a new variant here.

use serde::{Deserialize, Serialize};

use super::ask::{Answer, Ask, Ticket};
use super::budget::Core;
use super::entry::{Entry, HolderId, Now, Op, SliceId};
use super::event::Event;
use super::hold::Hold;
use super::money::Micros;
use super::purse::HoldAnswer;
use super::slice::Slice;

/// What must become durable together, or not at all.
#[derive(Clone, Debug)]
pub struct Batch {
    pub now: Now,
    /// The state after the batch; its `version` is the one to write.
    pub core: Core,
    /// The version that the store must still have; 0 for a new budget.
    pub expected_version: i64,
    pub entries: Vec<Entry>,
    pub slices_put: Vec<Slice>,
    pub slice_settles: Vec<(SliceId, Micros)>,
    pub slices_gone: Vec<SliceId>,
    /// What the window counts with the batch, where there is one.
    pub window_used: Micros,
    /// The part of it that came with this batch and out of no slice.
    pub window_facts: Micros,
    pub events: Vec<Event>,
    /// Operations that book no ledger row, with the fingerprint of their request; the shell adds the
    /// answer that it will give.
    pub operations: Vec<(Op, u64, Ticket)>,
    /// Whether the store must first look for rows with the same operations.
    pub check_ops: bool,
}

/// A booking that the account's window must hear of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub slice: Option<SliceId>,
    pub op: Op,
    pub amount: Micros,
}

/// Which authority covers a hold: the campaign's own budget, or the account with its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    Budget,
    Account,
}

impl Lane {
    pub const ALL: [Lane; 2] = [Lane::Budget, Lane::Account];

    pub fn index(self) -> usize {
        self as usize
    }
}

#[derive(Clone, Debug)]
pub enum Effect {
    /// Make a batch durable, then tell the authority with `committed`.
    Commit(Box<Batch>),
    /// Read the budget again from the store, then tell the authority with `loaded`.
    Reload,
    /// Answer a request of the authority.
    Reply(Ticket, Answer),
    /// Ask a holder to stop serving from a slice.
    Recall { holder: HolderId, slice: SliceId },
    /// Tell the account's authority what was booked; give the answers once it has counted it, and
    /// tell this authority by `told`: until then these operations are still being worked on.
    Tell { notes: Vec<Note>, then: Vec<(Ticket, Answer)>, ops: Vec<Op> },
    /// Tell the account everything of this campaign that its window still counts, as the ledger has
    /// it, then tell this authority by `retold`: somebody may have died before telling it.
    Retell,
    /// The purse asks an authority; the answer comes back by `answered`.
    Ask { lane: Lane, ask: Ask },
    /// The purse books a hold at the campaign's authority; the answer comes back by `settled`.
    Book { hold: Op, ask: Ask },
    /// Answer a request of the purse.
    Hold(Ticket, HoldAnswer),
    /// Journal a hold as it stands, some time soon.
    Journal(Box<Hold>),
    /// Make a win notice durable, in the store or in the local spool, then answer.
    Spool { ticket: Ticket, hold: Box<Hold> },
}
