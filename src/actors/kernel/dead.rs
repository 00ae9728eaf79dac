//! Dead letters: messages that no handler saw, in a bounded ring.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::events::{EventKind, Events};
use super::sync::lock;
use super::time::now_ns;
use super::trace::Trace;
use crate::clock;

const RING_LETTERS_MAX: usize = 1_024;
const EVENT_EVERY_NS: u64 = 100_000_000;

/// Why a letter is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its deadline had passed before its turn came.
    Expired,
    /// The actor no longer takes messages.
    Gone,
    /// The actor was stopped with the letter still in its queue.
    Discarded,
    /// Work that an earlier life began came back after its end.
    Stale,
    /// A `drop` fault took it.
    Dropped,
}

/// A message that nobody handled. Its content is not kept.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct DeadLetter {
    pub seq: u64,
    /// Wall-clock microseconds since 1970 UTC.
    pub at_us: i64,
    #[schema(value_type = String)]
    pub path: Arc<str>,
    /// The message's label.
    pub message: &'static str,
    pub why: Why,
    /// The trace that it belonged to, as a `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

#[derive(Default)]
struct Ring {
    seq: u64,
    letters: VecDeque<DeadLetter>,
    announced_ns: u64,
    unannounced: u64,
}

#[derive(Default)]
pub(super) struct DeadLetters {
    ring: Mutex<Ring>,
}

impl DeadLetters {
    pub fn add(
        &self,
        events: &Events,
        path: &Arc<str>,
        message: &'static str,
        why: Why,
        trace: Option<Trace>,
    ) {
        let message = short_name(message);
        let mut ring = lock(&self.ring);
        ring.seq += 1;
        if ring.letters.len() == RING_LETTERS_MAX {
            ring.letters.pop_front();
        }
        let letter = DeadLetter {
            seq: ring.seq,
            at_us: clock::wall_us(),
            path: Arc::clone(path),
            message,
            why,
            trace: trace.map(|t| t.to_string()),
        };
        ring.letters.push_back(letter);
        ring.unannounced += 1;
        let now = now_ns();
        if now.saturating_sub(ring.announced_ns) >= EVENT_EVERY_NS || ring.announced_ns == 0 {
            ring.announced_ns = now;
            let count = std::mem::take(&mut ring.unannounced);
            drop(ring);
            events.emit(EventKind::DeadLetters { path: Arc::clone(path), message, why, count });
        }
    }

    /// Newest first, with the number of all letters ever.
    pub fn recent(&self, limit: usize) -> (u64, Vec<DeadLetter>) {
        let ring = lock(&self.ring);
        (ring.seq, ring.letters.iter().rev().take(limit).cloned().collect())
    }
}

/// Without the modules of a type's name: `a::b::Msg<c::D>` → `Msg`.
pub(super) fn short_name(label: &'static str) -> &'static str {
    let plain = label.split('<').next().unwrap_or(label);
    plain.rsplit("::").next().unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_newest_and_counts_them_all() {
        let (dead, events) = (DeadLetters::default(), Events::new());
        let path: Arc<str> = "/a".into();
        for _ in 0..RING_LETTERS_MAX + 5 {
            dead.add(&events, &path, "Ping", Why::Gone, None);
        }
        let (total, letters) = dead.recent(usize::MAX);
        assert_eq!(total as usize, RING_LETTERS_MAX + 5);
        assert_eq!(letters.len(), RING_LETTERS_MAX);
        assert_eq!(letters[0].seq, total);
        assert!(events.recent(10).len() < 10, "events of a flood are summed up");
    }
}
