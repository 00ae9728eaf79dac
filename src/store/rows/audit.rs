//! The rows of the audit log: one log per account, in blocks of lines.

use crate::store::record::record;

record! {
    /// Where an account's log ends.
    pub struct AuditLogRow in "audit_log" key ["account"] {
        pub account: String,
        /// Records ever written, also those that retention has dropped.
        pub size: i64,
        /// Merkle root over all of them, hexadecimal.
        pub root: String,
        /// JSON: the roots of the perfect subtrees.
        pub frontier: String,
        /// Number of the next block.
        pub blocks: i64,
        pub version: i64,
    }
}

record! {
    /// Records in a row, one JSON object a line. Never changed.
    pub struct AuditBlockRow in "audit_block" key ["account", "block"] {
        pub account: String,
        pub block: i64,
        /// Index of the first record.
        pub first: i64,
        pub count: i64,
        /// `2026-11`, UTC: a block is of one month.
        pub month: String,
        pub at_from: i64,
        pub at_to: i64,
        pub lines: String,
        /// JSON: counts by event and outcome.
        pub summary: String,
    }
}

record! {
    /// The hash of a perfect subtree of 2^level records, for proofs.
    pub struct AuditNodeRow in "audit_node" key ["account", "level", "idx"] {
        pub account: String,
        pub level: i64,
        pub idx: i64,
        pub hash: String,
    }
}

record! {
    /// A signed tree head.
    pub struct AuditHeadRow in "audit_head" key ["account", "size"] {
        pub account: String,
        pub size: i64,
        pub at: i64,
        /// JSON: the head with its signature.
        pub head: String,
        /// 1 where a month ends: it stays when retention drops that month; 2 where it did.
        pub kept: i64,
    }
}

record! {
    /// Which blocks speak of a person.
    pub struct AuditPersonRow in "audit_person" key ["account", "person", "block"] {
        pub account: String,
        pub person: String,
        pub block: i64,
    }
}

record! {
    /// Up to which row a budget's ledger is in the log.
    pub struct AuditCursorRow in "audit_cursor" key ["account", "budget"] {
        pub account: String,
        pub budget: String,
        pub seq: i64,
    }
}

record! {
    /// A record on its way into the log, written together with what it tells of.
    pub struct AuditPendingRow in "audit_pending" key ["id"] {
        pub account: String,
        /// Ordered by time.
        pub id: String,
        pub at: i64,
        /// JSON of the record.
        pub record: String,
    }
}
