//! Actors in numbers, for the metrics: summed up when they are read, so that no message pays for it.

use metrics::{counter, gauge};

use super::hist::Latency;
use super::registry::Registry;
use crate::metrics_names as names;
use crate::models::breaker::BreakerState;

impl Registry {
    /// Brings the metrics of all actors up to date. Call it before they are rendered, or every few
    /// seconds; it looks at every actor once.
    pub fn publish_metrics(&self) {
        for t in self.types() {
            let kind = t.kind;
            gauge!(names::ACTORS, "type" => kind).set(t.active as f64);
            gauge!(names::ACTOR_MAILBOX_DEPTH, "type" => kind).set(t.depth as f64);
            counter!(names::ACTOR_MESSAGES, "type" => kind).absolute(t.handled);
            counter!(names::ACTOR_FAILURES, "type" => kind).absolute(t.failed);
            counter!(names::ACTOR_RESTARTS, "type" => kind).absolute(t.restarts);
            counter!(names::ACTOR_MESSAGES_EXPIRED, "type" => kind).absolute(t.expired);
            counter!(names::ACTOR_MESSAGES_REFUSED, "type" => kind).absolute(t.refused);
            quantiles(names::ACTOR_WAIT, kind, &t.wait);
            quantiles(names::ACTOR_HANDLE, kind, &t.handle);
        }
        for entry in self.breakers() {
            let open = match entry.breaker.state {
                BreakerState::Closed => 0.0,
                BreakerState::HalfOpen => 0.5,
                BreakerState::Open => 1.0,
            };
            gauge!(names::ACTOR_BREAKER_OPEN, "path" => entry.path.to_string()).set(open);
        }
        for service in self.services() {
            gauge!(names::SERVICE_READY, "service" => service.name)
                .set(f64::from(u8::from(service.ready)));
        }
        counter!(names::DEAD_LETTERS).absolute(self.dead_letters(0).0);
    }
}

fn quantiles(name: &'static str, kind: &'static str, latency: &Latency) {
    for (quantile, us) in
        [("0.5", latency.p50_us), ("0.9", latency.p90_us), ("0.99", latency.p99_us)]
    {
        gauge!(name, "type" => kind, "quantile" => quantile).set(us / 1e6);
    }
}
