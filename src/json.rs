//! JSON of what is our own, where its maker or reader cannot fail the whole for it: what cannot be
//! written or read says so in its place.

use serde::Serialize;
use serde_json::{Value, json};

/// A value as JSON.
pub fn shown(value: &(impl Serialize + ?Sized)) -> Value {
    serde_json::to_value(value).unwrap_or_else(|error| unreadable(&error))
}

/// JSON that was stored.
pub fn stored(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Value {
    json!({ "unreadable": error.to_string() })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn what_cannot_be_written_or_read_says_why() {
        assert_eq!(shown(&[1, 2]), json!([1, 2]));
        assert_eq!(stored("[1, 2]"), json!([1, 2]));
        let without_text_as_keys = HashMap::from([((1, 2), 3)]);
        let said = |value: Value| value["unreadable"].as_str().map(str::is_empty);
        assert_eq!(said(shown(&without_text_as_keys)), Some(false));
        assert_eq!(said(stored("{")), Some(false));
    }
}
