//! Who is at the other end of a connection.

use std::convert::Infallible;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::Request;
use axum::routing::future::RouteFuture;
use hyper::body::Incoming;
use sha2::{Digest, Sha256};
use tower::Service;

use super::tls::x509;

/// Who sent a request: an extension of every request that a listener takes.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its socket's address; an IPv4 address is one also on an IPv6 socket, so that there is one
    /// way of counting it.
    pub addr: SocketAddr,
    /// The certificate that it proved to have. Only one of the configured authority gets here.
    pub certificate: Option<Arc<PeerCertificate>>,
}

impl Peer {
    /// A peer without a certificate.
    pub fn plain(addr: SocketAddr) -> Self {
        Self { addr: SocketAddr::new(addr.ip().to_canonical(), addr.port()), certificate: None }
    }
}

/// A client's certificate, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 of the certificate's DER bytes, as 64 lower-case hex digits (what
    /// `openssl x509 -fingerprint -sha256` prints, without colons).
    pub fingerprint_sha256: String,
    /// The subject's common name, when there is exactly one.
    pub common_name: Option<String>,
    /// DNS names of the subjectAltName extension.
    pub dns_names: Vec<String>,
    /// URIs of the subjectAltName extension.
    pub uris: Vec<String>,
}

impl PeerCertificate {
    /// What a verified certificate's DER bytes say.
    pub fn read(der: &[u8]) -> Self {
        let mut fingerprint_sha256 = String::with_capacity(64);
        for byte in Sha256::digest(der) {
            // Writing to a string does not fail.
            let _ = write!(fingerprint_sha256, "{byte:02x}");
        }
        let (common_name, dns_names, uris) = x509::read(der)
            .map(|facts| (facts.common_name, facts.dns_names, facts.uris))
            .unwrap_or_default();
        Self { fingerprint_sha256, common_name, dns_names, uris }
    }

    /// The workload's SPIFFE id (SPIFFE X.509-SVID section 2: exactly one URI).
    pub fn spiffe_id(&self) -> Option<&str> {
        match self.uris.as_slice() {
            [id] if id.starts_with("spiffe://") => Some(id),
            _ => None,
        }
    }
}

/// The routes of one connection: every request is told who sent it.
#[derive(Clone, Debug)]
pub struct Introduced {
    router: Router,
    peer: Peer,
}

impl Introduced {
    pub fn new(router: Router, peer: Peer) -> Self {
        Self { router, peer }
    }
}

impl hyper::service::Service<Request<Incoming>> for Introduced {
    type Response = axum::response::Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        // A router is always ready: there is nothing to wait for before the call.
        self.router.clone().call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_peer_is_the_same_on_an_ipv6_socket() {
        let mapped = Peer::plain("[::ffff:192.0.2.7]:4000".parse().unwrap());
        assert_eq!(mapped.addr, "192.0.2.7:4000".parse().unwrap());
        let own = Peer::plain("[2001:db8::1]:4000".parse().unwrap());
        assert_eq!(own.addr, "[2001:db8::1]:4000".parse().unwrap());
    }

    #[test]
    fn a_spiffe_id_is_the_only_uri() {
        let with = |uris: &[&str]| {
            let mut certificate = PeerCertificate::read(b"");
            certificate.uris = uris.iter().map(|&uri| uri.to_owned()).collect();
            certificate.spiffe_id().map(str::to_owned)
        };
        assert_eq!(with(&["spiffe://kiki/a"]).as_deref(), Some("spiffe://kiki/a"));
        assert_eq!(with(&["spiffe://kiki/a", "https://b"]), None);
        assert_eq!(with(&["https://b"]), None);
    }

    #[test]
    fn the_fingerprint_is_the_hash_of_the_bytes() {
        // FIPS 180-4's example: SHA-256("abc").
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(PeerCertificate::read(b"abc").fingerprint_sha256, expected);
    }
}
