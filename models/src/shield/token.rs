//! The signed token of a hold: proof of what was held, good after the hold's memory is lost.
//!
//! `base64url(payload) "." base64url(HMAC-SHA256(secret, payload))` with the payload
//! `v1|account|campaign|hold|amount|window amount|expiry|slice|window slice|day|body`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::entry::{Day, Op, SliceId};
use super::hold::{Hold, HoldState};
use super::money::Micros;

/// Characters of the longest token that is looked at.
pub const TOKEN_CHARS_MAX: usize = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a token of this installation")]
pub struct BadToken;

/// Signs and checks tokens. The key schedule is made once.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    pub fn new(secret: &[u8]) -> Signer {
        // Of a key of any length HMAC makes one: this cannot fail.
        Signer(Hmac::new_from_slice(secret).expect("hmac takes keys of any length"))
    }

    pub fn sign(&self, account: &str, campaign: &str, h: &Hold) -> String {
        let payload = format!(
            "v1|{account}|{campaign}|{}|{}|{}|{}|{}|{}|{}|{:x}",
            h.id,
            h.amount.0,
            h.window_amount.0,
            h.expires_wall_us,
            h.slice,
            h.window_slice,
            h.day.0,
            h.body
        );
        let mut mac = self.0.clone();
        mac.update(payload.as_bytes());
        let mut token = URL_SAFE_NO_PAD.encode(&payload);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(mac.finalize().into_bytes(), &mut token);
        token
    }

    /// The hold that a token of this campaign proves.
    pub fn open(&self, account: &str, campaign: &str, token: &str) -> Result<Hold, BadToken> {
        if token.len() > TOKEN_CHARS_MAX {
            return Err(BadToken);
        }
        let (payload, mac) = token.split_once('.').ok_or(BadToken)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| BadToken)?;
        let signature = URL_SAFE_NO_PAD.decode(mac).map_err(|_| BadToken)?;
        let mut mac = self.0.clone();
        mac.update(&payload);
        mac.verify_slice(&signature).map_err(|_| BadToken)?;
        let text = String::from_utf8(payload).map_err(|_| BadToken)?;
        let parts: Vec<&str> = text.split('|').collect();
        let [version, acct, camp, hold, amount, window, expires, slice, wslice, day, body] =
            parts[..]
        else {
            return Err(BadToken);
        };
        if version != "v1" || acct != account || camp != campaign {
            return Err(BadToken);
        }
        let int = |t: &str| t.parse::<i64>().map_err(|_| BadToken);
        let hex = |t: &str| u64::from_str_radix(t, 16).map_err(|_| BadToken);
        Ok(Hold {
            id: Op::from_hex(hold).ok_or(BadToken)?,
            amount: Micros(int(amount)?),
            window_amount: Micros(int(window)?),
            expires_us: 0,
            expires_wall_us: int(expires)?,
            slice: SliceId(hex(slice)?),
            window_slice: SliceId(hex(wslice)?),
            day: Day(int(day)? as i32),
            state: HoldState::Open,
            body: hex(body)?,
        })
    }
}

/// Keys of which tokens may be open at the same time: beyond that nothing is rotated.
pub const RING_MAX: usize = 16;

/// The keys of tokens, newest first: the newest signs. A key that another one has replaced opens
/// tokens until its time is over.
#[derive(Clone, Debug)]
pub struct SignerRing {
    newest: Signer,
    /// With the wall time at which each ends, micros.
    older: Vec<(Signer, i64)>,
}

impl SignerRing {
    /// Of the secret that was there before any rotation, and the keys made since, newest first, each
    /// with the wall time at which it was made. A key opens for `kept_us` after the next was made.
    pub fn new<'a>(
        first: &[u8],
        made: impl IntoIterator<Item = (&'a [u8], i64)>,
        kept_us: i64,
    ) -> SignerRing {
        let mut signers: Vec<(Signer, i64)> = Vec::new();
        // When the key after this one was made: there is none after the newest.
        let mut ends = i64::MAX;
        for (key, made_at) in made {
            signers.push((Signer::new(key), ends));
            ends = made_at.saturating_add(kept_us);
        }
        signers.push((Signer::new(first), ends));
        let (newest, _) = signers.remove(0);
        SignerRing { newest, older: signers }
    }

