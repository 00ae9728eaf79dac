//! Logs, metrics and traces of the process: set up once, before anything is started.

mod export;
mod families;
mod otlp;
pub mod spans;

use std::io::IsTerminal;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::actors::kernel;
use crate::config::{Log, LogFormat};
use crate::metrics_names;

pub use export::{Collector, CollectorTerms};

/// Buckets of every duration, in seconds.
pub const DURATION_BUCKETS_S: [f64; 11] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Of the time to an answer: an auction is decided within tens of microseconds, and most of them are answered below the
/// least of the others.
pub const ANSWER_BUCKETS_S: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Why logs or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log.level: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("logging was set up before: {0}")]
    Logging(#[from] TryInitError),
    #[error("metrics: {0}")]
    Metrics(#[from] BuildError),
}

/// Starts logging to standard error, as text for people or as one JSON object a line.
///
/// # Errors
/// The filter is none, or logging was set up before.
pub fn init_logging(log: &Log) -> Result<(), TelemetryError> {
    // Directives that are configured come later, and count.
    let directives = format!("{},{}", kernel::LOG_DIRECTIVES, log.level.as_str());
    let filter = EnvFilter::builder().parse(directives)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // It would be told on standard error, and who tells it there panics where nobody reads that.
    let lines = lines.log_internal_errors(false);
    match log.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).finish().try_init()?,
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

/// Installs the process's metrics recorder with every metric described. The handle renders them in
/// Prometheus' text format; call `run_upkeep` on it every few seconds, or histograms grow.
///
/// # Errors
/// A recorder was installed before.
pub fn install_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = builder()?.install_recorder()?;
    metrics_names::describe_all();
    metrics::gauge!(metrics_names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let durations = Matcher::Suffix("_seconds".to_owned());
    let answers = Matcher::Full(metrics_names::HTTP_REQUEST_DURATION.to_owned());
    PrometheusBuilder::new()
        .set_buckets_for_metric(durations, &DURATION_BUCKETS_S)?
        .set_buckets_for_metric(answers, &ANSWER_BUCKETS_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rendered_as_histograms_with_the_declared_buckets() {
        let recorder = builder().expect("a builder").build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics_names::describe_all();
            metrics::histogram!(metrics_names::HTTP_REQUEST_DURATION).record(0.000_2);
            let other = "other_seconds";
            metrics::histogram!(other).record(0.02);
        });
        let text = handle.render();
        assert!(!text.contains("other_seconds_bucket{le=\"0.001\"}"), "{text}");
        for line in [
            "# TYPE kiki_http_request_duration_seconds histogram",
            "kiki_http_request_duration_seconds_bucket{le=\"0.0001\"} 0",
            "kiki_http_request_duration_seconds_bucket{le=\"0.00025\"} 1",
            "kiki_http_request_duration_seconds_bucket{le=\"0.005\"} 1",
            "other_seconds_bucket{le=\"0.005\"} 0",
            "other_seconds_bucket{le=\"0.025\"} 1",
            "kiki_http_request_duration_seconds_bucket{le=\"10\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
