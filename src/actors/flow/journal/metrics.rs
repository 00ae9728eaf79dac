//! What the bid path counts.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::actors::flow::auction::Counts;
use crate::models::flow::notice::Kind;

const REQUESTS: &str = "flow_requests_total";
const MALFORMED: &str = "flow_requests_malformed_total";
const BIDS: &str = "flow_bids_total";
const REFUSED: &str = "flow_refused_total";
const NO_BIDS: &str = "flow_no_bids_total";
const NOTICES: &str = "flow_notices_total";
const OWED: &str = "flow_notices_owed";
const NEVER: &str = "flow_notices_unbookable_total";
const UNBOOKED: &str = "flow_notices_unbooked_total";
const LEFT_OUT: &str = "flow_decisions_left_out_total";
const WAITING: &str = "flow_decisions_waiting";
const IN_FILE: &str = "flow_decisions_file_bytes";
const FILED: &str = "flow_decisions_filed_total";
const REBUILT: &str = "flow_decisions_rebuilt_total";
const PRUNED: &str = "flow_decisions_pruned_total";

pub fn describe() {
    describe_counter!(REQUESTS, "Requests of exchanges");
    describe_counter!(
        MALFORMED,
        "Requests that are none, by what is wrong: answered with 400, 408 or 415"
    );
    describe_counter!(BIDS, "Bids on impressions");
    describe_counter!(
        REFUSED,
        "Pairs of an impression and a campaign that did not win it, by reason"
    );
    describe_counter!(NO_BIDS, "Requests without a bid, by the reason that came nearest to one");
    describe_counter!(
        NOTICES,
        "Notices of exchanges by kind, oddity and what is odd about the price"
    );
    describe_gauge!(OWED, "Wins that are not billed yet and bookings that the store did not take");
    describe_counter!(NEVER, "Wins that can never be booked");
    describe_counter!(UNBOOKED, "Wins and billings that came too late to be booked, each once");
    gauge!(OWED).set(0.0);
    counter!(NEVER).absolute(0);
    counter!(UNBOOKED).absolute(0);
    describe_counter!(LEFT_OUT, "Decisions whose record had no room: those booked are rebuilt");
    describe_gauge!(WAITING, "Decisions that wait to be stored");
    counter!(LEFT_OUT).absolute(0);
    gauge!(WAITING).set(0.0);
    describe_gauge!(IN_FILE, "Bytes of decisions that wait in the file");
    describe_counter!(FILED, "Decisions and outcomes that had to wait in the file");
    describe_counter!(REBUILT, "Records that were lost and made anew of their notices");
    describe_counter!(PRUNED, "Old decisions, counts and changes that were deleted");
    gauge!(IN_FILE).set(0.0);
    for name in [FILED, REBUILT, PRUNED] {
        counter!(name).absolute(0);
    }
}

/// Shows the exact counts.
pub fn show(counts: &Counts, waiting: usize, in_file: u64) {
    let [requests, bids] = counts.totals();
    counter!(REQUESTS).absolute(requests);
    counter!(BIDS).absolute(bids);
    for (fault, malformed) in counts.faults() {
        counter!(MALFORMED, "why" => fault.name()).absolute(malformed);
    }
    for (reason, refused, no_bids) in counts.reasons() {
        counter!(REFUSED, "reason" => reason.name()).absolute(refused);
        counter!(NO_BIDS, "reason" => reason.name()).absolute(no_bids);
    }
    gauge!(WAITING).set(waiting as f64);
    gauge!(IN_FILE).set(in_file as f64);
}

pub fn filed(lines: usize) {
    counter!(FILED).increment(lines as u64);
}

pub fn rebuilt() {
    counter!(REBUILT).increment(1);
}

pub fn pruned(rows: u64) {
    counter!(PRUNED).increment(rows);
}

pub fn left_out(decisions: usize) {
    counter!(LEFT_OUT).increment(decisions as u64);
}

pub fn heard(kind: Kind, oddity: Option<&'static str>, flag: Option<&'static str>) {
    let (oddity, price) = (oddity.unwrap_or("none"), flag.unwrap_or("told"));
    counter!(NOTICES, "kind" => kind.as_str(), "oddity" => oddity, "price" => price).increment(1);
}

pub fn owed(many: usize) {
    gauge!(OWED).set(many as f64);
}

pub fn unbooked() {
    counter!(UNBOOKED).increment(1);
}

pub fn never() {
    counter!(NEVER).increment(1);
}
