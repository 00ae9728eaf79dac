//! What is asked of a person's consents and what is written of it: commands in, changes out.

use serde::{Deserialize, Serialize};

use super::kind::{Kind, KindSet, Label, LegalBasis, Source};

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Granted,
    Revoked,
    /// GDPR Art. 21.
    Objected,
    /// Opted out of sale, sharing and targeted advertising.
    OptedOut,
    /// GDPR Art. 18: kept, and not used.
    Restricted,
    /// One restriction ended, perhaps not the only one.
    Lifted,
}

impl Action {
    pub const ALL: [Action; 6] = [
        Action::Granted,
        Action::Revoked,
        Action::Objected,
        Action::OptedOut,
        Action::Restricted,
        Action::Lifted,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Action::Granted => "granted",
            Action::Revoked => "revoked",
            Action::Objected => "objected",
            Action::OptedOut => "opted_out",
            Action::Restricted => "restricted",
            Action::Lifted => "lifted",
        }
    }

    pub fn parse(text: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|a| a.as_str() == text)
    }

    /// May it take away something that a cached answer still allows?
    pub fn takes_away(self) -> bool {
        !matches!(self, Action::Granted | Action::Lifted)
    }
}

/// How a decision came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub source: Source,
    /// The version of the text or of the form.
    pub version: Option<Label>,
    /// The id of the text that was shown, such as its SHA-256 in hex.
    pub proof: Option<Label>,
    /// Bytes of that text, where it is to be kept.
    pub shown_bytes: u32,
}

/// One line of a person's history. It names no person: its place does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// 1, 2, 3 … without a gap.
    pub seq: u64,
    /// Wall microseconds since the epoch, UTC.
    pub at: i64,
    /// None where it is about the whole person (restricted, lifted).
    pub kind: Option<Kind>,
    pub action: Action,
    /// Of a grant only.
    pub legal_basis: Option<LegalBasis>,
    pub source: Source,
    pub version: Option<Label>,
    pub proof: Option<Label>,
    /// Bytes of the text that was shown and is kept beside this; 0: none is.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shown_bytes: u32,
}

fn is_zero(bytes: &u32) -> bool {
    *bytes == 0
}

/// What is asked of a person's consents. A restriction stands until its own source lifts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Grant { kind: Kind, legal_basis: LegalBasis, origin: Origin },
    Revoke { kind: Kind, origin: Origin },
    Object { kinds: KindSet, origin: Origin },
    OptOut { kinds: KindSet, origin: Origin },
    Restrict { origin: Origin },
    Lift { origin: Origin },
}

/// Why a command changes nothing and must not be tried again as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    #[error("processing is restricted: nothing can be granted until the restriction is lifted")]
    Restricted,
    #[error("the person objected: only the person's own consent lifts an objection")]
    Objected,
    #[error("the person opted out: only the person's own consent lifts an opt-out")]
    OptedOut,
    #[error("the history is full: nothing more can be granted, only taken back")]
    Full,
}

impl Refusal {
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::Restricted => "restricted",
            Refusal::Objected => "objected",
            Refusal::OptedOut => "opted_out",
            Refusal::Full => "history_full",
        }
    }
}

/// A history that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHistory {
    #[error("change {found} follows change {last}")]
    Gap { last: u64, found: u64 },
    #[error("change {seq} says {action:?} of no consent type")]
    NoKind { seq: u64, action: Action },
}
