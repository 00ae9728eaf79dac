//! What an exchange out of its mind sends: requests that are none, and notices that nobody signed. Each has to be
//! refused with 400, and nothing may come of it.

use super::http::Request;
use crate::history::Op;

/// How its paths in the history tell it from what makes sense.
const MARK: &str = "?nonsense=";
/// As deep as no auction is.
const DEPTH: usize = 2_000;

/// Ways to spoil a request, and a notice.
pub const REQUESTS: usize = 4;
pub const NOTICES: usize = 3;

/// Whether an operation of the history is nonsense.
pub fn is(op: &Op) -> bool {
    matches!(op, Op::Call { path, .. } if path.contains(MARK))
}

fn op(method: &str, path: &str, what: &str) -> Op {
    Op::Call { method: method.into(), path: format!("{path}{MARK}{what}").into() }
}

/// In place of this bid request, in one of [`REQUESTS`] ways.
pub fn request(body: &str, way: usize) -> (Op, Request) {
    let (what, body) = match way {
        0 => ("cut", cut(body).to_owned()),
        1 => ("types", r#"{"id":7,"imp":"none","at":[],"tmax":{}}"#.to_owned()),
        2 => ("deep", format!(r#"{{"id":"d","imp":{}"#, "[".repeat(DEPTH))),
        _ => ("text", "bid, please".to_owned()),
    };
    (op("POST", "/openrtb2/bid", what), Request::post("/openrtb2/bid").json(body))
}

/// In place of a notice at this address (path and query, macros filled in), in one of [`NOTICES`] ways.
pub fn notice(address: &str, way: usize) -> (Op, Request) {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let (what, query) = match way {
        0 => ("altered", altered(query)),
        1 => ("cut", cut(query).to_owned()),
        _ => ("empty", String::new()),
    };
    (op("GET", path, what), Request::get(format!("{path}?{query}")))
}

/// The first half; of other characters than those of ASCII none is cut.
fn cut(text: &str) -> &str {
    let half = text.len() / 2;
    let at = (0..=half).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..at).unwrap_or_default()
}

/// Another letter in the middle of the longest value: that is what is signed, or the signature.
fn altered(query: &str) -> String {
    let values = query.split('&').filter_map(|part| part.split_once('=').map(|(_, value)| value));
    let Some(longest) = values.max_by_key(|value| value.len()).filter(|it| it.is_ascii()) else {
        return query.to_owned();
    };
    let half = longest.len() / 2;
    let (head, tail) = longest.split_at(half);
    let mut rest = tail.chars();
    let other = if rest.next() == Some('A') { 'B' } else { 'A' };
    query.replacen(longest, &format!("{head}{other}{}", rest.as_str()), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BILLING: &str = "/openrtb2/billing?v=1&k=b&h=77&d=c29tZXRoaW5nIGxvbmdlcg&s=bWFj&p=0.5";

    #[test]
    fn no_way_leaves_a_request_or_a_notice_as_it_was() {
        let good = r#"{"id":"r","imp":[{"id":"1"}]}"#;
        for way in 0..REQUESTS {
            let (op, request) = request(good, way);
            assert!(is(&op), "{op:?}");
            assert_ne!(request, Request::post("/openrtb2/bid").json(good.to_owned()), "{way}");
        }
        for way in 0..NOTICES {
            let (op, request) = notice(BILLING, way);
            assert!(is(&op), "{op:?}");
            assert_ne!(request, Request::get(BILLING.to_owned()), "{way}");
        }
        assert!(!is(&Op::Call { method: "GET".into(), path: "/openrtb2/win?h=b".into() }));
    }

    #[test]
    fn one_letter_of_what_is_signed_is_another() {
        let was = "v=1&d=c29tZXRoaW5nIGxvbmdlcg&s=bWFj";
        let is = altered(was);
        assert_eq!(was.len(), is.len());
        let changed: Vec<usize> =
            (0..was.len()).filter(|at| was.as_bytes()[*at] != is.as_bytes()[*at]).collect();
        assert_eq!(changed, [17], "{is}");
        assert_eq!(altered(""), "");
    }
}
