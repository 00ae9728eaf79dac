//! One actor's task: it takes letters, runs the handler, keeps the books.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tracing::{Level, Span};

use super::actor::Actor;
use super::cell::{Cell, Published};
use super::control::{Ack, Order};
use super::cx::Cx;
use super::dead::{Why, short_name};
use super::guard::{self, Outcome};
use super::letter::{Envelope, Letter};
use super::shell::Keeper;
use super::strike::{self, Struck};
use super::time::{NEVER, now_ns};
use super::trace::Trace;
use crate::clock;
use crate::telemetry::spans::{self, Kind, Open};

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
    /// When it was last active before a letter of its own that does not count as activity.
    before_own_ns: Option<u64>,
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
            before_own_ns: None,
        }
    }

    /// What is no letter.
    pub fn special(&mut self, envelope: Envelope<A::Msg>) {
        match envelope {
            Envelope::Publish => self.publish_if_behind(),
            Envelope::Passivate => self.passivate(),
            Envelope::HaltHere(ack) => self.cell.control.order(Order::Halt { ack }),
            Envelope::Noise => {
                self.cell.taken();
            }
            Envelope::Nudge | Envelope::Outer(_) | Envelope::Inner(_) => {}
        }
    }

    /// A letter's turn.
    pub async fn letter(&mut self, letter: Letter<A::Msg>) {
        let Some((letter, label, start)) = self.accept(letter) else { return };
        if letter.trace.is_some() || self.cell.kernel.faults.any() || debugging() {
            return Box::pin(self.careful(letter, label, start)).await;
        }
        let Some(actor) = self.actor.as_mut() else { return };
        let (outcome, waited) = {
            let cx = &mut self.cx;
            match guard::run_now(|| actor.handle(letter.msg, cx)) {
                Ok(code) => guard::run(&self.cell.control, pin!(code)).await,
                Err(reason) => (Outcome::Failed(reason), false),
            }
        };
        if let Some(outcome) = self.settle(outcome, waited, start) {
            Box::pin(self.unusual(outcome, label)).await;
        }
    }

    /// Whether and when a letter's turn comes; what is refused goes to the dead letters.
    fn accept(&mut self, letter: Letter<A::Msg>) -> Option<(Letter<A::Msg>, &'static str, u64)> {
        // What was sent before the last message ended was waiting: that reading is its start.
        let start =
            if self.fresh && letter.sent_ns <= self.seen_ns { self.seen_ns } else { now_ns() };
        self.seen_ns = start;
        self.fresh = false;
        let stale = letter.life != 0 && letter.life != self.cx.life;
        let discard =
            self.actor.is_none() || (self.cell.control.anything() && self.cell.control.discards());
        if stale || discard || letter.deadline_ns <= start {
            let why = if stale {
                Why::Stale
            } else if discard {
                Why::Discarded
            } else {
                Why::Expired
            };
            self.bury(&letter, why);
            return None;
        }
        let label = A::label(&letter.msg);
        let index = self.label_index(label);
        let books = &self.cell.books;
        books.wait.record(start.saturating_sub(letter.sent_ns));
        if !A::OWN_LETTERS_KEEP_AWAKE && letter.life != 0 {
            self.before_own_ns = Some(books.active_ns.load(Relaxed));
        }
        books.active_ns.store(start, Relaxed);
        books.busy.store(1 + index, Relaxed);
        self.cx.deadline_ns = letter.deadline_ns;
        Some((letter, label, start))
    }

    /// The same as in [`Body::letter`], with faults, a trace and a span.
    async fn careful(&mut self, mut letter: Letter<A::Msg>, label: &'static str, start: u64) {
        let trace = letter.trace().map(Trace::child);
        let rules = self.cell.kernel.faults.struck(&self.cell.path, letter.life != 0, start);
        let copy = if strike::duplicates(&rules) { A::duplicate(&letter.msg) } else { None };
        if let Some(draw) = strike::spoils(&rules) {
            A::corrupt(&mut letter.msg, draw);
        }
        let mut injected = match strike::carry_out(&self.cell.control, rules).await {
            Struck::Handle(injected) => injected,
            Struck::Lost => {
                self.turn_is_over();
                return self.bury(&letter, Why::Dropped);
            }
            Struck::Interrupted => {
                self.turn_is_over();
                return self.interrupted(label).await;
            }
        };
        let sent = letter.trace();
        let wait_us = start.saturating_sub(letter.sent_ns) / 1_000;
        for msg in [Some(letter.msg), copy].into_iter().flatten() {
            let Some(actor) = self.actor.as_mut() else { return };
            let (cx, injected) = (&mut self.cx, injected.take());
            let code = async move {
                if let Some(injected) = injected {
                    injected.go()?;
                }
                actor.handle(msg, cx).await
            };
            let span = span_of(&self.cell.path, label, trace);
            let code = guard::traced(trace, span, code);
            let open = trace.zip(sent).and_then(|(at, from)| Open::child(at, from.span_id));
            let (outcome, waited) = guard::run(&self.cell.control, pin!(code)).await;
            if let Some(open) = open {
                let failed = matches!(outcome, Outcome::Failed(_) | Outcome::Interrupted);
                record(open, &self.cell, label, wait_us, failed);
            }
            if let Some(outcome) = self.settle(outcome, waited, start) {
                self.unusual(outcome, label).await;
            }
        }
    }

    /// Books a handled message. What is returned takes more than that.
    fn settle(&mut self, outcome: Outcome, waited: bool, start: u64) -> Option<Outcome> {
        let books = &self.cell.books;
        self.handled = self.handled.wrapping_add(1);
        books.handled.store(books.handled.load(Relaxed) + 1, Relaxed);
        if waited || self.handled.is_multiple_of(TIMED_ONE_IN) {
            let end = now_ns();
            let depth = self.cell.depth();
            if depth > books.depth_max.load(Relaxed) {
                books.depth_max.store(depth, Relaxed);
            }
            books.handle.record(end.saturating_sub(start));
            self.seen_ns = end;
            self.fresh = true;
        }
        self.turn_is_over();
        self.cx.deadline_ns = NEVER;
        self.publish_sometimes();
        (self.cx.stop || !matches!(outcome, Outcome::Done)).then_some(outcome)
    }

    fn turn_is_over(&mut self) {
        let books = &self.cell.books;
        // Until now it told operators since when it is at this letter.
        if !A::OWN_LETTERS_KEEP_AWAKE
            && let Some(before_ns) = self.before_own_ns.take()
        {
            books.active_ns.store(before_ns, Relaxed);
        }
        books.busy.store(0, Relaxed);
    }

    async fn unusual(&mut self, outcome: Outcome, label: &'static str) {
        match outcome {
            Outcome::Done => self.exit().await,
            Outcome::Failed(reason) => self.fail(format!("{}: {reason}", short_name(label))).await,
            Outcome::Interrupted => self.interrupted(label).await,
        }
    }

    pub fn bury(&self, letter: &Letter<A::Msg>, why: Why) {
        self.cell.dead_letter(A::label(&letter.msg), why, letter.trace());
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
        _ => tracing::debug_span!(target: "kiki::actor", "handle", path, message),
    }
}

/// The span of a handled message, for collectors.
fn record(open: Open, cell: &Cell, label: &'static str, wait_us: u64, failed: bool) {
    let mut name = cell.kind.to_owned();
    // "FindHold" as "find hold", as people say it.
    for c in short_name(label).chars() {
        if c.is_uppercase() {
            name.push(' ');
        }
        name.extend(c.to_lowercase());
    }
    let attributes = vec![
        spans::text("kiki.actor.path", &*cell.path),
        spans::text("kiki.actor.type", cell.kind),
        spans::number("kiki.actor.wait_us", wait_us),
        spans::number("kiki.actor.handle_us", open.took_us()),
    ];
    open.close(Kind::Internal, name, attributes, failed);
}

fn debugging() -> bool {
    tracing::enabled!(target: "kiki::actor", Level::DEBUG)
}
