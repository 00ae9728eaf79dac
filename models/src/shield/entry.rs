//! What a ledger row says: one booked fact about money.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::money::{Currency, Micros};

/// Names an operation once and for all: a hash of account, route and key. One operation, one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Op(pub u128);

impl Serialize for Op {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Op, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Op::from_hex(&text).ok_or_else(|| D::Error::custom("an operation is 32 hexadecimal digits"))
    }
}

impl Op {
    /// The first 128 bits of SHA-256 over the parts, each preceded by its length.
    pub fn of(parts: &[&str]) -> Op {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut first = [0u8; 16];
        first.copy_from_slice(&digest[..16]);
        Op(u128::from_be_bytes(first))
    }

    /// From 32 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Op> {
        let plain = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        plain.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(Op)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Names a slice within its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SliceId(pub u64);

impl fmt::Display for SliceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One life of one holder of slices: a node's incarnation. A restart is another holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HolderId(pub u64);

impl fmt::Display for HolderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A calendar day of the campaign's time zone, as the number yyyymmdd.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Day(pub i32);

/// Both clocks, read together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Monotonic microseconds of this node's boot: decides every interval.
    pub mono_us: i64,
    /// Wall-clock microseconds UTC: what people read, and what names the day.
    pub wall_us: i64,
}

/// How a row came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The real amount of a hold, within its slice.
    Settle,
    /// The real amount of a hold whose slice no longer covers it: booked all the same, as a fact.
    Late,
    /// A fact that happened elsewhere.
    Spend,
    /// A negative fact: money that came back. Its amount is negative.
    Refund,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Settle => "settle",
            Kind::Late => "late",
            Kind::Spend => "spend",
            Kind::Refund => "refund",
        }
    }

    pub fn parse(text: &str) -> Option<Kind> {
        [Kind::Settle, Kind::Late, Kind::Spend, Kind::Refund]
            .into_iter()
            .find(|k| k.as_str() == text)
    }
}

/// One ledger row. `seq` is dense per budget, from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub seq: i64,
    pub op: Op,
    pub kind: Kind,
    pub amount: Micros,
    pub currency: Currency,
    /// The amount in the account's currency, as its window counts it.
    pub window_amount: Micros,
    pub at: Now,
    pub day: Day,
    pub hold: Option<Op>,
    pub slice: Option<SliceId>,
    /// The slice of the account's window that covered the hold.
    pub window_slice: Option<SliceId>,
    /// Fingerprint of the request, so that another body under the same key is told apart.
    pub body: u64,
    pub memo: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_named_by_all_its_parts_in_order() {
        assert_eq!(Op::of(&["a", "b"]), Op::of(&["a", "b"]));
        assert_ne!(Op::of(&["a", "b"]), Op::of(&["b", "a"]));
        assert_ne!(Op::of(&["ab", ""]), Op::of(&["a", "b"]));
        let op = Op::of(&["acct", "route", "key"]);
        assert_eq!(Op::from_hex(&op.to_string()), Some(op));
        assert_eq!(Op::from_hex("+0000000000000000000000000000001"), None);
    }
}
