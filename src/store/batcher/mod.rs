//! Group commit: writes wait in a bounded queue, and one driver commits what is there, one batch in
//! flight. Waiting is bounded: a write that waited beyond its deadline is `Failed`, never committed
//! late, and one whose receiver is gone before its turn is thrown away. While the breaker is open,
//! writes are refused at once and the driver probes the store.

mod barrier;
mod driver;
mod limit;
mod queue;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::{Notify, oneshot};

use barrier::OnTheWay;
pub use driver::Driver;
use limit::Limit;
use queue::{Queue, Waiting};

use super::Store;
use super::write::{Outcome, Write};
use crate::clock::mono_us;
use crate::models::breaker::{Breaker, BreakerState, BreakerTerms, BreakerView};
use crate::telemetry::spans::Open;

/// Rows of a batch before anything is known.
const BATCH_FIRST: usize = 64;

/// Everything in a committer has a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CommitterTerms {
    /// Writes that wait at most.
    pub queue_max: usize,
    /// Bytes that wait at most.
    pub queue_bytes_max: usize,
    /// Rows of a batch: its limit moves between these two with what the commits take.
    pub batch_min: usize,
    pub batch_max: usize,
    /// Full batches grow while their rows take less of a commit than this, and shrink beyond it. What a commit takes
    /// whatever is in it does not count: a slow disk is no reason for more commits.
    pub commit_goal: Duration,
    /// How long a write waits for its turn at most.
    pub wait_max: Duration,
    pub breaker: BreakerTerms,
}

impl Default for CommitterTerms {
    fn default() -> Self {
        Self {
            queue_max: 16_384,
            queue_bytes_max: 64 * 1024 * 1024,
            batch_min: 16,
            batch_max: 512,
            commit_goal: Duration::from_millis(20),
            wait_max: Duration::from_secs(2),
            breaker: BreakerTerms {
                failures_max: 3,
                latency_max_us: Some(2_000_000),
                open_us: 250_000,
                open_us_max: 2_000_000,
            },
        }
    }
}

/// Why a write was not taken. Nothing of it was or will be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store takes no writes now ({why}), try again in {retry_after_ms} ms")]
pub struct QueueFull {
    pub why: Full,
    pub retry_after_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Full {
    #[error("too many writes wait")]
    Queue,
    #[error("the store fails")]
    Breaker,
    #[error("it is shutting down")]
    Closed,
}

/// What operators see. Times are microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CommitterView {
    pub queue_depth: usize,
    pub queue_bytes: usize,
    pub oldest_wait_us: u64,
    /// Rows that a batch may have now.
    pub batch_limit: usize,
    pub last_batch_writes: usize,
    pub last_batch_rows: usize,
    pub commit_us_last: u64,
    /// Moving average over about ten commits.
    pub commit_us_mean: u64,
    pub in_flight: bool,
    pub batches_total: u64,
    pub committed_total: u64,
    /// Fenced, duplicate or stale.
    pub declined_total: u64,
    pub failed_total: u64,
    pub unknown_total: u64,
    /// Waited beyond their deadline.
    pub expired_total: u64,
    /// Thrown away: whoever asked for them was gone before their turn.
    pub abandoned_total: u64,
    pub refused_total: u64,
    pub closed: bool,
    pub last_error: Option<String>,
    pub breaker: BreakerView,
}

/// The way to the store for writes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Committer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    terms: CommitterTerms,
    state: Mutex<State>,
    /// Something to do for the driver.
    work: Notify,
    store: Store,
    /// A driver lives: there is never more than one.
    driven: AtomicBool,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    on_the_way: OnTheWay,
    breaker: Breaker,
    limit: Limit,
    view: CommitterView,
}

impl Committer {
    /// A committer and its driver: nothing is written until [`Driver::run`] runs.
    pub fn new(store: Store, terms: CommitterTerms) -> (Self, Driver) {
        let breaker = Breaker::new(terms.breaker);
        let (least, most) = (terms.batch_min, terms.batch_max);
        let limit = Limit::new(BATCH_FIRST, least, most, terms.commit_goal);
        let view = CommitterView {
            queue_depth: 0,
            queue_bytes: 0,
            oldest_wait_us: 0,
            batch_limit: limit.rows(),
            last_batch_writes: 0,
            last_batch_rows: 0,
            commit_us_last: 0,
            commit_us_mean: 0,
            in_flight: false,
            batches_total: 0,
            committed_total: 0,
            declined_total: 0,
            failed_total: 0,
            unknown_total: 0,
            expired_total: 0,
            abandoned_total: 0,
            refused_total: 0,
            closed: false,
            last_error: None,
            breaker: breaker.view(),
        };
        let (queue, on_the_way) = Default::default();
        let state = Mutex::new(State { queue, on_the_way, breaker, limit, view });
        let driven = AtomicBool::new(true);
        let shared = Arc::new(Shared { terms, state, work: Notify::new(), store, driven });
        (Self { shared: Arc::clone(&shared) }, Driver::new(shared))
    }

