//! Where traces and metrics go.

use super::address::HttpUrl;
use super::secret::Secret;
use super::section::section;
use super::setting::{Ratio, Seconds};
use crate::telemetry::CollectorTerms;

section! {
    /// Where traces and metrics go.
    Telemetry "telemetry" {
        /// OTLP collector; empty for none.
        otlp_endpoint: HttpUrl, "OTEL_EXPORTER_OTLP_ENDPOINT";
        /// Headers for the collector: `name=value,name=value`.
        otlp_headers: Secret, "OTEL_EXPORTER_OTLP_HEADERS";
        /// Share of requests that are traced.
        sample_ratio: Ratio ["0" "1"], "OTEL_TRACES_SAMPLER_ARG";
        /// Time between two exports of the metrics.
        metrics_interval_s: Seconds ["0.1" "3600"];
    }
}

impl Telemetry {
    /// What is exported, and where to; `None` where no collector is configured.
    pub fn collector(&self) -> Option<CollectorTerms> {
        (!self.otlp_endpoint.is_empty()).then(|| CollectorTerms {
            endpoint: self.otlp_endpoint.as_str().to_owned(),
            headers: self.otlp_headers.expose().to_owned(),
            sample_ratio: self.sample_ratio.share(),
            metrics_every: self.metrics_interval_s.duration(),
        })
    }
}
