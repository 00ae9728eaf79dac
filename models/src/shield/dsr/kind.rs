//! The seven types of request and where a request stands.

use serde::{Deserialize, Serialize};

/// What a person asks for, named as in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// A copy of everything that is held (GDPR Art. 15).
    Access,
    /// Correct what is wrong (Art. 16).
    Rectification,
    /// Erase (Art. 17).
    Deletion,
    /// Keep, but do not use (Art. 18).
    Restriction,
    /// A copy of what the person gave, to take elsewhere (Art. 20).
    Portability,
    /// Stop processing for the purposes named (Art. 21).
    Objection,
    /// Stop selling and sharing (California Civil Code 1798.120).
    OptOut,
}

impl Kind {
    /// All types, in the order of the API's documentation.
    pub const ALL: [Kind; 7] = [
        Kind::Access,
        Kind::Rectification,
        Kind::Deletion,
        Kind::Restriction,
        Kind::Portability,
        Kind::Objection,
        Kind::OptOut,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "ACCESS",
            Self::Rectification => "RECTIFICATION",
            Self::Deletion => "DELETION",
            Self::Restriction => "RESTRICTION",
            Self::Portability => "PORTABILITY",
            Self::Objection => "OBJECTION",
            Self::OptOut => "OPT_OUT",
        }
    }

    /// The type of that name; names are in capitals.
    pub fn parse(name: &str) -> Option<Kind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing is done before somebody has shown that the person is who asks (Art. 12(6)).
    AwaitingVerification,
    InProgress,
    Completed,
    /// Refused with a reason before it acted (Art. 12(5)).
    Rejected,
    /// Withdrawn before it acted, or the person was erased meanwhile.
    Cancelled,
}

impl Status {
    pub const ALL: [Status; 5] = [
        Status::AwaitingVerification,
        Status::InProgress,
        Status::Completed,
        Status::Rejected,
        Status::Cancelled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingVerification => "awaiting_verification",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether an answer is still owed.
    pub fn is_open(self) -> bool {
        matches!(self, Self::AwaitingVerification | Self::InProgress)
    }
}

/// What a person can agree or object to.
pub use crate::shield::consent::kind::Kind as ConsentType;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_the_one_that_json_has_and_reads_back() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("json"), kind.as_str());
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        for status in [
            Status::AwaitingVerification,
            Status::InProgress,
            Status::Completed,
            Status::Rejected,
            Status::Cancelled,
        ] {
            assert_eq!(serde_json::to_value(status).expect("json"), status.as_str());
        }
        for bad in ["", "access", "OPTOUT", "OPT_OUT "] {
            assert_eq!(Kind::parse(bad), None, "{bad}");
        }
    }
}
