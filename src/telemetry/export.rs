//! Sends spans and metrics to a collector, beside everything else: a collector that is slow, full or
//! away costs what it was to get, and nothing more.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::families;
use super::otlp::{self, Otlp, Untaken};
use super::spans;
use crate::clock;
use crate::metrics_names::{TELEMETRY_EXPORT_FAILURES, TELEMETRY_SPANS};

/// Spans of one export.
const BATCH_MAX: usize = 512;
/// How long ended spans are gathered where a batch is not full before.
const GATHER: Duration = Duration::from_secs(1);
/// Tries of one batch, and the wait after the first; it doubles.
const TRIES_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// Time for the last spans and metrics at the end of the process.
const LAST: Duration = Duration::from_secs(2);

/// What is exported, and where to.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectorTerms {
    /// `http` or `https` URL, before `/v1/traces`.
    pub endpoint: String,
    /// `name=value,name=value`, for every request to it.
    pub headers: String,
    /// Share of requests that are traced, 0 to 1.
    pub sample_ratio: f64,
    pub metrics_every: Duration,
}

/// A collector that is to get spans and metrics.
#[derive(Debug)]
pub struct Collector {
    otlp: Otlp,
    spans: Option<mpsc::Receiver<Span>>,
    metrics_every: Duration,
}

impl Collector {
    /// Begins to collect spans. Install the metrics before.
    ///
    /// # Errors
    /// The headers cannot be read, or the HTTP client cannot be set up.
    pub fn new(terms: &CollectorTerms) -> Result<Collector, String> {
        let headers = otlp::headers(&terms.headers)?;
        let otlp = Otlp::new(&terms.endpoint, headers).map_err(|error| error.to_string())?;
        let dropped = metrics::counter!(TELEMETRY_SPANS, "outcome" => "dropped");
        let spans = spans::collect(terms.sample_ratio, dropped);
        Ok(Collector { otlp, spans, metrics_every: terms.metrics_every })
    }

    /// Sends until `stop` turns true, then what is left within two seconds. `render` makes the
    /// metrics' text, in Prometheus' format.
    pub fn start(
        self,
        tasks: &mut JoinSet<()>,
        stop: &watch::Receiver<bool>,
        render: impl Fn() -> String + Send + 'static,
    ) {
        if let Some(spans) = self.spans {
            tasks.spawn(send_spans(self.otlp.clone(), spans, stop.clone()));
        }
        tasks.spawn(send_metrics(self.otlp, self.metrics_every, render, stop.clone()));
    }
}

async fn send_spans(otlp: Otlp, mut ended: mpsc::Receiver<Span>, mut stop: watch::Receiver<bool>) {
    let sent = metrics::counter!(TELEMETRY_SPANS, "outcome" => "sent");
    let failed = metrics::counter!(TELEMETRY_SPANS, "outcome" => "failed");
    let mut trouble = Trouble::new("traces");
    let mut batch = Vec::new();
    loop {
        let stopped = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => true,
            () = gather(&mut ended, &mut batch) => false,
            () = tokio::time::sleep(GATHER) => false,
        };
        let mut order = stop.clone();
        let work = async {
            loop {
                let count = batch.len() as u64;
                if count > 0 {
                    let full = std::mem::take(&mut batch);
                    let taken = insist(&otlp, full, &mut trouble, &mut order).await;
                    if taken { &sent } else { &failed }.increment(count);
                }
                // At the end, all that still waits.
                while stopped
                    && batch.len() < BATCH_MAX
                    && let Ok(span) = ended.try_recv()
                {
                    batch.push(span);
                }
                if batch.is_empty() {
                    return;
                }
            }
        };
        if !bounded(&mut stop, work).await || stopped {
            return;
        }
    }
}

/// Takes spans as they end until a batch is full.
async fn gather(ended: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) {
    while batch.len() < BATCH_MAX {
        if ended.recv_many(batch, BATCH_MAX - batch.len()).await == 0 {
            // The other end lives as long as the process.
            std::future::pending::<()>().await;
        }
    }
}

/// Sends a batch, again where that may help. Whether it was taken.
async fn insist(
    otlp: &Otlp,
    batch: Vec<Span>,
    trouble: &mut Trouble,
    stop: &mut watch::Receiver<bool>,
) -> bool {
    let mut pause = PAUSE;
    for attempt in 1..=TRIES_MAX {
        let again = attempt < TRIES_MAX && !*stop.borrow();
        // A copy only where it may be sent once more.
        let outcome = otlp.send_spans(batch.clone()).await;
        let passing = outcome.as_ref().is_err_and(Untaken::passing);
        if trouble.note(outcome) {
            return true;
        }
        if !again || !passing {
            return false;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        pause *= 2;
    }
    false
}

async fn send_metrics(
    otlp: Otlp,
    every: Duration,
    render: impl Fn() -> String,
    mut stop: watch::Receiver<bool>,
) {
    let since_us = clock::wall_us();
    let mut trouble = Trouble::new("metrics");
    loop {
        let stopped = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => true,
            () = tokio::time::sleep(every) => false,
        };
        let metrics = families::metrics(&render(), since_us, clock::wall_us());
        // One that fails is not repeated: the next one has all that it had.
        let sending = async { _ = trouble.note(otlp.send_metrics(metrics).await) };
        if !bounded(&mut stop, sending).await || stopped {
            return;
        }
    }
}

/// Does what is to be done; after the order to stop for two seconds only. What is late then is lost,
/// as it is to a collector that is away. Whether the work was done.
async fn bounded(stop: &mut watch::Receiver<bool>, work: impl Future<Output = ()>) -> bool {
    let late = async {
        let _ = stop.wait_for(|stop| *stop).await;
        tokio::time::sleep(LAST).await;
    };
    tokio::select! {
        biased;
        () = work => true,
        () = late => false,
    }
}

/// Says once that a collector does not take a signal, and once that it does again.
struct Trouble {
    signal: &'static str,
    failing: bool,
    failures: metrics::Counter,
}

impl Trouble {
    fn new(signal: &'static str) -> Trouble {
        let failures = metrics::counter!(TELEMETRY_EXPORT_FAILURES, "signal" => signal);
        Trouble { signal, failing: false, failures }
    }

    fn note(&mut self, outcome: Result<(), Untaken>) -> bool {
        let signal = self.signal;
        match outcome {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(signal, "the collector takes {signal} again");
                }
                true
            }
            Err(error) => {
                self.failures.increment(1);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(signal, %error, "the collector does not take {signal}");
                }
                false
            }
        }
    }
}
