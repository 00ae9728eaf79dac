//! A circuit breaker that belongs to an actor: kept in its cell, so that it outlives restarts and
//! operators can see and reset it.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::cell::Cell;
use super::events::EventKind;
use super::sync::lock;
use crate::clock;
use crate::models::breaker::{
    Admission, Breaker as Machine, BreakerTerms, BreakerView, CallOutcome, Change,
};

pub(super) struct BreakerCell {
    source: Source,
    owner: Weak<Cell>,
}

enum Source {
    Own(Mutex<Machine>),
    Shown(Box<dyn ShownBreaker>),
}

/// A breaker that an actor's resource keeps itself, for operators to see and reset like any other.
pub trait ShownBreaker: Send + Sync + 'static {
    fn view(&self) -> BreakerView;
    /// Closes it. What changed by that is told by [`super::Cx::announce_breaker`].
    fn reset(&self);
}

/// A handle to an actor's breaker. May be moved into futures that make the calls.
#[derive(Clone)]
pub struct Breaker(Arc<BreakerCell>);

impl Breaker {
    pub(super) fn of(cell: &Arc<Cell>, terms: BreakerTerms) -> Self {
        let made = || {
            let source = Source::Own(Mutex::new(Machine::new(terms)));
            Arc::new(BreakerCell { source, owner: Arc::downgrade(cell) })
        };
        Self(Arc::clone(cell.breaker.get_or_init(made)))
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        match &self.0.source {
            Source::Own(machine) => lock(machine),
            Source::Shown(_) => unreachable!("an actor shows a breaker or has one of its own"),
        }
    }

    /// May a call be made now? Whoever may owes one [`Breaker::record`].
    pub fn admit(&self) -> Admission {
        let (before, admission, after) = {
            let mut machine = self.machine();
            let before = machine.view().state;
            let admission = machine.admit(clock::mono_us());
            (before, admission, machine.view())
        };
        if let (true, Some(reason)) = (before != after.state, after.last_change) {
            self.0.announce(Change { from: before, to: after.state, reason });
        }
        admission
    }

    /// Books how an admitted call ended; a change of state is announced.
    pub fn record(&self, outcome: CallOutcome) -> Option<Change> {
        let change = self.machine().record(outcome, clock::mono_us());
        change.inspect(|change| self.0.announce(*change))
    }

    pub fn view(&self) -> BreakerView {
        self.0.view()
    }
}

impl BreakerCell {
    pub fn view(&self) -> BreakerView {
        match &self.source {
            Source::Own(machine) => lock(machine).view(),
            Source::Shown(shown) => shown.view(),
        }
    }

    pub fn reset(&self) {
        match &self.source {
            Source::Own(machine) => {
                let change = lock(machine).reset(clock::mono_us());
                if let Some(change) = change {
                    self.announce(change);
                }
            }
            Source::Shown(shown) => shown.reset(),
        }
    }

    /// Shows a breaker that is kept elsewhere as this actor's.
    pub fn show(cell: &Arc<Cell>, shown: impl ShownBreaker) {
        let owner = Arc::downgrade(cell);
        cell.breaker.get_or_init(|| {
            Arc::new(BreakerCell { source: Source::Shown(Box::new(shown)), owner })
        });
    }

    pub fn announce(&self, change: Change) {
        if let Some(cell) = self.owner.upgrade() {
            let (from, to) = (change.from.as_str(), change.to.as_str());
            tracing::warn!(path = %cell.path, from, to, "breaker of {} turned from {from} to {to}", cell.path);
            cell.kernel.events.emit(EventKind::Breaker { path: Arc::clone(&cell.path), change });
        }
    }
}
