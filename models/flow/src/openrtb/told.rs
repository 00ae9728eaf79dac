//! The little that is told of a request which is not read: its id, by which its record is found.

use super::request::Limits;
use super::value::{Flag, Text};

#[derive(serde::Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(default)]
    test: Option<Flag>,
}

/// What a body says of itself that is JSON, and larger than what is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `None`: none, or one that is too long to be kept.
    pub id: Option<String>,
    pub test: bool,
}

/// Reads all of the body once more: for those that are sampled.
pub fn told(body: &[u8], limits: &Limits) -> Told {
    // One that cannot be read even so says nothing.
    let Ok(head) = serde_json::from_slice::<Head<'_>>(body) else { return Told::default() };
    let id = head.id.some().filter(|id| id.len() <= limits.id_bytes);
    Told { id: id.map(str::to_owned), test: head.test.is_some_and(|test| test.0) }
}

/// What such a request is drawn by: bodies of different requests differ in their beginning, and no more of one is
/// gone through.
pub fn beginning(body: &[u8]) -> &[u8] {
    body.get(..BEGINNING_BYTES).unwrap_or(body)
}

const BEGINNING_BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_to_be_looked_at_is_found_by_its_id() {
        let limits = Limits::default();
        let of = |body: &str| told(body.as_bytes(), &limits);
        let some = |id: &str, test| Told { id: Some(id.to_owned()), test };
        let imps = "{},".repeat(9_000);
        let body = format!(r#"{{"imp":[{imps}{{}}],"id":"r\u00e41","test":"1"}}"#);
        assert_eq!(of(&body), some("r\u{e4}1", true));
        assert_eq!(of(r#"{"id":"r1","ext":{"id":3}}"#), some("r1", false));
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(limits.id_bytes + 1));
        for none in
            [&*long, "", "[]", "{}", r#"{"id":""}"#, r#"{"id":{}}"#, r#"{"id":"a","id":"b"}"#]
        {
            assert_eq!(of(none).id, None, "{none}");
        }
        assert_eq!((beginning(b"x"), beginning(&[7; 4_096]).len()), (&b"x"[..], 1_024));
    }
}
