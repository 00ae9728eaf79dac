//! What nodes tell each other of a request.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::actors::cluster::links::LinkError;
use crate::models::flow::reason::Reason;
use crate::models::shield::money::Currency;

/// The kinds of what they tell: bids for a request, what becomes of them, how many campaigns run.
pub const BID: &str = "flow.bid";
pub const WITHDRAW: &str = "flow.withdraw";
pub const RUNNING: &str = "flow.running";

/// What is said of a request besides its own bytes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Names the request between the two nodes.
    pub id: u64,
    pub exchange: String,
    /// How long a bid may take, and how long until the exchange is answered (microseconds).
    pub bid_us: i64,
    pub left_us: i64,
}

/// A line with the head, and the request as it came.
pub fn question(head: &Head, body: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = serde_json::to_vec(head).ok()?;
    bytes.reserve_exact(body.len() + 1);
    bytes.push(b'\n');
    bytes.extend_from_slice(body);
    Some(bytes)
}

/// # Errors
/// It is none.
pub fn read(question: &[u8]) -> Result<(Head, &[u8]), LinkError> {
    let none = |why: &str| LinkError::NotUnderstood(why.to_owned());
    let at = question.iter().position(|byte| *byte == b'\n').ok_or_else(|| none("no head"))?;
    let (head, body) = question.split_at(at);
    let head = serde_json::from_slice(head).map_err(|error| none(&error.to_string()))?;
    Ok((head, body.get(1..).unwrap_or_default()))
}

/// A bid of another node, whose money is held there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Offered {
    /// Place of the impression in the request.
    pub slot: usize,
    /// The campaign's.
    pub key: u64,
    /// In the answer's currency of comparison.
    pub score: f64,
    /// Of the price.
    pub currency: Currency,
    /// The seat, and the bid as the exchange reads it.
    pub seat: String,
    pub bid: Box<RawValue>,
    /// The number of the person by whose grants it was decided; 0: by nobody's.
    pub granted: u128,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// What its scores are in.
    pub common: Option<Currency>,
    pub offers: Vec<Offered>,
    /// Why there is none.
    pub reason: Option<Reason>,
    /// Of a test: how many pairs of an impression and a campaign were refused for what.
    pub refused: Vec<(Reason, u32)>,
}

/// What becomes of a node's bids.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub id: u64,
    /// By slot: why it is not bid; `None`: it is.
    pub ends: Vec<(usize, Option<Reason>)>,
    /// Why those that are not among them are not bid.
    pub otherwise: Reason,
}

impl Verdict {
    pub fn of(&self, slot: usize) -> Option<Reason> {
        let end = self.ends.iter().find(|(of, _)| *of == slot);
        end.map_or(Some(self.otherwise), |(_, end)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_arrives_byte_for_byte_behind_its_head() {
        let head = Head { id: u64::MAX, exchange: "a\n\"b".into(), bid_us: 1, left_us: -1 };
        for body in [&b""[..], b"{\n}\n", &[0, 255, b'\n']] {
            let bytes = question(&head, body).expect("written");
            assert_eq!(read(&bytes), Ok((Head { exchange: head.exchange.clone(), ..head }, body)));
        }
        for none in [&b""[..], b"{}", b"{}\n", b"\n{}"] {
            assert!(matches!(read(none), Err(LinkError::NotUnderstood(_))));
        }
    }

    #[test]
    fn an_answer_reads_back_with_its_bids_as_they_were_written() {
        let bid = RawValue::from_string(r#"{"id": "1", "price":1.10}"#.to_owned()).expect("json");
        let offered = Offered {
            slot: 3,
            key: u64::MAX,
            score: -0.25,
            currency: Currency::USD,
            seat: "kiki".into(),
            bid,
            granted: u128::MAX,
        };
        let answer = Answer {
            common: Some(Currency::USD),
            offers: vec![offered],
            reason: Some(Reason::Budget),
            refused: vec![(Reason::Geo, 2)],
        };
        let bytes = serde_json::to_vec(&answer).expect("json");
        let read: Answer = serde_json::from_slice(&bytes).expect("reads");
        let offered = &read.offers[0];
        assert_eq!((offered.slot, offered.key, offered.score), (3, u64::MAX, -0.25));
        assert_eq!(
            (offered.granted, offered.bid.get()),
            (u128::MAX, r#"{"id": "1", "price":1.10}"#)
        );
        assert_eq!((read.reason, read.refused), (answer.reason, answer.refused));
    }

    #[test]
    fn slots_that_a_verdict_does_not_name_are_not_bid() {
        let ends = vec![(1, None), (2, Some(Reason::Outbid))];
        let verdict = Verdict { id: 1, ends, otherwise: Reason::Deadline };
        let of: Vec<_> = (0..3).map(|slot| verdict.of(slot)).collect();
        assert_eq!(of, [Some(Reason::Deadline), None, Some(Reason::Outbid)]);
    }
}
