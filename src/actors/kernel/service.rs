//! A service: the root of a supervision tree, and whether it can serve.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use super::cell::{Cell, State};
use super::control::Order;
use super::end::{self, How};
use super::events::EventKind;
use super::family;
use super::kernel::{Kernel, SpawnError};
use super::policy::{Policy, Strategy};
use super::restarts::Backoff;
use super::supervisor::Supervisor;
use super::sync::lock;
use super::time::{now_ns, to_ns};

/// What a service's root does when a child fails beyond its intensity: readiness goes off, the
/// child is tried again after a wait that doubles, and readiness returns when it has run a while.
#[must_use = "nothing is started before `start`"]
pub struct ServiceBuilder {
    kernel: Arc<Kernel>,
    name: String,
    strategy: Strategy,
    cooldown: Backoff,
    stable_after: Duration,
}

pub(super) struct ServiceState {
    name: String,
    cooldown: Backoff,
    stable_after: Duration,
    lost: Mutex<Lost>,
}

#[derive(Default)]
struct Lost {
    /// What is missing, by path: why, and how often in a row.
    children: BTreeMap<Arc<str>, (String, u32)>,
    draining: bool,
}

/// Why a service that is told to end is not ready.
const DRAINING: &str = "draining";

/// Whether a service can serve.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ServiceView {
    pub name: String,
    pub path: String,
    pub ready: bool,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Children of the root with their states.
    #[schema(value_type = Object)]
    pub children: BTreeMap<String, State>,
}

/// A started service. Dropping it changes nothing: it runs until it is drained.
#[derive(Clone, Debug)]
pub struct Service {
    root: Supervisor,
}

impl ServiceBuilder {
    pub(super) fn new(kernel: Arc<Kernel>, name: &str) -> Self {
        Self {
            kernel,
            name: name.to_owned(),
            strategy: Strategy::OneForOne,
            cooldown: Backoff { base: Duration::from_secs(30), max: Duration::from_secs(300) },
            stable_after: Duration::from_secs(5),
        }
    }

    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// The wait before a child that escalated is tried again (30 s, doubling up to 5 minutes).
    pub fn cooldown(mut self, base: Duration, max: Duration) -> Self {
        self.cooldown = Backoff { base, max };
        self
    }

    /// How long it must then run before the service is ready again (5 s).
    pub fn stable_after(mut self, stable_after: Duration) -> Self {
        self.stable_after = stable_after;
        self
    }

    pub fn start(self) -> Result<Service, SpawnError> {
        let path = format!("/{}", self.name).into();
        if self.name.is_empty()
            || self.name.contains('/')
            || self.name.chars().any(char::is_control)
        {
            return Err(SpawnError::BadName(self.name));
        }
        let policy = Policy { mailbox: 0, ..Policy::default() };
        let cell = Arc::new(Cell::new(&self.kernel, None, path, "service", policy));
        cell.set_state(State::Running);
        let state = ServiceState {
            name: self.name,
            cooldown: self.cooldown,
            stable_after: self.stable_after,
            lost: Mutex::default(),
        };
        cell.family().strategy.get_or_init(|| self.strategy);
        cell.family().service.get_or_init(|| Arc::new(state));
        self.kernel.enroll(&cell)?;
        lock(&self.kernel.services).push(Arc::clone(&cell));
        Ok(Service { root: Supervisor { cell } })
    }
}

impl Service {
    /// Where the service's children are started.
    pub fn supervisor(&self) -> &Supervisor {
        &self.root
    }

    pub fn ready(&self) -> bool {
        view(&self.root.cell).is_some_and(|view| view.ready)
    }

    pub fn view(&self) -> Option<ServiceView> {
        view(&self.root.cell)
    }

    /// Ends all actors of this service, the last started first, each after what it has queued.
    /// What is not done within `patience` is interrupted.
    pub async fn drain(&self, patience: Duration) {
        drain(Arc::clone(&self.root.cell), patience).await;
    }
}

pub(super) async fn drain(root: Arc<Cell>, patience: Duration) {
    if let Some(service) = root.family().service.get() {
        lock(&service.lost).draining = true;
        service.announce(&root, false, Some(DRAINING.to_owned()));
    }
    end::end(root, How::Drain, now_ns().saturating_add(to_ns(patience))).await;
}