    /// Of one secret alone.
    pub fn of(secret: &[u8]) -> SignerRing {
        SignerRing { newest: Signer::new(secret), older: Vec::new() }
    }

    /// The token of a hold, by the newest key.
    pub fn sign(&self, account: &str, campaign: &str, hold: &Hold) -> String {
        self.newest.sign(account, campaign, hold)
    }

    /// The hold that a token of this campaign proves, at wall time `now_us`.
    pub fn open(
        &self,
        account: &str,
        campaign: &str,
        token: &str,
        now_us: i64,
    ) -> Result<Hold, BadToken> {
        let mut opened = self.newest.open(account, campaign, token);
        for (signer, ends) in &self.older {
            if opened.is_ok() || now_us >= *ends {
                break;
            }
            opened = signer.open(account, campaign, token);
        }
        opened
    }

    /// Keys that open at `now_us`.
    pub fn live(&self, now_us: i64) -> usize {
        1 + self.older.iter().take_while(|(_, ends)| now_us < *ends).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold() -> Hold {
        Hold {
            id: Op(7),
            amount: Micros(5),
            window_amount: Micros(6),
            expires_us: 0,
            expires_wall_us: 99,
            slice: SliceId(1),
            window_slice: SliceId(2),
            day: Day(20261121),
            state: HoldState::Open,
            body: 3,
        }
    }

    #[test]
    fn a_token_proves_its_hold_to_whoever_has_the_secret_and_to_nobody_else() {
        let signer = Signer::new(b"secret");
        let token = signer.sign("default", "camp_001", &hold());
        assert_eq!(signer.open("default", "camp_001", &token), Ok(hold()));
        assert_eq!(signer.open("default", "camp_002", &token), Err(BadToken));
        assert_eq!(Signer::new(b"other").open("default", "camp_001", &token), Err(BadToken));
        for i in 0..token.len() {
            let mut bent = token.clone().into_bytes();
            bent[i] = if bent[i] == b'A' { b'B' } else { b'A' };
            if let Ok(text) = String::from_utf8(bent)
                && let Ok(opened) = signer.open("default", "camp_001", &text)
            {
                assert_eq!(opened, hold(), "a bent token must not say anything else");
            }
        }
        for bad in ["", ".", "a.b", "dj18.", &"x".repeat(2_000)] {
            assert_eq!(signer.open("default", "camp_001", bad), Err(BadToken));
        }
    }

    #[test]
    fn a_token_of_an_older_key_opens_until_that_key_is_over() {
        let before = SignerRing::of(b"first");
        let token = before.sign("a", "c", &hold());
        // made at 100 and at 200, kept for 1,000
        let ring = SignerRing::new(b"first", [(&b"third"[..], 200), (&b"second"[..], 100)], 1_000);
        assert_eq!(ring.open("a", "c", &token, 1_099), Ok(hold()));
        assert_eq!(ring.open("a", "c", &token, 1_100), Err(BadToken), "its time is over");
        let second = Signer::new(b"second").sign("a", "c", &hold());
        assert_eq!(ring.open("a", "c", &second, 1_199), Ok(hold()));
        assert_eq!(ring.open("a", "c", &second, 1_200), Err(BadToken));
        let newest = ring.sign("a", "c", &hold());
        assert_eq!(ring.open("a", "c", &newest, i64::MAX - 1), Ok(hold()));
        assert_eq!(before.open("a", "c", &newest, 0), Err(BadToken), "it is of another key");
        assert_eq!([0, 1_099, 1_100, 1_200].map(|now| ring.live(now)), [3, 3, 2, 1]);
    }
}
