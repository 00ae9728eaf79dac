//! What travels through ractor's queue.

use super::time::NEVER;
use super::trace::Trace;

pub(super) struct Letter<M> {
    pub msg: M,
    pub sent_ns: u64,
    pub deadline_ns: u64,
    /// Boxed: most messages have none, and letters are moved often.
    pub trace: Option<Box<Trace>>,
    /// For letters of the inner lane: the life that they belong to; 0 for those of others.
    pub life: u32,
}

impl<M> Letter<M> {
    pub fn trace(&self) -> Option<Trace> {
        self.trace.as_deref().copied()
    }

    pub fn new(msg: M, sent_ns: u64) -> Self {
        Self { msg, sent_ns, deadline_ns: NEVER, trace: Trace::current().map(Box::new), life: 0 }
    }
}

pub(super) enum Envelope<M> {
    /// From a handle: holds a permit of the mailbox.
    Outer(Letter<M>),
    /// From the actor to itself (timers, continuations): a full mailbox cannot refuse it.
    Inner(Letter<M>),
    /// Look at the orders.
    Nudge,
    /// Publish the view if it is behind.
    Publish,
    /// End if idle.
    Passivate,
    /// The queue up to here is done: halt.
    HaltHere(super::control::Ack),
    /// Takes a place in the mailbox and a turn, nothing else (the `flood` fault).
    Noise,
}
