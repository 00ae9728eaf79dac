//! Signed tree heads: what the log was at a time, said by the installation's key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::cut::Cut;
use super::merkle::{Frontier, Hash, TREE_LEAVES_MAX};
use super::month::{BadTime, Month, time_parse, time_text};

/// Bytes of the longest head as a line of JSON: a frontier has at most 53 hashes.
pub const HEAD_LINE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of the longest account in a head.
pub const HEAD_ACCOUNT_BYTES_MAX: usize = 128;

/// Why a text is no signed head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    #[error("a head of {bytes} bytes is longer than {HEAD_LINE_BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("account is empty or longer than {HEAD_ACCOUNT_BYTES_MAX} bytes")]
    Account,
    #[error("size is larger than a log can be")]
    Size,
    #[error("at {0}")]
    Time(#[from] BadTime),
    #[error("key_id is not 16 lower-case hex digits")]
    KeyId,
    #[error("signature is not 64 bytes of base64")]
    Signature,
    #[error("frontier is not of the size of the head")]
    Frontier,
    #[error("is not a head: {0}")]
    Json(String),
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeHead {
    pub account: String,
    /// Leaves of the tree.
    pub size: u64,
    pub root: Hash,
    /// When, micros since the epoch.
    pub at_us: i64,
    /// [`SignedHead::hash`] of the head before this one; zero for the first of a log.
    pub prev: Hash,
}

impl TreeHead {
    /// The bytes that are signed. Each text is preceded by its length (2 bytes), all numbers are
    /// big-endian: `"kiki audit tree head v1"`, account, size (8 bytes), root (32), at (8, micros
    /// since the epoch), prev (32). The first text keeps the signature from meaning anything else.
    pub fn signing_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + self.account.len());
        put_text(&mut bytes, "kiki audit tree head v1");
        put_text(&mut bytes, &self.account);
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(self.root.0);
        bytes.extend(self.at_us.to_be_bytes());
        bytes.extend(self.prev.0);
        bytes
    }

    /// Signs it (Ed25519, RFC 8032).
    pub fn sign(self, key: &SigningKey) -> SignedHead {
        let signature = key.sign(&self.signing_bytes()).to_bytes();
        let key_id = key_id(&key.verifying_key());
        SignedHead { head: self, key_id, signature, frontier: None, cut: None }
    }
}

/// A text with its length before it, as it is signed.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    // Texts here are bounded far below 65,536 bytes; one that is not is cut, never misread.
    let text = text.as_bytes();
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend(&text[..usize::from(length)]);
}

/// The first 16 hex digits of SHA-256 of the public key: names the key in heads.
pub fn key_id(key: &VerifyingKey) -> String {
    let mut id = Hash::of(&[key.as_bytes()]).to_string();
    id.truncate(16);
    id
}

/// Is this the form of a [`key_id`]?
pub(super) fn is_key_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// The signature of a text of base64.
pub(super) fn signature(text: &str) -> Result<[u8; 64], BadHead> {
    let bytes = STANDARD.decode(text).map_err(|_| BadHead::Signature)?;
    bytes.try_into().map_err(|_| BadHead::Signature)
}

/// A signature as base64.
pub(super) fn text_of(signature: &[u8; 64]) -> String {
    STANDARD.encode(signature)
}

/// The public keys that an installation signs or has signed with, by their ids.
#[derive(Clone, Debug, Default)]
pub struct Keys(BTreeMap<String, VerifyingKey>);

impl Keys {
    /// No keys.
    pub fn new() -> Keys {
        Keys::default()
    }

    /// Adds a key and says its id.
    pub fn add(&mut self, key: VerifyingKey) -> String {
        let id = key_id(&key);
        self.0.insert(id.clone(), key);
        id
    }

    /// The key of this id.
    pub fn get(&self, id: &str) -> Option<&VerifyingKey> {
        self.0.get(id)
    }
}

impl FromIterator<VerifyingKey> for Keys {
    fn from_iter<I: IntoIterator<Item = VerifyingKey>>(keys: I) -> Keys {
        let mut all = Keys::new();
        keys.into_iter().for_each(|key| {
            all.add(key);
        });
        all
    }
}

/// Why a head is not taken for the installation's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    #[error("is signed with a key that is not known")]
    UnknownKey,
    #[error("has a signature that does not fit")]
    Signature,
}

