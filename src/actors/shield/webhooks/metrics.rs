//! What webhooks count.

use metrics::{counter, describe_counter};

const DELIVERIES: &str = "shield_webhook_deliveries_total";

pub fn describe() {
    describe_counter!(
        DELIVERIES,
        "Attempts to send an event to a webhook, by outcome: delivered, failed (it is tried again) or dead"
    );
    for outcome in ["delivered", "failed", "dead"] {
        counter!(DELIVERIES, "outcome" => outcome).absolute(0);
    }
}

pub fn tried(outcome: &'static str) {
    counter!(DELIVERIES, "outcome" => outcome).increment(1);
}
