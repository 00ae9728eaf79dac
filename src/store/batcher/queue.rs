//! Writes that wait, in order.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::store::StoreError;
use crate::store::write::{Outcome, Write};

#[derive(Debug)]
pub(super) struct Waiting {
    pub write: Write,
    pub tell: oneshot::Sender<Outcome>,
    since: Instant,
    deadline: Instant,
    bytes: usize,
    /// Hash of account and budget: equal for writes that must not share a batch. A collision only
    /// makes one wait for the next.
    key: u64,
}

impl Waiting {
    pub fn new(
        write: Write,
        bytes: usize,
        wait_max: Duration,
        tell: oneshot::Sender<Outcome>,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        (&write.account, &write.budget).hash(&mut hasher);
        let since = Instant::now();
        Self { write, tell, since, deadline: since + wait_max, bytes, key: hasher.finish() }
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
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

    pub fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.bytes;
        self.waiting.push_back(waiting);
    }

    /// The next batch: writes in their order, one per budget, up to `rows_max` rows (but at least
    /// one write). Returns it with its rows, and whether more would have fitted in no more.
    pub fn take(&mut self, rows_max: usize) -> (Vec<Waiting>, usize, bool) {
        let mut batch = Vec::new();
        let mut rows = 0;
        let mut taken = HashSet::new();
        let mut later = Vec::new();
        let mut full = false;
        while let Some(next) = self.waiting.pop_front() {
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
        (batch, rows, full)
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
        (Waiting::new(write, 10, Duration::from_secs(1), tell), outcome)
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
        for budget in ["a", "a", "b", "a", "c"] {
            queue.push(waiting(budget, 1).0);
        }
        let names =
            |batch: Vec<Waiting>| -> String { batch.into_iter().map(|w| w.write.budget).collect() };
        let (batch, rows, full) = queue.take(10);
        assert_eq!((names(batch).as_str(), rows, full), ("abc", 3, false));
        assert_eq!((queue.len(), queue.bytes()), (2, 20));
        assert_eq!(names(queue.take(10).0), "a");
        assert_eq!(names(queue.take(10).0), "a");
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn a_batch_ends_at_its_rows_but_a_large_write_goes_alone() {
        let mut queue = Queue::default();
        for (budget, rows) in [("a", 50), ("b", 3), ("c", 3), ("d", 3)] {
            queue.push(waiting(budget, rows).0);
        }
        assert_eq!(queue.take(7).1, 50);
        let (batch, rows, full) = queue.take(7);
        assert_eq!((batch.len(), rows, full), (2, 6, true));
        assert!(!queue.take(7).2);
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
