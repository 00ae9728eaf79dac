//! The one door to all actors of a process: starts services, shows actors, takes operators' orders.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::cell::{Cell, State};
use super::control::Order;
use super::dead::DeadLetter;
use super::end::{self, How};
use super::events::{Event, EventKind, EventStream};
use super::family;
use super::faults::{FaultRefused, FaultRule, FaultView};
use super::housekeeper;
use super::kernel::Kernel;
use super::service::{self, ServiceBuilder, ServiceView};
use super::sync::{lock, read};
use super::time::{now_ns, to_ns};
use crate::models::breaker::BreakerView;

/// Settings of the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelConfig {
    /// Whether faults may be injected.
    pub chaos_enabled: bool,
}

#[derive(Clone)]
pub struct Registry {
    pub(super) kernel: Arc<Kernel>,
}

/// What an operator can order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorOrder {
    /// A new life, with an empty state; queued messages are kept.
    Restart,
    /// Handle what is queued, then stop.
    Drain,
    /// Finish the message being handled, then stop; queued messages become dead letters.
    Stop,
}

impl OperatorOrder {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Drain => "drain",
            Self::Stop => "stop",
        }
    }
}

/// A breaker and whose it is.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct BreakerEntry {
    #[schema(value_type = String)]
    pub path: Arc<str>,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub breaker: BreakerView,
}

/// How long an operator's order may take.
const ORDER_MAX: Duration = Duration::from_secs(30);

impl Registry {
    /// Must be called inside a tokio runtime: all actors run there.
    pub fn new(config: KernelConfig) -> Self {
        let runtime = tokio::runtime::Handle::current();
        let kernel = Arc::new(Kernel::new(runtime.clone(), config.chaos_enabled));
        runtime.spawn(housekeeper::run(Arc::downgrade(&kernel)));
        Self { kernel }
    }

    /// A new supervision tree at `/name`.
    pub fn service(&self, name: &str) -> ServiceBuilder {
        ServiceBuilder::new(Arc::clone(&self.kernel), name)
    }

    /// In the order of their start.
    pub fn services(&self) -> Vec<ServiceView> {
        lock(&self.kernel.services).iter().filter_map(|root| service::view(root)).collect()
    }

    /// `None` where there is no such service.
    pub fn ready(&self, service: &str) -> Option<bool> {
        self.services().iter().find(|view| view.name == service).map(|view| view.ready)
    }

    /// Drains all services, the last started first. What is not done in time is interrupted.
    pub async fn shutdown(&self, patience: Duration) {
        let until = now_ns().saturating_add(to_ns(patience));
        let mut roots = lock(&self.kernel.services).clone();
        while let Some(root) = roots.pop() {
            let left = until.saturating_sub(now_ns());
            service::drain(root, Duration::from_nanos(left)).await;
        }
    }

    /// The last published view of an actor, if it is of this type.
    pub fn view<V: Any + Send + Sync>(&self, path: &str) -> Option<Arc<V>> {
        let cell = self.kernel.find(path)?;
        let view = Arc::clone(&lock(&cell.view).as_ref()?.view);
        view.any().downcast().ok()
    }

    /// Carries out an order; false where there is no such actor. Children of a table follow it.
    pub async fn order(&self, path: &str, order: OperatorOrder) -> bool {
        let Some(mut done) = self.begin_order(path, order) else { return false };
        // An error means that the runtime ends, and every actor with it.
        let _ = (&mut done).await;
        true
    }

    /// The same, waiting at most `patience`: whether it is done by then. It goes on otherwise.
    /// `None` where there is no such actor.
    pub async fn order_within(
        &self,
        path: &str,
        order: OperatorOrder,
        patience: Duration,
    ) -> Option<bool> {
        let done = self.begin_order(path, order)?;
        Some(tokio::time::timeout(patience, done).await.is_ok())
    }

