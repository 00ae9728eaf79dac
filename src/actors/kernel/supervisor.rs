//! Builds supervision tables: one page per service.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::actor::Actor;
use super::cell::{Cell, State};
use super::entities::EntitiesBuilder;
use super::handle::Handle;
use super::kernel::SpawnError;
use super::policy::{MAILBOX_DEPTH_MAX, Policy, Restart, Strategy};
use super::restarts::{Backoff, Intensity};

const NAME_CHARS_MAX: usize = 200;

/// A place in the tree that children are started under.
#[derive(Clone)]
pub struct Supervisor {
    pub(super) cell: Arc<Cell>,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Supervisor({})", self.cell.path)
    }
}

impl Supervisor {
    pub fn path(&self) -> &str {
        &self.cell.path
    }

    /// A child actor: `child("governor").restart(Permanent).intensity(5, per_minute()).start(…)`.
    pub fn child(&self, name: &str) -> Child {
        Child { above: self.clone(), name: name.to_owned(), policy: Policy::default() }
    }

    /// A supervisor below this one, with a strategy of its own.
    pub fn group(&self, name: &str) -> Group {
        let child = self.child(name);
        Group { child, strategy: Strategy::OneForOne }
    }

    /// Actors by key that start with their first message and end when idle.
    pub fn entities(&self, name: &str) -> EntitiesBuilder {
        EntitiesBuilder::new(self.child(name))
    }

    pub(super) fn below(&self, name: &str) -> Result<Arc<str>, SpawnError> {
        let fits = !name.is_empty()
            && name.chars().count() <= NAME_CHARS_MAX
            && !name.chars().any(|c| c == '/' || c.is_control());
        if !fits {
            return Err(SpawnError::BadName(name.chars().take(NAME_CHARS_MAX).collect()));
        }
        Ok(format!("{}/{name}", self.cell.path).into())
    }

    /// A cell without an actor: a table of children.
    pub(super) fn table(
        &self,
        name: &str,
        kind: &'static str,
        policy: Policy,
    ) -> Result<Arc<Cell>, SpawnError> {
        let path = self.below(name)?;
        let policy = Policy { mailbox: 0, ..policy };
        let parent = Some(Arc::clone(&self.cell));
        let cell = Arc::new(Cell::new(&self.cell.kernel, parent, path, kind, policy));
        cell.set_state(State::Running);
        self.cell.kernel.enroll(&cell)?;
        if !self.cell.family().add(&cell) {
            self.cell.kernel.forget(&cell);
            return Err(SpawnError::Closed(Arc::clone(&self.cell.path)));
        }
        Ok(cell)
    }
}

/// A child to be started. Permanent, 5 restarts a minute and 1,024 messages unless said otherwise.
#[must_use = "nothing is started before `start`"]
pub struct Child {
    pub(super) above: Supervisor,
    pub(super) name: String,
    pub(super) policy: Policy,
}

impl Child {
    pub fn restart(mut self, restart: Restart) -> Self {
        self.policy.restart = restart;
        self
    }

    /// At most `max` restarts in any `window`; one more escalates to the supervisor.
    pub fn intensity(mut self, max: u32, window: Duration) -> Self {
        self.policy.intensity = Intensity { max, window };
        self
    }

    /// The wait before a restart: `base`, doubling up to `max`, with jitter.
    pub fn backoff(mut self, base: Duration, max: Duration) -> Self {
        self.policy.backoff = Backoff { base, max };
        self
    }

    /// How many messages may wait (1 to 1,048,576).
    pub fn mailbox(mut self, depth_max: u32) -> Self {
        self.policy.mailbox = depth_max.clamp(1, MAILBOX_DEPTH_MAX);
        self
    }

    /// How long a handler may go on after an order to stop or restart.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.policy.grace = grace;
        self
    }

    /// How long it has to end in a drain, even if those that end before it have taken all of the time.
    pub fn reserve(mut self, reserve: Duration) -> Self {
        self.policy.reserve = reserve;
        self
    }

    /// Starts the child; `factory` makes the state of each of its lives.
    pub fn start<A: Actor>(
        self,
        factory: impl FnMut() -> A + Send + 'static,
    ) -> Result<Handle<A::Msg>, SpawnError> {
        let path = self.above.below(&self.name)?;
        self.above.cell.kernel.spawn(&self.above.cell, path, self.policy, Box::new(factory), None)
    }
}

/// A supervisor to be started.
#[must_use = "nothing is started before `start`"]
pub struct Group {
    child: Child,
    strategy: Strategy,
}

impl Group {
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How often this group as a whole may be restarted before that escalates further.
    pub fn intensity(mut self, max: u32, window: Duration) -> Self {
        self.child = self.child.intensity(max, window);
        self
    }

    pub fn backoff(mut self, base: Duration, max: Duration) -> Self {
        self.child = self.child.backoff(base, max);
        self
    }

    pub fn start(self) -> Result<Supervisor, SpawnError> {
        let cell = self.child.above.table(&self.child.name, "supervisor", self.child.policy)?;
        cell.family().strategy.get_or_init(|| self.strategy);
        Ok(Supervisor { cell })
    }
}
