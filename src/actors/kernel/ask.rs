//! Asks: the two ends of an answer.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use super::expiry::{self, Place};
use super::time::now_ns;

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The mailbox is full, or the actor is kept from failing again: try later.
    #[error("overloaded, retry after {retry_after_ms} ms")]
    Overloaded { retry_after_ms: u64 },
    /// The actor is stopped, stopping, or never was.
    #[error("no longer there")]
    Gone,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("overloaded, retry after {retry_after_ms} ms")]
    Overloaded { retry_after_ms: u64 },
    /// The deadline passed. If the message was still queued it will not be handled.
    #[error("no answer in time")]
    Expired,
    #[error("no longer there")]
    Gone,
    /// The actor failed, or let go of the message without an answer.
    #[error("failed while answering")]
    Faulted,
}

impl From<Refused> for AskError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Overloaded { retry_after_ms } => Self::Overloaded { retry_after_ms },
            Refused::Gone => Self::Gone,
        }
    }
}

/// The answering end of an ask. It may be kept and answered later, from any task.
#[derive(Debug)]
pub struct Reply<T>(oneshot::Sender<T>);

impl<T> Reply<T> {
    /// Answers. An asker that no longer waits is not an error.
    pub fn send(self, answer: T) {
        let _ = self.0.send(answer);
    }

    /// Whether the asker no longer waits.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// A reply that nobody reads.
    pub fn detached() -> Self {
        Self(oneshot::channel().0)
    }

    pub(super) fn pair() -> (Self, oneshot::Receiver<T>) {
        let (tx, rx) = oneshot::channel();
        (Self(tx), rx)
    }
}

/// Deadlines nearer than this get a timer of their own; farther ones are swept, up to 20 ms late.
const EXACT_BELOW_NS: u64 = 50_000_000;

/// What waiting for an answer ended with.
pub(super) enum Waited<T> {
    Answer(T),
    Dropped,
    Expired,
}

pub(super) async fn wait<T>(mut rx: oneshot::Receiver<T>, now: u64, deadline_ns: u64) -> Waited<T> {
    let left = deadline_ns.saturating_sub(now);
    if left < EXACT_BELOW_NS {
        let timed = tokio::time::timeout(Duration::from_nanos(left), rx);
        return match Box::pin(timed).await {
            Ok(Ok(answer)) => Waited::Answer(answer),
            Ok(Err(_)) => Waited::Dropped,
            Err(_) => Waited::Expired,
        };
    }
    let mut waiting = Waiting { deadline_ns, place: None };
    poll_fn(|cx| match Pin::new(&mut rx).poll(cx) {
        Poll::Ready(Ok(answer)) => Poll::Ready(Waited::Answer(answer)),
        Poll::Ready(Err(_)) => Poll::Ready(Waited::Dropped),
        Poll::Pending if waiting.is_over(cx) => Poll::Ready(Waited::Expired),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Runs a future for at most so long; `None`: it was not done by then. Cheaper than a timer for what
/// runs often and seldom takes long, and up to 20 ms late.
pub async fn run_within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let deadline_ns = now_ns().saturating_add(super::time::to_ns(limit));
    let mut waiting = Waiting { deadline_ns, place: None };
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if waiting.is_over(cx) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

struct Waiting {
    deadline_ns: u64,
    place: Option<Arc<Place>>,
}

impl Waiting {
    /// Whether the deadline has passed; if not, the task is woken when it does.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        match &self.place {
            None => {
                self.place = Some(expiry::register(self.deadline_ns, cx.waker()));
                false
            }
            Some(_) if now_ns() >= self.deadline_ns => true,
            Some(place) => {
                expiry::renew(place, self.deadline_ns, cx.waker());
                false
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            expiry::forget(place);
        }
    }
}
