//! API keys: what they look like, what is stored of them, and when one is good.
//!
//! ```text
//! kiki_<id: 8 hex>_<secret: 43 base64url><checksum: 8 hex>
//! ```
//!
//! All lower-case hex; 65 characters. The checksum is the CRC-32 (ISO-HDLC, zlib's) of all that stands
//! before it: a slip of the hand is told from a wrong key without a look-up, and a secret scanner that
//! finds `kiki_[0-9a-f]{8}_[A-Za-z0-9_-]{43}[0-9a-f]{8}` can be sure of it offline. It is made of what
//! the key says anyway and proves nothing.
//!
//! Stored is SHA-256 of the secret, with a label of its own. A slow hash (Argon2) defends words that
//! people choose; these are 256 random bits, which nobody tries through, and the hash is computed on
//! every call.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::role::Role;
use super::scope::Scopes;

/// What every key begins with.
pub const PREFIX: &str = "kiki_";
/// Characters of a key.
pub const KEY_CHARS: usize = 5 + ID_CHARS + 1 + SECRET_CHARS + CHECK_CHARS;
/// Random bytes that a new key is made of.
pub const KEY_ENTROPY_BYTES: usize = 36;

const ID_CHARS: usize = 8;
const SECRET_CHARS: usize = 43;
const CHECK_CHARS: usize = 8;
const LABEL: &[u8] = b"kiki api key v1\0";

/// The visible name of a key. It is random and no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub u32);

/// Text that is no key. What was wrong with it is not told: it may have been nearly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an API key")]
pub struct BadKey;

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl FromStr for KeyId {
    type Err = BadKey;

    /// Eight lower-case hexadecimal digits.
    fn from_str(text: &str) -> Result<KeyId, BadKey> {
        match text.len() == ID_CHARS && text.bytes().all(is_hex) {
            true => u32::from_str_radix(text, 16).map(KeyId).map_err(|_| BadKey),
            false => Err(BadKey),
        }
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KeyId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn is_hex(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'a'..=b'f')
}

fn checksum(body: &str) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(body.as_bytes());
    format!("{:08x}", crc.sum())
}

/// A key with its secret. It is shown once, never stored, and forgotten with a wipe.
#[derive(Clone)]
pub struct ApiKey {
    id: KeyId,
    secret: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_[redacted]", self.id)
    }
}

impl ApiKey {
    /// A new key of random bytes. Its id (32 bits) may be taken: then the store wants another.
    pub fn generate(entropy: &[u8; KEY_ENTROPY_BYTES]) -> ApiKey {
        let mut secret = Zeroizing::new([0; 32]);
        let [a, b, c, d, rest @ ..] = entropy;
        secret.copy_from_slice(rest);
        ApiKey { id: KeyId(u32::from_be_bytes([*a, *b, *c, *d])), secret }
    }

    /// Reads a key that a caller sent. Its length is looked at first, so the work is bounded.
    ///
    /// # Errors
    /// It has not the form of a key, or its checksum says that it was mistyped.
    pub fn parse(text: &str) -> Result<ApiKey, BadKey> {
        if text.len() != KEY_CHARS || !text.is_ascii() {
            return Err(BadKey);
        }
        let (body, check) = text.split_at(KEY_CHARS - CHECK_CHARS);
        if checksum(body) != check {
            return Err(BadKey);
        }
        let rest = body.strip_prefix(PREFIX).ok_or(BadKey)?;
        let (id, rest) = rest.split_at(ID_CHARS);
        let encoded = rest.strip_prefix('_').ok_or(BadKey)?;
        let mut secret = Zeroizing::new([0; 32]);
        match URL_SAFE_NO_PAD.decode_slice(encoded, &mut *secret) {
            Ok(32) => Ok(ApiKey { id: id.parse()?, secret }),
            _ => Err(BadKey),
        }
    }

    /// The whole key, for the one time that it is shown.
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(KEY_CHARS));
        text.push_str(PREFIX);
        text.push_str(&self.id.to_string());
        text.push('_');
        URL_SAFE_NO_PAD.encode_string(*self.secret, &mut text);
        let check = checksum(&text);
        text.push_str(&check);
        text
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What is stored of it.
    pub fn hashed(&self) -> Hashed {
        let hash = Sha256::new().chain_update(LABEL).chain_update(self.id.0.to_be_bytes());
        Hashed(hash.chain_update(*self.secret).finalize().into())
    }
}

/// SHA-256 over a label, the id and the secret: neither good for another key nor for anything else.
#[derive(Clone, Copy)]
pub struct Hashed([u8; 32]);

impl Hashed {
    /// Compared in constant time.
    pub fn is(&self, other: &Hashed) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// As it stands in a row: 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    pub fn from_hex(text: &str) -> Option<Hashed> {
        if text.len() != 64 || !text.bytes().all(is_hex) {
            return None;
        }
        let mut hash = [0; 32];
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Hashed(hash))
    }
}

/// A hash is nothing for logs either.
impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hash]")
    }
}

/// Why a key is not good. Callers are told one thing for all of them; the audit is told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Denied {
    #[error("no such key")]
    Unknown,
    #[error("not the secret of this key")]
    Wrong,
    #[error("the key has expired")]
    Expired,
    #[error("the key was revoked")]
    Revoked,
}

/// What is known of a key. Times are microseconds UTC. The hash is left out wherever it is serialised.
#[derive(Clone, Debug, Serialize)]
pub struct Stored {
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    pub role: Role,
    pub scopes: Scopes,
    pub created_at: i64,
    /// Who made it, as in the audit.
    pub created_by: String,
    /// From then on it is not good.
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
    #[serde(skip)]
    pub hash: Hashed,
}

