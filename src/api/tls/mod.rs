//! TLS of the listeners: certificates from files, taken anew while running.
//!
//! TLS 1.2 and 1.3 by rustls with ring. A connection keeps the certificates that it began with; a
//! new one gets those that were good last.

mod error;
mod files;
mod loaded;
pub mod x509;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub use error::TlsError;
use loaded::Loaded;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    None,
    /// They are asked and may decline; one that is shown must be good.
    Optional,
    /// Without a good one there is no connection.
    Required,
}

/// Where the certificates are.
#[derive(Clone, Debug)]
pub struct TlsTerms {
    /// PEM: the server's certificate, then those between it and its authority.
    pub cert_file: PathBuf,
    /// PEM: the private key of that certificate.
    pub key_file: PathBuf,
    /// PEM: authorities of client certificates; given exactly when clients are asked for one.
    pub client_ca_file: Option<PathBuf>,
    pub client_auth: ClientAuth,
}

/// TLS of a listener, shared by all clones.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

impl std::fmt::Debug for Tls {
    /// The files only: what they hold is nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tls").field(&self.0.terms).finish()
    }
}

struct Shared {
    terms: TlsTerms,
    current: ArcSwap<Loaded>,
    asked: Notify,
}

impl Tls {
    /// Reads and checks the files. Reads from the disk: not for the inside of a busy task.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn load(terms: TlsTerms) -> Result<Self, TlsError> {
        let current = ArcSwap::from_pointee(Loaded::read(&terms)?);
        Ok(Self(Arc::new(Shared { terms, current, asked: Notify::new() })))
    }

    /// What a new connection is taken with.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.current.load().config))
    }

    /// The same, for gRPC.
    pub fn acceptor_of_http2(&self) -> TlsAcceptor {
        let mut config = (*self.0.current.load().config).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// What a new connection to another server is made with: it is shown the same certificate, and has to show one
    /// of the same authorities. gRPC.
    ///
    /// # Errors
    /// No authority is named, or TLS cannot be set up.
    pub fn connector_of_http2(&self) -> Result<TlsConnector, TlsError> {
        let mut config = self.0.current.load().client()?.ok_or(TlsError::NoAuthority)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// Whether the certificate in use has this name.
    pub fn is_named(&self, name: &str) -> bool {
        self.0.current.load().dns_names.iter().any(|own| own == name)
    }

    /// Whether both are one: clones share their certificates.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// When the certificate in use ends, in microseconds since 1970-01-01 UTC.
    pub fn expires_us(&self) -> i64 {
        self.0.current.load().expires_us
    }

    /// Takes the files anew if all of them are good; otherwise what is in use stays. Reads from
    /// the disk.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.0.current.store(Arc::new(Loaded::read(&self.0.terms)?));
        Ok(())
    }

    /// Asks the task of [`watch_files`] to take the files anew now, changed or not (SIGHUP).
    pub fn ask_reload(&self) {
        self.0.asked.notify_one();
    }
}

/// Takes the files anew when they change or when it is asked to, until `stop` turns true. Logs what
/// came of it; a broken file is told once, and looked at again when it changes.
pub async fn watch_files(tls: Tls, mut stop: watch::Receiver<bool>) {
    let mut seen = tls.0.current.load().stamps;
    loop {
        let asked = tokio::select! {
            () = tls.0.asked.notified() => true,
            () = tokio::time::sleep(LOOK) => false,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let shared = tls.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let now = loaded::stamps(&shared.0.terms);
            let outcome = (asked || now != seen).then(|| shared.reload());
            (now, outcome)
        });
        let Ok((now, outcome)) = looked.await else { continue };
        seen = now;
        let file = tls.0.terms.cert_file.display();
        match outcome {
            Some(Ok(())) => tracing::info!(%file, "new certificates are in use"),
            Some(Err(error)) => {
                tracing::error!(%error, "the certificates in use stay: the new ones are not good");
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
