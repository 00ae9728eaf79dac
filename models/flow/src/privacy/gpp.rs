//! The container of the IAB's Global Privacy Platform: a header that names the sections, and the sections.
//!
//! IAB Tech Lab, "Global Privacy Platform String", version 1: type 3 (6 bits), version (6 bits), section
//! ids as a range in Fibonacci coding; then a section each, split by `~`, in the order of their ids.

use smallvec::SmallVec;

use super::bits::{Bits, Ends};

/// Bytes of the longest string that is looked at.
pub const STRING_BYTES_MAX: usize = 16 << 10;
/// Sections of one string; the registry has 27.
pub const SECTIONS_MAX: usize = 64;

/// A string that is no GPP string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GppError {
    #[error("gpp string: longer than {STRING_BYTES_MAX} bytes")]
    TooLong,
    #[error("gpp string: the header cannot be read")]
    Header,
    #[error("gpp string: the header has another type or version")]
    Version,
    #[error("gpp string: the header names more or other sections than follow")]
    Sections,
}

impl From<Ends> for GppError {
    fn from(_: Ends) -> GppError {
        GppError::Header
    }
}

/// Sections by id, as they follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gpp<'a>(SmallVec<[(u16, &'a str); 4]>);

impl<'a> Gpp<'a> {
    pub fn parse(text: &'a str) -> Result<Gpp<'a>, GppError> {
        if text.len() > STRING_BYTES_MAX {
            return Err(GppError::TooLong);
        }
        let mut parts = text.split('~');
        let mut header = Bits::new(parts.next().unwrap_or_default());
        if (header.number(6)?, header.number(6)?) != (3, 1) {
            return Err(GppError::Version);
        }
        let mut sections = SmallVec::new();
        let mut last = 0;
        for _ in 0..header.number(12)? {
            let group = header.bit()?;
            let start = last + header.fibonacci()?;
            let end = if group { start + header.fibonacci()? } else { start };
            if end as usize > usize::from(u16::MAX) || (end - start) as usize >= SECTIONS_MAX {
                return Err(GppError::Header);
            }
            for id in start..=end {
                let part = parts.next().ok_or(GppError::Sections)?;
                if sections.len() == SECTIONS_MAX {
                    return Err(GppError::Sections);
                }
                sections.push((id as u16, part));
            }
            last = end;
        }
        match parts.next() {
            None => Ok(Gpp(sections)),
            Some(_) => Err(GppError::Sections),
        }
    }

    pub fn section(&self, id: i64) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| i64::from(*known) == id).map(|(_, text)| *text)
    }

    pub fn ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.iter().map(|(id, _)| i64::from(*id))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The header's three examples and the strings' in the specification.
    #[test]
    fn the_specifications_examples_are_read() {
        for (text, ids) in [
            ("DBABM~x", vec![2]),
            ("DBABMA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA", vec![2]),
            ("DBACNYA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN", vec![2, 6]),
            ("DBABjw~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN", vec![5, 6]),
            ("DBAA", vec![]),
        ] {
            let gpp = Gpp::parse(text).expect(text);
            assert_eq!(gpp.ids().collect::<Vec<i64>>(), ids, "{text}");
        }
        let gpp = Gpp::parse("DBACNYA~CPX~1YNN").expect("gpp");
        assert_eq!(
            (gpp.section(2), gpp.section(6), gpp.section(7)),
            (Some("CPX"), Some("1YNN"), None)
        );
    }

    #[test]
    fn what_is_no_gpp_string_is_refused() {
        for (text, error) in [
            ("", GppError::Header),
            ("D", GppError::Header),
            ("CBAA", GppError::Version),
            ("DCAA", GppError::Version),
            ("DBABM", GppError::Sections),
            ("DBABM~a~b", GppError::Sections),
            ("DBABA~a", GppError::Header),
            ("DB!A~a", GppError::Header),
            ("DB__A~a", GppError::Header),
            ("1YNN", GppError::Version),
        ] {
            assert_eq!(Gpp::parse(text), Err(error), "{text}");
        }
        assert_eq!(Gpp::parse(&"D".repeat(STRING_BYTES_MAX + 1)), Err(GppError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "DB[A-Za-z0-9_-]{0,40}(~[A-Za-z0-9._-]{0,8}){0,8}|.{0,60}") {
            if let Ok(gpp) = Gpp::parse(&text) {
                prop_assert!(gpp.ids().count() <= SECTIONS_MAX);
            }
        }
    }
}
