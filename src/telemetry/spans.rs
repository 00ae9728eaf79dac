//! Spans of sampled requests: recorded where the work is done, sent elsewhere.
//!
//! Without a collector nothing is recorded, for one atomic load. With one, a request is sampled when
//! it comes (by its caller's word, else by its trace id), and whatever works for it finds the trace
//! in [`Trace::current`]. A span that ends is put into a bounded queue, or counted as dropped:
//! nobody waits for a collector.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use metrics::Counter;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use tokio::sync::mpsc;

use crate::actors::kernel::Trace;
use crate::clock;
use crate::models::access::{Bucket, Quota};

/// Spans that wait to be sent; more are dropped.
pub const QUEUE_MAX: usize = 8_192;

/// `SpanFlags` of trace.proto: bit 0 sampled, bit 8 says that bit 9 (the parent is remote) is known.
const SAMPLED: u32 = 1;
const KNOWS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

static SINK: OnceLock<Sink> = OnceLock::new();

/// Where ended spans go.
struct Sink {
    queue: mpsc::Sender<Span>,
    /// Traces whose lower 63 bits are below are sampled.
    below: u64,
    dropped: Counter,
}

/// What a span is for its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answers a request from outside.
    Server,
    /// Asks a database.
    Client,
    /// A step within the process.
    Internal,
}

/// Begins to collect spans. The receiver gets those that end; `None` if it was begun before.
pub(super) fn collect(sample_ratio: f64, dropped: Counter) -> Option<mpsc::Receiver<Span>> {
    let (queue, ended) = mpsc::channel(QUEUE_MAX);
    SINK.set(Sink { queue, below: threshold(sample_ratio), dropped }).ok().map(|()| ended)
}

fn threshold(ratio: f64) -> u64 {
    // A float above the range of the integer becomes its greatest value.
    (ratio.clamp(0.0, 1.0) * (1u64 << 63) as f64) as u64
}

/// `TraceIdRatioBased` of the OpenTelemetry specification: all processes with one ratio decide alike.
fn sampled(trace_id: u128, below: u64) -> bool {
    (trace_id as u64) & (u64::MAX >> 1) < below
}

/// A request came, with its caller's trace or without. What it does is to run within the trace, if
/// there is one; the span is there if it is sampled.
pub fn enter(incoming: Option<Trace>) -> (Option<Trace>, Option<Open>) {
    match (incoming, SINK.get()) {
        (Some(from), sink) => {
            let at = from.child();
            let open = sink
                .is_some_and(|sink| from.sampled && follows(at.trace_id, sink.below))
                .then(|| Open { remote: true, ..Open::below(at, Some(from.span_id)) });
            (Some(at), open)
        }
        (None, Some(sink)) => {
            let at = Trace::root(true);
            // One that is not sampled is no trace: it costs nothing further on.
            match sampled(at.trace_id, sink.below) {
                true => (Some(at), Some(Open::below(at, None))),
                false => (None, None),
            }
        }
        (None, None) => (None, None),
    }
}

/// Whether a caller's word that its trace is collected is followed. Anybody can say so: of what the
/// own ratio would leave out, no more than this is taken, so that a flood displaces few others.
fn follows(trace_id: u128, below: u64) -> bool {
    static ASKED: Mutex<Bucket> = Mutex::new(Bucket { full_at_us: 0 });
    if sampled(trace_id, below) {
        return true;
    }
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    asked.take(&Quota::new("traces", 100, 1_000_000, 200), clock::mono_us()).allowed
}

/// The trace of the code that runs now, if its spans are collected.
pub fn parent() -> Option<Trace> {
    SINK.get()?;
    Trace::current().filter(|trace| trace.sampled)
}

/// A span that has begun.
#[derive(Debug)]
pub struct Open {
    at: Trace,
    parent: Option<u64>,
    remote: bool,
    start_us: i64,
    began: Instant,
}

impl Open {
    /// A span that begins now and is `at`, below its parent; `None` if nobody collects it.
    pub fn child(at: Trace, parent: u64) -> Option<Open> {
        SINK.get()?;
        at.sampled.then(|| Open::below(at, Some(parent)))
    }

    fn below(at: Trace, parent: Option<u64>) -> Open {
        Open { at, parent, remote: false, start_us: clock::wall_us(), began: Instant::now() }
    }

    /// Microseconds since it began.
    pub fn took_us(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// Ends it now.
    pub fn close(self, kind: Kind, name: String, attributes: Vec<KeyValue>, failed: bool) {
        let Some(sink) = SINK.get() else { return };
        let nanos = |us: i64| u64::try_from(us).unwrap_or(0).saturating_mul(1_000);
        let remote = if self.remote { IS_REMOTE } else { 0 };
        let kind = match kind {
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
            Kind::Internal => SpanKind::Internal,
        };
        let span = Span {
            trace_id: self.at.trace_id.to_be_bytes().to_vec(),
            span_id: self.at.span_id.to_be_bytes().to_vec(),
            parent_span_id: self.parent.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default(),
            flags: SAMPLED | KNOWS_REMOTE | remote,
            name,
            kind: kind.into(),
            start_time_unix_nano: nanos(self.start_us),
            end_time_unix_nano: nanos(self.start_us.saturating_add(self.took_us())),
            attributes,
            // Why is in the log: a message may hold what no collector should see.
            status: failed.then(|| Status { code: StatusCode::Error.into(), ..Status::default() }),
            ..Span::default()
        };
        if sink.queue.try_send(span).is_err() {
            sink.dropped.increment(1);
        }
    }
}

/// An attribute that is a text.
pub fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

/// An attribute that is a number; one beyond 64 bits is cut to its greatest value.
pub fn number(key: &str, value: impl TryInto<i64>) -> KeyValue {
    attribute(key, Value::IntValue(value.try_into().unwrap_or(i64::MAX)))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_asked_share_of_traces_is_sampled_and_always_the_same_ones() {
        for ratio in [0.0, 0.1, 0.5, 1.0] {
            let below = threshold(ratio);
            let ids: Vec<u128> = (0..20_000).map(|_| Trace::root(true).trace_id).collect();
            let taken = ids.iter().filter(|id| sampled(**id, below)).count() as f64 / 20_000.0;
            // Six standard deviations of the count.
            assert!((taken - ratio).abs() <= 0.022, "{taken} of {ratio}");
            // A smaller share is a part of a greater one.
            assert!(ids.iter().all(|id| !sampled(*id, below / 2) || sampled(*id, below)));
        }
        assert!(sampled(u128::MAX, threshold(1.0)));
        assert!(!sampled(0, threshold(0.0)));
    }
}
