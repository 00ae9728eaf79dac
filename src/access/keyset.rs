//! The public keys that tokens are verified with: a JSON Web Key Set (RFC 7517), read with suspicion.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Keys of a set.
pub const KEYS_MAX: usize = 64;
/// Characters of a key's id.
pub const KID_CHARS_MAX: usize = 256;
/// Bytes of an RSA modulus: 2,048 to 4,096 bits (NIST SP 800-131A; beyond, a signature costs too much).
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// The algorithms that a token may be signed with. Those with a shared secret (HS*) and `none` cannot
/// be said here: with them whoever reads the public key could sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alg {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no algorithm of public keys; expected RS256, ES256, EdDSA or their like")]
pub struct UnknownAlg;

impl Alg {
    pub const ALL: [Alg; 9] = [
        Alg::Rs256,
        Alg::Rs384,
        Alg::Rs512,
        Alg::Ps256,
        Alg::Ps384,
        Alg::Ps512,
        Alg::Es256,
        Alg::Es384,
        Alg::EdDsa,
    ];
    /// What is allowed where nothing else is said.
    pub const DEFAULT: [Alg; 3] = [Alg::Rs256, Alg::Es256, Alg::EdDsa];

    /// Its name in a header (RFC 7518 3.1, RFC 8037).
    pub fn as_str(self) -> &'static str {
        match self {
            Alg::Rs256 => "RS256",
            Alg::Rs384 => "RS384",
            Alg::Rs512 => "RS512",
            Alg::Ps256 => "PS256",
            Alg::Ps384 => "PS384",
            Alg::Ps512 => "PS512",
            Alg::Es256 => "ES256",
            Alg::Es384 => "ES384",
            Alg::EdDsa => "EdDSA",
        }
    }

    fn library(self) -> Algorithm {
        match self {
            Alg::Rs256 => Algorithm::RS256,
            Alg::Rs384 => Algorithm::RS384,
            Alg::Rs512 => Algorithm::RS512,
            Alg::Ps256 => Algorithm::PS256,
            Alg::Ps384 => Algorithm::PS384,
            Alg::Ps512 => Algorithm::PS512,
            Alg::Es256 => Algorithm::ES256,
            Alg::Es384 => Algorithm::ES384,
            Alg::EdDsa => Algorithm::EdDSA,
        }
    }

    fn is_rsa(self) -> bool {
        !matches!(self, Alg::Es256 | Alg::Es384 | Alg::EdDsa)
    }
}

impl FromStr for Alg {
    type Err = UnknownAlg;

    /// Exactly as registered: `none`, `NONE`, `HS256` and `rs256` are not known.
    fn from_str(text: &str) -> Result<Alg, UnknownAlg> {
        Alg::ALL.into_iter().find(|alg| alg.as_str() == text).ok_or(UnknownAlg)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    #[error("is not a JSON Web Key Set")]
    Malformed,
    #[error("has more than 64 keys")]
    TooMany,
    #[error("has no key that can verify a signature")]
    Empty,
}

/// A key that verifies signatures, of the one algorithm that its set gives it, or of any for RSA where
/// its set gives none.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: Option<String>,
    alg: Option<Alg>,
    key: DecodingKey,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("kid", &self.kid).field("alg", &self.alg).finish()
    }
}

impl VerifyingKey {
    pub fn takes(&self, alg: Alg) -> bool {
        self.alg.map_or(alg.is_rsa(), |own| own == alg)
    }

    /// `signature` is base64url, `message` the two parts of the token before it.
    pub fn verify(&self, alg: Alg, message: &[u8], signature: &str) -> bool {
        let verified =
            || jsonwebtoken::crypto::verify(signature, message, &self.key, alg.library()).ok();
        self.takes(alg) && verified().unwrap_or(false)
    }
}

/// The usable keys of a set, in its order.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<VerifyingKey>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set. Keys for other purposes, of unknown kinds and with shared secrets are passed over
    /// (RFC 7517 5); so are RSA keys under 2,048 bits.
    ///
    /// # Errors
    /// It is no set, too long, or has no usable key.
    pub fn parse(json: &[u8]) -> Result<KeySet, BadKeySet> {
        let document: Document = serde_json::from_slice(json).map_err(|_| BadKeySet::Malformed)?;
        if document.keys.len() > KEYS_MAX {
            return Err(BadKeySet::TooMany);
        }
        let keys: Vec<_> = document.keys.into_iter().filter_map(usable).collect();
        if keys.is_empty() { Err(BadKeySet::Empty) } else { Ok(KeySet(keys)) }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is one key without an id, which then stands for any.
    pub fn is_nameless(&self) -> bool {
        matches!(&self.0[..], [only] if only.kid.is_none())
    }

    /// The keys that a token may mean: those of its `kid`. A token without one means the only key there
    /// is; a `kid` that no key has means the only key if that has none itself. An id is compared and
    /// never looked up anywhere.
    pub fn named(&self, kid: Option<&str>) -> Vec<&VerifyingKey> {
        match (kid, &self.0[..]) {
            (None, [only]) => vec![only],
            (Some(_), [only]) if only.kid.is_none() => vec![only],
            (None, _) => Vec::new(),
            (Some(kid), keys) => keys.iter().filter(|k| k.kid.as_deref() == Some(kid)).collect(),
        }
    }
}

