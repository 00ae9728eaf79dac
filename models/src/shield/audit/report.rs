//! What a verification found.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::merkle::Hash;
use super::month::Month;

/// Findings that a report lists; beyond that they are only counted.
pub const FINDINGS_MAX: usize = 100;

/// Where a head was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// In the store, beside the log.
    Stored,
    /// In a file outside.
    Exported,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Origin::Stored => "stored",
            Origin::Exported => "exported",
        })
    }
}

/// One thing that is not as it was written. Sizes are numbers of records; a record's position is its
/// leaf index, from 0. In JSON: `code`, `words` and `position`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    #[error(
        "the kept head of {size} records, from which on the log is there, has no fitting frontier"
    )]
    BadStart { size: u64 },
    #[error("the first {size} records are gone, and nobody signed that their time was over")]
    DroppedWithoutCut { size: u64 },
    #[error(
        "that the first {size} records were dropped is not signed with a key of this installation, \
         or was signed of others"
    )]
    BadCut { size: u64 },
    #[error("the first {size} records, of {month} and before, were dropped before their time")]
    DroppedEarly { size: u64, month: Month },
    #[error(
        "the first {size} records were dropped as of {month} and before, and {heads} exported \
         head(s) of fewer records are younger"
    )]
    DroppedYounger { size: u64, month: Month, heads: u64 },
    #[error(
        "block {expected} with record {expected_first} should follow, and block {found} with record \
         {first} does: blocks are missing or out of order"
    )]
    BlockOrder { expected: u64, expected_first: u64, found: u64, first: u64 },
    #[error("block {block} from record {first} on says {stated} records and has {found}")]
    LineCount { block: u64, first: u64, stated: u32, found: u64 },
    #[error("record {record} in block {block} is not a record")]
    Malformed { block: u64, record: u64 },
    #[error("month, times, summary or persons of block {block} are not those of its records")]
    BlockFacts { block: u64, first: u64 },
    #[error("the signature of the {origin} head of {size} records does not fit")]
    BadSignature { origin: Origin, size: u64 },
    #[error("the {origin} head of {size} records is signed with {key_id}, a key that is not known")]
    UnknownKey { origin: Origin, size: u64, key_id: String },
    #[error("a head of {size} records of account {account} is among the stored ones")]
    ForeignHead { size: u64, account: String },
    #[error(
        "a head of {size} records follows, or is put again after, one of {after}: it was replayed"
    )]
    HeadReplayed { size: u64, after: u64 },
    #[error(
        "the head of {size} records does not name the one of {after} as the head before it: heads \
         are missing or out of order"
    )]
    HeadChain { size: u64, after: u64 },
    #[error("records from {after} up to the head of {size} are not those that it was signed for")]
    RootDiffers { size: u64, after: u64 },
    #[error(
        "the log was rewritten: records from {after} up to the exported head of {size} are not those \
         that it was signed for"
    )]
    Rewritten { size: u64, after: u64 },
    #[error(
        "the log ends after {size} records, but {heads} {origin} head(s) reach up to {reached}"
    )]
    Truncated { origin: Origin, size: u64, reached: u64, heads: u64 },
    #[error("{heads} exported head(s), the first of {size} records, are not among the stored ones")]
    HeadGone { size: u64, heads: u64 },
    #[error("the log is said to have {stated} records and has {size}, or another root")]
    LogRow { size: u64, stated: u64 },
}

impl Finding {
    /// Its stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadStart { .. } => "bad_start",
            Self::DroppedWithoutCut { .. } => "dropped_without_cut",
            Self::BadCut { .. } => "bad_cut",
            Self::DroppedEarly { .. } => "dropped_early",
            Self::DroppedYounger { .. } => "dropped_younger",
            Self::BlockOrder { .. } => "block_order",
            Self::LineCount { .. } => "line_count",
            Self::Malformed { .. } => "malformed",
            Self::BlockFacts { .. } => "block_facts",
            Self::BadSignature { .. } => "bad_signature",
            Self::UnknownKey { .. } => "unknown_key",
            Self::ForeignHead { .. } => "foreign_head",
            Self::HeadReplayed { .. } => "head_replayed",
            Self::HeadChain { .. } => "head_chain",
            Self::RootDiffers { .. } => "root_differs",
            Self::Rewritten { .. } => "rewritten",
            Self::Truncated { .. } => "truncated",
            Self::HeadGone { .. } => "head_gone",
            Self::LogRow { .. } => "log_row",
        }
    }

    /// The record (leaf index) from which on to look.
    pub fn position(&self) -> u64 {
        match *self {
            Self::BlockOrder { expected_first, .. } => expected_first,
            Self::LineCount { first, .. } | Self::BlockFacts { first, .. } => first,
            Self::Malformed { record, .. } => record,
            Self::HeadChain { after, .. }
            | Self::RootDiffers { after, .. }
            | Self::Rewritten { after, .. } => after,
            Self::BadStart { size }
            | Self::DroppedWithoutCut { size }
            | Self::BadCut { size }
            | Self::DroppedEarly { size, .. }
            | Self::DroppedYounger { size, .. }
            | Self::BadSignature { size, .. }
            | Self::UnknownKey { size, .. }
            | Self::ForeignHead { size, .. }
            | Self::HeadReplayed { size, .. }
            | Self::Truncated { size, .. }
            | Self::HeadGone { size, .. }
            | Self::LogRow { size, .. } => size,
        }
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Finding", 3)?;
        fields.serialize_field("code", self.code())?;
        fields.serialize_field("words", &self.to_string())?;
        fields.serialize_field("position", &self.position())?;
        fields.end()
    }
}

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    pub account: String,
    /// The first record that was there to verify: those before it were dropped by retention.
    pub first: u64,
    /// The last month that was dropped, as it is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Month>,
    /// Records read.
    pub records: u64,
    /// Blocks read.
    pub blocks: u64,
    /// Stored heads read.
    pub heads: u64,
    /// Exported heads that were held against the log.
    pub exported: u64,
    /// Exported heads of records that were dropped: nothing is left to hold them against.
    pub exported_before_first: u64,
    /// Leaves of the tree that was found.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// Records after the last stored head that agreed: nobody has signed for them yet.
    pub unsigned: u64,
    /// The first [`FINDINGS_MAX`] findings.
    pub findings: Vec<Finding>,
    pub findings_total: u64,
    /// There are no findings.
    pub verified: bool,
}
