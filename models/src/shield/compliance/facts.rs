//! What the service gathered from its rows for one account and one period. Times are wall micros
//! UTC; a figure that could not be measured is missing, never zero.

use std::collections::BTreeMap;

use serde::Serialize;

use super::requests::Requests;
use super::time;

/// Every consent type has its line, also when nobody changed it.
pub const CONSENT_KINDS: [&str; 5] =
    ["marketing", "analytics", "targeting", "profiling", "data_sharing"];

/// How an audited event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventOutcome {
    Ok,
    Denied,
    Failed,
}

impl EventOutcome {
    /// The word of the audit record; what is neither `ok` nor `denied` has failed.
    pub fn read(word: &str) -> EventOutcome {
        match word {
            "ok" => Self::Ok,
            "denied" => Self::Denied,
            _ => Self::Failed,
        }
    }
}

/// Changes of one consent type in the period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConsentLine {
    pub granted: u64,
    pub revoked: u64,
    /// Grants on the basis of consent that keep no copy of the text that was shown.
    pub granted_without_proof: u64,
}

/// IAB TC strings that were read in the period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tcf {
    pub read: u64,
    pub refused: u64,
    /// Read without the Disclosed Vendors segment, which TCF 2.3 makes mandatory.
    pub without_disclosed_vendors: u64,
}

/// Questions for consent in the period, and what services that contact people reported of it
/// (invariant CO-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Contacts {
    /// Questions that were answered yes.
    pub with_consent: u64,
    /// Questions that were answered no.
    pub blocked: u64,
    /// Contacts without consent that went through: must be 0. `None`: no service reported contacts.
    pub breaches: Option<u64>,
    /// Persons whose processing is restricted at the end of the period.
    pub restricted_persons: u64,
    /// Contacts of a person while restricted: must be 0. `None`: no service reported contacts.
    pub restricted_processed: Option<u64>,
}

/// Persons whose key was destroyed in the period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erasures {
    pub done: u64,
    /// Done again after a restore from a backup that still had the person.
    pub reapplied: u64,
}

/// The last verification of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Verification {
    Done {
        #[serde(rename = "at", serialize_with = "time::as_rfc3339")]
        at_us: i64,
        records: u64,
        heads: u64,
        /// Discrepancies; 0 means that the log verifies (invariant AU-1).
        discrepancies: u64,
        /// The first of them in words.
        first: Option<String>,
    },
    NotDone {
        why: String,
    },
}

/// The audit log as it stands, and what keeps it honest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditLog {
    pub records: u64,
    /// Signed tree heads that exist, and those written to a file outside.
    pub heads: u64,
    pub heads_exported: u64,
    #[serde(rename = "head_exported_at", serialize_with = "time::as_rfc3339_opt")]
    pub head_exported_us: Option<i64>,
    pub verification: Verification,
}

/// How long records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Retention {
    pub days: u64,
    #[serde(rename = "oldest_record_at", serialize_with = "time::as_rfc3339_opt")]
    pub oldest_record_us: Option<i64>,
}

/// API keys as they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Keys {
    pub active: u64,
    pub expired: u64,
    pub revoked: u64,
    /// Active ones that never expire.
    pub without_expiry: u64,
}

/// Settings that the findings look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Settings {
    pub authentication: bool,
    pub tls: bool,
    /// Every listener is on a loopback address.
    pub loopback_only: bool,
}

/// The whole input of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub account: String,
    /// Audited events in the period, gathered refusals counted one by one.
    pub events: BTreeMap<(String, EventOutcome), u64>,
    /// By consent type.
    pub consent: BTreeMap<String, ConsentLine>,
    pub tcf: Tcf,
    pub requests: Requests,
    pub erasures: Erasures,
    /// Decisions refused in the period, by reason.
    pub denied: BTreeMap<String, u64>,
    pub contacts: Contacts,
    pub audit: AuditLog,
    pub retention: Retention,
    pub keys: Keys,
    pub settings: Settings,
}
