//! Tokens as they should be, and as attackers make them.

use ed25519_dalek::{Signer, SigningKey};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

use super::*;
use crate::models::access::Role;

const NOW: i64 = 1_800_000_000;

/// A signer of the tests: Ed25519 from a seed, so that nothing secret lies in the repository.
struct Issuer {
    kid: &'static str,
    key: SigningKey,
}

impl Issuer {
    fn new(kid: &'static str, seed: u8) -> Issuer {
        Issuer { kid, key: SigningKey::from_bytes(&[seed; 32]) }
    }

    fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes())
    }

    fn jwk(&self) -> Value {
        json!({"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":self.kid,"x":self.x()})
    }

    fn header(&self) -> Value {
        json!({"alg":"EdDSA","typ":"JWT","kid":self.kid})
    }

    fn token(&self, claims: &Value) -> String {
        self.raw(&self.header().to_string(), &claims.to_string())
    }

    fn raw(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", b64(header), b64(payload));
        let signature = self.key.sign(message.as_bytes()).to_bytes();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn b64(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(&serde_json::to_vec(&json!({ "keys": keys })).unwrap()).unwrap()
}

fn claims() -> Value {
    json!({"iss":"https://id.example","aud":"kiki","sub":"ann","exp":NOW + 60,
        "kiki_role":"operator","kiki_accounts":["acme"]})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn verifier() -> Verifier {
    Verifier::new(VerifierTerms::new("https://id.example", "kiki"))
}

fn verify(token: &str, keys: &[Value]) -> Result<Identity, JwtDenied> {
    verifier().verify(token, &set(keys), NOW * 1_000_000).map(|verified| verified.identity)
}

#[test]
fn a_good_token_says_who_sent_it_and_what_he_may() {
    let issuer = Issuer::new("a", 1);
    let identity = verify(&issuer.token(&claims()), &[issuer.jwk()]).unwrap();
    assert_eq!((&*identity.name, identity.role), ("user:ann", Role::Operator));
    assert!(identity.scopes.allows("shield", "acme") && !identity.scopes.allows("shield", "b"));
    let many = with("aud", json!(["other", "kiki"]));
    assert!(verify(&issuer.token(&many), &[issuer.jwk()]).is_ok());
}

#[test]
fn a_token_of_es256_is_verified_and_one_bent_bit_is_not() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let point = pair.public_key_raw();
    assert_eq!((point.len(), point[0]), (65, 4));
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
    let jwk = json!({"kty":"EC","crv":"P-256","kid":"e","x":x,"y":y});
    let message = format!("{}.{}", b64(r#"{"alg":"ES256","kid":"e"}"#), b64(&claims().to_string()));
    let key = EncodingKey::from_ec_der(&pair.serialize_der());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::ES256).unwrap();
    assert!(verify(&format!("{message}.{signature}"), std::slice::from_ref(&jwk)).is_ok());
    let mut bent = URL_SAFE_NO_PAD.decode(&signature).unwrap();
    bent[40] ^= 1;
    let bent = format!("{message}.{}", URL_SAFE_NO_PAD.encode(bent));
    assert_eq!(verify(&bent, std::slice::from_ref(&jwk)), Err(JwtDenied::Signature));
    // All zeros verified everything in the JDK of CVE-2022-21449.
    let zeros = format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 64]));
    assert_eq!(verify(&zeros, &[jwk]), Err(JwtDenied::Signature));
}

/// RFC 7515 A.2: a token of RS256 with its public key.
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

#[test]
fn the_rs256_token_of_the_standard_is_verified_up_to_its_missing_audience() {
    let jwk = json!({"kty":"RSA","n":RSA_N,"e":"AQAB"});
    let joe = Verifier::new(VerifierTerms::new("joe", "kiki"));
    let at =
        |token: &str, s: i64| joe.verify(token, &set(std::slice::from_ref(&jwk)), s * 1_000_000);
    assert_eq!(at(RSA_TOKEN, 1_300_819_379), Err(JwtDenied::Audience), "the signature is good");
    assert_eq!(at(RSA_TOKEN, 1_300_819_410), Err(JwtDenied::Expired));
    assert_eq!(at(&RSA_TOKEN.replace(".cC4", ".cC5"), 1_300_819_379), Err(JwtDenied::Signature));
    let strict = json!({"kty":"RSA","n":RSA_N,"e":"AQAB","alg":"RS512"});
    let other = joe.verify(RSA_TOKEN, &set(&[strict]), 0);
    assert_eq!(other, Err(JwtDenied::Algorithm), "the key is for another algorithm");
}