    /// Another driver after the first was dropped (its actor died): what waited waits on. `None`
    /// while the first lives. A batch that was in flight may still commit; the store's locks let the
    /// next one pass only behind it.
    pub fn drive_again(&self) -> Option<Driver> {
        let taken = self.shared.driven.swap(true, Ordering::SeqCst);
        (!taken).then(|| Driver::new(Arc::clone(&self.shared)))
    }

    /// Queues a write; its outcome comes through the receiver, at the latest after `wait_max` and the
    /// limits of one commit. A receiver that reports closed means that the driver was dropped with
    /// the write in flight: its outcome is unknown, like [`Outcome::Unknown`].
    ///
    /// Keep the receiver: a write whose receiver is dropped before its turn is thrown away.
    ///
    /// # Errors
    /// Refused at once: full, store failing, or closed.
    pub fn submit(&self, write: Write) -> Result<oneshot::Receiver<Outcome>, QueueFull> {
        self.submit_for(write, Vec::new())
    }

    /// The same, with spans of sampled requests that wait for it: they end with its commit.
    ///
    /// # Errors
    /// Refused at once: full, store failing, or closed.
    pub fn submit_for(
        &self,
        write: Write,
        spans: Vec<Open>,
    ) -> Result<oneshot::Receiver<Outcome>, QueueFull> {
        let bytes = write.bytes();
        let (tell, outcome) = oneshot::channel();
        let waiting = Waiting::new(write, bytes, self.shared.terms.wait_max, tell, spans);
        let mut state = self.shared.lock();
        if let Some(full) = state.full(&self.shared.terms, bytes) {
            state.view.refused_total += 1;
            return Err(full);
        }
        state.queue.push(waiting);
        drop(state);
        self.shared.work.notify_one();
        Ok(outcome)
    }

    /// Returns when every write submitted before this call has ended: committed, failed or thrown
    /// away, and none of them can become durable any more. A new life of an actor reads the store
    /// behind it and sees all that its last life has done.
    ///
    /// It waits as long as the store takes no writes and no driver runs: give it a limit.
    pub async fn barrier(&self) {
        let fallen = {
            let mut state = self.shared.lock();
            let until = state.queue.pushed();
            let fallen = state.on_the_way.wait(until);
            state.release();
            fallen
        };
        self.shared.work.notify_one();
        // the sender lives in the state, which this borrows: it is never dropped unsent
        let _ = fallen.await;
    }

    pub fn view(&self) -> CommitterView {
        let state = self.shared.lock();
        let mut view = state.view.clone();
        view.queue_depth = state.queue.len();
        view.queue_bytes = state.queue.bytes();
        view.oldest_wait_us = state.queue.oldest_since().map_or(0, |since| micros(since.elapsed()));
        view.breaker = state.breaker.view();
        view
    }

    /// Takes no more writes; the driver commits those that wait and ends.
    pub fn close(&self) {
        self.shared.lock().view.closed = true;
        self.shared.work.notify_one();
    }

    /// Closes the breaker by hand.
    pub fn reset_breaker(&self) {
        self.shared.lock().breaker.reset(mono_us());
        self.shared.work.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn full(&self, terms: &CommitterTerms, bytes: usize) -> Option<QueueFull> {
        let breaker = self.breaker.view();
        let (why, retry_after_us) = if self.view.closed {
            (Full::Closed, 1_000_000)
        } else if breaker.state != BreakerState::Closed {
            let until = breaker.open_until_us.unwrap_or(0);
            (Full::Breaker, u64::try_from(until - mono_us()).unwrap_or(0))
        } else if self.queue.len() >= terms.queue_max
            || self.queue.bytes() + bytes > terms.queue_bytes_max
        {
            let batches = self.queue.len() / self.view.batch_limit.max(1) + 1;
            (Full::Queue, self.view.commit_us_mean.saturating_mul(batches as u64))
        } else {
            return None;
        };
        Some(QueueFull { why, retry_after_ms: (retry_after_us / 1000).clamp(50, 5_000) })
    }

    /// Tells those whose time is over; returns how many.
    fn expire(&mut self, now: Instant) {
        self.view.expired_total += self.queue.expire(now);
        self.release();
    }

    /// Lets those barriers fall that wait for nothing any more.
    fn release(&mut self) {
        self.on_the_way.release(self.queue.oldest());
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
