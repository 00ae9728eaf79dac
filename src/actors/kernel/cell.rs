//! What is known of an actor from outside it: kept here, not in the actor, so that a hung actor can
//! be inspected like any other.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, OnceLock};

use serde::Serialize;
use tokio::sync::Notify;

use super::ask::Refused;
use super::breaker::BreakerCell;
use super::control::Control;
use super::dead::Why;
use super::family::Family;
use super::hist::Hist;
use super::kernel::Kernel;
use super::policy::Policy;
use super::restarts::Restarts;
use super::sync::lock;
use super::trace::Trace;
use crate::clock;

const INCIDENTS_MAX: usize = 8;

/// Where an actor is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum State {
    /// Runs its `started`; messages wait.
    Starting = 0,
    Running = 1,
    /// Between two lives; messages wait.
    Restarting = 2,
    /// Handles what it has and takes no more.
    Draining = 3,
    /// Stopped by an operator; takes no messages until restarted.
    Stopped = 4,
    /// Failed too often; its supervisor decides when it is tried again.
    Parked = 5,
    /// Over; only seen by who held on to it.
    Ended = 6,
}

impl State {
    fn from_u8(state: u8) -> Self {
        match state {
            0 => Self::Starting,
            1 => Self::Running,
            2 => Self::Restarting,
            3 => Self::Draining,
            4 => Self::Stopped,
            5 => Self::Parked,
            _ => Self::Ended,
        }
    }
}

/// The way to an actor's task without its message type.
pub(super) trait Port: Send + Sync {
    fn nudge(&self);
    fn publish(&self);
    fn passivate(&self);
    fn halt_here(&self, ack: super::control::Ack);
    fn noise(&self) -> bool;
    /// No more letters; the actor ends after those that it has.
    fn close(&self);
    fn kill(&self);
}

/// A published view: typed for those who know the type, JSON for those who look.
pub(super) trait AnyView: Send + Sync {
    fn json(&self) -> serde_json::Value;
    fn any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<V: Serialize + Send + Sync + 'static> AnyView for V {
    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self)
            .unwrap_or_else(|error| serde_json::json!({ "unreadable_view": error.to_string() }))
    }

    fn any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

#[derive(Clone)]
pub(super) struct Published {
    pub at_us: i64,
    pub view: Arc<dyn AnyView>,
}

/// Something that went wrong, and when.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Incident {
    /// Wall-clock microseconds since 1970 UTC.
    pub at_us: i64,
    pub reason: String,
}

#[derive(Default)]
pub(super) struct Record {
    pub restarts: Restarts,
    pub restart_reasons: VecDeque<Incident>,
    pub errors: VecDeque<Incident>,
}

/// On cache lines of its own: what senders write, what the actor writes, and what all only read
/// would otherwise slow each other down.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Line<T>(T);

impl<T> std::ops::Deref for Line<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Written by senders.
#[derive(Default)]
pub(super) struct Gate {
    /// Permits ever taken.
    sent: AtomicU64,
    /// What senders last saw of `Books::taken`. They look again only when the mailbox seems full,
    /// so that the actor's writing does not slow each sending down.
    taken_seen: AtomicU64,
    pub inner_depth: AtomicU32,
    pub refused: AtomicU64,
}

/// Written by the actor's task alone.
pub(super) struct Books {
    /// Permits ever given back.
    taken: AtomicU64,
    /// When the last message's turn came.
    pub active_ns: AtomicU64,
    /// When it last refused to be passivated.
    pub stayed_ns: AtomicU64,
    /// 1 + the index of the label of what is being handled, 0 between messages.
    pub busy: AtomicU32,
    pub depth_max: AtomicU32,
    pub handled: AtomicU64,
    pub failed: AtomicU64,
    pub expired: AtomicU64,
    pub wait: Hist,
    pub handle: Hist,
}

impl Books {
    fn new() -> Self {
        Self {
            taken: AtomicU64::new(0),
            active_ns: AtomicU64::new(super::time::now_ns()),
            stayed_ns: AtomicU64::new(0),
            busy: AtomicU32::new(0),
            depth_max: AtomicU32::new(0),
            handled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            wait: Hist::new(),
            handle: Hist::new(),
        }
    }
}

pub(super) struct Cell {
    pub id: u64,
    pub path: Arc<str>,
    pub kind: &'static str,
    pub kernel: Arc<Kernel>,
    pub parent: Option<Arc<Cell>>,
    pub policy: Policy,
    pub since_us: i64,
    state: AtomicU8,
    /// How often a life began.
    pub life: AtomicU32,
    pub restarts: AtomicU64,
    pub gate: Line<Gate>,
    pub books: Line<Books>,
    pub labels: Mutex<Vec<&'static str>>,
    pub record: Mutex<Record>,
    pub view: Mutex<Option<Published>>,
    pub breaker: OnceLock<Arc<BreakerCell>>,
    pub control: Control,
    pub port: OnceLock<Box<dyn Port>>,
    /// Present where there are children.
    pub family: OnceLock<Box<Family>>,
    /// Whether a life ever began well.
    pub begun: AtomicBool,
    /// The next failure escalates at once.
    pub probation: AtomicBool,
    pub ended: Notify,
}

