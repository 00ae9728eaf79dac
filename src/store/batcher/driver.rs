//! The one task of a committer. It owns the order of batches; whoever starts it (an actor) decides
//! where it runs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::queue::Taken;
use super::{Shared, State, micros};
use crate::clock::mono_us;
use crate::models::breaker::{Admission, CallOutcome};
use crate::planted::{self, Planted};
use crate::store::sql::Dialect;
use crate::store::write::Outcome;
use crate::telemetry::spans::{self, Kind, Open};

/// How often waiting writes are looked through for expired ones while a commit is in flight.
const TICK: Duration = Duration::from_millis(50);

/// Commits what a [`super::Committer`] queues.
#[derive(Debug)]
pub struct Driver {
    shared: Arc<Shared>,
}

/// What to do next.
enum Next {
    Commit(Taken),
    Fence(Vec<i64>),
    Probe,
    Wait(Option<Duration>),
    End,
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Runs until the committer is closed and nothing waits any more. If this future is dropped
    /// while a batch is in flight, the outcomes of that batch are unknown and its receivers report closed.
    pub async fn run(self) {
        loop {
            match self.next() {
                Next::Commit(taken) => self.commit(taken).await,
                Next::Fence(shards) => self.fence(&shards).await,
                Next::Probe => self.probe().await,
                Next::Wait(None) => self.shared.work.notified().await,
                Next::Wait(Some(time)) => {
                    // either way the next round looks again
                    let _ = tokio::time::timeout(time, self.shared.work.notified()).await;
                }
                Next::End => return,
            }
        }
    }

    fn next(&self) -> Next {
        let mut state = self.shared.lock();
        state.expire(Instant::now());
        if state.queue.len() == 0 && state.view.closed {
            return Next::End;
        }
        match state.breaker.admit(mono_us()) {
            Admission::Probe => Next::Probe,
            Admission::Refused { retry_after_us } => {
                let time = Duration::from_micros(u64::try_from(retry_after_us).unwrap_or(0));
                Next::Wait(Some(time.clamp(Duration::from_millis(1), TICK)))
            }
            Admission::Pass => self.next_of(&mut state),
        }
    }

    fn next_of(&self, state: &mut State) -> Next {
        if let Some(shards) = state.on_the_way.to_fence() {
            return Next::Fence(shards);
        }
        let limit = state.limit.rows();
        let taken = state.queue.take(limit);
        state.view.abandoned_total += taken.abandoned;
        if taken.batch.is_empty() {
            state.release();
            return if state.view.closed { Next::End } else { Next::Wait(None) };
        }
        state.on_the_way.start(taken.batch.iter().map(|w| (w.number(), w.write.shard)));
        state.release();
        state.view.in_flight = true;
        Next::Commit(taken)
    }

