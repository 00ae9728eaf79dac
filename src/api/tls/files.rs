//! The files of TLS: read, checked, and looked at for changes.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::error::TlsError;
use super::x509::{self, Facts};

/// Bytes of the largest file that is read: a bundle of all public authorities has 300 KB.
const BYTES_MAX: u64 = 1 << 20;

/// What tells one state of a file from another: modification time, length, inode. `None` for a
/// file that cannot be looked at.
pub type Stamp = Option<(i64, i64, u64, u64)>;

/// The stamp of the file behind a path, links followed: a mounted secret is swapped by its link.
pub fn stamp(file: &Path) -> Stamp {
    let found = std::fs::metadata(file).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.len(), found.ino()))
}

/// A chain of certificates, the holder's own first, and what that one says.
///
/// # Errors
/// The file cannot be read, is no PEM, or has no certificate in it; the first one is broken or
/// expired.
pub fn chain(file: &Path, now_us: i64) -> Result<(Vec<CertificateDer<'static>>, Facts), TlsError> {
    let certificates = certificates(file)?;
    let broken = || TlsError::BadCertificate { file: file.into(), reason: "unknown layout".into() };
    let facts = certificates.first().and_then(|own| x509::read(own)).ok_or_else(broken)?;
    // The last second is a good one still (RFC 5280 4.1.2.5).
    if facts.not_after_us.saturating_add(1_000_000) <= now_us {
        let at = Timestamp::from_microsecond(facts.not_after_us).unwrap_or(Timestamp::MIN);
        return Err(TlsError::Expired { file: file.into(), at: at.to_string() });
    }
    Ok((certificates, facts))
}

/// All certificates of a file, at least one.
///
/// # Errors
/// The file cannot be read, is no PEM, or has no certificate in it.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let (bytes, _) = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| not_pem(file, &error))?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate { file: file.into() });
    }
    Ok(found)
}

/// The first private key of a file (PKCS#8, PKCS#1 or SEC 1), and a warning when others than its
/// owner may touch the file.
///
/// # Errors
/// The file cannot be read, is no PEM, or has no private key in it.
pub fn key(file: &Path) -> Result<(PrivateKeyDer<'static>, Option<String>), TlsError> {
    let (bytes, metadata) = read(file)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { file: file.into() },
        error => not_pem(file, &error),
    })?;
    let mode = metadata.mode() & 0o777;
    let open = mode & 0o077 != 0;
    let warning = open.then(|| {
        let file = file.display();
        format!(
            "{file}: others than its owner may use this private key (mode {mode:03o}): chmod 600"
        )
    });
    Ok((key, warning))
}

fn read(file: &Path) -> Result<(Zeroizing<Vec<u8>>, Metadata), TlsError> {
    let unreadable = |source| TlsError::Unreadable { file: PathBuf::from(file), source };
    let opened = File::open(file).map_err(unreadable)?;
    let metadata = opened.metadata().map_err(unreadable)?;
    let mut bytes = Zeroizing::new(Vec::new());
    opened.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    match bytes.len() as u64 > BYTES_MAX {
        true => Err(TlsError::TooLarge { file: file.into(), bytes_max: BYTES_MAX }),
        false => Ok((bytes, metadata)),
    }
}

/// Says what kind of fault it is, and nothing of the file: some of these errors quote a line.
fn not_pem(file: &Path, error: &pem::Error) -> TlsError {
    let reason = match error {
        pem::Error::MissingSectionEnd { .. } => "a block has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a block is not base64",
        _ => "no block can be read",
    };
    TlsError::NotPem { file: file.into(), reason: reason.to_owned() }
}