/// Is the key that a caller sent good at `now` (microseconds UTC)?
///
/// The hash is computed where the key is unknown, too, and comes before everything else: who has not
/// the secret learns neither that a key was revoked nor that it exists.
///
/// # Errors
/// Why not.
pub fn check(stored: Option<&Stored>, sent: &ApiKey, now: i64) -> Result<(), Denied> {
    let hash = sent.hashed();
    let Some(stored) = stored.filter(|stored| stored.id == sent.id) else {
        return Err(Denied::Unknown);
    };
    if !stored.hash.is(&hash) {
        return Err(Denied::Wrong);
    }
    if stored.revoked_at.is_some_and(|at| now >= at) {
        return Err(Denied::Revoked);
    }
    if stored.expires_at.is_some_and(|at| now >= at) {
        return Err(Denied::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> ApiKey {
        ApiKey::generate(&std::array::from_fn(|i| seed.wrapping_mul(31).wrapping_add(i as u8 * 7)))
    }

    fn stored(key: &ApiKey) -> Stored {
        Stored {
            id: key.id(),
            name: "bidder".into(),
            role: Role::Operator,
            scopes: Scopes::all(),
            created_at: 0,
            created_by: "system".into(),
            expires_at: Some(1_000),
            revoked_at: None,
            hash: key.hashed(),
        }
    }

    #[test]
    fn a_key_is_read_back_from_its_text_and_has_the_documented_form() {
        for seed in 0..=255 {
            let key = key(seed);
            let text = key.text();
            assert_eq!(text.len(), KEY_CHARS);
            let back = ApiKey::parse(&text).unwrap();
            assert!(back.hashed().is(&key.hashed()) && back.id() == key.id());
            assert!(text.starts_with(&format!("kiki_{}_", key.id())));
        }
        // The check value of CRC-32/ISO-HDLC (catalogue of parametrised CRC algorithms).
        assert_eq!(checksum("123456789"), "cbf43926");
    }

    #[test]
    fn every_slip_of_one_character_or_a_swap_of_two_is_found_by_the_checksum() {
        let text = key(9).text().to_string();
        for at in 0..text.len() {
            for other in ['A', 'z', '0', '9', 'f', '_', '-', ' ', 'K'] {
                let mut bent: Vec<char> = text.chars().collect();
                if bent[at] != other {
                    bent[at] = other;
                    let bent: String = bent.into_iter().collect();
                    assert_eq!(ApiKey::parse(&bent).err(), Some(BadKey), "{at} {other}");
                }
            }
            let mut swapped = text.clone().into_bytes();
            if at > 0 && swapped[at] != swapped[at - 1] {
                swapped.swap(at, at - 1);
                assert!(ApiKey::parse(std::str::from_utf8(&swapped).unwrap()).is_err(), "{at}");
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused_whatever_its_length() {
        let text = key(1).text().to_string();
        let long = "k".repeat(1 << 20);
        let umlauts = "ü".repeat(KEY_CHARS);
        for bad in
            ["", "kiki_", &text[..64], &format!("{text} "), &long, &umlauts, &text.to_uppercase()]
        {
            assert_eq!(ApiKey::parse(bad).err(), Some(BadKey));
        }
        // A good checksum over a bad body does not help.
        for body in [
            format!("kiki_{}_{}", "ABCDEF01", "A".repeat(43)),
            format!("kiki_{}_{}", "abcdef01", "B".repeat(43)),
            format!("kiki-{}_{}", "abcdef01", "A".repeat(43)),
        ] {
            assert!(ApiKey::parse(&format!("{body}{}", checksum(&body))).is_err(), "{body}");
        }
    }

    #[test]
    fn a_key_is_good_until_it_expires_or_is_revoked_and_only_with_its_secret() {
        let (mine, other) = (key(1), key(2));
        let row = stored(&mine);
        assert_eq!(check(Some(&row), &mine, 999), Ok(()));
        assert_eq!(check(Some(&row), &mine, 1_000), Err(Denied::Expired));
        assert_eq!(check(None, &mine, 0), Err(Denied::Unknown));
        assert_eq!(check(Some(&row), &other, 0), Err(Denied::Unknown));
        let forged = ApiKey { id: mine.id, ..other.clone() };
        assert_eq!(check(Some(&row), &forged, 0), Err(Denied::Wrong));
        let revoked = Stored { revoked_at: Some(10), ..row };
        assert_eq!(check(Some(&revoked), &mine, 9), Ok(()));
        assert_eq!(check(Some(&revoked), &mine, 10), Err(Denied::Revoked));
        assert_eq!(check(Some(&revoked), &forged, 2_000), Err(Denied::Wrong), "tells nothing more");
    }

    #[test]
    fn neither_secret_nor_hash_is_printed_or_serialised() {
        let key = key(5);
        let text = key.text();
        let secret = &text[14..57];
        let row = stored(&key);
        let shown = format!("{key:?} {row:?} {}", serde_json::to_string(&row).unwrap());
        assert!(!shown.contains(secret) && !shown.contains(&row.hash.to_hex()));
        assert!(shown.contains(&key.id().to_string()));
    }

    #[test]
    fn the_hash_of_a_row_is_read_back_and_nothing_else_is() {
        let hash = key(3).hashed();
        assert!(Hashed::from_hex(&hash.to_hex()).unwrap().is(&hash));
        assert!(!key(4).hashed().is(&hash));
        for bad in ["", "00", &"g".repeat(64), &hash.to_hex().to_uppercase()] {
            assert!(Hashed::from_hex(bad).is_none(), "{bad}");
        }
    }
}
