//! Packets that wait for their time. A thread of its own wakes for each: timers of the runtime come in whole
//! milliseconds, which is too coarse for a network.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

struct Item<T> {
    due: Duration,
    /// Those of the same time go in the order in which they came.
    number: u64,
    what: T,
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Item<T>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Item<T> {}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Item<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Item<T>) -> Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

struct Waiting<T> {
    items: BinaryHeap<Reverse<Item<T>>>,
    number: u64,
    over: bool,
}

struct Shared<T> {
    waiting: Mutex<Waiting<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        // Nothing is left half done under this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands things over at their times.
pub struct Later<T> {
    shared: Arc<Shared<T>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Later<T> {
    /// Times count from `began`.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(began: Instant, mut take: impl FnMut(T) + Send + 'static) -> io::Result<Later<T>> {
        let waiting = Waiting { items: BinaryHeap::new(), number: 0, over: false };
        let shared = Arc::new(Shared { waiting: Mutex::new(waiting), changed: Condvar::new() });
        let of_thread = shared.clone();
        let run = move || {
            let mut waiting = of_thread.lock();
            while !waiting.over {
                let left = waiting
                    .items
                    .peek()
                    .map(|Reverse(item)| item.due.saturating_sub(began.elapsed()));
                waiting = match left {
                    None => of_thread.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                    Some(Duration::ZERO) => {
                        let item = waiting.items.pop();
                        drop(waiting);
                        if let Some(Reverse(item)) = item {
                            take(item.what);
                        }
                        of_thread.lock()
                    }
                    Some(left) => {
                        let woken = of_thread.changed.wait_timeout(waiting, left);
                        woken.unwrap_or_else(PoisonError::into_inner).0
                    }
                };
            }
        };
        let thread = std::thread::Builder::new().name("relay later".to_owned()).spawn(run)?;
        Ok(Later { shared, thread: Some(thread) })
    }

    pub fn at(&self, due: Duration, what: T) {
        let mut waiting = self.shared.lock();
        let number = waiting.number;
        waiting.number += 1;
        let is_next = waiting.items.peek().is_none_or(|Reverse(next)| due < next.due);
        waiting.items.push(Reverse(Item { due, number, what }));
        drop(waiting);
        if is_next {
            self.shared.changed.notify_one();
        }
    }
}

impl<T> Drop for Later<T> {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of that thread was told where it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn things_come_at_their_times_and_in_their_order() {
        let (tell, hear) = mpsc::channel();
        let began = Instant::now();
        let later =
            Later::start(began, move |what: u32| tell.send((what, began.elapsed())).unwrap())
                .unwrap();
        let ms = Duration::from_millis;
        for (due, what) in [(30, 3), (10, 1), (10, 2), (0, 0)] {
            later.at(ms(due), what);
        }
        let came: Vec<(u32, Duration)> =
            (0..4).map(|_| hear.recv_timeout(Duration::from_secs(5)).unwrap()).collect();
        assert_eq!(came.iter().map(|it| it.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(came[1].1 >= ms(10) && came[3].1 >= ms(30), "{came:?}");
        later.at(Duration::from_secs(3600), 9);
        drop(later);
        assert!(hear.recv().is_err(), "what waits goes with it");
    }
}
