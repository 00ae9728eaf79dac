//! Every metric by name, kind, unit and meaning. Nothing else in the code spells a metric's name.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// What a metric counts, for its description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric's description.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    pub help: &'static str,
}

/// Declares the constants and the list of their descriptions from the same lines.
macro_rules! metrics {
    ($($constant:ident = $name:literal $kind:ident $unit:ident $help:literal;)*) => {
        $( #[doc = $help] pub const $constant: &str = $name; )*

        /// Every metric, for descriptions and for the test of dashboards and alerts.
        pub const ALL: &[Metric] = &[
            $( Metric { name: $name, kind: Kind::$kind, unit: Unit::$unit, help: $help }, )*
        ];
    };
}

metrics! {
    HTTP_REQUESTS = "kiki_http_requests_total" Counter Count
        "Requests answered, by service, route template, method and status.";
    HTTP_REQUEST_DURATION = "kiki_http_request_duration_seconds" Histogram Seconds
        "Time from a request's head to its answer, by service, route template and method.";
    HTTP_REQUESTS_SHED = "kiki_http_requests_shed_total" Counter Count
        "Requests refused because too many were running, by service.";
    ACTORS = "kiki_actors" Gauge Count
        "Actors alive, by type.";
    ACTOR_MESSAGES = "kiki_actor_messages_total" Counter Count
        "Messages handled, by type of actor.";
    ACTOR_FAILURES = "kiki_actor_failures_total" Counter Count
        "Errors and panics of handlers and starts, by type of actor.";
    ACTOR_RESTARTS = "kiki_actor_restarts_total" Counter Count
        "Restarts by supervisors and operators, by type of actor.";
    ACTOR_MESSAGES_EXPIRED = "kiki_actor_messages_expired_total" Counter Count
        "Messages not handled because their deadline had passed, by type of actor.";
    ACTOR_MESSAGES_REFUSED = "kiki_actor_messages_refused_total" Counter Count
        "Messages refused by full mailboxes, by type of actor.";
    ACTOR_MAILBOX_DEPTH = "kiki_actor_mailbox_depth" Gauge Count
        "Messages that wait, by type of actor.";
    ACTOR_WAIT = "kiki_actor_wait_seconds" Gauge Seconds
        "Time from a message's sending to its turn since the start, by type of actor and quantile.";
    ACTOR_HANDLE = "kiki_actor_handle_seconds" Gauge Seconds
        "Time in a message's handler since the start, by type of actor and quantile.";
    ACTOR_BREAKER_OPEN = "kiki_actor_breaker_open" Gauge Count
        "1 while the breaker of the actor at this path is open, 0.5 while half-open, else 0.";
    DEAD_LETTERS = "kiki_dead_letters_total" Counter Count
        "Messages that no handler saw.";
    SERVICE_READY = "kiki_service_ready" Gauge Count
        "1 while the service can serve, else 0.";
    TLS_CERTIFICATE_EXPIRY = "kiki_tls_certificate_expiry_seconds" Gauge Seconds
        "Time until the TLS certificate in use ends; below 0 when it has ended.";
    TELEMETRY_SPANS = "kiki_telemetry_spans_total" Counter Count
        "Spans of sampled requests, by outcome: sent, dropped (the queue was full) or failed (the collector did not take them).";
    TELEMETRY_EXPORT_FAILURES = "kiki_telemetry_export_failures_total" Counter Count
        "Exports that the collector did not take, by signal.";
    BUILD_INFO = "kiki_build_info" Gauge Count
        "Always 1; the label says the version.";
}

/// Describes every metric to the recorder that is installed, once at start.
pub fn describe_all() {
    for &Metric { name, kind, unit, help } in ALL {
        match kind {
            Kind::Counter => describe_counter!(name, unit, help),
            Kind::Gauge => describe_gauge!(name, unit, help),
            Kind::Histogram => describe_histogram!(name, unit, help),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_their_kind_and_are_used_once() {
        let mut seen = BTreeSet::new();
        for metric in ALL {
            let Metric { name, kind, help, .. } = metric;
            assert!(seen.insert(name), "{name} is declared twice");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            );
            assert!(help.ends_with('.'), "{name}: its help is a sentence");
        }
    }
}