/// A head with its signature. In JSON one flat object: `account`, `size`, `root`, `at` (RFC 3339),
/// `prev`, `key_id`, `signature` (base64), and `frontier` and `cut` where there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "HeadJson", into = "HeadJson")]
pub struct SignedHead {
    pub head: TreeHead,
    /// See [`key_id`].
    pub key_id: String,
    /// Ed25519.
    pub signature: [u8; 64],
    /// The tree's right edge, in the last head of a month: with it the log can be verified from
    /// there on when everything before is dropped. Not signed, but it must give the signed root.
    pub frontier: Option<Frontier>,
    /// Where retention has dropped all up to this head: its signed word for it.
    pub cut: Option<Cut>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadJson {
    account: String,
    size: u64,
    root: Hash,
    at: String,
    prev: Hash,
    key_id: String,
    signature: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frontier: Option<Frontier>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<Cut>,
}

impl SignedHead {
    /// Adds the tree's right edge. Refused when it is of another tree.
    pub fn with_frontier(self, frontier: Frontier) -> Result<SignedHead, BadHead> {
        if frontier.size() != self.head.size || frontier.root() != self.head.root {
            return Err(BadHead::Frontier);
        }
        Ok(SignedHead { frontier: Some(frontier), ..self })
    }

    /// Signs that what is before it, of `month` and earlier, is dropped. Refused without a frontier:
    /// nothing could be verified from there on.
    pub fn with_cut(
        self,
        month: Month,
        at_us: i64,
        key: &SigningKey,
    ) -> Result<SignedHead, BadHead> {
        if self.frontier.is_none() {
            return Err(BadHead::Frontier);
        }
        let cut = Cut::sign(&self.hash(), month, at_us, key);
        Ok(SignedHead { cut: Some(cut), ..self })
    }

    /// Checks the signature (strictly: no weak keys, no second form of a signature).
    pub fn verify(&self, keys: &Keys) -> Result<(), BadSignature> {
        let key = keys.get(&self.key_id).ok_or(BadSignature::UnknownKey)?;
        let signature = Signature::from_bytes(&self.signature);
        key.verify_strict(&self.head.signing_bytes(), &signature)
            .map_err(|_| BadSignature::Signature)
    }

    /// What the next head names as `prev`: SHA-256 of `"kiki audit signed head v1"` and key id
    /// (each preceded by its length), the signed bytes, and the signature.
    pub fn hash(&self) -> Hash {
        let mut named = Vec::with_capacity(64);
        put_text(&mut named, "kiki audit signed head v1");
        put_text(&mut named, &self.key_id);
        Hash::of(&[&named, &self.head.signing_bytes(), &self.signature])
    }

    /// The signature as base64.
    pub fn signature_text(&self) -> String {
        text_of(&self.signature)
    }

    /// The head as one line of JSON, without a line feed.
    pub fn line(&self) -> Result<String, BadHead> {
        // The form in which it is serialised cannot hold a time out of range.
        time_text(self.head.at_us)?;
        self.cut.as_ref().map(|cut| time_text(cut.at_us)).transpose()?;
        serde_json::to_string(self).map_err(|e| BadHead::Json(e.to_string()))
    }

    /// The head of a line. Whether it is signed by whom is another question.
    pub fn parse(line: &str) -> Result<SignedHead, BadHead> {
        if line.len() > HEAD_LINE_BYTES_MAX {
            return Err(BadHead::TooLong { bytes: line.len() });
        }
        let json: HeadJson =
            serde_json::from_str(line).map_err(|e| BadHead::Json(e.to_string()))?;
        SignedHead::try_from(json)
    }
}

impl TryFrom<HeadJson> for SignedHead {
    type Error = BadHead;

