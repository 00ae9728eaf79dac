//! The lives of an actor: begin, fail, restart, halt, end.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinSet;

use super::actor::Actor;
use super::body::Body;
use super::cell::State;
use super::control::{Ack, Order};
use super::dead::short_name;
use super::end::{self, How};
use super::events::EventKind;
use super::family::{self, Verdict};
use super::guard::{self, Outcome};
use super::policy::Restart;
use super::time::{now_ns, to_ns};

impl<A: Actor> Body<A> {
    /// Begins a life; if that fails, the supervision table decides.
    pub async fn resume(&mut self) {
        if let Err(reason) = self.begin().await {
            self.fail(reason).await;
        }
    }

    async fn begin(&mut self) -> Result<(), String> {
        let begun = self.try_begin().await;
        self.acks.drain(..).for_each(confirm);
        begun
    }

    async fn try_begin(&mut self) -> Result<(), String> {
        if self.cell.control.closing() && self.cell.life.load(Relaxed) > 0 {
            return Ok(());
        }
        self.cell.set_state(State::Starting);
        self.cx.life = self.cell.life.fetch_add(1, Relaxed) + 1;
        self.cx.stop = false;
        self.actor = Some(guard::run_now(&mut self.factory)?);
        if let (Some(actor), cx) = (self.actor.as_mut(), &mut self.cx) {
            let started = async move { actor.started(cx).await };
            match guard::run(&self.cell.control, pin!(started)).await.0 {
                Outcome::Done => {}
                Outcome::Failed(reason) => return Err(format!("start: {reason}")),
                Outcome::Interrupted => return Err("start: interrupted".to_owned()),
            }
        }
        self.cell.begun.store(true, Relaxed);
        self.cell.running();
        self.saw(now_ns());
        self.publish();
        if std::mem::take(&mut self.cx.stop) {
            if self.cell.policy.restart == Restart::Permanent {
                return Err("start: ended by itself".to_owned());
            }
            self.depart();
        }
        Ok(())
    }

    /// A life failed. Returns when the next has begun, or when there is none.
    pub async fn fail(&mut self, reason: String) {
        self.cell.note_error(&reason);
        tracing::warn!(path = %self.cell.path, "actor {} failed: {reason}", self.cell.path);
        self.succeed(reason, true).await;
    }

    /// The actor asked to stop. What is queued is handled first.
    pub async fn exit(&mut self) {
        self.cx.stop = false;
        if self.cell.control.closing() {
            return;
        }
        if self.cell.policy.restart == Restart::Permanent {
            self.end_in_order().await;
            return self.succeed("ended by itself".to_owned(), false).await;
        }
        self.depart();
    }

    /// Drains beside this task, so that children can still ask while they end.
    fn depart(&self) {
        let until = now_ns().saturating_add(to_ns(end::DRAIN_MAX));
        let cell = Arc::clone(&self.cell);
        self.cell.kernel.runtime.spawn(end::end(cell, How::Drain, until));
    }

    pub async fn interrupted(&mut self, label: &'static str) {
        self.cell.control.clear_interrupt();
        self.cell.note_error(&format!("{}: interrupted", short_name(label)));
        if !self.cell.control.has_orders() {
            // Only an end is in the way of an interrupted handler: nothing of it can be kept.
            self.end_life().await;
        }
    }

    /// Brings the next life about, as often as its beginning fails.
    async fn succeed(&mut self, mut reason: String, mut failed: bool) {
        loop {
            self.cell.set_state(State::Restarting);
            self.end_life().await;
            if self.cell.control.closing() {
                return;
            }
            let verdict = if self.cell.control.has_orders() {
                Verdict::After(Duration::ZERO)
            } else {
                family::decide(&self.cell, &reason, failed)
            };
            let go = match verdict {
                Verdict::After(delay) => self.pause(State::Restarting, Some(delay)).await,
                Verdict::Wait(state) => self.pause(state, None).await,
                Verdict::Quarantine => {
                    self.quarantined = Some(reason);
                    return self.close();
                }
                Verdict::End => return self.close(),
            };
            if !go {
                return;
            }
            match self.begin().await {
                Ok(()) => return,
                Err(next) => {
                    self.cell.note_error(&next);
                    (reason, failed) = (next, true);
                }
            }
        }
    }

    /// Between messages: carries out what was ordered.
    pub async fn obey(&mut self) {
        let closing = self.cell.control.closing();
        if !closing {
            self.cell.control.clear_interrupt();
        }
        while let Some(order) = self.cell.control.take() {
            match order {
                Order::Restart { reason, ack } => {
                    self.cell.set_state(State::Restarting);
                    self.end_in_order().await;
                    let restarts = self.cell.note_restart(&reason);
                    family::announce(&self.cell, &reason, restarts, Duration::ZERO);
                    self.acks.extend(ack);
                    self.resume().await;
                }
                Order::Fail { reason } => self.fail(reason).await,
                Order::Hold { ack } if self.cell.state() == State::Stopped => confirm(ack),
                Order::Hold { ack } => {
                    self.end_in_order().await;
                    confirm(ack);
                    if self.pause(State::Restarting, None).await {
                        self.resume().await;
                    }
                }
                Order::Release { ack } => confirm(ack),
                Order::Halt { ack } => self.halt(ack).await,
            }
        }
    }

    /// Ends this life in order; messages are refused until a restart.
    pub async fn halt(&mut self, ack: Ack) {
        self.end_in_order().await;
        self.cell.set_state(State::Stopped);
        confirm(ack);
    }

