//! `/shield/committer`: drives group commit. Its breaker says how the store is.

use super::shared::Shared;
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::store::{Committer, CommitterView, Driver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

const LOOK_EVERY: Duration = Duration::from_millis(500);

pub struct CommitterActor {
    committer: Committer,
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
    pub fn new(committer: Committer, first: Arc<Mutex<Option<Driver>>>) -> CommitterActor {
        CommitterActor { committer, first, driving: None }
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
        cx.send_after(LOOK_EVERY, Msg::Look);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let Msg::Look = msg;
        if self.driving.as_ref().is_none_or(|d| d.0.is_finished()) {
            return Err(Fault::new("the driver ended"));
        }
        cx.send_after(LOOK_EVERY, Msg::Look);
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
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
    use crate::models::breaker::BreakerState;
    !matches!(shared.committer.view().breaker.state, BreakerState::Open)
}
