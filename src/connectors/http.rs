//! Clients of other people's HTTP servers, and of our own.

use reqwest::{Client, ClientBuilder, redirect};

/// Makes ring the process's cryptography. Done once, before the first client; doing it again is no
/// harm.
pub fn install_crypto() {
    // It fails where one is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client for URLs like this one, without redirects. Plain `http` loads no certificates: it works
/// on machines that have none.
pub fn builder(url: &str) -> ClientBuilder {
    install_crypto();
    let builder = Client::builder().redirect(redirect::Policy::none());
    match url.starts_with("https:") {
        true => builder,
        false => builder.tls_certs_only([]),
    }
}
