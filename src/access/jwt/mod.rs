//! Bearer tokens: who signed them, for whom, and until when (RFC 7519; the advice of RFC 8725).
//!
//! Pure: keys and time come in by argument. The order is that of trust: shape, algorithm, key,
//! signature; only then is anything believed that the token says.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::access::claims::ClaimNames;
use crate::access::keyset::{Alg, KID_CHARS_MAX, KeySet};
use crate::access::strict;
use crate::models::access::Identity;

/// Bytes of the longest token that is looked at.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Characters of the longest subject.
pub const SUB_CHARS_MAX: usize = 128;
/// Types that an access token may have, lower-case; one without a type may be one, too. Logout tokens
/// and the like say what they are, and are refused (RFC 8725 3.11).
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// Why a token is not good. Callers are told one thing for all of them; the audit is told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum JwtDenied {
    #[error("is longer than 8 KiB")]
    TooLong,
    #[error("is not a signed JSON Web Token")]
    Malformed,
    #[error("is of another type than an access token")]
    Type,
    #[error("is signed by an algorithm that is not allowed for it")]
    Algorithm,
    #[error("names no key, and there are several")]
    NoKid,
    #[error("is signed by a key that is not known")]
    UnknownKey,
    #[error("has a signature that is not of its key")]
    Signature,
    #[error("does not say when it expires")]
    NoExpiry,
    #[error("has expired")]
    Expired,
    #[error("is not valid yet")]
    Immature,
    #[error("is of another issuer")]
    Issuer,
    #[error("is for another audience")]
    Audience,
    #[error("has no subject, or one that cannot be shown")]
    Subject,
    #[error("gives no role that is known")]
    Role,
    #[error("has a scope that cannot be read")]
    Scope,
}

/// What a token must be.
#[derive(Clone, Debug)]
pub struct VerifierTerms {
    /// Exactly the `iss` of a token.
    pub issuer: String,
    /// One of the `aud` of a token.
    pub audience: String,
    pub algorithms: Vec<Alg>,
    /// How far the clocks of issuer and verifier may be apart, in seconds.
    pub leeway_s: u32,
    pub claims: ClaimNames,
}

impl VerifierTerms {
    /// RS256, ES256 and EdDSA, 30 s of leeway, the claims of [`ClaimNames::default`].
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> VerifierTerms {
        VerifierTerms {
            issuer: issuer.into(),
            audience: audience.into(),
            algorithms: Alg::DEFAULT.to_vec(),
            leeway_s: 30,
            claims: ClaimNames::default(),
        }
    }
}

/// Verifies tokens of one issuer.
#[derive(Clone, Debug)]
pub struct Verifier {
    terms: VerifierTerms,
}

/// Who a token is of, and while when that holds: microseconds UTC, the end not within.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub identity: Identity,
    pub from_us: i64,
    pub until_us: i64,
}

struct Head {
    alg: Alg,
    kid: Option<String>,
}

/// The key that a token says it is signed by, believed by nobody yet: for the look whether the keys at
/// hand are new enough. `None` where it says none or is no token.
pub fn kid(token: &str) -> Option<String> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    head(token.split('.').next()?).ok()?.kid
}

impl Verifier {
    pub fn new(terms: VerifierTerms) -> Verifier {
        Verifier { terms }
    }

