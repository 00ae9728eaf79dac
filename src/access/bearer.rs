//! Bearer tokens against the keys at hand, or against newer ones where a token needs them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::jwks::Jwks;
use super::jwt::{self, JwtDenied, Verified, Verifier};
use super::keyset::KeySet;
use crate::models::access::Identity;

/// Tokens that are remembered at most.
const REMEMBERED_MAX: usize = 4_096;

/// Where the keys of an issuer come from.
#[derive(Clone)]
pub enum KeySource {
    /// From the configuration.
    Fixed(Arc<KeySet>),
    /// From the issuer.
    Fetched(Arc<Jwks>),
}

/// Tells who sent a token.
#[derive(Clone)]
pub struct Bearer {
    verifier: Verifier,
    keys: KeySource,
    seen: Arc<Seen>,
}

/// Tokens that were found good, by their digest: clients send the same one for minutes, and a
/// signature costs more than the request behind it. What is remembered holds for the very set of keys
/// that it was verified with, so a key that its issuer takes back takes its tokens with it.
#[derive(Default)]
struct Seen(Mutex<HashMap<[u8; 32], Good>>);

/// What a token was found to be, by these keys.
type Good = (Arc<KeySet>, Verified);

impl Seen {
    fn find(&self, digest: &[u8; 32], keys: &Arc<KeySet>, now_us: i64) -> Option<Identity> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (with, found) = seen.get(digest)?;
        let holds = Arc::ptr_eq(with, keys) && (found.from_us..found.until_us).contains(&now_us);
        holds.then(|| found.identity.clone())
    }

    fn keep(&self, digest: [u8; 32], keys: &Arc<KeySet>, verified: Verified, now_us: i64) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED_MAX && !seen.contains_key(&digest) {
            seen.retain(|_, (with, found)| Arc::ptr_eq(with, keys) && now_us < found.until_us);
            if seen.len() >= REMEMBERED_MAX {
                // all are good: beginning anew costs each of them one more verification
                seen.clear();
            }
        }
        seen.insert(digest, (Arc::clone(keys), verified));
    }
}

impl Bearer {
    pub fn new(verifier: Verifier, keys: KeySource) -> Bearer {
        Bearer { verifier, keys, seen: Arc::default() }
    }

    pub fn keys(&self) -> &KeySource {
        &self.keys
    }

    /// Who sent this token, at `wall_us` (microseconds UTC)? Waits for newer keys only where the token
    /// names a key that is not there, and not at all where its shape alone refuses it. `mono` reads a
    /// monotonic clock in microseconds.
    ///
    /// # Errors
    /// Why nobody can tell.
    pub async fn identify(
        &self,
        token: &str,
        wall_us: i64,
        mono: impl Fn() -> i64,
    ) -> Result<Identity, JwtDenied> {
        let jwks = match &self.keys {
            KeySource::Fixed(keys) => return self.verify(token, keys, wall_us),
            KeySource::Fetched(jwks) => jwks,
        };
        match self.verify(token, &jwks.keys(), wall_us) {
            Err(JwtDenied::UnknownKey) => {
                let keys = jwks.keys_for(jwt::kid(token).as_deref(), mono).await;
                self.verify(token, &keys, wall_us)
            }
            // A key without an id may have been replaced by another without one.
            Err(JwtDenied::Signature) if jwks.keys().is_nameless() => {
                jwks.refresh(mono).await;
                self.verify(token, &jwks.keys(), wall_us)
            }
            outcome => outcome,
        }
    }

    /// Who sent this token, if it was found good before and still is.
    pub fn remembered(&self, token: &str, wall_us: i64) -> Option<Identity> {
        let keys = match &self.keys {
            KeySource::Fixed(keys) => Arc::clone(keys),
            KeySource::Fetched(jwks) => jwks.keys(),
        };
        let short = token.len() <= jwt::TOKEN_BYTES_MAX;
        short.then(|| self.seen.find(&Sha256::digest(token).into(), &keys, wall_us)).flatten()
    }