#[test]
fn no_algorithm_and_shared_secrets_are_refused_whatever_they_are_signed_with() {
    let issuer = Issuer::new("a", 1);
    let payload = b64(&claims().to_string());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = b64(&json!({"alg":alg,"kid":"a"}).to_string());
        let unsigned = verify(&format!("{header}.{payload}.AA"), &[issuer.jwk()]);
        assert_eq!(unsigned, Err(JwtDenied::Algorithm), "{alg}");
        let empty = verify(&format!("{header}.{payload}."), &[issuer.jwk()]);
        assert_eq!(empty, Err(JwtDenied::Malformed), "{alg}");
    }
    // The public key as the secret, in each form in which it could be taken for one.
    let raw = issuer.key.verifying_key().to_bytes();
    for (alg, name) in [(Algorithm::HS256, "HS256"), (Algorithm::HS512, "HS512")] {
        for secret in [&raw[..], issuer.x().as_bytes(), issuer.jwk().to_string().as_bytes()] {
            let message = format!("{}.{payload}", b64(&json!({"alg":name,"kid":"a"}).to_string()));
            let key = EncodingKey::from_secret(secret);
            let mac = jsonwebtoken::crypto::sign(message.as_bytes(), &key, alg).unwrap();
            let denied = verify(&format!("{message}.{mac}"), &[issuer.jwk()]);
            assert_eq!(denied, Err(JwtDenied::Algorithm));
        }
    }
}

#[test]
fn an_algorithm_that_is_not_of_the_named_key_or_not_allowed_is_refused() {
    let issuer = Issuer::new("a", 1);
    let ec = json!({"kty":"EC","crv":"P-256","kid":"e",
        "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"});
    let keys = [issuer.jwk(), ec];
    let signed = |header: Value| issuer.raw(&header.to_string(), &claims().to_string());
    for (alg, kid) in [("EdDSA", "e"), ("ES256", "a"), ("RS256", "a"), ("RS256", "e")] {
        let token = signed(json!({"alg":alg,"kid":kid}));
        assert_eq!(verify(&token, &keys), Err(JwtDenied::Algorithm), "{alg} {kid}");
    }
    let terms = VerifierTerms {
        algorithms: vec![Alg::Es256],
        ..VerifierTerms::new("https://id.example", "kiki")
    };
    let denied =
        Verifier::new(terms).verify(&issuer.token(&claims()), &set(&keys), NOW * 1_000_000);
    assert_eq!(denied, Err(JwtDenied::Algorithm));
}

#[test]
fn a_token_is_good_from_its_beginning_to_its_end_give_or_take_the_leeway() {
    let issuer = Issuer::new("a", 1);
    let keys = [issuer.jwk()];
    let rows = [
        (without("exp"), Some(JwtDenied::NoExpiry)),
        (with("exp", json!(NOW - 29)), None),
        (with("exp", json!(NOW - 30)), Some(JwtDenied::Expired)),
        (with("exp", json!(NOW as f64 - 29.5)), None),
        (with("exp", json!("never")), Some(JwtDenied::Malformed)),
        (with("exp", json!(null)), Some(JwtDenied::Malformed)),
        (with("exp", json!(-1)), Some(JwtDenied::Expired)),
        (with("exp", json!(i64::MIN)), Some(JwtDenied::Expired)),
        (with("exp", json!(1e300)), None),
        (with("nbf", json!(NOW + 30)), None),
        (with("nbf", json!(NOW + 31)), Some(JwtDenied::Immature)),
        (with("nbf", json!(i64::MAX)), Some(JwtDenied::Immature)),
        (with("nbf", json!("x")), Some(JwtDenied::Malformed)),
        (with("iat", json!(NOW + 3_600)), Some(JwtDenied::Immature)),
    ];
    for (claims, expected) in rows {
        assert_eq!(verify(&issuer.token(&claims), &keys).err(), expected, "{claims}");
    }
}

#[test]
fn a_token_for_others_or_of_others_or_of_nobody_is_refused() {
    let issuer = Issuer::new("a", 1);
    let keys = [issuer.jwk()];
    let rows = [
        (with("aud", json!("kiki2")), JwtDenied::Audience),
        (with("aud", json!(["a", "b"])), JwtDenied::Audience),
        (with("aud", json!([])), JwtDenied::Audience),
        (with("aud", json!({"kiki":1})), JwtDenied::Audience),
        (without("aud"), JwtDenied::Audience),
        (with("iss", json!("https://id.example/")), JwtDenied::Issuer),
        (with("iss", json!(["https://id.example"])), JwtDenied::Issuer),
        (without("iss"), JwtDenied::Issuer),
        (without("sub"), JwtDenied::Subject),
        (with("sub", json!("")), JwtDenied::Subject),
        (with("sub", json!("x".repeat(129))), JwtDenied::Subject),
        (with("sub", json!("a\nrole=admin")), JwtDenied::Subject),
        (with("kiki_role", json!("root")), JwtDenied::Role),
        (without("kiki_role"), JwtDenied::Role),
        (with("kiki_accounts", json!(["../b"])), JwtDenied::Scope),
    ];
    for (claims, expected) in rows {
        assert_eq!(verify(&issuer.token(&claims), &keys), Err(expected), "{claims}");
    }
}

