//! What all actors of a process share.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock, Weak};

use futures_util::FutureExt;
use ractor::Actor as _;

use super::actor::Actor;
use super::cell::{Cell, State};
use super::dead::DeadLetters;
use super::events::Events;
use super::faults::Faults;
use super::handle::Handle;
use super::hist::Counts;
use super::policy::Policy;
use super::shell::{Keeper, Seed, Shell};
use super::sync::{lock, write};

/// Why an actor could not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    #[error("there is already an actor at {0}")]
    Taken(Arc<str>),
    #[error("{0} is ending and takes no more children")]
    Closed(Arc<str>),
    #[error(
        "{0:?} cannot be part of a path: use 1 to 200 characters without '/' and control characters"
    )]
    BadName(String),
    #[error("the runtime did not start {0}: {1}")]
    Runtime(Arc<str>, String),
}

/// Sums over ended actors of one type, so that counters never go back.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub handled: u64,
    pub failed: u64,
    pub expired: u64,
    pub refused: u64,
    pub restarts: u64,
    pub wait: Counts,
    pub handle: Counts,
}

/// Swept by the housekeeper: entities look for who is idle.
pub(super) trait Sweep: Send + Sync {
    fn sweep(&self, now_ns: u64);
}

pub(super) struct Kernel {
    pub runtime: tokio::runtime::Handle,
    pub actors: RwLock<BTreeMap<Arc<str>, Arc<Cell>>>,
    pub events: Events,
    pub dead: DeadLetters,
    pub faults: Faults,
    pub totals: Mutex<HashMap<&'static str, Totals>>,
    pub services: Mutex<Vec<Arc<Cell>>>,
    pub sweeps: Mutex<Vec<Weak<dyn Sweep>>>,
    pub behind: Mutex<Vec<Arc<Cell>>>,
    last_id: AtomicU64,
}

impl Kernel {
    pub fn new(runtime: tokio::runtime::Handle, chaos_enabled: bool) -> Self {
        Self {
            runtime,
            actors: RwLock::default(),
            events: Events::new(),
            dead: DeadLetters::default(),
            faults: Faults::new(chaos_enabled),
            totals: Mutex::default(),
            services: Mutex::default(),
            sweeps: Mutex::default(),
            behind: Mutex::default(),
            last_id: AtomicU64::new(0),
        }
    }

    pub fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Relaxed) + 1
    }

    pub fn find(&self, path: &str) -> Option<Arc<Cell>> {
        super::sync::read(&self.actors).get(path).cloned()
    }

    /// Has the view published soon, also when no message comes any more.
    pub fn publish_later(&self, cell: &Arc<Cell>) {
        lock(&self.behind).push(Arc::clone(cell));
    }

    pub fn enroll(&self, cell: &Arc<Cell>) -> Result<(), SpawnError> {
        match write(&self.actors).entry(Arc::clone(&cell.path)) {
            std::collections::btree_map::Entry::Occupied(_) => {
                Err(SpawnError::Taken(Arc::clone(&cell.path)))
            }
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(Arc::clone(cell));
                Ok(())
            }
        }
    }

    /// The actor is over.
    pub fn forget(&self, cell: &Arc<Cell>) {
        if cell.state() == State::Ended {
            return;
        }
        cell.set_state(State::Ended);
        {
            let mut actors = write(&self.actors);
            if actors.get(&cell.path).is_some_and(|found| found.id == cell.id) {
                actors.remove(&cell.path);
            }
        }
        if let Some(family) = cell.parent.as_ref().and_then(|parent| parent.family.get()) {
            family.remove(cell.id);
        }
        if cell.parent.is_none() {
            lock(&self.services).retain(|service| service.id != cell.id);
        }
        if cell.port.get().is_some() {
            lock(&self.totals).entry(cell.kind).or_default().add(cell);
        }
        cell.ended.notify_waiters();
    }

    /// Starts an actor. Its handle can be used at once; messages wait until `started` is done.
    pub fn spawn<A: Actor>(
        self: &Arc<Self>,
        parent: &Arc<Cell>,
        path: Arc<str>,
        policy: Policy,
        factory: Box<dyn FnMut() -> A + Send>,
        keeper: Option<Box<dyn Keeper>>,
    ) -> Result<Handle<A::Msg>, SpawnError> {
        let cell = Arc::new(Cell::new(self, Some(Arc::clone(parent)), path, A::TYPE, policy));
        self.enroll(&cell)?;
        // Entities are known by their group's map, not one by one.
        if keeper.is_none() && !parent.family().add(&cell) {
            self.forget(&cell);
            return Err(SpawnError::Closed(Arc::clone(&parent.path)));
        }
        let seed = Seed { cell: Arc::clone(&cell), factory, keeper };
        let _runtime = self.runtime.enter();
        let spawned = Shell::<A>::spawn(None, Shell::new(), seed);
        let error = match tokio::task::unconstrained(spawned).now_or_never() {
            Some(Ok((actor, _))) => return Ok(Handle { cell, actor, label: A::label }),
            Some(Err(error)) => error.to_string(),
            None => "it waits".to_owned(),
        };
        self.forget(&cell);
        Err(SpawnError::Runtime(Arc::clone(&cell.path), error))
    }
}

impl Totals {
    pub fn add(&mut self, cell: &Cell) {
        self.handled += cell.books.handled.load(Relaxed);
        self.failed += cell.books.failed.load(Relaxed);
        self.expired += cell.books.expired.load(Relaxed);
        self.refused += cell.gate.refused.load(Relaxed);
        self.restarts += cell.restarts.load(Relaxed);
        self.wait.add(&cell.books.wait.counts());
        self.handle.add(&cell.books.handle.counts());
    }
}
