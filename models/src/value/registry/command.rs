//! What can be asked of the registry, what comes of it, and why not.

use serde::{Deserialize, Serialize};

use super::compare::Worse;
use super::version::{Version, VersionId};

/// Characters of a reason and of who gives it.
pub const REASON_CHARS_MAX: usize = 500;

/// Words of a person: 1 to 500 characters, not only blanks, none a control character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

/// A text that is no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not 1 to 500 characters without control characters")]
pub struct BadReason;

impl TryFrom<String> for Reason {
    type Error = BadReason;

    fn try_from(text: String) -> Result<Reason, BadReason> {
        let fits = text.chars().count() <= REASON_CHARS_MAX && !text.chars().any(char::is_control);
        if fits && !text.trim().is_empty() { Ok(Reason(text)) } else { Err(BadReason) }
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> String {
        reason.0
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Adds a version, for ever.
    Register(Box<Version>),
    /// Makes a version the challenger, instead of the one there is.
    Challenge(VersionId),
    /// The challenger is none any more.
    EndChallenge,
    /// Makes the challenger the champion. `force` promotes it however it compares, and says why.
    Promote { force: Option<Reason> },
    /// Makes the champion before the champion again.
    RollBack { reason: Reason },
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event", deny_unknown_fields)]
pub enum Event {
    Registered { version: Box<Version> },
    Challenged { version: VersionId, instead_of: Option<VersionId> },
    ChallengeEnded { version: VersionId },
    Promoted { version: VersionId, from: Option<VersionId>, forced: Option<Forced> },
    RolledBack { from: VersionId, to: VersionId, reason: Reason },
}

/// A promotion against the rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forced {
    pub reason: Reason,
    pub objection: Objection,
}

/// What speaks against a promotion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objection {
    /// Both were scored on different holdouts: nobody knows which is better.
    OtherHoldout,
    Worse(Vec<Worse>),
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1 without a gap.
    pub seq: u64,
    /// Wall micros UTC.
    pub at_us: i64,
    /// Who asked for it.
    pub by: Reason,
    #[serde(flatten)]
    pub event: Event,
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("version {0} is there already, and versions do not change")]
    Exists(VersionId),
    #[error("there is no version {0}")]
    Unknown(VersionId),
    #[error("version {0} is the champion already")]
    IsChampion(VersionId),
    #[error("version {0} is the challenger already")]
    IsChallenger(VersionId),
    #[error("there is no challenger")]
    NoChallenger,
    #[error("there is no champion before this one")]
    NoFormer,
    #[error("the challenger may not be promoted without a reason")]
    Objected(Objection),
    #[error("the registry is full")]
    Full,
}
