//! Writes that wait, in order.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::store::StoreError;
use crate::store::write::{Outcome, Write};
use crate::telemetry::spans::Open;

#[derive(Debug)]
pub(super) struct Waiting {
    pub write: Write,
    pub tell: oneshot::Sender<Outcome>,
    /// Spans of the sampled requests that wait for it.
    pub spans: Vec<Open>,
    /// Ascends in the order of submission.
    number: u64,
    since: Instant,
    deadline: Instant,
    bytes: usize,
    /// Hash of account and budget: equal for writes that must not share a batch. A collision only
    /// makes one wait for the next.
    key: u64,
}

impl Waiting {
    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn new(
        write: Write,
        bytes: usize,
        wait_max: Duration,
        tell: oneshot::Sender<Outcome>,
        spans: Vec<Open>,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        (&write.account, &write.budget).hash(&mut hasher);
        let since = Instant::now();
        let (deadline, key) = (since + wait_max, hasher.finish());
        Self { write, tell, spans, number: 0, since, deadline, bytes, key }
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// In the order of their numbers.
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// How many were ever pushed: the number of the next.
    pushed: u64,
}

/// What [`Queue::take`] took.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub batch: Vec<Waiting>,
    pub rows: usize,
    /// More waited than fitted in.
    pub full: bool,
    /// Writes thrown away: whoever asked for them is gone.
    pub abandoned: u64,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn oldest_since(&self) -> Option<Instant> {
        self.waiting.front().map(|w| w.since)
    }

    /// The number of the oldest write that waits.
    pub fn oldest(&self) -> Option<u64> {
        self.waiting.front().map(|w| w.number)
    }

    /// The number of the next write.
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    pub fn push(&mut self, mut waiting: Waiting) {
        waiting.number = self.pushed;
        self.pushed += 1;
        self.bytes += waiting.bytes;
        self.waiting.push_back(waiting);
    }

    /// The next batch: writes in their order, one per budget, up to `rows_max` rows (but at least
    /// one write). A write that nobody waits for any more is thrown away: the actor that asked for
    /// it is dead, and its next life goes on from what the store has.
    pub fn take(&mut self, rows_max: usize) -> Taken {
        let mut batch = Vec::new();
        let (mut rows, mut full, mut abandoned) = (0, false, 0);
        let mut taken = HashSet::new();
        let mut later = Vec::new();
        while let Some(next) = self.waiting.pop_front() {
            if next.tell.is_closed() {
                self.bytes -= next.bytes;
                abandoned += 1;
                continue;
            }
            let weight = next.write.weight();
            if !batch.is_empty() && rows + weight > rows_max {
                self.waiting.push_front(next);
                full = true;
                break;
            }
            if !taken.insert(next.key) {
                later.push(next);
                continue;
            }
            rows += weight;
            self.bytes -= next.bytes;
            batch.push(next);
        }
        for waiting in later.into_iter().rev() {
            self.waiting.push_front(waiting);
        }
        Taken { batch, rows, full, abandoned }
    }

    /// Fails those whose deadline is over; returns how many.
    pub fn expire(&mut self, now: Instant) -> u64 {
        // all waits are equally long, so the front is always the first
        let mut expired = 0;
        while self.waiting.front().is_some_and(|w| w.deadline <= now) {
            let Some(over) = self.waiting.pop_front() else { break };
            self.bytes -= over.bytes;
            let waited_ms = u64::try_from((now - over.since).as_millis()).unwrap_or(u64::MAX);
            // a caller that is gone needs no answer
            let _ = over.tell.send(Outcome::Failed(StoreError::Waited { waited_ms }));
            expired += 1;
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(budget: &str, rows: usize) -> (Waiting, oneshot::Receiver<Outcome>) {
        let (tell, outcome) = oneshot::channel();
        let holds = Vec::with_capacity(rows);
        let mut write = Write { budget: budget.into(), holds, ..Write::default() };
        write.slices_gone = vec![String::new(); rows];
        write.operations = (0..rows).map(|_| operation()).collect();
        (Waiting::new(write, 10, Duration::from_secs(1), tell, Vec::new()), outcome)
    }

    fn operation() -> crate::store::OperationRow {
        crate::store::OperationRow {
            account: String::new(),
            op: String::new(),
            budget: String::new(),
            route: String::new(),
            body_hash: String::new(),
            status: 0,
            answer: String::new(),
            at: 0,
        }
    }

    #[test]
    fn a_batch_takes_one_write_per_budget_and_keeps_the_order_of_the_rest() {
        let mut queue = Queue::default();
        let _outcomes = ["a", "a", "b", "a", "c"].map(|budget| {
            let (waiting, outcome) = waiting(budget, 1);
            queue.push(waiting);
            outcome
        });
        let names =
            |taken: Taken| -> String { taken.batch.into_iter().map(|w| w.write.budget).collect() };
        let taken = queue.take(10);
        assert_eq!((taken.rows, taken.full), (3, false));
        assert_eq!(names(taken), "abc");
        assert_eq!((queue.len(), queue.bytes(), queue.oldest()), (2, 20, Some(1)));
        assert_eq!(names(queue.take(10)), "a");
        assert_eq!(queue.oldest(), Some(3));
        assert_eq!(names(queue.take(10)), "a");
        assert_eq!((queue.len(), queue.bytes(), queue.oldest()), (0, 0, None));
    }

    #[test]
    fn a_batch_ends_at_its_rows_but_a_large_write_goes_alone() {
        let mut queue = Queue::default();
        let _outcomes = [("a", 50), ("b", 3), ("c", 3), ("d", 3)].map(|(budget, rows)| {
            let (waiting, outcome) = waiting(budget, rows);
            queue.push(waiting);
            outcome
        });
        assert_eq!(queue.take(7).rows, 50);
        let taken = queue.take(7);
        assert_eq!((taken.batch.len(), taken.rows, taken.full), (2, 6, true));
        assert!(!queue.take(7).full);
    }

    #[test]
    fn a_write_that_nobody_waits_for_is_thrown_away_before_its_batch() {
        let mut queue = Queue::default();
        let (first, outcome) = waiting("a", 1);
        let (second, kept) = waiting("a", 1);
        queue.push(first);
        queue.push(second);
        drop(outcome);
        let taken = queue.take(10);
        assert_eq!((taken.batch.len(), taken.abandoned), (1, 1));
        assert_eq!((taken.batch[0].number(), queue.bytes()), (1, 0));
        drop(kept);
    }

    #[test]
    fn who_waits_too_long_is_told_and_leaves_the_queue() {
        let mut queue = Queue::default();
        let (write, mut outcome) = waiting("a", 1);
        queue.push(write);
        assert_eq!(queue.expire(Instant::now()), 0);
        assert_eq!(queue.expire(Instant::now() + Duration::from_secs(2)), 1);
        assert!(matches!(outcome.try_recv(), Ok(Outcome::Failed(StoreError::Waited { .. }))));
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }
}
