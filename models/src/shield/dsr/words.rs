//! What somebody wrote about a person in free text. It is kept under the person's key, in the request
//! and in the log alike, so that it goes with the key.

use serde::{Deserialize, Serialize};

/// Characters of what somebody writes; more are refused.
pub const WORDS_CHARS_MAX: usize = 1_000;
/// Characters of the same, sealed: four bytes each at most, in JSON and base64.
pub const SEALED_CHARS_MAX: usize = 8 * 1_024;

/// Free text of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Words {
    /// What the rules themselves say, and what was opened to be shown.
    Plain(String),
    /// The JSON object `{"reason": …}`, readable with the person's key alone.
    Sealed { sealed: String },
}

impl Words {
    /// Of the rules: nothing personal.
    pub fn plain(text: impl Into<String>) -> Words {
        Words::Plain(text.into())
    }

    /// Whether somebody may write this: 1 to [`WORDS_CHARS_MAX`] characters, and not blank.
    pub fn may_be(text: &str) -> bool {
        !text.trim().is_empty() && text.chars().count() <= WORDS_CHARS_MAX
    }

    /// Whether there is nothing in it. What is sealed was something.
    pub fn is_empty(&self) -> bool {
        matches!(self, Words::Plain(text) if text.trim().is_empty())
    }

    /// As it can be shown without the key.
    pub fn shown(&self) -> &str {
        match self {
            Words::Plain(text) => text,
            Words::Sealed { .. } => "(sealed)",
        }
    }

    /// What only the key opens.
    pub fn sealed(&self) -> Option<&str> {
        match self {
            Words::Plain(_) => None,
            Words::Sealed { sealed } => Some(sealed),
        }
    }

    pub(super) fn fits(&self) -> bool {
        match self {
            Words::Plain(text) => Words::may_be(text),
            Words::Sealed { sealed } => (1..=SEALED_CHARS_MAX).contains(&sealed.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_a_bare_text_is_a_plain_one() {
        for words in [Words::plain("moved away"), Words::Sealed { sealed: "AQID".to_owned() }] {
            let json = serde_json::to_string(&words).expect("json");
            assert_eq!(serde_json::from_str::<Words>(&json).expect("reads"), words);
        }
        assert_eq!(serde_json::to_value(Words::plain("x")).expect("json"), "x");
        assert!(serde_json::from_str::<Words>("{\"opened\": \"x\"}").is_err());
    }

    #[test]
    fn what_is_sealed_is_shown_as_such_and_what_is_blank_is_nothing() {
        let sealed = Words::Sealed { sealed: "AQID".to_owned() };
        assert_eq!((sealed.shown(), sealed.sealed()), ("(sealed)", Some("AQID")));
        assert!(sealed.fits() && !sealed.is_empty());
        assert!(!Words::Sealed { sealed: String::new() }.fits());
        let long = "ü".repeat(WORDS_CHARS_MAX);
        assert!(Words::plain(long.clone()).fits() && !Words::plain(long + "x").fits());
        for blank in ["", " \n"] {
            assert!(Words::plain(blank).is_empty() && !Words::may_be(blank));
        }
    }
}