pub(super) fn view(root: &Cell) -> Option<ServiceView> {
    let family = root.family.get()?;
    let service = family.service.get()?;
    let lost = lock(&service.lost);
    let missing =
        lost.children.iter().next().map(|(path, (reason, _))| format!("{path}: {reason}"));
    let reason = if lost.draining { Some(DRAINING.to_owned()) } else { missing };
    let reason = reason.or_else(|| unstarted(root).map(|path| format!("{path} is starting")));
    Some(ServiceView {
        name: service.name.clone(),
        path: root.path.to_string(),
        ready: reason.is_none(),
        reason,
        children: family.children().iter().map(|c| (c.path.to_string(), c.state())).collect(),
    })
}

/// The first actor of the tables (not of the entities) that never began.
fn unstarted(cell: &Cell) -> Option<Arc<str>> {
    cell.family.get()?.children().iter().find_map(|child| {
        let begun =
            child.port.get().is_none() || child.begun.load(std::sync::atomic::Ordering::Relaxed);
        if begun { unstarted(child) } else { Some(Arc::clone(&child.path)) }
    })
}

impl ServiceState {
    /// A child cannot be kept running. The others go on.
    pub fn lost(self: &Arc<Self>, root: &Arc<Cell>, child: &Arc<Cell>, reason: String) {
        let times = {
            let mut lost = lock(&self.lost);
            let entry = lost.children.entry(Arc::clone(&child.path)).or_default();
            *entry = (reason.clone(), entry.1.saturating_add(1));
            entry.1
        };
        self.announce(root, false, Some(reason));
        let delay = self.cooldown.delay(times, rand::random());
        let (service, root, child) = (Arc::clone(self), Arc::clone(root), Arc::clone(child));
        let runtime = root.kernel.runtime.clone();
        runtime.spawn(async move { service.try_again(root, child, times, delay).await });
    }

    async fn try_again(&self, root: Arc<Cell>, child: Arc<Cell>, times: u32, delay: Duration) {
        tokio::time::sleep(delay).await;
        child.probation.store(true, std::sync::atomic::Ordering::SeqCst);
        family::round(Arc::clone(&root), Arc::clone(&child), Duration::ZERO).await;
        tokio::time::sleep(self.stable_after).await;
        let mut lost = lock(&self.lost);
        let failed_again = lost.children.get(&child.path).is_none_or(|(_, now)| *now != times);
        if failed_again || !settled(&child) {
            return;
        }
        child.probation.store(false, std::sync::atomic::Ordering::SeqCst);
        lost.children.remove(&child.path);
        let ready = lost.children.is_empty() && !lost.draining;
        drop(lost);
        if ready {
            self.announce(&root, true, None);
        }
    }

    fn announce(&self, root: &Cell, ready: bool, reason: Option<String>) {
        let service = self.name.clone();
        match &reason {
            Some(reason) if reason == DRAINING => {
                tracing::info!(service, "service {service} drains")
            }
            Some(reason) => tracing::error!(service, "service {service} is not ready: {reason}"),
            None => tracing::info!(service, "service {service} is ready again"),
        }
        root.kernel.events.emit(EventKind::Readiness { service, ready, reason });
    }
}

fn settled(cell: &Cell) -> bool {
    let below =
        || cell.family.get().is_none_or(|family| family.children().iter().all(|c| settled(c)));
    matches!(cell.state(), State::Running | State::Stopped | State::Ended) && below()
}

/// Operators' orders, also for tables of children.
pub(super) fn restart(cell: Arc<Cell>, reason: String) -> family::Task<'static> {
    Box::pin(async move {
        if cell.port.get().is_some() {
            let order = |ack| Order::Restart { reason, ack: Some(ack) };
            return family::order(&cell, order, Duration::from_secs(10)).await;
        }
        family::hold(&cell).await;
        for child in cell.family().children() {
            if child.state() == State::Stopped || child.port.get().is_none() {
                restart(child, reason.clone()).await;
            } else {
                family::release(&child).await;
            }
        }
    })
}
