//! A key for each person, and what is sealed under it: who destroys the key has erased the person
//! from every table, log and backup (crypto-shredding).
//!
//! Sealed text is `base64url(version, 24 bytes of nonce, ciphertext, 16 bytes of tag)`, by
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): its nonces are long enough to be drawn at
//! random. Account, person and purpose are bound into the tag, so that no row can be put in
//! another's place.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of every key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce. The caller draws a fresh one at random for each sealing.
pub const NONCE_BYTES: usize = 24;
/// Bytes of the longest text that is sealed.
pub const PLAIN_BYTES_MAX: usize = 1 << 20;
/// Bytes of the longest object (a package) that is sealed as bytes.
pub const OBJECT_BYTES_MAX: usize = 96 << 20;
/// Characters of what [`MasterKey::lookup`] answers: 128 bits in hex.
pub const LOOKUP_CHARS: usize = 32;

const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;
const SEALED_BYTES_MAX: usize = 1 + NONCE_BYTES + PLAIN_BYTES_MAX + TAG_BYTES;
/// SHA-256 works on blocks of 64 bytes; HMAC fills a shorter key up with zeros (RFC 2104, 2).
const HMAC_BLOCK_BYTES: usize = 64;

/// Fresh randomness for one sealing.
pub type Nonce = [u8; NONCE_BYTES];

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The text of a key is neither 64 hex digits nor the base64 of 32 bytes.
    #[error("key is not 32 bytes in base64 or hex")]
    KeyText,
    /// More than [`PLAIN_BYTES_MAX`] or [`OBJECT_BYTES_MAX`].
    #[error("is too long to be sealed")]
    TooLong,
    /// Not made by this version: not base64url, too short, or another version byte.
    #[error("is not a sealed text of a known version")]
    Format,
    /// Another key, another binding, or bytes that were changed: they cannot be told apart.
    #[error("does not open with this key for this account, person and purpose")]
    Refused,
}

/// What a sealed text belongs to. Opening it for anything else fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    pub account: &'a str,
    /// The person's inner id (32 hex digits), or "" for what belongs to the account itself.
    pub person: &'a str,
    /// Table and column, or whatever names the place, e.g. `consent.proof`.
    pub purpose: &'a str,
}

impl Binding<'_> {
    /// The additional data of the cipher: the version, then each part after its length in bytes
    /// (64 bits, little-endian), so that no two bindings give the same bytes.
    fn bytes(&self) -> Vec<u8> {
        let parts = [self.account, self.person, self.purpose];
        let mut bytes = vec![VERSION];
        parts.iter().for_each(|part| put(part, |more| bytes.extend_from_slice(more)));
        bytes
    }
}

/// Gives `sink` a part after its length, 64 bits little-endian.
fn put(part: &str, mut sink: impl FnMut(&[u8])) {
    sink(&(part.len() as u64).to_le_bytes());
    sink(part.as_bytes());
}

/// The key of one person. Overwritten when dropped, never printed.
pub struct PersonKey(Zeroizing<[u8; KEY_BYTES]>);

impl std::fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonKey")
    }
}

impl PersonKey {
    /// A key of 32 random bytes. The argument is overwritten; the caller clears its own copies.
    pub fn new(mut bytes: [u8; KEY_BYTES]) -> PersonKey {
        let key = PersonKey(Zeroizing::new(bytes));
        bytes.zeroize();
        key
    }

    /// Seals `plain` for one place. The nonce must be fresh: two texts under one nonce give both
    /// away.
    pub fn seal(&self, plain: &[u8], to: Binding<'_>, nonce: Nonce) -> Result<String, SealError> {
        seal(&self.0, plain, &to.bytes(), nonce)
    }

    /// The text that was sealed for this place.
    pub fn open(&self, sealed: &str, to: Binding<'_>) -> Result<Zeroizing<Vec<u8>>, SealError> {
        open(&self.0, sealed, &to.bytes())
    }

    /// Seals an object, e.g. a package, as bytes: the same without base64, and longer.
    pub fn seal_object(
        &self,
        plain: &[u8],
        to: Binding<'_>,
        nonce: Nonce,
    ) -> Result<Vec<u8>, SealError> {
        seal_bytes(&self.0, plain, &to.bytes(), nonce)
    }

    /// The object that was sealed for this place.
    pub fn open_object(
        &self,
        sealed: &[u8],
        to: Binding<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        open_bytes(&self.0, sealed, &to.bytes())
    }
}

