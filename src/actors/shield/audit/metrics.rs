//! What the audit counts.

use metrics::{counter, describe_counter, describe_gauge, gauge};

const RECORDS: &str = "shield_audit_records_total";
const UNWRITTEN: &str = "shield_audit_unwritten_total";
const UNVERIFIED: &str = "shield_audit_unverified_logs";
const COPY_FAILURES: &str = "shield_audit_copy_failures_total";

pub fn describe() {
    describe_counter!(RECORDS, "Records that are durable in an audit log");
    describe_counter!(UNWRITTEN, "Acts whose audit record could not be written in time");
    describe_counter!(COPY_FAILURES, "Times that the readable copy could not be written");
    describe_gauge!(UNVERIFIED, "Logs that did not verify in the last round over all; must read 0");
    gauge!(UNVERIFIED).set(0.0);
    for name in [RECORDS, UNWRITTEN, COPY_FAILURES] {
        counter!(name).absolute(0);
    }
}

pub fn written(records: u64) {
    counter!(RECORDS).increment(records);
}

pub fn unwritten() {
    counter!(UNWRITTEN).increment(1);
}

pub fn not_copied() {
    counter!(COPY_FAILURES).increment(1);
}

pub fn patrolled(unverified: usize) {
    gauge!(UNVERIFIED).set(unverified as f64);
}
