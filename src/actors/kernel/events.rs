//! What happens to actors, in order: numbered, kept in a bounded ring, and broadcast.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, RwLock};

use serde::Serialize;
use tokio::sync::broadcast;

use super::sync::{lock, read, write};
use crate::clock;
use crate::models::breaker::Change;

const RING_EVENTS_MAX: usize = 4_096;
const SUBSCRIBER_LAG_MAX: usize = 1_024;

/// One event. `seq` is dense from 1 within one process.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Event {
    pub seq: u64,
    /// Wall-clock microseconds since 1970 UTC.
    pub at_us: i64,
    #[serde(flatten)]
    pub kind: EventKind,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A life ended by failure or by order; the next begins after `delay_ms`.
    Restart {
        #[schema(value_type = String)]
        path: Arc<str>,
        reason: String,
        restarts: u64,
        delay_ms: u64,
    },
    /// A child failed too often; the supervisor `to` deals with it.
    Escalation {
        #[schema(value_type = String)]
        path: Arc<str>,
        to: String,
        reason: String,
    },
    /// A service can serve, or cannot.
    Readiness {
        service: String,
        ready: bool,
        reason: Option<String>,
    },
    /// An entity failed too often and is refused for a while.
    Quarantine {
        #[schema(value_type = String)]
        path: Arc<str>,
        reason: String,
        for_ms: u64,
    },
    Breaker {
        #[schema(value_type = String)]
        path: Arc<str>,
        #[schema(value_type = Object)]
        change: Change,
    },
    FaultSet {
        id: u64,
        pattern: String,
        fault: &'static str,
        ttl_ms: u64,
    },
    FaultEnded {
        id: u64,
        pattern: String,
        fault: &'static str,
        hits: u64,
        expired: bool,
    },
    /// Letters that nobody handled; at most one event per 100 ms, counting what came since.
    DeadLetters {
        #[schema(value_type = String)]
        path: Arc<str>,
        message: &'static str,
        why: super::dead::Why,
        count: u64,
    },
    /// An operator's order.
    Order {
        path: String,
        order: &'static str,
    },
    /// What a service reports through [`Registry::emit`](super::Registry::emit).
    Service {
        name: &'static str,
        path: String,
        #[schema(value_type = Object)]
        data: serde_json::Value,
    },
}

impl EventKind {
    /// The event's name, as in its JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Restart { .. } => "restart",
            Self::Escalation { .. } => "escalation",
            Self::Readiness { .. } => "readiness",
            Self::Quarantine { .. } => "quarantine",
            Self::Breaker { .. } => "breaker",
            Self::FaultSet { .. } => "fault_set",
            Self::FaultEnded { .. } => "fault_ended",
            Self::DeadLetters { .. } => "dead_letters",
            Self::Order { .. } => "order",
            Self::Service { .. } => "service",
        }
    }
}

pub(super) struct Events {
    ring: Mutex<Ring>,
    /// Gone once the streams were ended.
    live: RwLock<Option<broadcast::Sender<Arc<Event>>>>,
}

#[derive(Default)]
struct Ring {
    seq: u64,
    events: VecDeque<Arc<Event>>,
}

/// A subscription: first what the ring still has, then what happens.
pub struct EventStream {
    /// Events after the asked-for number that are still in the ring.
    pub backlog: VecDeque<Arc<Event>>,
    /// Whether events between the asked-for number and the backlog were already overwritten.
    pub gap: bool,
    live: Option<broadcast::Receiver<Arc<Event>>>,
}

impl Events {
    pub fn new() -> Self {
        Self {
            ring: Mutex::default(),
            live: RwLock::new(Some(broadcast::channel(SUBSCRIBER_LAG_MAX).0)),
        }
    }

    pub fn emit(&self, kind: EventKind) {
        let mut ring = lock(&self.ring);
        ring.seq += 1;
        let event = Arc::new(Event { seq: ring.seq, at_us: clock::wall_us(), kind });
        if ring.events.len() == RING_EVENTS_MAX {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::clone(&event));
        // Sent under the lock so that subscribers see the numbers in order; nobody listening is fine.
        if let Some(live) = &*read(&self.live) {
            let _ = live.send(event);
        }
    }

    pub fn since(&self, after_seq: Option<u64>) -> EventStream {
        let ring = lock(&self.ring);
        let after = after_seq.unwrap_or(ring.seq);
        let backlog: VecDeque<_> = ring.events.iter().filter(|e| e.seq > after).cloned().collect();
        let first = backlog.front().map_or(ring.seq + 1, |e| e.seq);
        let live = read(&self.live).as_ref().map(broadcast::Sender::subscribe);
        EventStream { gap: after > ring.seq || first > after + 1, backlog, live }
    }

    /// Ends all subscriptions, present and future, after what they have.
    pub fn end_streams(&self) {
        *write(&self.live) = None;
    }

    pub fn recent(&self, limit: usize) -> Vec<Arc<Event>> {
        lock(&self.ring).events.iter().rev().take(limit).cloned().collect()
    }
}

impl EventStream {
    /// The next live event (read the backlog first). `None` when the reader fell too far behind or
    /// the kernel ended: resume with the last number seen.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        self.live.as_mut()?.recv().await.ok()
    }

    /// The next event of either kind, in order.
    pub async fn next_in_order(&mut self) -> Option<Arc<Event>> {
        match self.backlog.pop_front() {
            Some(event) => Some(event),
            None => self.next().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emit(events: &Events, n: usize) {
        for _ in 0..n {
            events.emit(EventKind::Order { path: "/a".into(), order: "stop" });
        }
    }

    #[test]
    fn a_reader_resumes_after_the_number_it_saw_last() {
        let events = Events::new();
        emit(&events, 5);
        let stream = events.since(Some(3));
        assert_eq!(stream.backlog.iter().map(|e| e.seq).collect::<Vec<_>>(), [4, 5]);
        assert!(!stream.gap);
        assert!(events.since(None).backlog.is_empty());
    }

    #[test]
    fn a_reader_that_was_away_too_long_is_told_of_the_gap() {
        let events = Events::new();
        emit(&events, RING_EVENTS_MAX + 10);
        let stream = events.since(Some(3));
        assert!(stream.gap);
        assert_eq!(stream.backlog.len(), RING_EVENTS_MAX);
        assert!(events.since(Some(u64::MAX - 1)).gap, "a number from another process");
    }
}
