//! What the audit counts.

use metrics::{counter, describe_counter};

const RECORDS: &str = "shield_audit_records_total";
const UNWRITTEN: &str = "shield_audit_unwritten_total";
const COPY_FAILURES: &str = "shield_audit_copy_failures_total";

pub fn describe() {
    describe_counter!(RECORDS, "Records that are durable in an audit log");
    describe_counter!(UNWRITTEN, "Acts whose audit record could not be written in time");
    describe_counter!(COPY_FAILURES, "Times that the readable copy could not be written");
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
