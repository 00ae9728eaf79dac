//! `/shield/committer`: drives group commit. Its breaker says how the store is.

use super::shared::Shared;
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::store::{Committer, CommitterView, Driver};
use std::sync::{Arc, Mutex, PoisonError};

pub struct CommitterActor {
    committer: Committer,
    first: Arc<Mutex<Option<Driver>>>,
}

pub enum Msg {
    /// The driver came to its end: the committer was closed.
    Ended,
}

impl CommitterActor {
    pub fn new(committer: Committer, first: Arc<Mutex<Option<Driver>>>) -> CommitterActor {
        CommitterActor { committer, first }
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
        cx.pipe(driver.run(), |()| Msg::Ended);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let Msg::Ended = msg;
        cx.stop();
        Ok(())
    }

    fn view(&self) -> CommitterView {
        self.committer.view()
    }

    fn idle(&self) -> bool {
        false
    }
}

/// `/shield/closing`: started after the committer, so that it ends before it and after all that write.
/// Then nothing more is to be committed, and the committer can come to its end.
pub struct ClosingActor {
    committer: Committer,
}

impl ClosingActor {
    pub fn new(committer: Committer) -> ClosingActor {
        ClosingActor { committer }
    }
}

impl Actor for ClosingActor {
    type Msg = ();
    type View = ();
    const TYPE: &'static str = "closing";

    async fn handle(&mut self, (): (), _cx: &mut Cx<Self>) -> Result<(), Fault> {
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        self.committer.close();
    }

    fn view(&self) {}

    fn idle(&self) -> bool {
        false
    }
}

/// Whether writes can be expected to succeed now.
pub fn accepts(shared: &Shared) -> bool {
    use crate::models::breaker::BreakerState;
    !matches!(shared.committer.view().breaker.state, BreakerState::Open)
}
