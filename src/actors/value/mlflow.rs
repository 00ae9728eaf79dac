//! `/value/mlflow`: tells an MLflow server of fits and promotions, one after the other. Nobody waits
//! for it: what it has no room or no time for is dropped, and counted.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use super::metrics;
use crate::actors::kernel::{Actor, Cx, Fault, Handle};
use crate::connectors::mlflow::{Job, Mlflow, MlflowError, Run};
use crate::models::value::registry::command::{Entry, Event};

/// Jobs that wait at most.
pub const WAITING_MAX: usize = 128;
/// Time for what still waits when the service ends.
const LAST: Duration = Duration::from_secs(2);

/// The way to the actor; where no server is configured there is none, and nothing is done.
pub struct Runs {
    handle: OnceLock<Handle<Msg>>,
    ending: watch::Sender<bool>,
}

impl Default for Runs {
    fn default() -> Runs {
        Runs { handle: OnceLock::new(), ending: watch::Sender::new(false) }
    }
}

impl Runs {
    pub(super) fn open(&self, handle: Handle<Msg>) {
        // Set once: the tree is the only place that grows one.
        let _ = self.handle.set(handle);
    }

    pub(super) fn ending(&self) -> watch::Receiver<bool> {
        self.ending.subscribe()
    }

    /// The service ends: what waits has two seconds.
    pub fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Whether anybody is to be told.
    pub fn is_open(&self) -> bool {
        self.handle.get().is_some()
    }

    fn tell(&self, job: Job) {
        let Some(handle) = self.handle.get() else { return };
        if handle.tell(Msg::Do(job)).is_err() {
            dropped("its actor has no room");
        }
    }

    pub fn log(&self, run: Run) {
        self.tell(Job::Run(Box::new(run)));
    }

    /// Marks the runs of the versions that a change of the champion is about.
    pub fn changed(&self, account: &str, entry: &Entry) {
        if !self.is_open() {
            return;
        }
        let at = crate::actors::shield::view::rfc3339(entry.at_us);
        let tag = |model: String, tags: Vec<(&'static str, String)>| {
            self.tell(Job::Tag { account: account.to_owned(), model, tags });
        };
        let alias = |of: &str| ("kiki.alias", of.to_owned());
        match &entry.event {
            Event::Promoted { version, from, forced } => {
                let mut tags = vec![alias("champion"), ("kiki.promoted_at", at)];
                tags.extend(forced.clone().map(|of| ("kiki.forced", String::from(of.reason))));
                tag(version.to_string(), tags);
                if let Some(from) = from {
                    tag(from.to_string(), vec![alias("former")]);
                }
            }
            Event::RolledBack { from, to, reason } => {
                let reason = ("kiki.rolled_back", String::from(reason.clone()));
                tag(to.to_string(), vec![alias("champion"), ("kiki.promoted_at", at)]);
                tag(from.to_string(), vec![alias("rolled_back"), reason]);
            }
            Event::Registered { .. } | Event::Challenged { .. } | Event::ChallengeEnded { .. } => {}
        }
    }
}

fn dropped(why: &str) {
    metrics::mlflow("dropped");
    tracing::warn!("mlflow is not told of a run: {why}");
}

pub enum Msg {
    Do(Job),
    Done(Outcome),
}

/// What became of a job.
pub enum Outcome {
    Taken,
    Failed(MlflowError),
    /// There was no time for it any more.
    Late,
}

#[derive(Clone, Default, Serialize)]
pub struct View {
    waiting: usize,
    logged: u64,
    failed: u64,
    dropped: u64,
    last_error: Option<String>,
}

pub struct MlflowActor {
    server: Arc<Mlflow>,
    ending: watch::Receiver<bool>,
    waiting: VecDeque<Job>,
    busy: bool,
    view: View,
}

impl MlflowActor {
    pub fn new(server: Arc<Mlflow>, ending: watch::Receiver<bool>) -> MlflowActor {
        let (waiting, view) = (VecDeque::new(), View::default());
        MlflowActor { server, ending, waiting, busy: false, view }
    }

    /// Begins the next job, where none runs.
    fn begin(&mut self, cx: &mut Cx<Self>) {
        if self.busy {
            return;
        }
        let Some(job) = self.waiting.pop_front() else { return };
        self.busy = true;
        let (server, ending) = (Arc::clone(&self.server), self.ending.clone());
        let work = async move {
            tokio::select! {
                biased;
                outcome = server.insist(&job) => match outcome {
                    Ok(()) => Outcome::Taken,
                    Err(error) => Outcome::Failed(error),
                },
                () = late(ending) => Outcome::Late,
            }
        };
        cx.pipe(work, Msg::Done);
    }

    fn done(&mut self, outcome: Outcome) {
        self.busy = false;
        match outcome {
            Outcome::Taken => {
                metrics::mlflow("logged");
                self.view.logged += 1;
            }
            Outcome::Failed(error) => {
                metrics::mlflow("failed");
                tracing::warn!(%error, "mlflow did not take a run: {error}");
                self.view.failed += 1;
                self.view.last_error = Some(error.to_string());
            }
            Outcome::Late => {
                // There is no time for those behind it, either.
                let left = 1 + std::mem::take(&mut self.waiting).len();
                self.view.dropped += left as u64;
                (0..left).for_each(|_| dropped("the service ends"));
            }
        }
    }
}

/// When nothing more is waited for.
async fn late(mut ending: watch::Receiver<bool>) {
    // Without a sender there is nobody who could say so.
    if ending.wait_for(|ending| *ending).await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(LAST).await;
}

impl Actor for MlflowActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "mlflow";

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Do(_) if self.waiting.len() >= WAITING_MAX => {
                self.view.dropped += 1;
                dropped("too many wait");
            }
            Msg::Do(job) => self.waiting.push_back(job),
            Msg::Done(outcome) => self.done(outcome),
        }
        self.begin(cx);
        self.view.waiting = self.waiting.len();
        Ok(())
    }

    fn view(&self) -> View {
        self.view.clone()
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Do(_) => "Do",
            Msg::Done(_) => "Done",
        }
    }
}
