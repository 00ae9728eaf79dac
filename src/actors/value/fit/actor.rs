//! `/value/fitter`: fits what is asked for, one after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::run::run;
use super::{
    FitFailure, FitOrder, FitState, FitView, Msg, NotTaken, Progress, QUEUE_MAX, REMEMBERED_MAX,
};
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::actors::shield::view::rfc3339;
use crate::actors::value::metrics;
use crate::actors::value::shared::{Shared, home_of};
use crate::clock;
use crate::models::cluster::shard::Shard;

/// While a fit runs its progress is shown this often.
const TICK: Duration = Duration::from_millis(500);

struct Fit {
    id: String,
    order: FitOrder,
    state: FitState,
    progress: Arc<Progress>,
    asked_at: i64,
    ended_at: Option<i64>,
    model: Option<String>,
    error: Option<String>,
}

impl Fit {
    fn view(&self) -> FitView {
        let (step, progress) = self.progress.now();
        FitView {
            id: self.id.clone(),
            account: self.order.account.to_string(),
            kind: self.order.kind.as_str().to_owned(),
            state: self.state,
            step: step.to_owned(),
            progress,
            asked_by: String::from(self.order.by.clone()),
            asked_at: rfc3339(self.asked_at),
            ended_at: self.ended_at.map(rfc3339),
            model: self.model.clone(),
            error: self.error.clone(),
        }
    }
}

#[derive(Clone, Default, Serialize)]
pub struct View {
    /// Those that wait, run, or ended last, the newest first.
    fits: Vec<FitView>,
}

pub struct FitterActor {
    shared: Arc<Shared>,
    /// In the order in which they were asked for.
    fits: VecDeque<Fit>,
}

/// Why a fit of an account ended that is at home elsewhere meanwhile.
const GIVEN_UP: &str = "the account went to another node: order the fit again";

/// Fits that operators see.
const SHOWN_MAX: usize = 16;

impl FitterActor {
    pub fn new(shared: Arc<Shared>) -> FitterActor {
        FitterActor { shared, fits: VecDeque::new() }
    }

    fn queued(&self) -> usize {
        self.fits.iter().filter(|fit| fit.state == FitState::Queued).count()
    }

    fn is_running(&self) -> bool {
        self.fits.iter().any(|fit| fit.state == FitState::Running)
    }

    /// Begins the next one, where none runs.
    fn begin(&mut self, cx: &mut Cx<Self>) {
        if self.is_running() || self.shared.draining.load(Ordering::Relaxed) {
            return;
        }
        let Some(fit) = self.fits.iter_mut().find(|fit| fit.state == FitState::Queued) else {
            return;
        };
        fit.state = FitState::Running;
        let (id, progress) = (fit.id.clone(), Arc::clone(&fit.progress));
        let fitting = run(Arc::clone(&self.shared), fit.order.clone(), progress);
        cx.pipe(fitting, move |outcome| Msg::Ended { id, outcome });
        cx.send_after(TICK, Msg::Tick);
    }

    fn end(&mut self, id: &str, outcome: Result<String, FitFailure>) {
        let Some(fit) = self.fits.iter_mut().find(|fit| fit.id == id) else { return };
        fit.ended_at = Some(clock::wall_us());
        match outcome {
            Ok(model) => (fit.state, fit.model) = (FitState::Done, Some(model)),
            Err(FitFailure::Cancelled) => fit.state = FitState::Cancelled,
            Err(failure) => {
                tracing::warn!(account = %fit.order.account, "a fit ended without a model: {failure}");
                (fit.state, fit.error) = (FitState::Failed, Some(failure.to_string()));
            }
        }
        metrics::fit(match fit.state {
            FitState::Done => "done",
            FitState::Cancelled => "cancelled",
            _ => "failed",
        });
        while self.fits.len() > REMEMBERED_MAX {
            let Some(over) = self.fits.iter().position(|fit| fit.ended_at.is_some()) else { break };
            self.fits.remove(over);
        }
    }

    /// One that runs ends at its next step; should it come to its end before, the account's registry does not
    /// take it here any more.
    fn give_up(&mut self, home: Shard) {
        let open = |fit: &&mut Fit| matches!(fit.state, FitState::Queued | FitState::Running);
        let of = |fit: &&mut Fit| open(fit) && home_of(&fit.order.account) == home;
        for fit in self.fits.iter_mut().filter(of) {
            fit.error = Some(GIVEN_UP.to_owned());
            match fit.state {
                FitState::Running => fit.progress.cancel(),
                _ => {
                    (fit.state, fit.ended_at) = (FitState::Cancelled, Some(clock::wall_us()));
                    metrics::fit("cancelled");
                }
            }
        }
    }

    fn cancel(&mut self, account: &str, id: &str) -> Result<FitView, NotTaken> {
        let of = |fit: &&mut Fit| fit.id == id && *fit.order.account == *account;
        let fit = self.fits.iter_mut().find(of).ok_or(NotTaken::Unknown)?;
        match fit.state {
            FitState::Queued => {
                (fit.state, fit.ended_at) = (FitState::Cancelled, Some(clock::wall_us()));
                metrics::fit("cancelled");
            }
            // it ends at its next step
            FitState::Running => fit.progress.cancel(),
            _ => return Err(NotTaken::Over),
        }
        Ok(fit.view())
    }
}

impl Actor for FitterActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "fitter";

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Fit { order, reply } => {
                if self.queued() >= QUEUE_MAX {
                    reply.send(Err(NotTaken::Full));
                    return Ok(());
                }
                let fit = Fit {
                    id: uuid::Uuid::now_v7().simple().to_string(),
                    order: *order,
                    state: FitState::Queued,
                    progress: Arc::default(),
                    asked_at: clock::wall_us(),
                    ended_at: None,
                    model: None,
                    error: None,
                };
                let id = fit.id.clone();
                self.fits.push_back(fit);
                self.begin(cx);
                let fit = self.fits.iter().find(|fit| fit.id == id);
                reply.send(fit.map(Fit::view).ok_or(NotTaken::Unknown));
            }
            Msg::Cancel { account, id, reply } => reply.send(self.cancel(&account, &id)),
            Msg::GiveUp { home, reply } => {
                self.give_up(home);
                reply.send(());
            }
            Msg::List { account, reply } => {
                let of = |fit: &&Fit| fit.order.account == account;
                reply.send(self.fits.iter().rev().filter(of).map(Fit::view).collect());
            }
            Msg::Ended { id, outcome } => {
                self.end(&id, outcome);
                self.begin(cx);
            }
            Msg::Tick => {
                if self.shared.draining.load(Ordering::Relaxed) {
                    self.fits.iter().for_each(|fit| fit.progress.cancel());
                }
                if self.is_running() {
                    cx.send_after(TICK, Msg::Tick);
                }
            }
        }
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        self.fits.iter().for_each(|fit| fit.progress.cancel());
    }

    fn view(&self) -> View {
        View { fits: self.fits.iter().rev().take(SHOWN_MAX).map(Fit::view).collect() }
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Fit { .. } => "Fit",
            Msg::Cancel { .. } => "Cancel",
            Msg::List { .. } => "List",
            Msg::GiveUp { .. } => "GiveUp",
            Msg::Ended { .. } => "Ended",
            Msg::Tick => "Tick",
        }
    }
}
