//! What makes an import idempotent: every purchase has an id of its own, whoever tells of it again.

use std::collections::HashMap;
use std::fmt;

use sha2::{Digest, Sha256};

/// The id of a purchase within its customer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub struct PurchaseId(pub u128);

impl From<PurchaseId> for String {
    fn from(id: PurchaseId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for PurchaseId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<PurchaseId, &'static str> {
        PurchaseId::parse(&text).ok_or("is no id of a purchase")
    }
}

impl fmt::Display for PurchaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl PurchaseId {
    pub fn parse(text: &str) -> Option<PurchaseId> {
        let plain = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        plain.then(|| u128::from_str_radix(text, 16).ok().map(PurchaseId))?
    }

    fn of(parts: &[&[u8]]) -> PurchaseId {
        let mut sha = Sha256::new();
        for part in parts {
            sha.update((part.len() as u64).to_be_bytes());
            sha.update(part);
        }
        let digest: [u8; 32] = sha.finalize().into();
        PurchaseId(digest.iter().take(16).fold(0, |id, byte| id << 8 | u128::from(*byte)))
    }
}

/// Purchases without an id that one request without a key may have: what tells twins apart is held.
pub const ALIKE_MAX: usize = 1_000_000;

/// The request is too long to go without a key: neither this row nor one after it can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is beyond the million different rows that an import without an Idempotency-Key may have")]
pub struct NeedsKey;

/// Where ids of one import come from.
pub struct Source {
    key: Option<String>,
    /// Purchases without an id that look alike.
    alike: HashMap<PurchaseId, u32>,
    alike_max: usize,
}

impl Source {
    /// With the request's Idempotency-Key, if it has one.
    pub fn new(key: Option<&str>) -> Source {
        Source::within(key, ALIKE_MAX)
    }

    /// The same with another bound than [`ALIKE_MAX`].
    pub fn within(key: Option<&str>, alike_max: usize) -> Source {
        Source { key: key.map(str::to_owned), alike: HashMap::new(), alike_max }
    }

    /// The id of a purchase: by the caller's own id of it; else by the Idempotency-Key and its place in
    /// the request; else by what it says and how many before it in this request say just that. So
    /// the same file twice is taken once.
    ///
    /// # Errors
    /// There are too many without an id and without a key.
    pub fn id(
        &mut self,
        reference: Option<&str>,
        place: u64,
        (customer, day, amount, currency): (&str, i32, i64, &str),
    ) -> Result<PurchaseId, NeedsKey> {
        if let Some(reference) = reference {
            return Ok(PurchaseId::of(&[b"reference", reference.as_bytes()]));
        }
        if let Some(key) = &self.key {
            return Ok(PurchaseId::of(&[b"key", key.as_bytes(), &place.to_be_bytes()]));
        }
        let (day, amount) = (day.to_be_bytes(), amount.to_be_bytes());
        let said = [b"said", customer.as_bytes(), &day, &amount, currency.as_bytes()];
        let of = PurchaseId::of(&said);
        if self.alike.len() >= self.alike_max && !self.alike.contains_key(&of) {
            return Err(NeedsKey);
        }
        let alike = self.alike.entry(of).or_default();
        *alike += 1;
        let nth = alike.to_be_bytes();
        Ok(PurchaseId::of(&[
            b"said",
            customer.as_bytes(),
            &day,
            &amount,
            currency.as_bytes(),
            &nth,
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: (&str, i32, i64, &str) = ("c", 19_000, 5_000_000, "USD");

    #[test]
    fn a_purchase_is_known_by_its_reference_wherever_it_stands() {
        let (mut first, mut second) = (Source::new(None), Source::new(Some("k")));
        let id = first.id(Some("r"), 1, ONE).expect("an id");
        assert_eq!(second.id(Some("r"), 7, ("c", 1, 1, "EUR")), Ok(id));
        assert_ne!(second.id(Some("s"), 1, ONE), Ok(id));
        assert_eq!(PurchaseId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn without_an_id_a_repeat_of_the_request_is_known_and_twins_in_it_are_two() {
        for key in [None, Some("k")] {
            let (mut first, mut again) = (Source::new(key), Source::new(key));
            let twins = [first.id(None, 1, ONE), first.id(None, 2, ONE)];
            assert_ne!(twins[0], twins[1]);
            assert_eq!([again.id(None, 1, ONE), again.id(None, 2, ONE)], twins);
        }
        let (mut one, mut other) = (Source::new(Some("k")), Source::new(Some("l")));
        assert_ne!(one.id(None, 1, ONE), other.id(None, 1, ONE), "another key, another purchase");
        assert!(PurchaseId::parse("x").is_none() && PurchaseId::parse(&"+".repeat(32)).is_none());
    }

    #[test]
    fn without_a_key_only_so_many_different_rows_are_told_apart_and_with_one_any_number() {
        let said = |day: i32| ("c", day, 5_000_000, "USD");
        let (mut plain, mut keyed) = (Source::within(None, 2), Source::within(Some("k"), 2));
        assert!(plain.id(None, 1, said(1)).is_ok() && plain.id(None, 2, said(2)).is_ok());
        assert_eq!(plain.id(None, 3, said(3)), Err(NeedsKey));
        assert!(plain.id(None, 4, said(1)).is_ok(), "it looks like one before");
        assert!(plain.id(Some("r"), 5, said(4)).is_ok(), "it has an id of its own");
        assert!((1..9).all(|place| keyed.id(None, place, said(3)).is_ok()));
    }
}