impl Cell {
    pub fn new(
        kernel: &Arc<Kernel>,
        parent: Option<Arc<Cell>>,
        path: Arc<str>,
        kind: &'static str,
        policy: Policy,
    ) -> Self {
        Self {
            id: kernel.next_id(),
            path,
            kind,
            kernel: Arc::clone(kernel),
            parent,
            policy,
            since_us: clock::wall_us(),
            state: AtomicU8::new(State::Starting as u8),
            life: AtomicU32::new(0),
            restarts: AtomicU64::new(0),
            gate: Line::default(),
            books: Line(Books::new()),
            labels: Mutex::default(),
            record: Mutex::default(),
            view: Mutex::default(),
            breaker: OnceLock::new(),
            control: Control::default(),
            port: OnceLock::new(),
            family: OnceLock::new(),
            begun: AtomicBool::new(false),
            probation: AtomicBool::new(false),
            ended: Notify::new(),
        }
    }

    pub fn state(&self) -> State {
        State::from_u8(self.state.load(SeqCst))
    }

    /// An end is final, and what drains does not go back to work.
    pub fn set_state(&self, to: State) {
        let _ = self.state.fetch_update(SeqCst, SeqCst, |now| {
            let back_to_work = now == State::Draining as u8 && to <= State::Restarting;
            (now != State::Ended as u8 && !(back_to_work && self.control.closing()))
                .then_some(to as u8)
        });
    }

    /// A life has begun, unless an order came in between.
    pub fn running(&self) {
        let (starting, running) = (State::Starting as u8, State::Running as u8);
        let _ = self.state.compare_exchange(starting, running, SeqCst, SeqCst);
    }

    /// Takes a permit of the mailbox.
    pub fn admit(&self) -> Result<(), Refused> {
        if self.state.load(Relaxed) > State::Restarting as u8 {
            return Err(self.unavailable());
        }
        let gate = &self.gate;
        let sent = gate.sent.fetch_add(1, Relaxed);
        let capacity = u64::from(self.policy.mailbox);
        if sent.wrapping_sub(gate.taken_seen.load(Relaxed)) < capacity {
            return Ok(());
        }
        let taken = self.books.taken.load(Relaxed);
        gate.taken_seen.store(taken, Relaxed);
        if sent.saturating_sub(taken) < capacity {
            return Ok(());
        }
        self.unsend();
        gate.refused.fetch_add(1, Relaxed);
        self.books.depth_max.store(self.policy.mailbox, Relaxed);
        Err(Refused::Overloaded { retry_after_ms: self.retry_after_ms() })
    }

    /// Gives a permit back that was not used.
    pub fn unsend(&self) {
        self.gate.sent.fetch_sub(1, Relaxed);
    }

    /// Gives the permit of a letter back whose turn has come. Only the actor calls this.
    pub fn taken(&self) {
        let taken = &self.books.taken;
        taken.store(taken.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Letters that wait.
    pub fn depth(&self) -> u32 {
        let taken = self.books.taken.load(Relaxed);
        let waiting = self.gate.sent.load(Relaxed).saturating_sub(taken);
        u32::try_from(waiting).unwrap_or(u32::MAX)
    }

    fn unavailable(&self) -> Refused {
        match self.state() {
            State::Parked => Refused::Overloaded { retry_after_ms: 1_000 },
            _ => Refused::Gone,
        }
    }

    /// About how long a full mailbox takes to empty, within 1 ms and 10 s.
    fn retry_after_ms(&self) -> u64 {
        let full_ns = self.books.handle.mean_ns().saturating_mul(u64::from(self.policy.mailbox));
        (full_ns / 1_000_000).clamp(1, 10_000)
    }

    pub fn dead_letter(&self, message: &'static str, why: Why, trace: Option<Trace>) {
        if why == Why::Expired {
            self.books.expired.fetch_add(1, Relaxed);
        }
        self.kernel.dead.add(&self.kernel.events, &self.path, message, why, trace);
    }

    pub fn note_error(&self, reason: &str) {
        self.books.failed.fetch_add(1, Relaxed);
        push(&mut lock(&self.record).errors, reason);
    }

    pub fn note_restart(&self, reason: &str) -> u64 {
        push(&mut lock(&self.record).restart_reasons, reason);
        self.restarts.fetch_add(1, Relaxed) + 1
    }

    pub fn nudge(&self) {
        if let Some(port) = self.port.get() {
            port.nudge();
        }
    }

    /// Waits until this actor is over.
    pub async fn gone(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.state() == State::Ended {
                return;
            }
            ended.await;
        }
    }

    pub fn family(&self) -> &Family {
        self.family.get_or_init(Box::default)
    }
}

fn push(ring: &mut VecDeque<Incident>, reason: &str) {
    if ring.len() == INCIDENTS_MAX {
        ring.pop_front();
    }
    let reason: String = reason.chars().take(500).collect();
    ring.push_back(Incident { at_us: clock::wall_us(), reason });
}
