//! The rows of budgets. Money is micros of the row's currency, times are microseconds: `*_at` and
//! `at` of the wall clock (since 1970 UTC), `mono_us` of the machine's monotonic clock under the boot
//! named beside it.

use crate::store::record::record;

record! {
    /// The owner of a shard and its epoch, which never decreases (OW-1).
    pub struct ShardRow in "shard" key ["shard"] {
        /// Always `*`.
        pub account: String,
        /// 0 to 767: 256 of each role.
        pub shard: i64,
        pub epoch: i64,
        pub owner: String,
    }
}

record! {
    /// An advertiser.
    pub struct AccountRow in "account" key ["account"] {
        pub account: String,
        pub currency: String,
        /// 1 while every spend of the account is stopped.
        pub stopped: i64,
        /// JSON: window cap and other terms.
        pub terms: String,
        pub created_at: i64,
        pub updated_at: i64,
    }
}

record! {
    /// A budget with its running totals: a start reads this row, never the ledger.
    pub struct BudgetRow in "budget" key ["account", "budget"] {
        pub account: String,
        pub budget: String,
        pub shard: i64,
        /// JSON: caps, schedule, pacing.
        pub terms: String,
        pub status: String,
        pub funded: i64,
        pub refunded: i64,
        pub settled: i64,
        pub facts: i64,
        pub late: i64,
        /// Sequence of the newest ledger row; dense from 1 (BG-3).
        pub seq: i64,
        /// JSON: the rest of the rule's state.
        pub state: String,
        /// Counts the writes of this row; the store sets it to the expected version + 1.
        pub version: i64,
        pub created_at: i64,
        pub updated_at: i64,
    }
}

record! {
    /// A part of a budget that one holder may spend from memory.
    pub struct SliceRow in "slice" key ["account", "budget", "slice"] {
        pub account: String,
        pub budget: String,
        pub slice: String,
        pub holder: String,
        pub quota: i64,
        /// Grows by settles only, never beyond the quota.
        pub settled: i64,
        /// The day that it spends on, in the budget's time zone.
        pub day: String,
        /// 1 when it is closed for good.
        pub sealed: i64,
        pub taken_at: i64,
        pub mono_us: i64,
        pub boot: String,
        pub ttl_us: i64,
        /// Sequence of the newest ledger row when it was taken: its bookings come after. Never
        /// changed. Exports of the first version have none.
        #[serde(default)]
        pub since_seq: i64,
    }
}

record! {
    /// One booked operation. Never changed, never deleted.
    pub struct EntryRow in "ledger" key ["account", "budget", "seq"] {
        pub account: String,
        pub budget: String,
        pub seq: i64,
        /// The operation's key, unique in the account (BG-3).
        pub op: String,
        /// settle, late, spend or refund.
        pub kind: String,
        pub amount: i64,
        pub currency: String,
        pub at: i64,
        pub mono_us: i64,
        pub boot: String,
        pub hold: Option<String>,
        pub slice: Option<String>,
        pub day: String,
        /// The amount in the account's currency, as its window counts it.
        pub window_amount: i64,
        pub body_hash: String,
        pub memo: Option<String>,
        /// The slice of the account's window that covered the hold. Exports of the first version
        /// have none.
        #[serde(default)]
        pub window_slice: Option<String>,
    }
}

record! {
    /// A reservation, journaled after the answer: it may be missing or behind after a crash.
    pub struct HoldRow in "hold" key ["account", "hold"] {
        pub account: String,
        pub hold: String,
        pub budget: String,
        pub slice: String,
        pub window_slice: Option<String>,
        pub amount: i64,
        pub day: String,
        /// open, settled, released or expired.
        pub state: String,
        pub settled_amount: i64,
        pub expires_at: i64,
        pub body_hash: String,
        pub memo: Option<String>,
        pub created_at: i64,
        pub updated_at: i64,
    }
}

record! {
    /// The stored answer of a mutating call that booked no ledger row.
    pub struct OperationRow in "operation" key ["account", "op"] {
        pub account: String,
        pub op: String,
        pub budget: String,
        pub route: String,
        pub body_hash: String,
        pub status: i64,
        pub answer: String,
        pub at: i64,
    }
}

record! {
    /// An event that leaves in the order of its id, at least once.
    pub struct OutboxRow in "outbox" key ["id"] {
        pub account: String,
        pub id: String,
        pub kind: String,
        pub subject: String,
        pub payload: String,
        pub created_at: i64,
        pub delivered_at: Option<i64>,
    }
}

record! {
    /// What one unit of `currency` is worth in the account's currency from `day` on, × 10⁹.
    pub struct RateRow in "rate" key ["account", "currency", "day"] {
        pub account: String,
        pub currency: String,
        pub day: String,
        pub rate_e9: i64,
    }
}

record! {
    /// A named fact about an account or (account `*`) about the installation.
    pub struct MetaRow in "meta" key ["account", "name"] {
        pub account: String,
        pub name: String,
        pub value: String,
    }
}
