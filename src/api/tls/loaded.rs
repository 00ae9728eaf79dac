//! One state of the files of TLS, and what rustls makes of it.

use std::sync::Arc;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, InconsistentKeys, RootCertStore, ServerConfig, SignatureScheme, version,
};

use super::files::{self, Stamp};
use super::{ClientAuth, TlsError, TlsTerms};

/// Protocols offered by ALPN, best first.
const PROTOCOLS: [&[u8]; 1] = [b"http/1.1"];

/// One state of the files, found good.
pub struct Loaded {
    /// What connections are taken with.
    pub config: Arc<ServerConfig>,
    /// The files' stamps from before they were read.
    pub stamps: [Stamp; 3],
    /// The end of the certificate, in microseconds since 1970-01-01 UTC.
    pub expires_us: i64,
    /// The names that the certificate has.
    pub dns_names: Vec<String>,
    own: Arc<CertifiedKey>,
    roots: Option<Arc<RootCertStore>>,
}

/// The stamps of the certificate, the key and the authorities.
pub fn stamps(terms: &TlsTerms) -> [Stamp; 3] {
    let ca = terms.client_ca_file.as_deref();
    [files::stamp(&terms.cert_file), files::stamp(&terms.key_file), ca.and_then(files::stamp)]
}

impl Loaded {
    /// Reads the files and checks them.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn read(terms: &TlsTerms) -> Result<Self, TlsError> {
        // Before the reading: what changes meanwhile is seen by the next look.
        let stamps = stamps(terms);
        let now_us = crate::clock::wall_us();
        let (chain, facts) = files::chain(&terms.cert_file, now_us)?;
        let (key, warning) = files::key(&terms.key_file)?;
        let provider = Arc::new(ring::default_provider());
        let broken = |error: rustls::Error| TlsError::BadCertificate {
            file: terms.cert_file.clone(),
            reason: error.to_string(),
        };
        let key = provider.key_provider.load_private_key(key).map_err(|error| {
            TlsError::BadKey { file: terms.key_file.clone(), reason: error.to_string() }
        })?;
        let own = CertifiedKey::new(chain, key);
        own.keys_match().map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                let (key, certificate) = (terms.key_file.clone(), terms.cert_file.clone());
                TlsError::KeyMismatch { key, certificate }
            }
            error => broken(error),
        })?;

        let (own, roots) = (Arc::new(own), roots(terms)?);
        let config = config(terms, (Arc::clone(&own), roots.clone()), provider)?;
        // Told here, so that no caller forgets to.
        if let Some(warning) = warning {
            tracing::warn!("{warning}");
        }
        if facts.not_before_us > now_us {
            let file = terms.cert_file.display();
            tracing::warn!(%file, "the certificate is not good yet: is this machine's clock right?");
        }
        let (expires_us, dns_names) = (facts.not_after_us, facts.dns_names);
        Ok(Self { config: Arc::new(config), stamps, expires_us, dns_names, own, roots })
    }

    /// The configuration of a client that shows the same certificate, and trusts the same authorities; `None`
    /// where there are none.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn client(&self) -> Result<Option<ClientConfig>, TlsError> {
        let Some(roots) = &self.roots else { return Ok(None) };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| TlsError::Setup(error.to_string()))?;
        let own = Arc::new(Own(Arc::clone(&self.own)));
        let mut config =
            builder.with_root_certificates(Arc::clone(roots)).with_client_cert_resolver(own);
        // Nothing to resume: a server that asks for certificates wants to see them each time.
        config.resumption = Resumption::disabled();
        Ok(Some(config))
    }
}

/// The authorities of clients, where clients are asked.
fn roots(terms: &TlsTerms) -> Result<Option<Arc<RootCertStore>>, TlsError> {
    let file = match (terms.client_auth, &terms.client_ca_file) {
        (ClientAuth::None, None) => return Ok(None),
        (ClientAuth::None, Some(file)) => {
            return Err(TlsError::AuthorityUnused { file: file.clone() });
        }
        (_, None) => return Err(TlsError::NoAuthority),
        (_, Some(file)) => file,
    };
    let mut roots = RootCertStore::empty();
    for authority in files::certificates(file)? {
        roots.add(authority).map_err(|error| bad_authority(terms, &error))?;
    }
    Ok(Some(Arc::new(roots)))
}

fn bad_authority(terms: &TlsTerms, error: &impl ToString) -> TlsError {
    let file = terms.client_ca_file.clone().unwrap_or_default();
    TlsError::BadAuthority { file, reason: error.to_string() }
}

/// The configuration that these terms and this certificate make.
fn config(
    terms: &TlsTerms,
    (own, roots): (Arc<CertifiedKey>, Option<Arc<RootCertStore>>),
    provider: Arc<CryptoProvider>,
) -> Result<ServerConfig, TlsError> {
    let setup = |error: rustls::Error| TlsError::Setup(error.to_string());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(setup)?;
    let builder = match roots {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = match terms.client_auth {
                ClientAuth::Optional => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            let verifier = verifier.build().map_err(|error| bad_authority(terms, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(Own(own)));
    config.alpn_protocols = PROTOCOLS.iter().map(|&name| name.to_vec()).collect();
    match terms.client_auth {
        ClientAuth::None => config.ticketer = ring::Ticketer::new().map_err(setup)?,
        // A resumed session shows no certificate, so that one that expired would stay good.
        _ => config.session_storage = Arc::new(NoServerSessionStorage {}),
    }
    Ok(config)
}

/// The one certificate, whatever name a server is called by, and whatever authorities it names.
struct Own(Arc<CertifiedKey>);

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Own")
    }
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