/// The key of the installation, as the sub-keys that are made of it (HKDF-SHA256, RFC 5869).
/// Overwritten when dropped, never printed.
pub struct MasterKey {
    wrap: Zeroizing<[u8; KEY_BYTES]>,
    lookup: Zeroizing<[u8; KEY_BYTES]>,
    keyring: Zeroizing<[u8; KEY_BYTES]>,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

impl MasterKey {
    /// The master key of 32 random bytes. The argument is overwritten.
    pub fn new(mut bytes: [u8; KEY_BYTES]) -> Result<MasterKey, SealError> {
        let made = Hkdf::<Sha256>::new(None, &bytes);
        bytes.zeroize();
        let sub = |label: &str| {
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            // 32 bytes are far below the 255 blocks that HKDF can give.
            made.expand(label.as_bytes(), &mut *key).map_err(|_| SealError::KeyText)?;
            Ok(key)
        };
        Ok(MasterKey {
            wrap: sub("kiki person key wrap v1")?,
            lookup: sub("kiki person lookup v1")?,
            keyring: sub("kiki keyring wrap v1")?,
        })
    }

    /// The master key from a file or a variable: 64 hex digits, or base64 of 32 bytes in either
    /// alphabet, padded or not. White space around it is left out.
    pub fn from_text(text: &str) -> Result<MasterKey, SealError> {
        let text = text.trim();
        let bytes = match text.len() {
            64 => hex(text),
            43 => STANDARD_NO_PAD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok(),
            44 => STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok(),
            _ => None,
        };
        let bytes = Zeroizing::new(bytes.ok_or(SealError::KeyText)?);
        MasterKey::new(bytes.as_slice().try_into().map_err(|_| SealError::KeyText)?)
    }

    /// A person's key, sealed for its row.
    pub fn wrap(
        &self,
        key: &PersonKey,
        to: Binding<'_>,
        nonce: Nonce,
    ) -> Result<String, SealError> {
        seal(&self.wrap, &*key.0, &to.bytes(), nonce)
    }

    /// The person's key of a row.
    pub fn unwrap(&self, wrapped: &str, to: Binding<'_>) -> Result<PersonKey, SealError> {
        let bytes = open(&self.wrap, wrapped, &to.bytes())?;
        Ok(PersonKey::new(bytes.as_slice().try_into().map_err(|_| SealError::Format)?))
    }

    /// Seals a secret of the installation: a signing key, a token key, a webhook's secret.
    pub fn seal_secret(
        &self,
        secret: &[u8],
        to: Binding<'_>,
        nonce: Nonce,
    ) -> Result<String, SealError> {
        seal(&self.keyring, secret, &to.bytes(), nonce)
    }

    /// The secret that was sealed for this place.
    pub fn open_secret(
        &self,
        sealed: &str,
        to: Binding<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        open(&self.keyring, sealed, &to.bytes())
    }

    /// Names a customer without saying who it is: the first 128 bits of HMAC-SHA256 over account
    /// and id, in hex. Without the master key nobody can try customer ids against it.
    pub fn lookup(&self, account: &str, customer_id: &str) -> String {
        let number = self.lookup_number(account, customer_id);
        format!("{number:0width$x}", width = LOOKUP_CHARS)
    }

    /// [`MasterKey::lookup`] as a number.
    pub fn lookup_number(&self, account: &str, customer_id: &str) -> u128 {
        let mut block = Zeroizing::new([0; HMAC_BLOCK_BYTES]);
        block[..KEY_BYTES].copy_from_slice(&*self.lookup);
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
        [account, customer_id].iter().for_each(|part| put(part, |more| mac.update(more)));
        let bytes = mac.finalize().into_bytes();
        bytes.iter().take(LOOKUP_CHARS / 2).fold(0, |name, byte| name << 8 | u128::from(*byte))
    }
}

fn seal(
    key: &[u8; KEY_BYTES],
    plain: &[u8],
    aad: &[u8],
    nonce: Nonce,
) -> Result<String, SealError> {
    if plain.len() > PLAIN_BYTES_MAX {
        return Err(SealError::TooLong);
    }
    Ok(URL_SAFE_NO_PAD.encode(seal_bytes(key, plain, aad, nonce)?))
}

fn open(key: &[u8; KEY_BYTES], sealed: &str, aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if sealed.len() > SEALED_BYTES_MAX.div_ceil(3) * 4 {
        return Err(SealError::TooLong);
    }
    open_bytes(key, &URL_SAFE_NO_PAD.decode(sealed).map_err(|_| SealError::Format)?, aad)
}

fn seal_bytes(
    key: &[u8; KEY_BYTES],
    plain: &[u8],
    aad: &[u8],
    nonce: Nonce,
) -> Result<Vec<u8>, SealError> {
    if plain.len() > OBJECT_BYTES_MAX {
        return Err(SealError::TooLong);
    }
    let cipher = XChaCha20Poly1305::new(key.into());
    let sealed = cipher.encrypt((&nonce).into(), Payload { msg: plain, aad });
    let sealed = sealed.map_err(|_| SealError::TooLong)?;
    let mut bytes = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&sealed);
    Ok(bytes)
}