    /// Who sent this token, at `now_us` (microseconds UTC)?
    ///
    /// # Errors
    /// Why nobody can tell. [`JwtDenied::UnknownKey`] may mean that newer keys are to be had.
    pub fn verify(&self, token: &str, keys: &KeySet, now_us: i64) -> Result<Verified, JwtDenied> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(JwtDenied::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(JwtDenied::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(JwtDenied::Malformed)?;
        if payload.contains('.') || signature.is_empty() {
            return Err(JwtDenied::Malformed);
        }
        let head = head(header)?;
        if !self.terms.algorithms.contains(&head.alg) {
            return Err(JwtDenied::Algorithm);
        }
        if head.kid.is_none() && keys.len() > 1 {
            return Err(JwtDenied::NoKid);
        }
        let named = keys.named(head.kid.as_deref());
        let key = match named.iter().find(|key| key.takes(head.alg)) {
            Some(key) => key,
            None if named.is_empty() => return Err(JwtDenied::UnknownKey),
            None => return Err(JwtDenied::Algorithm),
        };
        if !key.verify(head.alg, message.as_bytes(), signature) {
            return Err(JwtDenied::Signature);
        }
        let claims = decode(payload).ok_or(JwtDenied::Malformed)?;
        let (from_us, until_us) = self.within_time(&claims, now_us)?;
        self.addressed(&claims)?;
        let sub = claims.get("sub").and_then(Value::as_str).filter(|sub| is_sub(sub));
        let sub = sub.ok_or(JwtDenied::Subject)?;
        let role = self.terms.claims.role(&claims)?;
        let identity = Identity::of_user(sub, role, self.terms.claims.scopes(&claims)?);
        let identity = Identity { ends_at_us: Some(until_us), ..identity };
        Ok(Verified { identity, from_us, until_us })
    }

    /// From when until when the token is good.
    fn within_time(
        &self,
        claims: &Map<String, Value>,
        now_us: i64,
    ) -> Result<(i64, i64), JwtDenied> {
        let leeway_us = i64::from(self.terms.leeway_s) * 1_000_000;
        let expires = micros(claims.get("exp"))?.ok_or(JwtDenied::NoExpiry)?;
        let (mut from, until) = (i64::MIN, expires.saturating_add(leeway_us));
        if now_us >= until {
            return Err(JwtDenied::Expired);
        }
        for name in ["nbf", "iat"] {
            if let Some(begins) = micros(claims.get(name))? {
                from = from.max(begins.saturating_sub(leeway_us));
            }
        }
        if now_us < from { Err(JwtDenied::Immature) } else { Ok((from, until)) }
    }

    fn addressed(&self, claims: &Map<String, Value>) -> Result<(), JwtDenied> {
        if claims.get("iss").and_then(Value::as_str) != Some(&self.terms.issuer) {
            return Err(JwtDenied::Issuer);
        }
        let ours = |value: &Value| value.as_str() == Some(&self.terms.audience);
        match claims.get("aud") {
            Some(Value::Array(all)) if all.iter().any(ours) => Ok(()),
            Some(one) if ours(one) => Ok(()),
            _ => Err(JwtDenied::Audience),
        }
    }
}

fn decode(part: &str) -> Option<Map<String, Value>> {
    strict::object(&URL_SAFE_NO_PAD.decode(part).ok()?)
}

/// Of the header only `alg`, `kid`, `typ` and `crit` are read. Keys that come with a token or by a URL
/// in it (`jwk`, `jku`, `x5c`, `x5u`) are an offer of whoever forged it.
fn head(part: &str) -> Result<Head, JwtDenied> {
    let header = decode(part).ok_or(JwtDenied::Malformed)?;
    // Extensions that must be understood (RFC 7515 4.1.11): none is.
    if header.contains_key("crit") {
        return Err(JwtDenied::Malformed);
    }
    let text = |name: &str| match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwtDenied::Malformed),
    };
    if text("typ")?.is_some_and(|typ| !TYPES.contains(&typ.to_ascii_lowercase().as_str())) {
        return Err(JwtDenied::Type);
    }
    let alg = text("alg")?.ok_or(JwtDenied::Malformed)?;
    let alg = alg.parse().map_err(|_| JwtDenied::Algorithm)?;
    let kid = text("kid")?.cloned();
    match kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > KID_CHARS_MAX) {
        true => Err(JwtDenied::Malformed),
        false => Ok(Head { alg, kid }),
    }
}

/// A NumericDate (RFC 7519 2): seconds, perhaps with a fraction.
fn micros(value: Option<&Value>) -> Result<Option<i64>, JwtDenied> {
    let Some(value) = value else { return Ok(None) };
    if let Some(whole) = value.as_i64() {
        return Ok(Some(whole.saturating_mul(1_000_000)));
    }
    // The conversion of a float saturates.
    value.as_f64().map(|s| Some((s * 1e6) as i64)).ok_or(JwtDenied::Malformed)
}

/// Goes into logs and the audit: not empty, not long, nothing that breaks a line.
fn is_sub(sub: &str) -> bool {
    !sub.is_empty() && sub.chars().count() <= SUB_CHARS_MAX && !sub.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
