//! Signed cuts: that the beginning of a log was dropped because its time was over, said by the
//! installation's key. Without one nobody could tell retention from a deletion.

use ed25519_dalek::{Signature, Signer, SigningKey};
use serde::{Deserialize, Serialize};

use super::head::{BadHead, BadSignature, Keys, is_key_id, key_id, put_text, signature, text_of};
use super::merkle::Hash;
use super::month::{Month, time_parse, time_text};

/// What stands with the last head before the cut. In JSON: `month`, `at` (RFC 3339), `key_id`,
/// `signature` (base64).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CutJson", into = "CutJson")]
pub struct Cut {
    /// The last month that was dropped.
    pub month: Month,
    /// When, micros since the epoch.
    pub at_us: i64,
    /// See [`key_id`].
    pub key_id: String,
    /// Ed25519.
    pub signature: [u8; 64],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CutJson {
    month: Month,
    at: String,
    key_id: String,
    signature: String,
}

/// `"kiki audit cut v1"` and the month as `2026-11`, each preceded by its length (2 bytes), the time
/// (8 bytes, big-endian micros since the epoch), and the hash of the head (32). That hash stands for
/// account, size and root, and a root for its frontier: a cut fits one head and no other.
fn signing_bytes(head: &Hash, month: Month, at_us: i64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(80);
    put_text(&mut bytes, "kiki audit cut v1");
    put_text(&mut bytes, &month.to_string());
    bytes.extend(at_us.to_be_bytes());
    bytes.extend(head.0);
    bytes
}

impl Cut {
    /// Signs that all up to the head of this hash, of `month` and before, is dropped.
    pub fn sign(head: &Hash, month: Month, at_us: i64, key: &SigningKey) -> Cut {
        let signature = key.sign(&signing_bytes(head, month, at_us)).to_bytes();
        Cut { month, at_us, key_id: key_id(&key.verifying_key()), signature }
    }

    /// Checks that it is the installation's word about the head of this hash.
    pub fn verify(&self, head: &Hash, keys: &Keys) -> Result<(), BadSignature> {
        let key = keys.get(&self.key_id).ok_or(BadSignature::UnknownKey)?;
        let bytes = signing_bytes(head, self.month, self.at_us);
        key.verify_strict(&bytes, &Signature::from_bytes(&self.signature))
            .map_err(|_| BadSignature::Signature)
    }
}

impl TryFrom<CutJson> for Cut {
    type Error = BadHead;

    fn try_from(json: CutJson) -> Result<Cut, BadHead> {
        let CutJson { month, at, key_id, signature: text } = json;
        if !is_key_id(&key_id) {
            return Err(BadHead::KeyId);
        }
        Ok(Cut { month, at_us: time_parse(&at)?, key_id, signature: signature(&text)? })
    }
}

impl From<Cut> for CutJson {
    fn from(cut: Cut) -> CutJson {
        CutJson {
            month: cut.month,
            at: time_text(cut.at_us).unwrap_or_default(),
            signature: text_of(&cut.signature),
            key_id: cut.key_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_the_word_of_its_key_about_one_head_one_month_and_one_time() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let keys = Keys::from_iter([key.verifying_key()]);
        let (head, month) = (Hash([7; 32]), "2026-10".parse().unwrap());
        let good = Cut::sign(&head, month, 1_795_239_660_123_456, &key);
        assert_eq!(good.verify(&head, &keys), Ok(()));
        assert_eq!(good.verify(&Hash([8; 32]), &keys), Err(BadSignature::Signature));
        assert_eq!(good.verify(&head, &Keys::new()), Err(BadSignature::UnknownKey));
        let bent = [
            Cut { month: month.next(), ..good.clone() },
            Cut { at_us: good.at_us + 1, ..good.clone() },
            Cut { signature: [0; 64], ..good.clone() },
        ];
        for cut in bent {
            assert_eq!(cut.verify(&head, &keys), Err(BadSignature::Signature));
        }
        let json = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<Cut>(&json).unwrap(), good);
        for (from, to) in [("2026-10", "2026-13"), (".123456Z", "Z"), ("\"month\"", "\"until\"")] {
            assert!(json.contains(from));
            assert!(serde_json::from_str::<Cut>(&json.replace(from, to)).is_err(), "{from}");
        }
    }

    #[test]
    fn the_signed_bytes_are_as_written_down() {
        let bytes = signing_bytes(&Hash([7; 32]), "2026-10".parse().unwrap(), 1);
        assert_eq!(&bytes[..19], b"\x00\x11kiki audit cut v1");
        assert_eq!(&bytes[19..28], b"\x00\x072026-10");
        assert_eq!(&bytes[28..36], 1_i64.to_be_bytes());
        assert_eq!(&bytes[36..], [7; 32]);
    }
}