#[test]
fn a_payload_that_was_changed_after_signing_is_refused() {
    let issuer = Issuer::new("a", 1);
    let token = issuer.token(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let admin = b64(&with("kiki_role", json!("admin")).to_string());
    let swapped = format!("{}.{admin}.{}", parts[0], parts[2]);
    assert_eq!(verify(&swapped, &[issuer.jwk()]), Err(JwtDenied::Signature));
    // Every character, and the last of all: base64 with slack bits would let some of them pass.
    for at in 0..token.len() {
        let mut bent = token.clone().into_bytes();
        bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
        let bent = String::from_utf8(bent).unwrap();
        assert!(verify(&bent, &[issuer.jwk()]).is_err(), "{at}");
    }
}

#[test]
fn the_id_of_a_key_is_compared_and_opens_nothing() {
    let (mine, theirs) = (Issuer::new("a", 1), Issuer::new("b", 2));
    let keys = [mine.jwk(), theirs.jwk()];
    let signed = |kid: Value| {
        let header = json!({"alg":"EdDSA","kid":kid}).to_string();
        mine.raw(&header, &claims().to_string())
    };
    for kid in ["../../dev/null", "/etc/passwd", "a' OR '1'='1", "a\0", "A", "a ", "file:///a"] {
        assert_eq!(verify(&signed(json!(kid)), &keys), Err(JwtDenied::UnknownKey), "{kid}");
    }
    assert_eq!(verify(&signed(json!("b")), &keys), Err(JwtDenied::Signature));
    for kid in [json!(""), json!(1), json!(["a"]), json!("k".repeat(300))] {
        assert_eq!(verify(&signed(kid.clone()), &keys), Err(JwtDenied::Malformed), "{kid}");
    }
    let nameless = mine.raw(r#"{"alg":"EdDSA"}"#, &claims().to_string());
    assert_eq!(verify(&nameless, &keys), Err(JwtDenied::NoKid));
    assert!(verify(&nameless, &[mine.jwk()]).is_ok());
    assert_eq!(verifier().verify(&nameless, &KeySet::default(), 0), Err(JwtDenied::UnknownKey));
}

#[test]
fn a_key_that_comes_with_the_token_is_not_used() {
    let (mine, forger) = (Issuer::new("a", 1), Issuer::new("a", 66));
    for (name, value) in [
        ("jwk", forger.jwk()),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!([forger.x()])),
    ] {
        let mut header = forger.header();
        header[name] = value;
        let token = forger.raw(&header.to_string(), &claims().to_string());
        assert_eq!(verify(&token, &[mine.jwk()]), Err(JwtDenied::Signature), "{name}");
    }
}

#[test]
fn names_that_stand_twice_are_refused_even_when_they_are_signed() {
    let issuer = Issuer::new("a", 1);
    let payload = claims().to_string();
    let twice = payload.replacen('{', r#"{"kiki_role":"admin","#, 1);
    let signed = issuer.raw(&issuer.header().to_string(), &twice);
    assert_eq!(verify(&signed, &[issuer.jwk()]), Err(JwtDenied::Malformed));
    for header in
        [r#"{"alg":"none","alg":"EdDSA","kid":"a"}"#, r#"{"alg":"EdDSA","kid":"x","kid":"a"}"#]
    {
        let token = issuer.raw(header, &payload);
        assert_eq!(verify(&token, &[issuer.jwk()]), Err(JwtDenied::Malformed), "{header}");
    }
}

#[test]
fn what_is_no_token_or_of_another_type_is_refused() {
    let issuer = Issuer::new("a", 1);
    let good = issuer.token(&claims());
    let huge = issuer.token(&with("pad", json!("x".repeat(8_192))));
    assert_eq!(verify(&huge, &[issuer.jwk()]), Err(JwtDenied::TooLong));
    let nested = format!("{}.{}.AA", b64(&"[".repeat(4_000)), b64("{}"));
    let five = format!("{good}.a.b");
    let padded = format!("{good}=");
    for bad in ["", ".", "..", "...", "a.b", "a.b.c", "ü.ü.ü", &nested, &five, &format!(" {good}")]
    {
        assert_eq!(verify(bad, &[issuer.jwk()]), Err(JwtDenied::Malformed), "{bad}");
    }
    assert_eq!(verify(&padded, &[issuer.jwk()]), Err(JwtDenied::Signature));
    let header = |extra: Value| {
        let mut header = issuer.header();
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        issuer.raw(&header.to_string(), &claims().to_string())
    };
    for crit in [json!({"crit":["b64"],"b64":false}), json!({"crit":[]}), json!({"crit":null})] {
        assert_eq!(verify(&header(crit), &[issuer.jwk()]), Err(JwtDenied::Malformed));
    }
    for typ in ["logout+jwt", "dpop+jwt", "id_token"] {
        assert_eq!(verify(&header(json!({"typ":typ})), &[issuer.jwk()]), Err(JwtDenied::Type));
    }
    assert!(verify(&header(json!({"typ":"at+JWT"})), &[issuer.jwk()]).is_ok());
}
