//! The asking side of a link that stands: what is to be sent, and who waits for what.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering::AcqRel, Ordering::Acquire};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::LinkError;
use super::wire::v1::{Ask, Frame, Probe, Tell};
use super::wire::{ASKS_MAX, BODY_MAX, Kind, frame, lanes};
use crate::actors::kernel::Trace;
use crate::clock;

/// Frames that wait to be sent.
const QUEUE_MAX: usize = 1_024;
/// Kibibytes of bodies that wait to be sent: four of the largest.
const QUEUE_KIB_MAX: usize = 4 * BODY_MAX / 1_024;
/// Probes that wait to be sent: one that cannot go is as good as one that is lost.
const PROBES_MAX: usize = 4;
/// Nobody waits longer.
const PATIENCE_MAX: Duration = Duration::from_secs(3_600);

type Answered = Result<Vec<u8>, LinkError>;

pub struct Line {
    first: mpsc::Sender<Out>,
    queue: mpsc::Sender<Out>,
    room: Arc<Semaphore>,
    open: Mutex<Option<Open>>,
}

/// Questions without an answer yet.
#[derive(Default)]
struct Open {
    last_id: u64,
    asks: HashMap<u64, oneshot::Sender<Answered>>,
}

enum Out {
    Ready(Frame),
    Ask { ticket: Arc<Ticket>, ask: Ask, deadline: Instant, room: OwnedSemaphorePermit },
    Tell { tell: Tell, room: OwnedSemaphorePermit },
}

/// Whether a question was handed to the stream. It is decided once: it is sent, or taken back.
#[derive(Default)]
struct Ticket(AtomicU8);

const WAITS: u8 = 0;
const SENT: u8 = 1;
const TAKEN_BACK: u8 = 2;

impl Ticket {
    fn send(&self) -> bool {
        self.0.compare_exchange(WAITS, SENT, AcqRel, Acquire).is_ok()
    }

    /// Whether it was not sent, and will not be.
    fn take_back(&self) -> bool {
        self.0.compare_exchange(WAITS, TAKEN_BACK, AcqRel, Acquire).is_ok()
    }
}

/// One that waits. What it waits for is forgotten with it.
struct Waiting<'a> {
    line: &'a Line,
    id: u64,
    ticket: Arc<Ticket>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.ticket.take_back();
        if let Some(open) = self.line.open().as_mut() {
            open.asks.remove(&self.id);
        }
    }
}

impl Line {
    /// A line, and what it sends: `hello` first.
    pub fn new(hello: Frame) -> (Arc<Line>, impl Stream<Item = Frame> + Send + 'static) {
        let (first, probes) = mpsc::channel(PROBES_MAX);
        let (queue, rest) = mpsc::channel(QUEUE_MAX);
        let room = Arc::new(Semaphore::new(QUEUE_KIB_MAX));
        let line = Line { first, queue, room, open: Mutex::new(Some(Open::default())) };
        let hello = futures_util::stream::once(std::future::ready(hello));
        let rest = lanes(probes, rest).filter_map(|out| std::future::ready(out.frame()));
        (Arc::new(line), hello.chain(rest))
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Questions without an answer yet.
    pub fn in_flight(&self) -> usize {
        self.open().as_ref().map_or(0, |open| open.asks.len())
    }

    pub async fn ask(&self, kind: &str, body: Vec<u8>, patience: Duration) -> Answered {
        let deadline = Instant::now() + patience.min(PATIENCE_MAX);
        let room = self.room(&body)?;
        let (answer, answered) = oneshot::channel();
        let id = {
            let mut open = self.open();
            let open = open.as_mut().ok_or(LinkError::Away)?;
            if open.asks.len() >= ASKS_MAX {
                return Err(LinkError::Full);
            }
            open.last_id += 1;
            open.asks.insert(open.last_id, answer);
            open.last_id
        };
        let ticket = Arc::new(Ticket::default());
        let waiting = Waiting { line: self, id, ticket: Arc::clone(&ticket) };
        let (kind, traceparent) = (kind.to_owned(), traceparent());
        let ask = Ask { id, kind, body, traceparent, ..Ask::default() };
        self.hand(Out::Ask { ticket, ask, deadline, room })?;
        match timeout_at(deadline, answered).await {
            Ok(Ok(answer)) => answer,
            // The time is over, or the link is. What still waited in the queue was seen by nobody.
            _ if waiting.ticket.take_back() => Err(LinkError::Away),
            _ => Err(LinkError::Silent),
        }
    }

    pub fn tell(&self, kind: &str, body: Vec<u8>) -> Result<(), LinkError> {
        let room = self.room(&body)?;
        let tell = Tell { kind: kind.to_owned(), body, traceparent: traceparent() };
        self.hand(Out::Tell { tell, room })
    }

    fn room(&self, body: &[u8]) -> Result<OwnedSemaphorePermit, LinkError> {
        if body.len() > BODY_MAX {
            return Err(LinkError::Refused(format!("a body has {BODY_MAX} bytes at most")));
        }
        let kib = u32::try_from(body.len() / 1_024).unwrap_or(u32::MAX);
        Arc::clone(&self.room).try_acquire_many_owned(kib).map_err(|_| LinkError::Full)
    }

    fn hand(&self, out: Out) -> Result<(), LinkError> {
        self.queue.try_send(out).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LinkError::Full,
            mpsc::error::TrySendError::Closed(_) => LinkError::Away,
        })
    }

    /// Asks whether the other side is there.
    pub fn probe(&self) {
        let probe = frame(Kind::Probe(Probe { sent_us: clock::mono_us() }));
        // One that finds no place is not missed: those before it have not gone yet.
        let _ = self.first.try_send(Out::Ready(probe));
    }

    /// An answer came. Nobody may wait for it any more.
    pub fn answered(&self, id: u64, answer: Answered) {
        let waits = self.open().as_mut().and_then(|open| open.asks.remove(&id));
        if let Some(waits) = waits {
            // Whoever has just gone does not want it.
            let _ = waits.send(answer);
        }
    }

    /// The link is over: nobody waits any longer, and nothing more is taken.
    pub fn end(&self) {
        self.open().take();
    }
}

impl Out {
    /// What is sent of it now; `None` for what nobody waits for any more.
    fn frame(self) -> Option<Frame> {
        match self {
            Out::Ready(frame) => Some(frame),
            Out::Tell { tell, room } => {
                drop(room);
                Some(frame(Kind::Tell(tell)))
            }
            Out::Ask { ticket, mut ask, deadline, room } => {
                drop(room);
                let left = deadline.saturating_duration_since(Instant::now());
                ask.left_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
                ask.sent_us = clock::mono_us();
                (ask.left_ms > 0 && ticket.send()).then(|| frame(Kind::Ask(ask)))
            }
        }
    }
}

fn traceparent() -> String {
    Trace::current().map(|trace| trace.to_string()).unwrap_or_default()
}
