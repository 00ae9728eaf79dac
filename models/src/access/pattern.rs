//! Which events somebody wants: names, and beginnings of names with a star behind them.

use std::fmt;

/// Patterns of one webhook at most.
pub const PATTERNS_MAX: usize = 16;
/// Characters of a pattern.
pub const PATTERN_CHARS_MAX: usize = 64;

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not the name of an event, such as dsr.completed, nor the beginning of one with a star: \
     budget.*, or * for all"
)]
pub struct BadPattern;

/// `dsr.completed`, `budget.threshold*` or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    prefix: bool,
}

impl Pattern {
    /// # Errors
    /// It is not lower-case words joined by dots, with at most one star, which is last.
    pub fn parse(text: &str) -> Result<Pattern, BadPattern> {
        let (stem, prefix) = match text.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (text, false),
        };
        let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.');
        let fits = text.len() <= PATTERN_CHARS_MAX && (prefix || !stem.is_empty());
        match fits && stem.bytes().all(plain) {
            true => Ok(Pattern { text: stem.to_owned(), prefix }),
            false => Err(BadPattern),
        }
    }

    pub fn matches(&self, event: &str) -> bool {
        if self.prefix { event.starts_with(&self.text) } else { event == self.text }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.prefix { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_every_ending_and_nothing_else_does() {
        for (pattern, event, expected) in [
            ("*", "dsr.completed", true),
            ("dsr.*", "dsr.completed", true),
            ("dsr.*", "dsrx", false),
            ("budget.threshold*", "budget.threshold", true),
            ("budget.threshold", "budget.threshold", true),
            ("budget.threshold", "budget.thresholds", false),
            ("budget.t", "budget.threshold", false),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(event), expected, "{pattern} {event}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["", "**", "*.x", "a*b", "Dsr.*", "dsr completed", "ü", &"x".repeat(65)] {
            assert_eq!(Pattern::parse(bad), Err(BadPattern), "{bad}");
        }
    }
}
