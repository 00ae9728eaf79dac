//! What can be wrong with the files of TLS. Every error names the file, none shows what a key file
//! holds.

use std::path::PathBuf;

/// Why certificates were not taken into use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: cannot be read: {source}", file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    #[error("{}: is larger than {bytes_max} bytes", file.display())]
    TooLarge { file: PathBuf, bytes_max: u64 },
    #[error("{}: is not PEM: {reason}", file.display())]
    NotPem { file: PathBuf, reason: String },
    #[error("{}: has no certificate (a PEM block BEGIN CERTIFICATE)", file.display())]
    NoCertificate { file: PathBuf },
    #[error("{}: its certificate is broken: {reason}", file.display())]
    BadCertificate { file: PathBuf, reason: String },
    #[error("{}: the certificate expired at {at}", file.display())]
    Expired { file: PathBuf, at: String },
    #[error(
        "{}: has no private key (a PEM block BEGIN PRIVATE KEY, not an encrypted one)",
        file.display()
    )]
    NoKey { file: PathBuf },
    #[error("{}: its private key cannot be used: {reason}", file.display())]
    BadKey { file: PathBuf, reason: String },
    #[error(
        "{}: the key does not fit the first certificate of {}",
        key.display(),
        certificate.display()
    )]
    KeyMismatch { key: PathBuf, certificate: PathBuf },
    #[error("client certificates are asked for, but no authority is named that they come from")]
    NoAuthority,
    #[error("{}: an authority is named, but client certificates are not asked for", file.display())]
    AuthorityUnused { file: PathBuf },
    #[error("{}: is no authority to check clients with: {reason}", file.display())]
    BadAuthority { file: PathBuf, reason: String },
    #[error("tls cannot be set up: {0}")]
    Setup(String),
}
