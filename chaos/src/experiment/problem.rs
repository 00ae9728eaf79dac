//! What is wrong with a file, and where.

use std::fmt;

/// One thing that is wrong with the text of an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: String,
    /// From 1; 0 where a problem has no place.
    pub line: u64,
    pub column: u64,
    /// As in `method[2].fault.duration`; empty for the whole.
    pub path: String,
    /// What is wrong, and what is allowed.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.what)
    }
}

/// The name that somebody may have meant.
pub fn meant<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let closest = known.iter().map(|name| (distance(word, name), *name)).min()?;
    let near = closest.0 <= 1 + closest.1.len() / 4;
    near.then_some(closest.1)
}

/// How many letters have to change (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    // No known name is longer than this; what is typed may be.
    for (i, a) in one.chars().take(64).enumerate() {
        let mut before = i;
        let mut left = i + 1;
        for (b, cell) in other.iter().zip(row.iter_mut().skip(1)) {
            let here = (before + usize::from(a != *b)).min(left + 1).min(*cell + 1);
            before = *cell;
            *cell = here;
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_another_word_is_not() {
        let known = ["duration", "start", "probability"];
        assert_eq!(meant("duratoin", &known), Some("duration"));
        assert_eq!(meant("strat", &known), Some("start"));
        assert_eq!(meant("colour", &known), None);
        assert_eq!(meant("", &[]), None);
    }

    #[test]
    fn distances_are_symmetric_and_zero_only_for_the_same() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("sitting", "kitten"), 3);
        assert_eq!(distance("same", "same"), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
    }
}
