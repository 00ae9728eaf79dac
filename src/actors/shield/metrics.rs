//! SyncShield's metrics: names, meanings, and when they count.

use std::sync::LazyLock;

use metrics::{Counter, counter, describe_counter};

use crate::models::shield::ask::Answer;
use crate::models::shield::budget::Core;
use crate::models::shield::effect::Batch;
use crate::models::shield::entry::Kind;
use crate::models::shield::purse::HoldAnswer;
use crate::models::shield::watch;

pub const AUTHORISATIONS: &str = "shield_authorisations_total";
pub const REFUSALS: &str = "shield_refusals_total";
pub const BOOKINGS: &str = "shield_ledger_rows_total";
pub const JOURNAL_LOST: &str = "shield_journal_lost_total";
pub const UNTOLD: &str = "shield_account_untold_total";
pub const VIOLATIONS: &str = "shield_invariant_violations_total";

/// Describes every metric and makes it present from the start.
pub fn describe() {
    describe_counter!(AUTHORISATIONS, "Holds that were granted");
    describe_counter!(REFUSALS, "Authorisations that were refused, by reason");
    describe_counter!(BOOKINGS, "Ledger rows that became durable, by kind");
    describe_counter!(JOURNAL_LOST, "Batches of the hold journal that could not be written");
    describe_counter!(UNTOLD, "Bookings whose account could not be told in time");
    describe_counter!(VIOLATIONS, "Broken invariants, by number; must read 0");
    counter!(AUTHORISATIONS).absolute(0);
    for reason in crate::models::shield::refusal::Reason::ALL {
        counter!(REFUSALS, "reason" => reason.code()).absolute(0);
    }
    for kind in [Kind::Settle, Kind::Late, Kind::Spend, Kind::Refund] {
        counter!(BOOKINGS, "kind" => kind.as_str()).absolute(0);
    }
    counter!(JOURNAL_LOST).absolute(0);
    counter!(UNTOLD).absolute(0);
    for id in watch::WATCHED {
        counter!(VIOLATIONS, "invariant" => id).absolute(0);
    }
}

pub fn hold_answered(answer: &HoldAnswer) {
    match answer {
        HoldAnswer::Held { replayed: false, .. } => {
            // Looked up once: this is the path of every bid.
            static GRANTED: LazyLock<Counter> = LazyLock::new(|| counter!(AUTHORISATIONS));
            GRANTED.increment(1);
        }
        HoldAnswer::Refused(refusal) => {
            counter!(REFUSALS, "reason" => refusal.reason.code()).increment(1);
        }
        _ => {}
    }
}

pub fn booked(answer: &Answer) {
    if let Answer::Booked { entry, replayed: false } = answer {
        counter!(BOOKINGS, "kind" => entry.kind.as_str()).increment(1);
    }
}

pub fn journal_lost() {
    counter!(JOURNAL_LOST).increment(1);
}

pub fn untold() {
    counter!(UNTOLD).increment(1);
}

/// Checks a batch before it is written. A violation is counted and told, never hidden.
pub fn checked(before: &Core, batch: &Batch) {
    for id in watch::broken(before, batch) {
        counter!(VIOLATIONS, "invariant" => id).increment(1);
        let seq = batch.core.seq;
        tracing::error!(invariant = id, seq, "invariant {id} is broken at row {seq}");
    }
}