fn open_bytes(
    key: &[u8; KEY_BYTES],
    sealed: &[u8],
    aad: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let Some((&[VERSION], rest)) = sealed.split_first_chunk::<1>() else {
        return Err(SealError::Format);
    };
    let (nonce, msg) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Format)?;
    let cipher = XChaCha20Poly1305::new(key.into());
    let plain = cipher.decrypt(nonce.into(), Payload { msg, aad });
    plain.map(Zeroizing::new).map_err(|_| SealError::Refused)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |c: u8| char::from(c).to_digit(16).and_then(|n| u8::try_from(n).ok());
    text.as_bytes()
        .chunks(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: Binding<'_> = Binding { account: "default", person: "ab", purpose: "consent.proof" };

    fn key(fill: u8) -> PersonKey {
        PersonKey::new([fill; KEY_BYTES])
    }

    fn master(fill: u8) -> MasterKey {
        MasterKey::new([fill; KEY_BYTES]).expect("derives")
    }

    #[test]
    fn the_cipher_gives_the_published_vector() {
        // draft-irtf-cfrg-xchacha-03, A.3.1.
        let key: [u8; 32] = std::array::from_fn(|i| 0x80 + i as u8);
        let nonce: Nonce = std::array::from_fn(|i| 0x40 + i as u8);
        let aad = hex("50515253c0c1c2c3c4c5c6c7").expect("hex");
        let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip \
            for the future, sunscreen would be it.";
        let want = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb\
            731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452\
            2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
            21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49";
        let sealed = seal(&key, plain, &aad, nonce).expect("seals");
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).expect("base64url");
        assert_eq!(bytes[..1 + NONCE_BYTES], [&[VERSION][..], &nonce].concat());
        assert_eq!(bytes[1 + NONCE_BYTES..], hex(want).expect("hex"));
        assert_eq!(open(&key, &sealed, &aad).expect("opens").as_slice(), plain);
    }

    #[test]
    fn a_sealed_text_opens_with_its_key_at_its_place_and_nowhere_else() {
        let sealed = key(1).seal(b"ada@example.org", TO, [9; 24]).expect("seals");
        assert_eq!(key(1).open(&sealed, TO).expect("opens").as_slice(), b"ada@example.org");
        assert_eq!(key(2).open(&sealed, TO).err(), Some(SealError::Refused));
        for other in [
            Binding { account: "other", ..TO },
            Binding { person: "ac", ..TO },
            Binding { purpose: "consent.text", ..TO },
            // The same bytes in a row, cut elsewhere.
            Binding { account: "defaulta", person: "b", ..TO },
            Binding { person: "abconsent", purpose: ".proof", ..TO },
        ] {
            assert_eq!(key(1).open(&sealed, other).err(), Some(SealError::Refused), "{other:?}");
        }
    }

    #[test]
    fn a_byte_flipped_or_cut_off_anywhere_is_found() {
        let sealed = key(1).seal(b"ada", TO, [9; 24]).expect("seals");
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).expect("base64url");
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bent = bytes.clone();
                bent[at] ^= 1 << bit;
                assert!(key(1).open(&URL_SAFE_NO_PAD.encode(bent), TO).is_err(), "{at}.{bit}");
            }
            let cut = URL_SAFE_NO_PAD.encode(&bytes[..at]);
            assert!(key(1).open(&cut, TO).is_err(), "cut to {at}");
        }
        for bad in ["", "AQ", "%%%", "AQ==", "ü"] {
            assert_eq!(key(1).open(bad, TO).err(), Some(SealError::Format), "{bad}");
        }
    }

    #[test]
    fn the_longest_text_is_sealed_and_a_longer_one_is_refused_both_ways() {
        let sealed = key(1).seal(&vec![7; PLAIN_BYTES_MAX], TO, [9; 24]).expect("seals");
        assert_eq!(key(1).open(&sealed, TO).expect("opens").len(), PLAIN_BYTES_MAX);
        let long = vec![7; PLAIN_BYTES_MAX + 1];
        assert_eq!(key(1).seal(&long, TO, [9; 24]), Err(SealError::TooLong));
        let long = "A".repeat(sealed.len() + 8);
        assert_eq!(key(1).open(&long, TO).err(), Some(SealError::TooLong));
    }

    #[test]
    fn an_object_longer_than_a_text_opens_at_its_place_only() {
        let plain = vec![7; PLAIN_BYTES_MAX + 1];
        let mut sealed = key(1).seal_object(&plain, TO, [9; 24]).expect("seals");
        assert_eq!(*key(1).open_object(&sealed, TO).expect("opens"), plain);
        let elsewhere = Binding { purpose: "package", ..TO };
        assert_eq!(key(1).open_object(&sealed, elsewhere).err(), Some(SealError::Refused));
        sealed.pop();
        assert_eq!(key(1).open_object(&sealed, TO).err(), Some(SealError::Refused));
        assert_eq!(key(1).open_object(&[VERSION; 9], TO).err(), Some(SealError::Format));
    }

    #[test]
    fn a_wrapped_key_comes_back_for_its_person_only_and_not_from_the_keyring() {
        let wrapped = master(1).wrap(&key(5), TO, [3; 24]).expect("wraps");
        let sealed = key(5).seal(b"x", TO, [9; 24]).expect("seals");
        let back = master(1).unwrap(&wrapped, TO).expect("unwraps");
        assert_eq!(back.open(&sealed, TO).expect("opens").as_slice(), b"x");
        assert!(master(2).unwrap(&wrapped, TO).is_err());
        assert!(master(1).unwrap(&wrapped, Binding { person: "cd", ..TO }).is_err());
        assert!(master(1).open_secret(&wrapped, TO).is_err(), "each sub-key has one use");
        let secret = master(1).seal_secret(b"hook", TO, [4; 24]).expect("seals");
        assert_eq!(master(1).open_secret(&secret, TO).expect("opens").as_slice(), b"hook");
        assert!(master(1).unwrap(&secret, TO).is_err());
    }

    #[test]
    fn a_wrapped_text_that_is_no_key_is_refused() {
        let m = master(1);
        let short = seal(&m.wrap, b"short", &TO.bytes(), [1; 24]).expect("seals");
        assert_eq!(m.unwrap(&short, TO).err(), Some(SealError::Format));
    }

    #[test]
    fn a_lookup_name_is_steady_and_differs_by_account_customer_and_master_key() {
        let name = master(1).lookup("default", "cust_123");
        assert_eq!(name, master(1).lookup("default", "cust_123"));
        assert_eq!(name.len(), LOOKUP_CHARS);
        assert!(name.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)));
        assert!(!name.contains("cust"));
        for other in [
            master(1).lookup("default", "cust_124"),
            master(1).lookup("defaultc", "ust_123"),
            master(2).lookup("default", "cust_123"),
        ] {
            assert_ne!(name, other);
        }
    }

    #[test]
    fn a_master_key_is_read_from_hex_and_from_every_base64() {
        let bytes = [0xfb; KEY_BYTES];
        let name = MasterKey::new(bytes).expect("derives").lookup("a", "c");
        for text in [
            "fb".repeat(32),
            "FB".repeat(32),
            format!(" {}\n", STANDARD.encode(bytes)),
            STANDARD_NO_PAD.encode(bytes),
            URL_SAFE.encode(bytes),
            URL_SAFE_NO_PAD.encode(bytes),
        ] {
            let key = MasterKey::from_text(&text);
            assert_eq!(key.expect("a key").lookup("a", "c"), name, "{text}");
        }
        for bad in ["", "fb", &"fg".repeat(32), &"+".repeat(45), &"é".repeat(32), &"é".repeat(22)]
        {
            assert_eq!(MasterKey::from_text(bad).err(), Some(SealError::KeyText), "{bad}");
        }
    }

    #[test]
    fn keys_are_never_printed() {
        assert_eq!(format!("{:?} {:?}", key(0xab), master(0xab)), "PersonKey MasterKey");
    }
}
