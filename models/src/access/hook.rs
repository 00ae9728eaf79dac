//! Signed webhooks: what is sent, and how a receiver checks it.
//!
//! ```text
//! Kiki-Webhook-Id: <id>
//! Kiki-Signature:  t=<unix seconds>,v1=<hex HMAC-SHA256>[,v1=<hex, by the other live secret>]
//! ```
//!
//! Signed is `<t>.<id>.<body>`. Neither the time nor an id can hold a dot, so no two messages are
//! signed as the same text. While a secret is replaced both are live and each delivery carries both
//! signatures: receivers change theirs in between, and miss nothing. A receiver refuses what is older
//! or newer than its tolerance, and remembers the ids of that long: so nothing counts twice.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The header of the signature.
pub const SIGNATURE_HEADER: &str = "Kiki-Signature";
/// The header of the id.
pub const ID_HEADER: &str = "Kiki-Webhook-Id";
/// How far the time of a delivery may be off, in seconds, either way.
pub const TOLERANCE_S: i64 = 300;
/// Secrets that may be live at the same time.
pub const SECRETS_MAX: usize = 2;

const SECRET_PREFIX: &str = "whsec_";
const HEADER_CHARS_MAX: usize = 512;
const ID_CHARS_MAX: usize = 64;
/// Signatures that a receiver looks at.
const SIGNATURES_MAX: usize = 4;

/// Why a delivery is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHook {
    #[error("the signature header or the id is malformed")]
    Malformed,
    #[error("the delivery is too old")]
    TooOld,
    #[error("the delivery is from the future")]
    TooNew,
    #[error("no signature is by a live secret")]
    Mismatch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a webhook secret; expected whsec_ and 43 characters of base64url")]
pub struct BadSecret;

/// A secret shared with one receiver: 32 random bytes.
#[derive(Clone)]
pub struct HookSecret(Zeroizing<[u8; 32]>);

impl fmt::Debug for HookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_[redacted]")
    }
}

impl HookSecret {
    /// Of 32 random bytes.
    pub fn generate(entropy: [u8; 32]) -> HookSecret {
        HookSecret(Zeroizing::new(entropy))
    }

    /// # Errors
    /// It is not `whsec_` and 32 bytes of base64url.
    pub fn parse(text: &str) -> Result<HookSecret, BadSecret> {
        let encoded =
            text.strip_prefix(SECRET_PREFIX).filter(|e| e.len() == 43).ok_or(BadSecret)?;
        let mut secret = Zeroizing::new([0; 32]);
        match URL_SAFE_NO_PAD.decode_slice(encoded, &mut *secret) {
            Ok(32) => Ok(HookSecret(secret)),
            _ => Err(BadSecret),
        }
    }

    /// For the one time that it is shown.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{SECRET_PREFIX}{}", URL_SAFE_NO_PAD.encode(*self.0)))
    }

    fn mac(&self, t: i64, id: &str, body: &[u8]) -> Hmac<Sha256> {
        // Of a key of any length HMAC makes one: this cannot fail.
        let mac = Hmac::<Sha256>::new_from_slice(&*self.0);
        let mut mac = mac.expect("hmac takes keys of any length");
        mac.update(format!("{t}.{id}.").as_bytes());
        mac.update(body);
        mac
    }
}

/// An id that may be signed: letters, digits, `_` and `-`, at most 64.
pub fn is_id(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    (1..=ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(plain)
}

/// The value of [`SIGNATURE_HEADER`] for a delivery at `t` (unix seconds): one signature for each of
/// the first [`SECRETS_MAX`] secrets. The same id is kept for every attempt, the time is the attempt's.
pub fn sign(secrets: &[HookSecret], t: i64, id: &str, body: &[u8]) -> String {
    debug_assert!(is_id(id), "an id with a dot makes two messages one");
    let mut header = format!("t={t}");
    for secret in secrets.iter().take(SECRETS_MAX) {
        header.push_str(",v1=");
        for byte in secret.mac(t, id, body).finalize().into_bytes() {
            header.push_str(&format!("{byte:02x}"));
        }
    }
    header
}

/// What a receiver does, at `now` (unix seconds). `Ok` gives the time of the delivery; the receiver
/// then refuses an id that it has seen within twice the tolerance.
///
/// # Errors
/// Why the delivery is not to be believed.
pub fn verify(
    header: &str,
    secrets: &[HookSecret],
    id: &str,
    body: &[u8],
    now: i64,
    tolerance_s: i64,
) -> Result<i64, BadHook> {
    if header.len() > HEADER_CHARS_MAX || !is_id(id) {
        return Err(BadHook::Malformed);
    }
    let (mut t, mut signatures) = (None, Vec::new());
    for part in header.split(',') {
        match part.split_once('=').ok_or(BadHook::Malformed)? {
            ("t", _) if t.is_some() => return Err(BadHook::Malformed),
            ("t", text) => t = Some(seconds(text)?),
            ("v1", _) if signatures.len() == SIGNATURES_MAX => return Err(BadHook::Malformed),
            ("v1", text) => signatures.push(bytes(text)?),
            // A scheme of the future stands beside v1 without breaking who knows only v1.
            _ => {}
        }
    }
    let t = t.ok_or(BadHook::Malformed)?;
    let matched = secrets.iter().take(SECRETS_MAX).any(|secret| {
        let mac = secret.mac(t, id, body);
        signatures.iter().any(|s| mac.clone().verify_slice(s).is_ok())
    });
    if !matched {
        return Err(BadHook::Mismatch);
    }
    match now.saturating_sub(t) {
        age if age > tolerance_s => Err(BadHook::TooOld),
        age if age < -tolerance_s => Err(BadHook::TooNew),
        _ => Ok(t),
    }
}

/// Digits only: what was signed is the number, so it must have one way to be written.
fn seconds(text: &str) -> Result<i64, BadHook> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain).ok_or(BadHook::Malformed)
}

