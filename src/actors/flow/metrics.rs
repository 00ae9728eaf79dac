//! What is counted of campaigns and of the index that auctions see.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use super::index::View;
use crate::models::flow::campaign::state::Status;

const CAMPAIGNS: &str = "flow_campaigns";
const WAITING: &str = "flow_campaigns_waiting";
const UNREADABLE: &str = "flow_campaigns_unreadable";
const INDEXED: &str = "flow_index_campaigns";
const BYTES: &str = "flow_index_bytes";
const BUILD: &str = "flow_index_build_seconds";
const GENERATION: &str = "flow_index_builds_total";
const EARLY: &str = "flow_requests_early_total";

/// Describes every metric and makes it present from the start.
pub fn describe() {
    describe_gauge!(CAMPAIGNS, "Campaigns by status, counted every 30 seconds");
    describe_gauge!(
        WAITING,
        "Campaigns that wait for a time: a start, an end, a budget to be told"
    );
    describe_gauge!(UNREADABLE, "Stored campaigns that cannot be read, and do not bid");
    describe_gauge!(INDEXED, "Campaigns that auctions see");
    describe_gauge!(BYTES, "Memory of the index that auctions see");
    describe_gauge!(BUILD, "Time that the last index took to make");
    describe_counter!(GENERATION, "Indexes that were made");
    describe_counter!(
        EARLY,
        "Bid requests that came before campaigns were loaded: answered with 204, and counted nowhere else"
    );
    counter!(EARLY).increment(0);
    campaigns(&[]);
    index(&View::default());
}

/// Those of a status that is not among them are none.
pub fn campaigns(counted: &[(String, i64)]) {
    for status in [Status::Draft, Status::Active, Status::Paused, Status::Ended] {
        let name = status.as_str();
        let many = counted.iter().find(|(known, _)| known == name).map_or(0, |(_, many)| *many);
        gauge!(CAMPAIGNS, "status" => name).set(many as f64);
    }
}

pub fn index(view: &View) {
    gauge!(INDEXED).set(view.campaigns as f64);
    gauge!(WAITING).set(view.waiting as f64);
    gauge!(UNREADABLE).set(view.unreadable as f64);
    gauge!(BYTES).set(view.bytes as f64);
    gauge!(BUILD).set(view.made_in_us as f64 / 1e6);
    counter!(GENERATION).absolute(view.generation);
}

/// A bid request that there was nobody for yet.
pub fn early() {
    counter!(EARLY).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_come_too_early_are_counted_by_themselves_and_no_start_forgets_them() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            early();
            describe();
            early();
        });
        let text = handle.render();
        assert!(text.contains("\nflow_requests_early_total 2\n"), "{text}");
    }
}
