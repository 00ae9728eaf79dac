//! What webhooks count.

use metrics::{counter, describe_counter, describe_gauge, gauge};

const UNREADABLE: &str = "shield_webhook_unreadable_total";
const DELIVERIES: &str = "shield_webhook_deliveries_total";
const RESTS: &str = "shield_webhook_rests_total";
const RESTING: &str = "shield_webhooks_resting";

pub fn describe() {
    describe_counter!(
        DELIVERIES,
        "Attempts to send an event to a webhook, by outcome: delivered, failed (it is tried again) or dead"
    );
    describe_counter!(
        UNREADABLE,
        "Rows of webhooks and events that are damaged: such a webhook gets every event of its account, such an event is sent without its data"
    );
    describe_counter!(RESTS, "Rests of webhooks that began because nothing answered there");
    describe_gauge!(RESTING, "Webhooks that rest because nothing answers there");
    counter!(UNREADABLE).absolute(0);
    counter!(RESTS).absolute(0);
    gauge!(RESTING).set(0.0);
    for outcome in ["delivered", "failed", "dead"] {
        counter!(DELIVERIES, "outcome" => outcome).absolute(0);
    }
}

pub fn unreadable() {
    counter!(UNREADABLE).increment(1);
}

pub fn tried(outcome: &'static str) {
    counter!(DELIVERIES, "outcome" => outcome).increment(1);
}

/// Deliveries that were given up without another attempt.
pub fn expired(n: u64) {
    counter!(DELIVERIES, "outcome" => "dead").increment(n);
}

/// A webhook begins to rest.
pub fn rested() {
    counter!(RESTS).increment(1);
}

/// So many rest now.
pub fn resting(n: usize) {
    gauge!(RESTING).set(n as f64);
}
