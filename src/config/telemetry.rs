//! Where traces go.

use super::address::HttpUrl;
use super::section::section;
use super::setting::Ratio;

section! {
    /// Where traces go.
    Telemetry "telemetry" {
        /// OTLP collector; empty for none.
        otlp_endpoint: HttpUrl, "OTEL_EXPORTER_OTLP_ENDPOINT";
        /// Share of requests that are traced.
        sample_ratio: Ratio ["0" "1"], "OTEL_TRACES_SAMPLER_ARG";
    }
}
