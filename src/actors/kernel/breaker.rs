//! A circuit breaker that belongs to an actor: kept in its cell, so that it outlives restarts and
//! operators can see and reset it.

use std::sync::{Arc, Mutex, Weak};

use super::cell::Cell;
use super::events::EventKind;
use super::sync::lock;
use crate::clock;
use crate::models::breaker::{
    Admission, Breaker as Machine, BreakerTerms, BreakerView, CallOutcome, Change,
};

pub(super) struct BreakerCell {
    machine: Mutex<Machine>,
    owner: Weak<Cell>,
}

/// A handle to an actor's breaker. May be moved into futures that make the calls.
#[derive(Clone)]
pub struct Breaker(Arc<BreakerCell>);

impl Breaker {
    pub(super) fn of(cell: &Arc<Cell>, terms: BreakerTerms) -> Self {
        let made = || {
            let machine = Mutex::new(Machine::new(terms));
            Arc::new(BreakerCell { machine, owner: Arc::downgrade(cell) })
        };
        Self(Arc::clone(cell.breaker.get_or_init(made)))
    }

    /// May a call be made now? Whoever may owes one [`Breaker::record`].
    pub fn admit(&self) -> Admission {
        let (before, admission, after) = {
            let mut machine = lock(&self.0.machine);
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
        let change = lock(&self.0.machine).record(outcome, clock::mono_us());
        change.inspect(|change| self.0.announce(*change))
    }

    pub fn view(&self) -> BreakerView {
        self.0.view()
    }
}

impl BreakerCell {
    pub fn view(&self) -> BreakerView {
        lock(&self.machine).view()
    }

    pub fn reset(&self) {
        let change = lock(&self.machine).reset(clock::mono_us());
        if let Some(change) = change {
            self.announce(change);
        }
    }

    fn announce(&self, change: Change) {
        if let Some(cell) = self.owner.upgrade() {
            let (from, to) = (change.from.as_str(), change.to.as_str());
            tracing::warn!(path = %cell.path, from, to, "breaker of {} turned from {from} to {to}", cell.path);
            cell.kernel.events.emit(EventKind::Breaker { path: Arc::clone(&cell.path), change });
        }
    }
}