    fn verify(&self, token: &str, keys: &Arc<KeySet>, now: i64) -> Result<Identity, JwtDenied> {
        if token.len() > jwt::TOKEN_BYTES_MAX {
            return Err(JwtDenied::TooLong);
        }
        let digest = Sha256::digest(token).into();
        if let Some(identity) = self.seen.find(&digest, keys, now) {
            return Ok(identity);
        }
        let verified = self.verifier.verify(token, keys, now)?;
        let identity = verified.identity.clone();
        self.seen.keep(digest, keys, verified, now);
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ed25519_dalek::{Signer, SigningKey};
    use serde_json::json;

    use super::*;
    use crate::access::fetch::{Fetch, Fetched, Fetching};
    use crate::access::jwks::PAUSE_US;
    use crate::access::jwt::VerifierTerms;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn token(seed: u8) -> String {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({"alg":"EdDSA","kid":format!("k{seed}")}));
        let claims = json!({"iss":"i","aud":"a","sub":"ann","exp":1_000,"kiki_role":"viewer"});
        let message = format!("{header}.{}", part(claims));
        let signature = key(seed).sign(message.as_bytes()).to_bytes();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn document(seeds: &[u8]) -> Vec<u8> {
        let jwk = |seed: &u8| {
            let x = URL_SAFE_NO_PAD.encode(key(*seed).verifying_key().as_bytes());
            json!({"kty":"OKP","crv":"Ed25519","kid":format!("k{seed}"),"x":x})
        };
        let keys: Vec<_> = seeds.iter().map(jwk).collect();
        serde_json::to_vec(&json!({ "keys": keys })).unwrap()
    }

    #[derive(Default)]
    struct Issuer {
        document: Mutex<Vec<u8>>,
        asked: AtomicUsize,
    }

    struct Line(Arc<Issuer>);

    impl Fetch for Line {
        fn fetch<'a>(&'a self, _: &'a str) -> Fetching<'a> {
            self.0.asked.fetch_add(1, Ordering::SeqCst);
            let body = self.0.document.lock().unwrap().clone();
            Box::pin(async { Ok(Fetched { body, max_age_s: None }) })
        }
    }

    #[tokio::test]
    async fn the_keys_of_an_issuer_roll_and_no_request_fails_for_it() {
        let issuer = Arc::new(Issuer::default());
        let jwks = Arc::new(Jwks::new("https://i/keys", Box::new(Line(issuer.clone()))));
        let bearer = Bearer::new(
            Verifier::new(VerifierTerms::new("i", "a")),
            KeySource::Fetched(jwks.clone()),
        );
        // Each round the issuer publishes the next key beside the old and signs with both.
        for round in 1..=20_u8 {
            *issuer.document.lock().unwrap() = document(&[round, round + 1]);
            let at = i64::from(round) * PAUSE_US;
            for seed in [round, round + 1] {
                let who = bearer.identify(&token(seed), 0, || at).await;
                assert_eq!(who.map(|who| who.name.to_string()), Ok("user:ann".into()), "{round}");
            }
        }
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 20);
        let late = bearer.identify(&token(1), 0, || 30 * PAUSE_US).await;
        assert_eq!(late, Err(JwtDenied::UnknownKey), "the first key is long gone");
    }

    #[tokio::test]
    async fn a_token_that_was_seen_holds_no_longer_than_its_time_and_its_key() {
        const S: i64 = 1_000_000;
        let issuer = Arc::new(Issuer::default());
        *issuer.document.lock().unwrap() = document(&[1, 2]);
        let jwks = Arc::new(Jwks::new("https://i/keys", Box::new(Line(issuer.clone()))));
        let bearer = Bearer::new(
            Verifier::new(VerifierTerms::new("i", "a")),
            KeySource::Fetched(jwks.clone()),
        );
        let seen = || bearer.seen.0.lock().unwrap().len();
        for at in [0, 500 * S, 1_029 * S] {
            assert!(bearer.identify(&token(1), at, || 0).await.is_ok(), "at {at}");
        }
        assert_eq!(seen(), 1);
        // `exp` is 1,000 s and clocks may be 30 s apart
        let late = bearer.identify(&token(1), 1_030 * S, || 0).await;
        assert_eq!(late, Err(JwtDenied::Expired));
        // one changed character is another token, and what is refused is not kept
        let mut bent = token(1);
        let last = bent.pop().unwrap();
        bent.push(if last == 'A' { 'Q' } else { 'A' });
        assert!(bearer.identify(&bent, 0, || 0).await.is_err());
        assert_eq!(seen(), 1);
        // the issuer takes the key back
        *issuer.document.lock().unwrap() = document(&[2]);
        jwks.refresh(|| PAUSE_US).await;
        let gone = bearer.identify(&token(1), 0, || PAUSE_US).await;
        assert_eq!(gone, Err(JwtDenied::UnknownKey));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (seen, keys) = (Seen::default(), Arc::<KeySet>::default());
        let identity = Identity::of_user(
            "ann",
            crate::models::access::Role::Viewer,
            crate::models::access::Scopes::default(),
        );
        for n in 0..3 * REMEMBERED_MAX {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_le_bytes());
            let verified = Verified { identity: identity.clone(), from_us: 0, until_us: 9 };
            seen.keep(digest, &keys, verified, 1);
            assert!(seen.find(&digest, &keys, 1).is_some());
            assert!(seen.0.lock().unwrap().len() <= REMEMBERED_MAX);
        }
    }

    #[tokio::test]
    async fn what_is_no_token_or_of_a_forbidden_algorithm_causes_no_fetch() {
        let issuer = Arc::new(Issuer::default());
        let jwks = Arc::new(Jwks::new("https://i/keys", Box::new(Line(issuer.clone()))));
        let verifier = Verifier::new(VerifierTerms::new("i", "a"));
        let bearer = Bearer::new(verifier.clone(), KeySource::Fetched(jwks));
        let none = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"x"}"#));
        for bad in ["", "a.b.c", &none, &"x".repeat(9_000)] {
            assert!(bearer.identify(bad, 0, || 0).await.is_err());
        }
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 0);
        let fixed = KeySource::Fixed(Arc::new(KeySet::parse(&document(&[1])).unwrap()));
        let bearer = Bearer::new(verifier, fixed);
        assert!(bearer.identify(&token(1), 0, || 0).await.is_ok());
        assert_eq!(bearer.identify(&token(2), 0, || 0).await, Err(JwtDenied::UnknownKey));
    }
}
