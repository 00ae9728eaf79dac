//! Keys of people: a keyed hash, so that what is kept says nothing of who it was.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::opportunity::{IdKind, User};

/// 64 bits of HMAC-SHA-256 over a person's id, keyed by a secret of the installation. Two of `n` people have
/// the same with a probability of about n² / 2^65; they then share their counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PersonKey(pub u64);

/// Makes keys. The key schedule is made once.
#[derive(Clone)]
pub struct Keyer(Hmac<Sha256>);

impl std::fmt::Debug for Keyer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyer")
    }
}

impl Keyer {
    pub fn new(secret: &[u8]) -> Keyer {
        // Of a key of any length HMAC makes one: this cannot fail.
        Keyer(Hmac::new_from_slice(secret).expect("hmac takes keys of any length"))
    }

    /// Of somebody who is named by one text.
    pub fn key(&self, person: &str) -> PersonKey {
        self.of(&[person])
    }

    /// Of whoever a request is about. Two exchanges mean two people by one `user.id`, so that `exchange`, the
    /// name by which the caller is known, is part of that key; a device has one id everywhere, and so has a
    /// customer of ours.
    pub fn person(&self, user: &User<'_>, exchange: &str) -> PersonKey {
        let User { key, kind } = *user;
        // No two lists of parts are one text: a name has no NUL, and what begins with one is marked.
        match kind {
            IdKind::Buyer if key.starts_with('\0') => self.of(&["\0b", key]),
            IdKind::Buyer => self.of(&[key]),
            IdKind::Exchange => self.of(&["\0i", exchange, "\0", key]),
            IdKind::Device => self.of(&["\0d", key]),
        }
    }

    fn of(&self, parts: &[&str]) -> PersonKey {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part.as_bytes()));
        let bytes: [u8; 32] = mac.finalize().into_bytes().into();
        PersonKey(bytes.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte)))
    }
}

/// A bijection of 64 bits that spreads its input (the finaliser of SplitMix64, Steele et al. 2014).
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The key of a person and a campaign together.
pub fn pair(person: PersonKey, campaign: u64) -> u64 {
    mix(person.0 ^ mix(campaign.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}
