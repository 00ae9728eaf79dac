//! What a node counts of itself.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const SHARDS_OWNED: &str = "cluster_shards_owned";
const LEASE_SECONDS: &str = "cluster_lease_seconds";
const SHARDS_TAKEN: &str = "cluster_shards_taken_total";
const SHARDS_DROPPED: &str = "cluster_shards_dropped_total";
const REGISTER_FAILURES: &str = "cluster_register_failures_total";
const LINK_RTT: &str = "cluster_link_rtt_seconds";
const LINK_ASKS: &str = "cluster_link_asks_total";
const LINK_FAILURES: &str = "cluster_link_failures_total";

/// Describes every metric and makes it present from the start.
pub fn describe() {
    describe_gauge!(SHARDS_OWNED, "Shards that this node owns");
    describe_gauge!(
        LEASE_SECONDS,
        "How long this node's lease holds, if nothing is heard; below 0: it is over"
    );
    describe_counter!(SHARDS_TAKEN, "Shards that this node has become the owner of");
    describe_counter!(
        SHARDS_DROPPED,
        "Shards that others took from this node, or that did not come to rest in time"
    );
    describe_counter!(REGISTER_FAILURES, "Questions to the register that were not answered");
    describe_histogram!(LINK_RTT, "Time from a probe of another node to its echo");
    describe_counter!(LINK_ASKS, "Questions to other nodes");
    describe_counter!(
        LINK_FAILURES,
        "Questions to other nodes that were not asked, or not answered in time"
    );
    gauge!(SHARDS_OWNED).set(0.0);
    gauge!(LEASE_SECONDS).set(0.0);
    counter!(SHARDS_TAKEN).absolute(0);
    counter!(SHARDS_DROPPED).absolute(0);
    counter!(REGISTER_FAILURES).absolute(0);
    counter!(LINK_ASKS).absolute(0);
    counter!(LINK_FAILURES).absolute(0);
}

pub fn state(owned: usize, lease_us: i64) {
    gauge!(SHARDS_OWNED).set(owned as f64);
    gauge!(LEASE_SECONDS).set(lease_us as f64 / 1e6);
}

pub fn taken() {
    counter!(SHARDS_TAKEN).increment(1);
}

pub fn dropped() {
    counter!(SHARDS_DROPPED).increment(1);
}

pub fn failed() {
    counter!(REGISTER_FAILURES).increment(1);
}

pub fn link_rtt(rtt_us: i64) {
    histogram!(LINK_RTT).record(rtt_us as f64 / 1e6);
}

pub fn link_asked() {
    counter!(LINK_ASKS).increment(1);
}

pub fn link_failed() {
    counter!(LINK_FAILURES).increment(1);
}
