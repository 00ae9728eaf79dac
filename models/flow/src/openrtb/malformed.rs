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
        self.fault().name()
    }

    /// What it is counted as.
    pub fn fault(self) -> Fault {
        match self {
            Malformed::TooLarge(_) => Fault::TooLarge,
            Malformed::NotUtf8 => Fault::NotUtf8,
            Malformed::TooDeep(_) => Fault::TooDeep,
            Malformed::TooMany(_) | Malformed::Oversized { .. } => Fault::TooMany,
            Malformed::TooLong(_) | Malformed::Long(..) => Fault::TooLong,
            Malformed::Json { .. } => Fault::NotJson,
            Malformed::Value { .. } | Malformed::Invalid(_) => Fault::Invalid,
            Malformed::Missing(_) => Fault::Missing,
            Malformed::Impressions(_) => Fault::Impressions,
            Malformed::ImpressionTwice => Fault::ImpressionTwice,
            Malformed::Channels => Fault::Channels,
        }
    }
}

/// What is wrong with what does not become a request: a closed set, to count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    TooLarge,
    NotUtf8,
    TooDeep,
    TooMany,
    TooLong,
    NotJson,
    Invalid,
    Missing,
    Impressions,
    ImpressionTwice,
    Channels,
    /// It does not arrive in time.
    Late,
    /// It is broken off, or not packed as it says.
    Broken,
    /// It is packed in a way that is not known.
    Coding,
}

impl Fault {
    pub const ALL: [Fault; 14] = [
        Fault::TooLarge,
        Fault::NotUtf8,
        Fault::TooDeep,
        Fault::TooMany,
        Fault::TooLong,
        Fault::NotJson,
        Fault::Invalid,
        Fault::Missing,
        Fault::Impressions,
        Fault::ImpressionTwice,
        Fault::Channels,
        Fault::Late,
        Fault::Broken,
        Fault::Coding,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Fault::TooLarge => "too_large",
            Fault::NotUtf8 => "not_utf8",
            Fault::TooDeep => "too_deep",
            Fault::TooMany => "too_many",
            Fault::TooLong => "too_long",
            Fault::NotJson => "not_json",
            Fault::Invalid => "invalid",
            Fault::Missing => "missing",
            Fault::Impressions => "impressions",
            Fault::ImpressionTwice => "impression_twice",
            Fault::Channels => "channels",
            Fault::Late => "late",
            Fault::Broken => "broken",
            Fault::Coding => "coding",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_place_and_a_name_of_its_own() {
        let mut names: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        for (at, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, at, "{}", fault.name());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Fault::ALL.len());
    }
}
