//! Whom a command trusts, and who it says it is, where the services speak TLS.

use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::{Certificate, ClientBuilder, Identity};

use super::exit::CliError;
use crate::connectors::http;

/// Bytes of the largest file that is read.
const BYTES_MAX: u64 = 1 << 20;

/// Flags of commands that talk to a service over TLS.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// Trust these authorities (PEM) in place of the system's [environment: KIKI_CA_FILE]
    #[arg(long, value_name = "FILE", global = true, env = "KIKI_CA_FILE", hide_env = true)]
    ca_file: Option<PathBuf>,

    /// The certificate to show where the node asks for one (PEM)
    #[arg(long, value_name = "FILE", global = true, requires = "client_key")]
    client_cert: Option<PathBuf>,

    /// The private key of --client-cert (PEM)
    #[arg(long, value_name = "FILE", global = true, requires = "client_cert")]
    client_key: Option<PathBuf>,
}

impl TlsArgs {
    /// A client for a base URL.
    ///
    /// # Errors
    /// A file cannot be read or is not what it should be, with exit code 2.
    pub fn client(&self, base: &str) -> Result<ClientBuilder, CliError> {
        let mut builder = http::builder(base);
        if !base.starts_with("https:") {
            return Ok(builder);
        }
        // An empty variable counts as not set, as everywhere.
        if let Some(file) = self.ca_file.as_deref().filter(|file| !file.as_os_str().is_empty()) {
            let found = Certificate::from_pem_bundle(&read(file)?).unwrap_or_default();
            if found.is_empty() {
                return Err(bad(file, "has no certificate (a PEM block BEGIN CERTIFICATE)"));
            }
            builder = builder.tls_certs_only(found);
        }
        if let (Some(cert), Some(key)) = (&self.client_cert, &self.client_key) {
            let mut pem = read(cert)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            // What the library says may quote the key.
            let identity = Identity::from_pem(&pem).map_err(|_| {
                bad(cert, &format!("is no certificate with its private key in {}", key.display()))
            })?;
            builder = builder.identity(identity);
        }
        Ok(builder)
    }
}

fn bad(file: &Path, why: &str) -> CliError {
    CliError::usage(format!("{}: {why}", file.display()))
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(file)
        .and_then(|opened| opened.take(BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(size) if size as u64 > BYTES_MAX => Err(bad(file, "is larger than 1 MiB")),
        Ok(_) => Ok(bytes),
        Err(error) => Err(bad(file, &format!("cannot be read: {error}"))),
    }
}

/// The innermost cause of a failed call, with what to do about it.
pub fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let cause = inner.to_string();
    let strange = cause.contains("invalid peer certificate")
        && !["Expired", "expired", "not valid for name"].iter().any(|why| cause.contains(why));
    let hint = if strange {
        " (--ca-file names the authorities to trust)"
    } else if cause.contains("CertificateRequired") || cause.contains("certificate required") {
        " (it asks for --client-cert and --client-key)"
    } else if cause.contains("InvalidContentType") {
        " (it speaks plain http)"
    } else {
        ""
    };
    format!("{cause}{hint}")
}
