//! How actors end: children before parents, the last started first.

use std::sync::Arc;
use std::time::Duration;

use super::cell::Cell;
use super::family::{Family, Task};
use super::time::{now_ns, to_ns};

/// The longest that a drain waits where nobody said.
pub(super) const DRAIN_MAX: Duration = Duration::from_secs(30);
/// The longest that `stopping` may take.
pub(super) const STOPPING_MAX: Duration = Duration::from_secs(10);
/// How long an interrupted actor has before its task is killed.
const INTERRUPTED_MAX: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Handle what is queued.
    Drain,
    /// Finish the message being handled; the rest are dead letters.
    Stop,
}

/// Ends an actor and all below it. A parent goes on handling messages until its children are gone,
/// so that they can still ask it. What is not over at `until_ns` is interrupted, then killed.
pub(super) fn end(cell: Arc<Cell>, how: How, until_ns: u64) -> Task<'static> {
    Box::pin(async move {
        if let Some(family) = cell.family.get() {
            end_children(family, how, until_ns).await;
        }
        begin_end(&cell, how);
        see_end(&cell, how, until_ns).await;
    })
}

pub(super) async fn end_children(family: &Family, how: How, until_ns: u64) {
    family.close();
    if let Some(brood) = family.brood() {
        brood.end_all(how, until_ns).await;
    }
    for child in family.children().into_iter().rev() {
        end(child, how, until_ns).await;
    }
}

/// No more letters from here on.
pub(super) fn begin_end(cell: &Arc<Cell>, how: How) {
    match cell.port.get() {
        None => cell.kernel.forget(cell),
        Some(port) => {
            if how == How::Stop {
                cell.control.discard();
            }
            cell.control.close();
            cell.set_state(super::cell::State::Draining);
            port.close();
        }
    }
}

/// Waits for the end that [`begin_end`] began, and insists when it is not reached in time.
pub(super) async fn see_end(cell: &Arc<Cell>, how: How, until_ns: u64) {
    let Some(port) = cell.port.get() else { return };
    let now = now_ns();
    let patience = match how {
        How::Drain => until_ns.saturating_sub(now).max(to_ns(cell.policy.reserve)),
        How::Stop => until_ns.saturating_sub(now).min(to_ns(cell.policy.grace)),
    };
    if over_within(cell, Duration::from_nanos(patience)).await {
        return;
    }
    tracing::warn!(path = %cell.path, "{} did not end in time and is interrupted", cell.path);
    cell.control.discard();
    cell.control.interrupt();
    if over_within(cell, INTERRUPTED_MAX).await {
        return;
    }
    tracing::error!(path = %cell.path, "{} did not end when interrupted and is killed", cell.path);
    port.kill();
    if !over_within(cell, INTERRUPTED_MAX).await {
        tracing::error!(path = %cell.path, "{} blocks its thread and cannot be ended", cell.path);
    }
}

async fn over_within(cell: &Cell, patience: Duration) -> bool {
    tokio::time::timeout(patience, cell.gone()).await.is_ok()
}

/// For an actor that is over without a drain: what is left below it is stopped.
pub(super) fn abandon_children(cell: &Arc<Cell>) {
    let Some(family) = cell.family.get() else { return };
    family.close();
    let until = now_ns().saturating_add(to_ns(DRAIN_MAX));
    for child in family.children() {
        cell.kernel.runtime.spawn(end(child, How::Stop, until));
    }
}