    fn try_from(json: HeadJson) -> Result<SignedHead, BadHead> {
        let HeadJson { account, size, root, at, prev, key_id, signature: text, frontier, cut } =
            json;
        if account.is_empty() || account.len() > HEAD_ACCOUNT_BYTES_MAX {
            return Err(BadHead::Account);
        }
        if size > TREE_LEAVES_MAX {
            return Err(BadHead::Size);
        }
        if !is_key_id(&key_id) {
            return Err(BadHead::KeyId);
        }
        if frontier.as_ref().is_some_and(|frontier| frontier.size() != size) {
            return Err(BadHead::Frontier);
        }
        let signature = signature(&text)?;
        let head = TreeHead { account, size, root, at_us: time_parse(&at)?, prev };
        Ok(SignedHead { head, key_id, signature, frontier, cut })
    }
}

impl From<SignedHead> for HeadJson {
    fn from(signed: SignedHead) -> HeadJson {
        HeadJson {
            at: time_text(signed.head.at_us).unwrap_or_default(),
            signature: signed.signature_text(),
            account: signed.head.account,
            size: signed.head.size,
            root: signed.head.root,
            prev: signed.head.prev,
            key_id: signed.key_id,
            frontier: signed.frontier,
            cut: signed.cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::merkle::leaf_hash;
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn signed() -> SignedHead {
        let mut frontier = Frontier::new();
        (0..3_u8).for_each(|i| frontier.push(leaf_hash(&[i])));
        let head = TreeHead {
            account: "default".into(),
            size: 3,
            root: frontier.root(),
            at_us: 1_795_239_660_123_456,
            prev: Hash::ZERO,
        };
        head.sign(&key(1)).with_frontier(frontier).unwrap()
    }

    #[test]
    fn a_head_is_the_word_of_its_key_and_no_field_can_be_changed() {
        let keys = Keys::from_iter([key(1).verifying_key(), key(2).verifying_key()]);
        let good = signed();
        assert_eq!(good.verify(&keys), Ok(()));
        let bent = |bend: fn(&mut SignedHead)| {
            let mut head = good.clone();
            bend(&mut head);
            (head.verify(&keys), head.hash() == good.hash())
        };
        let bad = (Err(BadSignature::Signature), false);
        assert_eq!(bent(|h| h.head.account.push('x')), bad);
        assert_eq!(bent(|h| h.head.size += 1), bad);
        assert_eq!(bent(|h| h.head.root.0[31] ^= 1), bad);
        assert_eq!(bent(|h| h.head.at_us -= 1), bad);
        assert_eq!(bent(|h| h.head.prev.0[0] ^= 1), bad);
        assert_eq!(bent(|h| h.signature[5] ^= 1), bad);
        assert_eq!(bent(|h| h.key_id = key_id(&key(2).verifying_key())), bad);
        assert_eq!(bent(|h| h.key_id.replace_range(.., "0")).0, Err(BadSignature::UnknownKey));
        assert_eq!(good.verify(&Keys::new()), Err(BadSignature::UnknownKey));
    }

    #[test]
    fn the_signed_bytes_are_as_written_down() {
        let bytes = signed().head.signing_bytes();
        assert_eq!(&bytes[..25], b"\x00\x17kiki audit tree head v1");
        assert_eq!(&bytes[25..34], b"\x00\x07default");
        assert_eq!(&bytes[34..42], 3_u64.to_be_bytes());
        assert_eq!(bytes.len(), 42 + 32 + 8 + 32);
    }

    #[test]
    fn a_head_comes_back_from_its_line_and_a_bent_line_is_refused() {
        let line = signed().line().unwrap();
        assert_eq!(SignedHead::parse(&line), Ok(signed()));
        assert_eq!(serde_json::from_str::<SignedHead>(&line).unwrap(), signed());
        for (from, to) in [
            ("default", ""),
            ("\"size\":3", "\"size\":4"),
            ("\"size\":3", "\"size\":-1"),
            (".123456Z", "Z"),
            ("\"signature\":\"", "\"signature\":\"AA"),
            ("\"prev\"", "\"before\""),
            ("\"key_id\":\"", "\"key_id\":\"0"),
        ] {
            assert!(line.contains(from) && SignedHead::parse(&line.replace(from, to)).is_err());
        }
        let long = format!("{line}{}", " ".repeat(HEAD_LINE_BYTES_MAX));
        assert!(matches!(SignedHead::parse(&long), Err(BadHead::TooLong { .. })));
    }

    #[test]
    fn a_head_with_a_cut_comes_back_from_its_line_and_is_the_same_head() {
        let month = "2026-10".parse().unwrap();
        let cut = signed().with_cut(month, 1_795_239_660_123_457, &key(1)).unwrap();
        assert_eq!(cut.hash(), signed().hash());
        let line = cut.line().unwrap();
        assert_eq!(SignedHead::parse(&line), Ok(cut.clone()));
        let keys = Keys::from_iter([key(1).verifying_key()]);
        assert_eq!(cut.cut.map(|c| c.verify(&signed().hash(), &keys)), Some(Ok(())));
        assert!(SignedHead::parse(&line.replace("2026-10", "2026-1")).is_err());
        let bare = SignedHead { frontier: None, ..signed() };
        assert_eq!(bare.with_cut(month, 1, &key(1)), Err(BadHead::Frontier));
    }

    #[test]
    fn the_frontier_of_another_tree_is_refused() {
        let other = Frontier::from_parts(3, vec![Hash::ZERO, Hash::ZERO]).unwrap();
        assert_eq!(signed().with_frontier(other), Err(BadHead::Frontier));
    }
}
