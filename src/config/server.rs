//! Where the services listen, and what they bear.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::choice::TlsClientAuth;
use super::section::section;
use super::setting::Millis;
use crate::api::tls::{ClientAuth, TlsTerms};

section! {
    /// Where the services listen, and what they bear.
    Server "server" {
        /// Address that every service listens on.
        bind: IpAddr;
        /// SyncShield's HTTP port.
        shield_port: u16 ["1" "65535"], "KIKI_SHIELD_PORT";
        /// Port of the health summary over all services.
        health_port: u16 ["1" "65535"], "KIKI_HEALTH_PORT";
        /// Port of the admin API.
        admin_port: u16 ["1" "65535"], "KIKI_ADMIN_PORT";
        /// SyncFlow's HTTP port.
        flow_port: u16 ["1" "65535"], "KIKI_FLOW_PORT";
        /// SyncValue's HTTP port.
        value_port: u16 ["1" "65535"], "KIKI_VALUE_PORT";
        /// Port of every gRPC service.
        grpc_port: u16 ["1" "65535"], "KIKI_GRPC_PORT";
        /// Added to every port.
        port_offset: u16 ["0" "60000"], "KIKI_PORT_OFFSET";
        /// Largest request body, in bytes.
        body_limit_bytes: usize ["1024" "67108864"];
        /// Largest gRPC message, in bytes.
        grpc_message_limit_bytes: usize ["1024" "67108864"];
        /// Time that a client has to send its request's head.
        header_timeout_ms: Millis ["100" "600000"];
        /// Time from a request's head to the end of its answer.
        request_timeout_ms: Millis ["100" "600000"];
        /// Requests handled at once per service; more are answered 503.
        concurrency_max: usize ["1" "1000000"];
        /// Time that requests have to finish after a stop was asked for.
        drain_grace_ms: Millis ["0" "600000"];
        /// Time that a node that was told to stop still serves.
        drain_linger_ms: Millis ["0" "600000"];
        /// The server's certificate and those up to its authority; empty for plain HTTP.
        tls_cert_file: PathBuf;
        /// The private key of that certificate.
        tls_key_file: PathBuf;
        /// Authorities of client certificates.
        tls_client_ca_file: PathBuf;
        /// Whether clients are asked for certificates.
        tls_client_auth: TlsClientAuth;
    }
}

impl Server {
    /// Where SyncShield listens, offset included.
    pub fn shield_addr(&self) -> SocketAddr {
        self.addr(self.shield_port)
    }

    /// Where the health summary listens, offset included.
    pub fn health_addr(&self) -> SocketAddr {
        self.addr(self.health_port)
    }

    /// Where the admin API listens, offset included.
    pub fn admin_addr(&self) -> SocketAddr {
        self.addr(self.admin_port)
    }

    /// Where SyncFlow listens, offset included.
    pub fn flow_addr(&self) -> SocketAddr {
        self.addr(self.flow_port)
    }

    /// Where SyncValue listens, offset included.
    pub fn value_addr(&self) -> SocketAddr {
        self.addr(self.value_port)
    }

    /// Where gRPC is spoken, offset included.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.addr(self.grpc_port)
    }

    /// Where the certificates are; `None` for plain HTTP. What does not fit together was refused when
    /// loaded.
    pub fn tls(&self) -> Option<TlsTerms> {
        let named = |file: &PathBuf| (!file.as_os_str().is_empty()).then(|| file.clone());
        Some(TlsTerms {
            cert_file: named(&self.tls_cert_file)?,
            key_file: named(&self.tls_key_file)?,
            client_ca_file: named(&self.tls_client_ca_file),
            client_auth: match self.tls_client_auth {
                TlsClientAuth::None => ClientAuth::None,
                TlsClientAuth::Optional => ClientAuth::Optional,
                TlsClientAuth::Required => ClientAuth::Required,
            },
        })
    }

    /// `https` or `http`, as the listeners speak.
    pub fn scheme(&self) -> &'static str {
        if self.tls().is_some() { "https" } else { "http" }
    }

    /// Every port with the key that sets it, before the offset.
    pub fn ports(&self) -> [(&'static str, u16); 6] {
        [
            ("server.shield_port", self.shield_port),
            ("server.health_port", self.health_port),
            ("server.admin_port", self.admin_port),
            ("server.flow_port", self.flow_port),
            ("server.value_port", self.value_port),
            ("server.grpc_port", self.grpc_port),
        ]
    }

    /// An address of this server; a configuration whose ports overflow was refused when loaded.
    fn addr(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.bind, port.saturating_add(self.port_offset))
    }
}
