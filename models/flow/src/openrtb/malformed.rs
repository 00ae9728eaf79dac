//! What can be wrong with a request. It repeats nothing of what the request says.

use crate::reason::Reason;

use super::value::MANY;

/// A request that is answered with 400 and an empty body, but for what [`Malformed::no_bid`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body is not UTF-8")]
    NotUtf8,
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    #[error("an array or object has more than {0} elements")]
    TooMany(usize),
    /// A list of one kind has a bound of its own.
    #[error("a list has more elements than are looked at: line {line}, column {column}")]
    Oversized { line: usize, column: usize },
    #[error("a text is longer than {0} bytes")]
    TooLong(usize),
    #[error("is not JSON: line {line}, column {column}")]
    Json { line: usize, column: usize },
    /// JSON, but a field is of another type, out of its range, or comes twice.
    #[error("a field has a value that it cannot have: line {line}, column {column}")]
    Value { line: usize, column: usize },
    /// The field's path in the specification.
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} has a value that it cannot have")]
    Invalid(&'static str),
    #[error("{0} is longer than {1} bytes")]
    Long(&'static str, usize),
    #[error("more than {0} impressions")]
    Impressions(usize),
    #[error("two impressions have the same id")]
    ImpressionTwice,
    #[error("more than one of site, app and dooh")]
    Channels,
}

impl Malformed {
    pub(super) fn of(error: &serde_json::Error) -> Malformed {
        let (line, column) = (error.line(), error.column());
        if error.is_data() && error.to_string().starts_with(MANY) {
            Malformed::Oversized { line, column }
        } else if error.is_data() {
            Malformed::Value { line, column }
        } else {
            Malformed::Json { line, column }
        }
    }

    /// Whether it is a bid request as the specification has it, and only larger than what is looked at: there is no
    /// bid on it, and that is all.
    pub fn no_bid(self) -> Option<Reason> {
        match self {
            Malformed::TooMany(_) | Malformed::Impressions(_) | Malformed::Oversized { .. } => {
                Some(Reason::Oversized)
            }
            _ => None,
        }
    }

    /// A closed set of names, to count by.
    pub fn name(self) -> &'static str {
        match self {
            Malformed::TooLarge(_) => "too_large",
            Malformed::NotUtf8 => "not_utf8",
            Malformed::TooDeep(_) => "too_deep",
            Malformed::TooMany(_) | Malformed::Oversized { .. } => "too_many",
            Malformed::TooLong(_) | Malformed::Long(..) => "too_long",
            Malformed::Json { .. } => "not_json",
            Malformed::Value { .. } | Malformed::Invalid(_) => "invalid",
            Malformed::Missing(_) => "missing",
            Malformed::Impressions(_) => "impressions",
            Malformed::ImpressionTwice => "impression_twice",
            Malformed::Channels => "channels",
        }
    }
}
