//! One actor's task: it takes letters, runs the handler, keeps the books.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tracing::{Level, Span};

use super::actor::Actor;
use super::cell::{Cell, Published};
use super::control::Ack;
use super::cx::Cx;
use super::dead::Why;
use super::faults::Injected;
use super::guard::{self, Outcome};
use super::letter::Letter;
use super::shell::Keeper;
use super::strike::{self, Struck};
use super::time::{NEVER, now_ns};
use super::trace::Trace;
use crate::clock;

/// A view is published at most this often while messages come.
const VIEW_EVERY_NS: u64 = 100_000_000;
/// Handlers that never wait are timed one in this many, to save readings of the clock.
const TIMED_ONE_IN: u32 = 8;
/// Labels told apart; an actor with more kinds of messages shows the last for the rest.
const LABELS_MAX: usize = 64;

pub(super) struct Body<A: Actor> {
    pub cell: Arc<Cell>,
    pub factory: Box<dyn FnMut() -> A + Send>,
    pub keeper: Option<Box<dyn Keeper>>,
    pub actor: Option<A>,
    pub cx: Cx<A>,
    /// Confirmed when the next life has begun, or failed to.
    pub acks: Vec<Ack>,
    pub quarantined: Option<String>,
    pub finished: bool,
    labels: Vec<&'static str>,
    handled: u32,
    /// The last reading of the clock, and whether it was taken at the end of a message.
    seen_ns: u64,
    fresh: bool,
    published_ns: u64,
    behind: bool,
}

impl<A: Actor> Body<A> {
    pub fn new(
        cell: Arc<Cell>,
        factory: Box<dyn FnMut() -> A + Send>,
        keeper: Option<Box<dyn Keeper>>,
        cx: Cx<A>,
    ) -> Self {
        Self {
            cell,
            factory,
            keeper,
            actor: None,
            cx,
            acks: Vec::new(),
            quarantined: None,
            finished: false,
            labels: Vec::new(),
            handled: 0,
            seen_ns: 0,
            fresh: false,
            published_ns: 0,
            behind: false,
        }
    }

    pub async fn inner_letter(&mut self, letter: Letter<A::Msg>) {
        if letter.life == self.cx.life && self.actor.is_some() {
            self.letter(letter).await;
        } else {
            self.bury(&letter, Why::Stale);
        }
    }

    pub async fn letter(&mut self, letter: Letter<A::Msg>) {
        // What was sent before the last message ended was waiting: that reading is its start.
        let start = if self.fresh && letter.sent_ns <= self.seen_ns { self.seen_ns } else { now_ns() };
        self.seen_ns = start;
        self.fresh = false;
        if self.actor.is_none() || (self.cell.control.anything() && self.cell.control.discards()) {
            return self.bury(&letter, Why::Discarded);
        }
        if letter.deadline_ns <= start {
            return self.bury(&letter, Why::Expired);
        }
        let label = A::label(&letter.msg);
        let index = self.label_index(label);
        let cell = &*self.cell;
        cell.wait.record(start.saturating_sub(letter.sent_ns));
        cell.active_ns.store(start, Relaxed);
        cell.busy.store(1 + index, Relaxed);
        self.cx.deadline_ns = letter.deadline_ns;
        let (mut copy, mut injected) = (None, None);
        if cell.kernel.faults.any() {
            let rules = cell.kernel.faults.struck(&cell.path, start);
            if strike::duplicates(&rules) {
                copy = A::duplicate(&letter.msg);
            }
            match Box::pin(strike::carry_out(&self.cell.control, rules)).await {
                Struck::Handle(what) => injected = what,
                Struck::Lost => {
                    self.cell.busy.store(0, Relaxed);
                    return self.bury(&letter, Why::Dropped);
                }
                Struck::Interrupted => {
                    self.cell.busy.store(0, Relaxed);
                    return Box::pin(self.interrupted(label)).await;
                }
            }
        }
        self.turn(letter.msg, label, letter.trace, start, injected).await;
        if let Some(msg) = copy {
            Box::pin(self.turn(msg, label, letter.trace, now_ns(), None)).await;
        }
        self.cx.deadline_ns = NEVER;
        if self.cx.stop {
            self.cx.stop = false;
            Box::pin(self.exit()).await;
        }
    }

