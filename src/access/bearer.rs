//! Bearer tokens against the keys at hand, or against newer ones where a token needs them.

use std::sync::Arc;

use super::jwks::Jwks;
use super::jwt::{self, JwtDenied, Verifier};
use super::keyset::KeySet;
use crate::models::access::Identity;

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
}

impl Bearer {
    pub fn new(verifier: Verifier, keys: KeySource) -> Bearer {
        Bearer { verifier, keys }
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
            KeySource::Fixed(keys) => return self.verifier.verify(token, keys, wall_us),
            KeySource::Fetched(jwks) => jwks,
        };
        match self.verifier.verify(token, &jwks.keys(), wall_us) {
            Err(JwtDenied::UnknownKey) => {
                let keys = jwks.keys_for(jwt::kid(token).as_deref(), mono).await;
                self.verifier.verify(token, &keys, wall_us)
            }
            outcome => outcome,
        }
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