    /// Runs `work`, and meanwhile tells those whose time is over.
    async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(TICK) => self.shared.lock().expire(Instant::now()),
            }
        }
    }

    async fn commit(&self, Taken { batch, rows, full, .. }: Taken) {
        let numbers: Vec<_> = batch.iter().map(|w| (w.number(), w.write.shard)).collect();
        let mut spans = Vec::new();
        let (writes, tells): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|mut waiting| {
                spans.append(&mut waiting.spans);
                (waiting.write, waiting.tell)
            })
            .unzip();
        let queued: Vec<i64> = spans.iter().map(Open::took_us).collect();
        let count = writes.len();
        let began = Instant::now();
        let mut tells = tells;
        if Planted::AcknowledgedEarly.is_made() {
            for tell in tells.drain(..) {
                let _ = tell.send(Outcome::Committed);
            }
            self.beside(tokio::time::sleep(planted::EARLY)).await;
        }
        let outcomes = self.beside(self.shared.store.commit(writes)).await;
        let took = began.elapsed();
        let number = self.record(&outcomes, (count, rows, full), took);
        let failed = outcomes.iter().any(Outcome::is_failure);
        for (span, queued_us) in spans.into_iter().zip(queued) {
            self.close(span, queued_us, (number, count, rows), failed);
        }
        let mut unknown = Vec::new();
        for ((tell, outcome), number) in tells.into_iter().zip(outcomes).zip(numbers) {
            if matches!(outcome, Outcome::Unknown(_)) {
                unknown.push(number);
            }
            // a caller that is gone needs no answer
            let _ = tell.send(outcome);
        }
        let mut state = self.shared.lock();
        state.on_the_way.end(unknown.into_iter());
        state.release();
    }

    /// Waits until nothing is on its way any more to these shards, for those at a barrier.
    async fn fence(&self, shards: &[i64]) {
        let fenced = self.beside(self.shared.store.pass(shards)).await;
        let mut state = self.shared.lock();
        let Err(error) = fenced else {
            state.on_the_way.fenced();
            state.release();
            return;
        };
        state.view.last_error = Some(error.to_string());
        // a success would say nothing of commits; failures keep this from being tried in a circle
        if let Some(change) = state.breaker.record(CallOutcome::Failure, mono_us()) {
            tracing::warn!(to = change.to.as_str(), %error, "store breaker {}", change.to.as_str());
        }
    }

    async fn probe(&self) {
        let began = Instant::now();
        let probed = self.beside(self.shared.store.probe()).await;
        let mut state = self.shared.lock();
        let outcome = match probed {
            Ok(()) => CallOutcome::Success { took_us: as_i64(micros(began.elapsed())) },
            Err(error) => {
                state.view.last_error = Some(error.to_string());
                CallOutcome::Failure
            }
        };
        if let Some(change) = state.breaker.record(outcome, mono_us()) {
            tracing::info!(to = change.to.as_str(), "store breaker {}", change.to.as_str());
        }
    }

    /// A request's share in a commit. One commit serves many requests, and each one's trace shows it
    /// whole: a child of each, and not one span with links, which few tools follow. Its number tells
    /// that two spans are the same commit.
    fn close(
        &self,
        span: Open,
        queued_us: i64,
        (number, writes, rows): (u64, usize, usize),
        failed: bool,
    ) {
        let system = match self.shared.store.dialect() {
            Dialect::Sqlite => "sqlite",
            Dialect::Postgres => "postgresql",
        };
        let attributes = vec![
            spans::text("db.system.name", system),
            spans::text("db.operation.name", "COMMIT"),
            spans::number("db.operation.batch.size", writes),
            spans::number("kiki.store.rows", rows),
            spans::number("kiki.store.commit", number),
            spans::number("kiki.store.queue_us", queued_us),
        ];
        span.close(Kind::Client, "commit".to_owned(), attributes, failed);
    }

    /// Keeps the books of a commit; returns its number.
    fn record(
        &self,
        outcomes: &[Outcome],
        (count, rows, full): (usize, usize, bool),
        took: Duration,
    ) -> u64 {
        let mut state = self.shared.lock();
        state.limit.committed(rows, took, full);
        let limit = state.limit.rows();
        let view = &mut state.view;
        view.in_flight = false;
        view.batches_total += 1;
        let number = view.batches_total;
        (view.last_batch_writes, view.last_batch_rows) = (count, rows);
        view.commit_us_last = micros(took);
        view.commit_us_mean = match view.commit_us_mean {
            0 => view.commit_us_last,
            mean => (mean * 9 + view.commit_us_last) / 10,
        };
        view.batch_limit = limit;
        let mut failure = None;
        for outcome in outcomes {
            match outcome {
                Outcome::Committed => view.committed_total += 1,
                Outcome::Duplicate(_) | Outcome::Fenced | Outcome::Stale => {
                    view.declined_total += 1;
                }
                Outcome::Failed(error) => {
                    view.failed_total += 1;
                    failure = Some(error);
                }
                Outcome::Unknown(error) => {
                    view.unknown_total += 1;
                    failure = Some(error);
                }
            }
        }
        let call = match failure {
            None => CallOutcome::Success { took_us: as_i64(micros(took)) },
            Some(error) => {
                view.last_error = Some(error.to_string());
                CallOutcome::Failure
            }
        };
        if let Some(change) = state.breaker.record(call, mono_us()) {
            let error = state.view.last_error.as_deref().unwrap_or("too slow");
            tracing::warn!(to = change.to.as_str(), error, "store breaker {}", change.to.as_str());
        }
        number
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.view.in_flight = false;
        state.on_the_way.abandon();
        drop(state);
        self.shared.driven.store(false, Ordering::SeqCst);
    }
}

fn as_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
