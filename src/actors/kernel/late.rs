//! Letters of the inner lane that arrive after the queue was closed: continuations that a drain
//! waits for.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::sync::Notify;

use super::letter::Letter;
use super::sync::lock;

pub(super) struct Late<M> {
    letters: Mutex<VecDeque<Letter<M>>>,
    arrived: Notify,
    over: AtomicBool,
}

impl<M> Default for Late<M> {
    fn default() -> Self {
        Self { letters: Mutex::default(), arrived: Notify::new(), over: AtomicBool::new(false) }
    }
}

impl<M> Late<M> {
    pub fn push(&self, letter: Letter<M>) {
        if self.over.load(SeqCst) {
            return;
        }
        lock(&self.letters).push_back(letter);
        self.arrived.notify_one();
    }

    pub fn pop(&self) -> Option<Letter<M>> {
        lock(&self.letters).pop_front()
    }

    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Nobody reads any more.
    pub fn close(&self) {
        self.over.store(true, SeqCst);
        lock(&self.letters).clear();
    }
}