fn bytes(hex: &str) -> Result<[u8; 32], BadHook> {
    let mut out = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(BadHook::Malformed);
    }
    for (at, byte) in out.iter_mut().enumerate() {
        let pair = hex.get(2 * at..2 * at + 2).ok_or(BadHook::Malformed)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| BadHook::Malformed)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const BODY: &[u8] = br#"{"event":"budget.threshold"}"#;

    fn secret(seed: u8) -> HookSecret {
        HookSecret::generate([seed; 32])
    }

    fn check(header: &str, secrets: &[HookSecret], id: &str, body: &[u8]) -> Result<i64, BadHook> {
        verify(header, secrets, id, body, NOW, TOLERANCE_S)
    }

    #[test]
    fn a_delivery_is_believed_by_whoever_has_the_secret() {
        let header = sign(&[secret(1)], NOW, "evt_1", BODY);
        assert_eq!(check(&header, &[secret(1)], "evt_1", BODY), Ok(NOW));
        assert_eq!(check(&header, &[secret(2)], "evt_1", BODY), Err(BadHook::Mismatch));
        assert_eq!(check(&header, &[], "evt_1", BODY), Err(BadHook::Mismatch));
        assert_eq!(check(&header, &[secret(1)], "evt_2", BODY), Err(BadHook::Mismatch));
        assert_eq!(check(&header, &[secret(1)], "evt_1", b"{}"), Err(BadHook::Mismatch));
    }

    #[test]
    fn the_signature_is_the_hmac_of_time_id_and_body_as_others_compute_it() {
        // printf '1800000000.evt_1.{}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:01…01
        let header = sign(&[secret(1)], NOW, "evt_1", b"{}");
        assert_eq!(header, format!("t=1800000000,v1={}", OPENSSL));
    }
    const OPENSSL: &str = "27ec1ee5b20247571c6019b9841452adeb811f6e8ff1a3cfbf432384f77f0f0e";

    #[test]
    fn while_a_secret_is_replaced_receivers_with_either_believe_it() {
        let (old, new) = (secret(1), secret(2));
        let both = sign(&[new.clone(), old.clone()], NOW, "evt_1", BODY);
        let one = std::slice::from_ref;
        for live in [one(&old), one(&new), &[old.clone(), new.clone()]] {
            assert_eq!(check(&both, live, "evt_1", BODY), Ok(NOW));
        }
        let after = sign(&[new], NOW, "evt_1", BODY);
        assert_eq!(check(&after, &[old], "evt_1", BODY), Err(BadHook::Mismatch));
    }

    #[test]
    fn a_replay_after_the_tolerance_is_refused_and_its_time_cannot_be_bent() {
        let live = [secret(1)];
        for (t, expected) in [
            (NOW - 300, Ok(NOW - 300)),
            (NOW - 301, Err(BadHook::TooOld)),
            (NOW + 300, Ok(NOW + 300)),
            (NOW + 301, Err(BadHook::TooNew)),
        ] {
            assert_eq!(check(&sign(&live, t, "evt_1", BODY), &live, "evt_1", BODY), expected);
        }
        let old = sign(&live, NOW - 301, "evt_1", BODY);
        let bent = old.replace(&(NOW - 301).to_string(), &NOW.to_string());
        assert_eq!(check(&bent, &live, "evt_1", BODY), Err(BadHook::Mismatch));
    }

    #[test]
    fn a_malformed_header_is_refused_and_an_unknown_scheme_is_passed_over() {
        let live = [secret(1)];
        let good = sign(&live, NOW, "evt_1", BODY);
        assert_eq!(check(&format!("{good},v9=abc"), &live, "evt_1", BODY), Ok(NOW));
        let long = format!("{good}{}", ",v9=a".repeat(200));
        let many = format!("{good}{}", format!(",v1={}", "0".repeat(64)).repeat(4));
        let upper = good.to_uppercase().replace("T=", "t=").replace("V1=", "v1=");
        let sign_first = good.replace("t=", "t=+");
        let zero_first = good.replace("t=", "t=0");
        let twice = format!("{good},t={NOW}");
        let untimed = good.split_once(',').unwrap().1;
        for bad in [
            "",
            "t",
            "t=,v1=",
            "t=x",
            &long,
            &many,
            &upper,
            &sign_first,
            &zero_first,
            &twice,
            untimed,
        ] {
            assert_eq!(check(bad, &live, "evt_1", BODY), Err(BadHook::Malformed), "{bad}");
        }
        assert_eq!(check("t=1800000000", &live, "evt_1", BODY), Err(BadHook::Mismatch));
        for id in ["", "a.b", "a b", &"x".repeat(65)] {
            assert_eq!(check(&good, &live, id, BODY), Err(BadHook::Malformed), "{id}");
        }
    }

    #[test]
    fn a_secret_is_read_back_and_never_printed() {
        let text = secret(7).text();
        let back = HookSecret::parse(&text).unwrap();
        assert_eq!(sign(&[back], 1, "a", b""), sign(&[secret(7)], 1, "a", b""));
        assert!(!format!("{:?}", secret(7)).contains(&text[6..]));
        for bad in ["", "whsec_", "whsec_AAAA", &text[1..], &format!("{}B", &text[..48])] {
            assert!(HookSecret::parse(bad).is_err(), "{bad}");
        }
    }
}
