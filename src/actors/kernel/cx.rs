//! What an actor may do to the world around it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::JoinSet;

use super::actor::Actor;
use super::breaker::{Breaker, BreakerCell, ShownBreaker};
use super::cell::Cell;
use super::handle::Handle;
use super::late::Late;
use super::letter::{Envelope, Letter};
use super::supervisor::Supervisor;
use super::time::{Deadline, NEVER, now_ns};
use super::trace::Trace;
use crate::models::breaker::{BreakerTerms, Change};

pub struct Cx<A: Actor> {
    pub(super) handle: Handle<A::Msg>,
    pub(super) late: Arc<Late<A::Msg>>,
    pub(super) life: u32,
    pub(super) deadline_ns: u64,
    pub(super) stop: bool,
    /// Continuations under way: awaited by a drain, aborted with the life.
    pub(super) pipes: JoinSet<()>,
    /// Timers: aborted with the life.
    pub(super) timers: JoinSet<()>,
}

impl<A: Actor> Cx<A> {
    pub fn path(&self) -> &str {
        &self.handle.cell.path
    }

    /// A handle to this actor.
    pub fn handle(&self) -> Handle<A::Msg> {
        self.handle.clone()
    }

    /// The deadline of the message being handled, to pass on to further asks.
    pub fn deadline(&self) -> Option<Deadline> {
        (self.deadline_ns != NEVER).then(|| Deadline::at_ns(self.deadline_ns))
    }

    /// Messages that wait behind this one.
    pub fn depth(&self) -> u32 {
        self.handle.cell.depth()
    }

    /// Sends a message to this actor after a while. A full mailbox cannot refuse it; the end of
    /// this life cancels it.
    pub fn send_after(&mut self, delay: Duration, msg: A::Msg) {
        let later = self.later();
        reap(&mut self.timers);
        self.timers.spawn(async move {
            tokio::time::sleep(delay).await;
            later.send(msg);
        });
    }

    /// Runs a future beside this actor and sends what `map` makes of its outcome to this actor. A
    /// full mailbox cannot refuse it, a drain waits for it, and the end of this life cancels it.
    /// The trace of the message being handled stays current. Should the future panic, this actor
    /// fails.
    pub fn pipe<F>(&mut self, future: F, map: impl FnOnce(F::Output) -> A::Msg + Send + 'static)
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let later = self.later();
        let trace = Trace::current();
        reap(&mut self.pipes);
        self.pipes.spawn_on(
            async move {
                let watch =
                    PanicWatch { cell: Some(Arc::clone(&later.handle.cell)), life: later.life };
                let out = match trace {
                    Some(trace) => trace.scope(future).await,
                    None => future.await,
                };
                let msg = map(out);
                watch.disarm();
                match trace {
                    Some(trace) => trace.enter(|| later.send(msg)),
                    None => later.send(msg),
                }
            },
            &self.handle.cell.kernel.runtime,
        );
    }

    /// Passivation is put off as by a message of others: for actors that their own letters do not keep awake.
    pub fn stay_awake(&self) {
        self.handle.cell.books.stayed_ns.store(now_ns(), Relaxed);
    }

    /// Ends this actor after the current message: a permanent child is restarted, others are over.
    pub fn stop(&mut self) {
        self.stop = true;
    }

    /// For children of this actor. They end before this actor does, and with each of its lives.
    pub fn supervisor(&self) -> Supervisor {
        Supervisor { cell: Arc::clone(&self.handle.cell) }
    }

    /// Shows a breaker that is kept elsewhere as this actor's: the first one shown stays.
    pub fn show_breaker(&self, shown: impl ShownBreaker) {
        BreakerCell::show(&self.handle.cell, shown);
    }

    /// Tells operators that the breaker shown has changed.
    pub fn announce_breaker(&self, change: Change) {
        if let Some(breaker) = self.handle.cell.breaker.get() {
            breaker.announce(change);
        }
    }

    /// This actor's breaker, made at the first call. It outlives restarts.
    pub fn breaker(&self, terms: BreakerTerms) -> Breaker {
        Breaker::of(&self.handle.cell, terms)
    }

    fn later(&self) -> Later<A> {
        Later { handle: self.handle.clone(), late: Arc::clone(&self.late), life: self.life }
    }
}

/// A seat on the inner lane for a message that comes later.
struct Later<A: Actor> {
    handle: Handle<A::Msg>,
    late: Arc<Late<A::Msg>>,
    life: u32,
}

impl<A: Actor> Later<A> {
    fn send(&self, msg: A::Msg) {
        let letter = Letter { life: self.life, ..Letter::new(msg, now_ns()) };
        self.handle.cell.gate.inner_depth.fetch_add(1, Relaxed);
        if let Err(ractor::MessagingErr::SendErr(Envelope::Inner(letter))) =
            self.handle.actor.send_message(Envelope::Inner(letter))
        {
            // The queue is closed: an actor that drains takes it from here.
            self.late.push(letter);
        }
    }
}

/// Fails the actor when a continuation panics, which the task would otherwise swallow.
struct PanicWatch {
    cell: Option<Arc<Cell>>,
    life: u32,
}

impl PanicWatch {
    fn disarm(mut self) {
        self.cell = None;
    }
}

impl Drop for PanicWatch {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take()
            && std::thread::panicking()
            && cell.life.load(Relaxed) == self.life
        {
            let reason = "a continuation panicked".to_owned();
            cell.control.order(super::control::Order::Fail { reason });
            cell.nudge();
        }
    }
}

fn reap(tasks: &mut JoinSet<()>) {
    while tasks.try_join_next().is_some() {}
}
