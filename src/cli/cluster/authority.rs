//! A certificate authority for development: one key, which signs certificates of nodes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};

use super::super::exit::CliError;
use super::super::files::named;
use super::private;
use crate::api::tls::x509;
use crate::clock;
use crate::connectors::http::install_crypto;

/// Its files in their folder: its certificate, which every node has, and its key, which none has.
pub const CA: &str = "ca.pem";
pub const CA_KEY: &str = "ca.key";
/// Days that the authority itself is good.
pub const AUTHORITY_DAYS: u16 = 3_650;
const DAY_US: i64 = 86_400_000_000;
/// Good from so long ago: the clocks of two machines are never the same.
const BEFORE_US: i64 = DAY_US;

/// An authority whose files are in a folder.
pub struct Authority {
    /// Its certificate.
    pub ca_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// Its certificate as PEM.
    pub pem: String,
    /// Whether its certificate was made just now, and whether its key was.
    pub is_new: bool,
    pub is_new_key: bool,
    issuer: Issuer<'static, KeyPair>,
    roots: Arc<RootCertStore>,
    ends_us: i64,
}

impl Authority {
    /// The authority of this folder, made where there is none.
    ///
    /// # Errors
    /// A file cannot be read or written, is not what it should be, or the key is missing.
    pub fn open_or_make(folder: &Path) -> Result<Authority, CliError> {
        let ca_file = folder.join(CA);
        let key_file = folder.join(CA_KEY);
        let (pem, key) = (private::read(&ca_file)?, private::read(&key_file)?);
        let (is_new, is_new_key) = (pem.is_none(), key.is_none());
        // A key that is alone is of a run that was cut short: its certificate is made from it.
        let key = match (key, &pem) {
            (Some(text), _) => KeyPair::from_pem(&text).map_err(|e| named(&key_file, e))?,
            (None, None) => {
                let key = KeyPair::generate().map_err(CliError::failed)?;
                private::put_new(&key_file, &zeroize::Zeroizing::new(key.serialize_pem()))?;
                key
            }
            (None, Some(_)) => {
                let why = "is missing, and without it nothing can be signed for ca.pem. Bring it back, or name another \
                           folder for an authority of its own";
                return Err(named(&key_file, why));
            }
        };
        let params = own_params(&key);
        let pem = match pem {
            Some(pem) => pem.to_string(),
            None => {
                let pem = params.self_signed(&key).map_err(CliError::failed)?.pem();
                private::put_new(&ca_file, &pem)?;
                pem
            }
        };
        let (der, facts) = facts(&pem).ok_or_else(|| named(&ca_file, "is no certificate"))?;
        let mut roots = RootCertStore::empty();
        roots.add(der).map_err(|e| named(&ca_file, e))?;
        let issuer = Issuer::new(params, key);
        let (roots, ends_us) = (Arc::new(roots), facts.not_after_us);
        Ok(Authority { ca_file, key_file, pem, is_new, is_new_key, issuer, roots, ends_us })
    }

    /// A certificate as PEM for a node that is client and server, under its own name and those of its hosts.
    ///
    /// # Errors
    /// It would be of no use: the authority's files do not belong together, or it is over.
    pub fn issue(
        &self,
        name: &str,
        hosts: &[String],
        key: &KeyPair,
        days: u16,
    ) -> Result<String, CliError> {
        let mut names = vec![name.to_owned()];
        names.extend(hosts.iter().filter(|host| *host != name).cloned());
        let mut params = CertificateParams::new(names).map_err(CliError::failed)?;
        params.distinguished_name = Default::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial());
        let until_us = clock::wall_us().saturating_add(i64::from(days) * DAY_US);
        validity(&mut params, until_us.min(self.ends_us));
        let own = params.signed_by(key, &self.issuer).map_err(CliError::failed)?;
        self.prove(own.der(), name)?;
        Ok(own.pem())
    }

    /// That others who trust the authority's certificate take this one for the node.
    fn prove(&self, der: &CertificateDer<'_>, name: &str) -> Result<(), CliError> {
        install_crypto();
        let verifier = WebPkiServerVerifier::builder(Arc::clone(&self.roots)).build();
        let verifier = verifier.map_err(CliError::failed)?;
        let server = ServerName::try_from(name).map_err(CliError::failed)?;
        let now_s = u64::try_from(clock::wall_us() / 1_000_000).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now_s));
        verifier.verify_server_cert(der, &[], &server, &[], now).map(drop).map_err(|error| {
            let why = format!(
                "does not stand for what {} signs ({error}): it is over, or it was not made by \
                 `kiki cluster certs`",
                self.key_file.display()
            );
            named(&self.ca_file, why)
        })
    }
}

/// The last moment of a certificate; `None` when the text is none.
pub fn ends_us(pem: &str) -> Option<i64> {
    facts(pem).map(|(_, facts)| facts.not_after_us)
}

fn facts(pem: &str) -> Option<(CertificateDer<'static>, x509::Facts)> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let facts = x509::read(&der)?;
    Some((der, facts))
}

/// What the authority says of itself. Its name comes from its key, so that the same key is the same authority.
fn own_params(key: &KeyPair) -> CertificateParams {
    let digest = Sha256::digest(key.public_key_raw());
    let mark: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let mut params = CertificateParams::default();
    params.distinguished_name = Default::default();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("KIKI development authority {mark}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(serial());
    validity(&mut params, clock::wall_us().saturating_add(i64::from(AUTHORITY_DAYS) * DAY_US));
    params
}

fn validity(params: &mut CertificateParams, until_us: i64) {
    let at = |us: i64| {
        let since = Duration::from_micros(u64::try_from(us).unwrap_or(0));
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(since.as_secs())
    };
    params.not_before = at(clock::wall_us().saturating_sub(BEFORE_US));
    params.not_after = at(until_us);
}

/// Two certificates of one issuer never have the same number.
fn serial() -> SerialNumber {
    let mut bytes = [0_u8; 16];
    rand::rng().fill_bytes(&mut bytes);
    // The number is positive, and its first byte is not zero (RFC 5280 4.1.2.2).
    bytes[0] = bytes[0] & 0x3f | 0x40;
    SerialNumber::from_slice(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_alone_gets_the_certificate_of_the_same_authority() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open_or_make(folder.path()).unwrap();
        let key = KeyPair::generate().unwrap();
        let issued = first.issue("node-1", &[], &key, 30).unwrap();
        std::fs::remove_file(&first.ca_file).unwrap();
        let again = Authority::open_or_make(folder.path()).unwrap();
        assert!(again.is_new);
        let der = CertificateDer::from_pem_slice(issued.as_bytes()).unwrap();
        again.prove(&der, "node-1").unwrap();
        assert!(again.prove(&der, "node-2").is_err());
    }

    #[test]
    fn what_was_made_by_others_is_refused_before_anything_is_signed() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = Authority::open_or_make(folder.path()).unwrap();
        let second = Authority::open_or_make(other.path()).unwrap();
        std::fs::copy(&second.ca_file, &first.ca_file).unwrap();
        let mixed = Authority::open_or_make(folder.path()).unwrap();
        let refused = mixed.issue("node-1", &[], &KeyPair::generate().unwrap(), 30).unwrap_err();
        assert!(refused.message.contains("ca.pem: does not stand for"), "{}", refused.message);
        std::fs::remove_file(&first.key_file).unwrap();
        let lost = Authority::open_or_make(folder.path()).map(drop).unwrap_err();
        assert!(lost.message.contains("ca.key: is missing"), "{}", lost.message);
    }
}