fn usable(value: Value) -> Option<VerifyingKey> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    if jwk.common.public_key_use.as_ref().is_some_and(|u| *u != PublicKeyUse::Signature) {
        return None;
    }
    let verifies = |ops: &Vec<KeyOperations>| ops.contains(&KeyOperations::Verify);
    if jwk.common.key_operations.as_ref().is_some_and(|ops| !verifies(ops)) {
        return None;
    }
    let kid = jwk.common.key_id.clone();
    if kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > KID_CHARS_MAX) {
        return None;
    }
    let by_kind = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).ok()?;
            RSA_BYTES.contains(&modulus.len()).then_some(None)?
        }
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => Some(Alg::Es256),
            EllipticCurve::P384 => Some(Alg::Es384),
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Some(Alg::EdDsa)
        }
        _ => return None,
    };
    let alg = match (value.get("alg"), by_kind) {
        (None, by_kind) => by_kind,
        (Some(stated), by_kind) => {
            let stated: Alg = stated.as_str()?.parse().ok()?;
            // A key that is stated to be of another kind than it is, is of none.
            let agrees = by_kind.map_or(stated.is_rsa(), |own| own == stated);
            agrees.then_some(Some(stated))?
        }
    };
    Some(VerifyingKey { kid, alg, key: DecodingKey::from_jwk(&jwk).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// RFC 7517 A.1 (the EC key) and RFC 8037 A.2 (the Ed25519 key).
    fn ec() -> Value {
        json!({"kty":"EC","crv":"P-256","kid":"1",
            "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})
    }

    fn ed() -> Value {
        json!({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    fn parse(keys: Vec<Value>) -> Result<KeySet, BadKeySet> {
        KeySet::parse(&serde_json::to_vec(&json!({ "keys": keys })).unwrap())
    }

    #[test]
    fn keys_that_cannot_verify_a_signature_are_passed_over() {
        let rsa = |bits: usize| json!({"kty":"RSA","e":"AQAB","n":URL_SAFE_NO_PAD.encode(vec![0xff; bits / 8])});
        assert_eq!(parse(vec![ec(), ed(), rsa(2_048), rsa(4_096)]).unwrap().len(), 4);
        for bad in [
            json!({"kty":"oct","k":"c2VjcmV0","alg":"HS256","kid":"1"}),
            json!({"kty":"AKP","alg":"ML-DSA-44","pub":"x"}),
            json!({"kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            rsa(1_024),
            rsa(8_192),
            with(rsa(2_048), "alg", json!("HS256")),
            with(rsa(2_048), "alg", json!("none")),
            with(rsa(2_048), "alg", json!("ES256")),
            with(ec(), "alg", json!("RS256")),
            with(ec(), "alg", json!("ES384")),
            with(ec(), "use", json!("enc")),
            with(ec(), "key_ops", json!(["encrypt"])),
            with(ec(), "kid", json!("k".repeat(300))),
            json!("nonsense"),
        ] {
            assert_eq!(parse(vec![bad.clone()]).err(), Some(BadKeySet::Empty), "{bad}");
            assert_eq!(parse(vec![bad, ec()]).unwrap().len(), 1, "one bad key spoils no set");
        }
        assert_eq!(parse(vec![ec(); KEYS_MAX + 1]).err(), Some(BadKeySet::TooMany));
        for bad in ["", "[]", "{}", r#"{"keys":1}"#] {
            assert_eq!(KeySet::parse(bad.as_bytes()).err(), Some(BadKeySet::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_key_is_found_by_its_id_alone_and_without_one_only_where_there_is_no_choice() {
        let both = parse(vec![ec(), with(ec(), "kid", json!("2"))]).unwrap();
        let found = |set: &KeySet, kid| set.named(kid).len();
        assert_eq!(
            [found(&both, Some("1")), found(&both, Some("3")), found(&both, None)],
            [1, 0, 0]
        );
        let named = parse(vec![ec()]).unwrap();
        assert_eq!(
            [found(&named, Some("1")), found(&named, Some("x")), found(&named, None)],
            [1, 0, 1]
        );
        let nameless = parse(vec![ed()]).unwrap();
        assert_eq!([found(&nameless, Some("x")), found(&nameless, None)], [1, 1]);
    }

    #[test]
    fn shared_secrets_and_none_are_no_algorithms() {
        for text in ["none", "None", "NONE", "", "HS256", "HS384", "HS512", "rs256", "RS256 "] {
            assert_eq!(text.parse::<Alg>(), Err(UnknownAlg), "{text:?}");
        }
        for alg in Alg::ALL {
            assert_eq!(alg.as_str().parse(), Ok(alg));
        }
    }
}