    /// Ends if nothing is lost by it: no letter waits, no continuation runs, the actor is idle.
    pub fn passivate(&mut self) {
        let alone = self.cell.gate.inner_depth.load(Relaxed) == 0 && !self.busy_beside();
        let idle = |actor: &A| matches!(guard::run_now(|| actor.idle()), Ok(true));
        let agrees = alone && self.actor.as_ref().is_some_and(idle);
        if agrees && self.keeper.as_mut().is_some_and(|keeper| keeper.retire()) {
            self.close();
        } else {
            self.cell.books.stayed_ns.store(now_ns(), Relaxed);
        }
    }

    fn busy_beside(&mut self) -> bool {
        while self.cx.pipes.try_join_next().is_some() {}
        !self.cx.pipes.is_empty()
    }

    /// No letters any more; ends after those that wait.
    fn close(&self) {
        self.cell.control.close();
        self.cell.set_state(State::Draining);
        if let Some(port) = self.cell.port.get() {
            port.close();
        }
    }

    /// Waits for a delay, or for the supervisor. False: there is no next life for now.
    async fn pause(&mut self, state: State, delay: Option<Duration>) -> bool {
        self.cell.set_state(state);
        let mut until = delay.map(|delay| tokio::time::Instant::now() + delay);
        loop {
            if self.cell.control.closing() {
                return false;
            }
            self.cell.control.clear_interrupt();
            match self.cell.control.take() {
                Some(Order::Restart { ack, .. }) => {
                    self.acks.extend(ack);
                    return true;
                }
                Some(Order::Release { ack }) => {
                    self.acks.push(ack);
                    return true;
                }
                Some(Order::Hold { ack }) => {
                    until = None;
                    self.cell.set_state(State::Restarting);
                    confirm(ack);
                }
                Some(Order::Halt { ack }) => {
                    self.cell.set_state(State::Stopped);
                    confirm(ack);
                    return false;
                }
                Some(Order::Fail { .. }) => {}
                None => {
                    let control = &self.cell.control;
                    let ordered = poll_fn(|cx| {
                        control.listen(cx);
                        if control.has_orders() || control.closing() {
                            Poll::Ready(())
                        } else {
                            Poll::Pending
                        }
                    });
                    match until {
                        None => ordered.await,
                        Some(until) => {
                            if tokio::time::timeout_at(until, ordered).await.is_err() {
                                return true;
                            }
                        }
                    }
                }
            }
        }
    }

    /// The last thing of all: the queue is done and closed.
    pub async fn finish(&mut self) {
        self.continuations().await;
        self.end_in_order().await;
        self.over();
    }

    /// A drain waits for what was begun: continuations under way still get their turn.
    async fn continuations(&mut self) {
        let late = Arc::clone(&self.cx.late);
        loop {
            while let Some(letter) = late.pop() {
                self.cell.gate.inner_depth.fetch_sub(1, Relaxed);
                self.letter(letter).await;
            }
            if self.actor.is_none() || self.cell.control.discards() || self.cx.pipes.is_empty() {
                break;
            }
            let control = &self.cell.control;
            let told = poll_fn(|cx| {
                control.listen(cx);
                if control.discards() { Poll::Ready(()) } else { Poll::Pending }
            });
            tokio::select! {
                () = late.arrived() => {}
                _ = self.cx.pipes.join_next() => {}
                () = told => {}
            }
        }
    }

    async fn end_in_order(&mut self) {
        if let Some(actor) = self.actor.as_mut() {
            let cx = &mut self.cx;
            let stopping = async move {
                actor.stopping(cx).await;
                Ok(())
            };
            let stopping = pin!(stopping);
            let guarded = guard::run(&self.cell.control, stopping);
            match tokio::time::timeout(end::STOPPING_MAX, guarded).await {
                Ok((Outcome::Done, _)) => {}
                Ok((Outcome::Failed(reason), _)) => {
                    self.cell.note_error(&format!("stopping: {reason}"))
                }
                Ok((Outcome::Interrupted, _)) => self.cell.note_error("stopping: interrupted"),
                Err(_) => self.cell.note_error("stopping: took too long"),
            }
        }
        self.end_life().await;
    }

    /// The state, its timers, continuations and children go.
    async fn end_life(&mut self) {
        self.cx.pipes = JoinSet::new();
        self.cx.timers = JoinSet::new();
        if let Some(actor) = self.actor.take()
            && let Err(reason) = guard::run_now(move || drop(actor))
        {
            self.cell.note_error(&format!("drop: {reason}"));
        }
        if let Some(family) = self.cell.family.get() {
            let until = now_ns().saturating_add(to_ns(end::DRAIN_MAX));
            end::end_children(family, How::Stop, until).await;
            if !self.cell.control.closing() {
                family.reopen();
            }
        }
    }

    fn over(&mut self) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        drop(guard::run_now(|| self.actor = None));
        self.cx.pipes.abort_all();
        self.cx.timers.abort_all();
        self.cx.late.close();
        end::abandon_children(&self.cell);
        self.cell.kernel.forget(&self.cell);
        if let Some(reason) = &self.quarantined {
            let event = EventKind::Quarantine {
                path: Arc::clone(&self.cell.path),
                reason: reason.clone(),
                for_ms: u64::try_from(self.cell.policy.quarantine.as_millis()).unwrap_or(u64::MAX),
            };
            self.cell.kernel.events.emit(event);
        }
        if let Some(mut keeper) = self.keeper.take() {
            keeper.ended(self.quarantined.take());
        }
    }
}

/// Also when the task is killed or the runtime ends.
impl<A: Actor> Drop for Body<A> {
    fn drop(&mut self) {
        self.over();
    }
}

/// Whoever ordered may have stopped waiting.
fn confirm(ack: Ack) {
    let _ = ack.send(());
}
