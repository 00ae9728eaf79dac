//! The children of a supervisor and what happens when one fails. A supervisor is a table, not a
//! task: the failing child's own task looks its fate up, so that no busy or hung parent delays a
//! restart.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use super::cell::{Cell, State};
use super::control::Order;
use super::end::How;
use super::events::EventKind;
use super::policy::{Restart, Strategy};
use super::service::ServiceState;
use super::sync::lock;
use super::time::now_ns;

/// How long a supervisor's round waits for one child to end, or to begin.
const HOLD_MAX: Duration = Duration::from_secs(10);
const RELEASE_MAX: Duration = Duration::from_secs(30);

pub(super) type Task<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Children that come and go by key.
pub(super) trait Brood: Send + Sync {
    fn end_all<'a>(&'a self, how: How, until_ns: u64) -> Task<'a>;
    fn reopen(&self);
}

#[derive(Default)]
pub(super) struct Family {
    members: Mutex<Members>,
    pub strategy: OnceLock<Strategy>,
    /// Weak: each live entity keeps its brood.
    pub brood: OnceLock<Weak<dyn Brood>>,
    pub service: OnceLock<Arc<ServiceState>>,
    round: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Members {
    closed: bool,
    /// By id: ids grow, so this is the order of their start.
    children: BTreeMap<u64, Arc<Cell>>,
}

impl Family {
    /// False if no more children are taken.
    pub fn add(&self, child: &Arc<Cell>) -> bool {
        let mut members = lock(&self.members);
        if !members.closed {
            members.children.insert(child.id, Arc::clone(child));
        }
        !members.closed
    }

    pub fn remove(&self, id: u64) {
        lock(&self.members).children.remove(&id);
    }

    pub fn close(&self) {
        lock(&self.members).closed = true;
    }

    pub fn reopen(&self) {
        lock(&self.members).closed = false;
    }

    /// In the order of their start.
    pub fn children(&self) -> Vec<Arc<Cell>> {
        lock(&self.members).children.values().cloned().collect()
    }

    pub fn brood(&self) -> Option<Arc<dyn Brood>> {
        self.brood.get().and_then(Weak::upgrade)
    }

    fn strategy(&self) -> Strategy {
        self.strategy.get().copied().unwrap_or_default()
    }

    fn affected(&self, failed: &Cell) -> Vec<Arc<Cell>> {
        let strategy = self.strategy();
        let mut members = self.children();
        members.retain(|member| match strategy {
            Strategy::OneForOne => member.id == failed.id,
            Strategy::OneForAll => true,
            Strategy::RestForOne => member.id >= failed.id,
        });
        members
    }
}

/// What becomes of a child whose life ended.
pub(super) enum Verdict {
    After(Duration),
    /// The supervisor releases it when it is its turn.
    Wait(State),
    Quarantine,
    End,
}

pub(super) fn decide(cell: &Arc<Cell>, reason: &str, failed: bool) -> Verdict {
    let restarts = match cell.policy.restart {
        Restart::Permanent => true,
        Restart::Transient => failed,
        Restart::Temporary => false,
    };
    let (true, Some(parent)) = (restarts, &cell.parent) else { return Verdict::End };
    let Some(delay) = next_delay(cell) else {
        if parent.family().brood.get().is_some() {
            return Verdict::Quarantine;
        }
        escalate(parent, cell, reason);
        return Verdict::Wait(State::Parked);
    };
    let restarts = cell.note_restart(reason);
    announce(cell, reason, restarts, delay);
    if parent.family().strategy() == Strategy::OneForOne || parent.family().brood.get().is_some() {
        return Verdict::After(delay);
    }
    cell.kernel.runtime.spawn(round(Arc::clone(parent), Arc::clone(cell), delay));
    Verdict::Wait(State::Restarting)
}

pub(super) fn announce(cell: &Arc<Cell>, reason: &str, restarts: u64, delay: Duration) {
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    let (path, reason) = (Arc::clone(&cell.path), reason.to_owned());
    cell.kernel.events.emit(EventKind::Restart { path, reason, restarts, delay_ms });
}

/// Books a restart. `None`: it was one too many.
fn next_delay(cell: &Cell) -> Option<Duration> {
    if cell.probation.swap(false, SeqCst) {
        return None;
    }
    let nth = lock(&cell.record).restarts.book(now_ns(), cell.policy.intensity)?;
    Some(cell.policy.backoff.delay(nth, rand::random()))
}

fn escalate(to: &Arc<Cell>, child: &Arc<Cell>, reason: &str) {
    let reason = format!("{} failed too often: {reason}", child.path);
    tracing::error!(path = %child.path, to = %to.path, "{reason}");
    let event = EventKind::Escalation {
        path: Arc::clone(&child.path),
        to: to.path.to_string(),
        reason: reason.clone(),
    };
    to.kernel.events.emit(event);
    if to.port.get().is_some() {
        to.control.order(Order::Fail { reason });
        to.nudge();
        to.kernel.runtime.spawn(insist(Arc::clone(to)));
    } else if let Some(parent) = &to.parent {
        match next_delay(to) {
            Some(delay) => {
                let restarts = to.note_restart(&reason);
                announce(to, &reason, restarts, delay);
                to.kernel.runtime.spawn(round(Arc::clone(parent), Arc::clone(to), delay));
            }
            None => escalate(parent, to, &reason),
        }
    } else if let Some(service) = to.family().service.get() {
        service.lost(to, child, reason);
    }
}

/// An order waits for the handler that runs; after its grace the handler is interrupted.
pub(super) async fn insist(cell: Arc<Cell>) {
    tokio::time::sleep(cell.policy.grace).await;
    if cell.control.has_orders() {
        cell.control.interrupt();
    }
}

/// Restarts what the strategy says: holds last to first, waits, releases first to last.
pub(super) async fn round(parent: Arc<Cell>, failed: Arc<Cell>, delay: Duration) {
    let _turn = parent.family().round.lock().await;
    let members = parent.family().affected(&failed);
    for member in members.iter().rev() {
        hold(member).await;
    }
    tokio::time::sleep(delay).await;
    for member in &members {
        release(member).await;
    }
}

pub(super) fn hold(cell: &Arc<Cell>) -> Task<'_> {
    Box::pin(async move {
        if cell.port.get().is_some() {
            return order(cell, |ack| Order::Hold { ack }, HOLD_MAX).await;
        }
        let Some(family) = cell.family.get() else { return };
        if let Some(brood) = family.brood() {
            brood.end_all(How::Stop, now_ns().saturating_add(super::time::to_ns(HOLD_MAX))).await;
            brood.reopen();
        }
        for child in family.children().iter().rev() {
            hold(child).await;
        }
    })
}

pub(super) fn release(cell: &Arc<Cell>) -> Task<'_> {
    Box::pin(async move {
        if cell.port.get().is_some() {
            return order(cell, |ack| Order::Release { ack }, RELEASE_MAX).await;
        }
        for child in cell.family().children() {
            release(&child).await;
        }
    })
}

/// Gives an order and waits until it was carried out, the actor ended, or time is over.
pub(super) async fn order(
    cell: &Arc<Cell>,
    make: impl FnOnce(oneshot::Sender<()>) -> Order,
    patience: Duration,
) {
    let (ack, mut done) = oneshot::channel();
    cell.control.order(make(ack));
    cell.nudge();
    if tokio::time::timeout(cell.policy.grace, &mut done).await.is_err() {
        if cell.control.has_orders() {
            cell.control.interrupt();
        }
        // Not carried out in time: the child stays behind, seen by its state, and others go on.
        let _ = tokio::time::timeout(patience, done).await;
    }
}
