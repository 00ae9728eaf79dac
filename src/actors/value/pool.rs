//! The predictors, and which of them is asked: the one with the shorter queue of two, among those
//! whose breaker is closed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::predictor::{Job, Msg};
use crate::actors::kernel::{AskError, Breaker, Handle, Reply};
use crate::clock;
use crate::models::breaker::{Admission, BreakerState, CallOutcome};
use crate::models::value::forecast::answer::Forecast;

/// One predictor.
pub struct Worker {
    pub handle: Handle<Msg>,
    /// There when its first life has begun.
    pub breaker: std::sync::Arc<OnceLock<Breaker>>,
}

/// All of them.
#[derive(Default)]
pub struct Pool {
    workers: OnceLock<Vec<Worker>>,
    next: AtomicUsize,
}

/// Why no model answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unasked {
    /// Every breaker is open.
    Broken,
    Overloaded,
    /// Not in time.
    Late,
    Failed,
    /// What was answered cannot be a forecast.
    Unsound,
}

impl Unasked {
    /// As a label.
    pub fn name(self) -> &'static str {
        match self {
            Unasked::Broken => "breaker",
            Unasked::Overloaded => "overloaded",
            Unasked::Late => "late",
            Unasked::Failed => "failed",
            Unasked::Unsound => "unsound",
        }
    }
}

impl Pool {
    pub fn open(&self, workers: Vec<Worker>) {
        // set once: the tree is the only place that grows one
        let _ = self.workers.set(workers);
    }

    fn workers(&self) -> &[Worker] {
        self.workers.get().map_or(&[], Vec::as_slice)
    }

    /// Questions that wait.
    pub fn depth(&self) -> u32 {
        self.workers().iter().map(|worker| worker.handle.depth()).sum()
    }

    /// Whether any predictor may be asked.
    pub fn is_whole(&self) -> bool {
        self.breaker() != BreakerState::Open
    }

    /// Where the breaker stands that lets most pass: with one that is closed, questions are answered.
    pub fn breaker(&self) -> BreakerState {
        let of = |worker: &Worker| match worker.breaker.get() {
            Some(breaker) => breaker.view().state,
            None => BreakerState::Closed,
        };
        let all = || self.workers().iter().map(of);
        let best = [BreakerState::Closed, BreakerState::HalfOpen];
        best.into_iter().find(|best| all().any(|it| it == *best)).unwrap_or(BreakerState::Open)
    }

    /// The next one in turn or its neighbour, whichever has less to do.
    fn choose(&self) -> Result<&Worker, Unasked> {
        let workers = self.workers();
        if workers.is_empty() {
            return Err(Unasked::Failed);
        }
        let at = self.next.fetch_add(1, Ordering::Relaxed) % workers.len();
        let (one, other) = (&workers[at], &workers[(at + 1) % workers.len()]);
        let first =
            if other.handle.depth() < one.handle.depth() { (at + 1) % workers.len() } else { at };
        let admitted = |worker: &&Worker| {
            let admission = worker.breaker.get().map(Breaker::admit);
            !matches!(admission, Some(Admission::Refused { .. }))
        };
        let (before, after) = workers.split_at(first);
        after.iter().chain(before).find(admitted).ok_or(Unasked::Broken)
    }

    /// Asks one.
    pub async fn ask(
        &self,
        patience: Duration,
        make: impl FnOnce(Option<Reply<Forecast>>) -> Job,
    ) -> Result<Forecast, Unasked> {
        let worker = self.choose()?;
        let began = clock::mono_us();
        let answer =
            worker.handle.ask(patience, |reply| Msg::Predict(Box::new(make(Some(reply))))).await;
        let (outcome, answer) = match answer {
            // Nothing is remembered, shown or bid by it.
            Ok(forecast) if !forecast.is_sound() => (CallOutcome::Failure, Err(Unasked::Unsound)),
            Ok(forecast) => {
                let took_us = clock::mono_us() - began;
                (CallOutcome::Success { took_us }, Ok(forecast))
            }
            Err(AskError::Overloaded { retry_after_ms }) => {
                let retry_after_us = i64::try_from(retry_after_ms).unwrap_or(0) * 1_000;
                (CallOutcome::Throttled { retry_after_us }, Err(Unasked::Overloaded))
            }
            Err(AskError::Expired) => (CallOutcome::Failure, Err(Unasked::Late)),
            Err(AskError::Gone | AskError::Faulted) => (CallOutcome::Failure, Err(Unasked::Failed)),
        };
        if let Some(breaker) = worker.breaker.get() {
            breaker.record(outcome);
        }
        answer
    }

    /// Has something forecast that nobody waits for. What does not fit is left out.
    pub fn ask_aside(&self, job: Job) {
        let workers = self.workers();
        let idle = workers.iter().min_by_key(|worker| worker.handle.depth());
        if let Some(worker) = idle
            && worker.handle.tell(Msg::Predict(Box::new(job))).is_err()
        {
            super::metrics::forecasts("dropped", 1);
        }
    }
}