    /// On a task of its own: an operator who no longer waits does not leave it half done.
    fn begin_order(&self, path: &str, order: OperatorOrder) -> Option<tokio::task::JoinHandle<()>> {
        let cell = self.kernel.find(path)?;
        tracing::warn!(
            path,
            order = order.as_str(),
            "operator's order for {path}: {}",
            order.as_str()
        );
        let (path, name) = (path.to_owned(), order.as_str());
        self.kernel.events.emit(EventKind::Order { path, order: name });
        let carried_out = match order {
            OperatorOrder::Restart => service::restart(cell, "an operator's order".to_owned()),
            OperatorOrder::Drain => halt(cell, How::Drain),
            OperatorOrder::Stop => halt(cell, How::Stop),
        };
        Some(self.kernel.runtime.spawn(carried_out))
    }

    pub fn breakers(&self) -> Vec<BreakerEntry> {
        let entry = |cell: &Arc<Cell>| {
            let breaker = cell.breaker.get()?.view();
            Some(BreakerEntry { path: Arc::clone(&cell.path), breaker })
        };
        read(&self.kernel.actors).values().filter_map(entry).collect()
    }

    /// Closes a breaker by hand; false where there is none.
    pub fn reset_breaker(&self, path: &str) -> bool {
        let Some(cell) = self.kernel.find(path) else { return false };
        let Some(breaker) = cell.breaker.get() else { return false };
        breaker.reset();
        true
    }

    /// The newest dead letters and the number of all ever.
    pub fn dead_letters(&self, limit: usize) -> (u64, Vec<DeadLetter>) {
        self.kernel.dead.recent(limit)
    }

    /// Events after a number (or from now on), first from the ring, then live.
    pub fn events(&self, after_seq: Option<u64>) -> EventStream {
        self.kernel.events.since(after_seq)
    }

    /// Ends all event streams, so that their connections do not hold up a shutdown.
    pub fn end_event_streams(&self) {
        self.kernel.events.end_streams();
    }

    /// The newest events, newest first.
    pub fn recent_events(&self, limit: usize) -> Vec<Arc<Event>> {
        self.kernel.events.recent(limit)
    }

    /// Reports something that operators should see.
    pub fn emit(&self, name: &'static str, path: impl Into<String>, data: serde_json::Value) {
        self.kernel.events.emit(EventKind::Service { name, path: path.into(), data });
    }

    pub fn chaos_enabled(&self) -> bool {
        self.kernel.faults.enabled()
    }

    /// Sets a fault; the id ends it again.
    pub fn set_fault(&self, rule: FaultRule) -> Result<u64, FaultRefused> {
        self.kernel.faults.set(&self.kernel.events, rule, now_ns())
    }

    /// Ends one fault, or all. How many ended.
    pub fn clear_faults(&self, id: Option<u64>) -> usize {
        self.kernel.faults.clear(&self.kernel.events, id)
    }

    pub fn faults(&self) -> Vec<FaultView> {
        let now = now_ns();
        let view = |rule: &Arc<super::faults::Rule>| FaultView {
            id: rule.id,
            rule: rule.spec.clone(),
            hits: rule.hits.load(std::sync::atomic::Ordering::Relaxed),
            left_ms: rule.expires_ns.saturating_sub(now) / 1_000_000,
        };
        self.kernel.faults.rules().iter().map(view).collect()
    }
}

/// Stops for good where it comes back by itself (entities), else until it is restarted.
fn halt(cell: Arc<Cell>, how: How) -> family::Task<'static> {
    Box::pin(async move {
        let until = now_ns().saturating_add(to_ns(ORDER_MAX));
        let entity = cell.parent.as_ref().is_some_and(|p| p.family().brood.get().is_some());
        if entity {
            return end::end(cell, how, until).await;
        }
        if let Some(family) = cell.family.get() {
            if let Some(brood) = family.brood() {
                brood.end_all(how, until).await;
                brood.reopen();
            }
            if cell.port.get().is_some() {
                end::end_children(family, how, until).await;
            }
            for child in family.children().into_iter().rev() {
                halt(child, how).await;
            }
        }
        let Some(port) = cell.port.get() else { return };
        if how == How::Drain && cell.state() == State::Running {
            let (ack, done) = tokio::sync::oneshot::channel();
            cell.set_state(State::Draining);
            port.halt_here(ack);
            if tokio::time::timeout(ORDER_MAX, done).await.is_ok() {
                return;
            }
        }
        cell.set_state(State::Draining);
        family::order(&cell, |ack| Order::Halt { ack }, ORDER_MAX).await;
    })
}
