//! `/shield/committer`: drives group commit. Its breaker says how the store is.

use super::shared::Shared;
use crate::actors::kernel::{Actor, Cx, Fault, ShownBreaker};
use crate::models::breaker::{BreakerState, BreakerView, Change};
use crate::store::{Committer, CommitterView, Driver};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The store's breaker, which the committer keeps.
struct StoreBreaker(Committer);

impl ShownBreaker for StoreBreaker {
    fn view(&self) -> BreakerView {
        self.0.view().breaker
    }

    fn reset(&self) {
        self.0.reset_breaker();
    }
}

pub struct CommitterActor {
    /// The state of the breaker when it was last looked at.
    seen: BreakerState,
    committer: Committer,
    shared: Arc<Shared>,
    first: Arc<Mutex<Option<Driver>>>,
    driving: Option<Driving>,
}

pub enum Msg {
    /// Look whether the driver still drives.
    Look,
}

/// The driver's task. It ends with this actor: there is never more than one driver.
struct Driving(JoinHandle<()>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl CommitterActor {
    pub fn new(shared: Arc<Shared>, first: Arc<Mutex<Option<Driver>>>) -> CommitterActor {
        let committer = shared.committer.clone();
        let seen = committer.view().breaker.state;
        CommitterActor { seen, committer, shared, first, driving: None }
    }
}

impl Actor for CommitterActor {
    type Msg = Msg;
    type View = CommitterView;
    const TYPE: &'static str = "committer";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let driver = first.or_else(|| self.committer.drive_again());
        let driver = driver.ok_or_else(|| Fault::new("the committer is driven already"))?;
        // Not a continuation: a drain would wait for it, and it ends only when the drain closes it.
        self.driving = Some(Driving(tokio::spawn(driver.run())));
        cx.show_breaker(StoreBreaker(self.committer.clone()));
        cx.send_after(LOOK_EVERY, Msg::Look);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let Msg::Look = msg;
        if self.driving.as_ref().is_none_or(|d| d.0.is_finished()) {
            return Err(Fault::new("the driver ended"));
        }
        let breaker = self.committer.view().breaker;
        if let (true, Some(reason)) = (breaker.state != self.seen, breaker.last_change) {
            let from = std::mem::replace(&mut self.seen, breaker.state);
            cx.announce_breaker(Change { from, to: breaker.state, reason });
        }
        cx.send_after(LOOK_EVERY, Msg::Look);
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        if !self.shared.draining.load(Ordering::Relaxed) {
            // An operator's order, not the end: the queue waits for the next life.
            if let Some(mut driving) = self.driving.take() {
                driving.0.abort();
                // It ends where it waits; a batch in its hands has an unknown outcome.
                let _ = (&mut driving.0).await;
            }
            return;
        }
        self.committer.close();
        if let Some(driving) = &mut self.driving
            && let Err(error) = (&mut driving.0).await
        {
            tracing::error!(%error, "the committer ended before its queue was empty");
        }
    }

    fn view(&self) -> CommitterView {
        self.committer.view()
    }

    fn idle(&self) -> bool {
        false
    }
}

/// Whether writes can be expected to succeed now.
pub fn accepts(shared: &Shared) -> bool {
    !matches!(shared.committer.view().breaker.state, BreakerState::Open)
}