    async fn turn(
        &mut self,
        msg: A::Msg,
        label: &'static str,
        trace: Option<Trace>,
        start: u64,
        injected: Option<Injected>,
    ) {
        let Some(actor) = self.actor.as_mut() else { return };
        let cx = &mut self.cx;
        let trace = trace.map(Trace::child);
        let span = span_of(&self.cell.path, label, trace);
        let code = async move {
            if let Some(injected) = injected {
                injected.go()?;
            }
            actor.handle(msg, cx).await
        };
        let (outcome, waited) = guard::run(&self.cell.control, trace, span, code).await;
        let cell = &*self.cell;
        self.handled = self.handled.wrapping_add(1);
        cell.handled.store(cell.handled.load(Relaxed) + 1, Relaxed);
        if waited || self.handled % TIMED_ONE_IN == 0 {
            let end = now_ns();
            cell.handle.record(end.saturating_sub(start));
            self.seen_ns = end;
            self.fresh = true;
        }
        cell.busy.store(0, Relaxed);
        match outcome {
            Outcome::Done => self.publish_sometimes(),
            Outcome::Failed(reason) => Box::pin(self.fail(format!("{label}: {reason}"))).await,
            Outcome::Interrupted => Box::pin(self.interrupted(label)).await,
        }
    }

    pub fn bury(&self, letter: &Letter<A::Msg>, why: Why) {
        self.cell.dead_letter(A::label(&letter.msg), why, letter.trace);
    }

    fn publish_sometimes(&mut self) {
        if self.seen_ns.saturating_sub(self.published_ns) >= VIEW_EVERY_NS {
            self.publish();
        } else if !self.behind {
            self.behind = true;
            self.cell.kernel.publish_later(&self.cell);
        }
    }

    pub fn publish_if_behind(&mut self) {
        if self.behind {
            self.publish();
        }
    }

    pub fn publish(&mut self) {
        let Some(actor) = &self.actor else { return };
        self.behind = false;
        self.published_ns = self.seen_ns.max(1);
        match guard::run_now(|| actor.view()) {
            Ok(view) => {
                let published = Published { at_us: clock::wall_us(), view: Arc::new(view) };
                *super::sync::lock(&self.cell.view) = Some(published);
            }
            Err(reason) => self.cell.note_error(&format!("view: {reason}")),
        }
    }

    /// Marks the clock as read now, after a life began.
    pub fn saw(&mut self, now: u64) {
        self.seen_ns = now;
    }

    fn label_index(&mut self, label: &'static str) -> u32 {
        let same = |known: &&'static str| std::ptr::eq(*known, label);
        let index = self.labels.iter().position(same).unwrap_or_else(|| {
            if self.labels.len() < LABELS_MAX {
                self.labels.push(label);
                super::sync::lock(&self.cell.labels).push(label);
            }
            self.labels.len() - 1
        });
        index as u32
    }
}

/// A span costs more than a short handler: only sampled traces and debugging pay for one.
fn span_of(path: &str, message: &'static str, trace: Option<Trace>) -> Span {
    match trace {
        Some(t) if t.sampled => tracing::info_span!(
            target: "kiki::actor", "handle", path, message,
            trace_id = %format_args!("{:032x}", t.trace_id),
            span_id = %format_args!("{:016x}", t.span_id)
        ),
        _ if tracing::enabled!(target: "kiki::actor", Level::DEBUG) => {
            tracing::debug_span!(target: "kiki::actor", "handle", path, message)
        }
        _ => Span::none(),
    }
}
