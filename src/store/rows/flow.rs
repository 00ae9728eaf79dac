//! The rows of campaigns, bidders and decisions. Times are wall-clock micros.

use crate::store::record::record;

record! {
    /// A campaign as it is.
    pub struct FlowCampaignRow in "flow_campaign" key ["account", "campaign"] {
        pub account: String,
        pub campaign: String,
        /// draft, active, paused or ended.
        pub status: String,
        /// JSON: the campaign with its definition.
        pub state: String,
        /// JSON: what its budget has yet to be told.
        pub todo: String,
        pub revision: i64,
        /// When to look at its schedule again.
        pub wake_at: Option<i64>,
        pub created_at: i64,
        pub updated_at: i64,
        /// Counts the writes of this row, from 1.
        pub version: i64,
    }
}

record! {
    /// A line of a campaign's history. It never changes.
    pub struct FlowChangeRow in "flow_change" key ["account", "campaign", "revision"] {
        pub account: String,
        pub campaign: String,
        pub revision: i64,
        /// Of the definition.
        pub definition_version: i64,
        /// created, edited, activated, paused, ended.
        pub kind: String,
        /// That it has from then on.
        pub status: String,
        pub changed_by: String,
        /// JSON, of a change of it.
        pub definition: Option<String>,
        pub at: i64,
    }
}

record! {
    /// What a campaign's bidder has learned.
    pub struct FlowPacerRow in "flow_pacer" key ["account", "campaign"] {
        pub account: String,
        pub campaign: String,
        /// JSON.
        pub state: String,
        pub updated_at: i64,
    }
}

record! {
    /// Why something was bid, or not.
    pub struct FlowDecisionRow in "flow_decision" key ["account", "decision"] {
        pub account: String,
        /// The hold's id, or one of its own: 32 hexadecimal digits.
        pub decision: String,
        /// Empty where nobody in particular was meant.
        pub campaign: String,
        pub at: i64,
        /// bid, no_bid or change.
        pub kind: String,
        pub auction: Option<String>,
        pub outcome: String,
        /// When a bid of which nothing is told is over.
        pub ends_at: i64,
        /// JSON.
        pub record: String,
        /// Of the last write of this row: the subject of its record in the audit log.
        pub batch: String,
        /// Its place in the batch, see `models::flow::decision::proof`.
        pub proof: String,
        pub updated_at: i64,
    }
}

record! {
    /// For whom a bid was made. Not part of its record, which nobody can change: this row goes when the person
    /// is erased.
    pub struct FlowReachRow in "flow_reach" key ["account", "decision"] {
        pub account: String,
        pub decision: String,
        /// The inner id of a customer.
        pub person: String,
        /// When it was bid.
        pub at: i64,
    }
}

record! {
    /// How often something was decided in an hour.
    pub struct FlowCountRow in "flow_count" key ["account", "campaign", "hour", "reason", "writer"] {
        pub account: String,
        /// Empty where nobody in particular was meant.
        pub campaign: String,
        /// Since 1970-01-01.
        pub hour: i64,
        /// `bids`, `requests`, or a reason's name.
        pub reason: String,
        /// Of several that count, each has a row: they are added up.
        pub writer: String,
        pub count: i64,
        pub updated_at: i64,
    }
}
