//! What can be wrong with a TC string: where, and what.

use super::tc::STRING_BYTES_MAX;

/// A part of a TC string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    Core,
    DisclosedVendors,
    AllowedVendors,
    PublisherTc,
    /// A segment whose type could not be read.
    Unknown,
}

impl Segment {
    pub fn as_str(self) -> &'static str {
        match self {
            Segment::Core => "core",
            Segment::DisclosedVendors => "disclosed vendors",
            Segment::AllowedVendors => "allowed vendors",
            Segment::PublisherTc => "publisher tc",
            Segment::Unknown => "unknown",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("is longer than {STRING_BYTES_MAX} bytes")]
    TooLong,
    #[error("has a character that base64url does not have")]
    NotBase64,
    #[error("ends too early")]
    Ends,
    #[error("is {0}, and only 2 is known")]
    Version(u64),
    #[error("is not a pair of letters")]
    NotLetters,
    #[error("has the range {start} to {end}, within 1 to {max}")]
    Range { start: u16, end: u16, max: u16 },
    #[error("comes twice")]
    Twice,
    #[error("is missing")]
    Missing,
}

/// A string that is no TC string. It repeats nothing of the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tc string, {} segment: {field} {fault}", segment.as_str())]
pub struct TcfError {
    pub segment: Segment,
    /// The field's name in the IAB's specification.
    pub field: &'static str,
    pub fault: Fault,
}
