use std::io::{Error, Result};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use axum::routing::get;
use axum::{Extension, Router};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::api::peer::Peer;
use crate::api::server;

const HEAD: Duration = Duration::from_millis(400);
const GRACE: Duration = Duration::from_secs(5);

/// An authority of certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key as PEM.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A client that trusts this authority and shows a certificate, if one is given.
    fn client(&self, own: Option<(String, String)>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain.map(|c| c.unwrap()).collect(), key).unwrap()
            }
        }
    }
}

/// Replaces a file as a careful writer does, readable by its owner only.
fn put(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::set_permissions(&new, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::rename(new, file).unwrap();
}

fn terms(dir: &TempDir, (certificate, key): &(String, String)) -> TlsTerms {
    let terms = TlsTerms {
        cert_file: dir.path().join("server.pem"),
        key_file: dir.path().join("server.key"),
        client_ca_file: None,
        client_auth: ClientAuth::None,
    };
    put(&terms.cert_file, certificate);
    put(&terms.key_file, key);
    terms
}

fn asking(mut terms: TlsTerms, dir: &TempDir, auth: ClientAuth, from: &Authority) -> TlsTerms {
    let file = dir.path().join("clients.pem");
    put(&file, &from.0.pem());
    (terms.client_auth, terms.client_ca_file) = (auth, Some(file));
    terms
}

struct Server {
    addr: SocketAddr,
    tls: Tls,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

async fn start(terms: TlsTerms) -> Server {
    async fn who(Extension(peer): Extension<Peer>) -> String {
        let shown = peer.certificate.as_ref();
        let name = shown.and_then(|c| c.common_name.as_deref()).unwrap_or("nobody");
        let id = shown.and_then(|c| c.spiffe_id()).unwrap_or("-");
        format!("you are {name} {id} from {}", peer.addr.ip())
    }
    async fn slow() -> &'static str {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "late but whole"
    }
    let router = Router::new().route("/", get(who)).route("/slow", get(slow));
    let tls = Tls::load(terms).unwrap();
    let listener = server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let addr = listener.addr;
    let serving = server::serve(
        listener,
        (server::Speaks::Http1, router),
        Some(tls.clone()),
        HEAD,
        GRACE,
        stopped,
    );
    Server { addr, tls, stop, task: tokio::spawn(serving) }
}

async fn connect(addr: SocketAddr, client: &ClientConfig) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(addr).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(client.clone())).connect(name, stream).await
}

/// One request on a connection that stays open.
async fn ask(stream: &mut TlsStream<TcpStream>) -> Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut bytes = [0; 4096];
    let read = stream.read(&mut bytes).await?;
    match read {
        0 => Err(Error::other("hung up")),
        read => Ok(String::from_utf8_lossy(&bytes[..read]).into_owned()),
    }
}

async fn talk(addr: SocketAddr, client: &ClientConfig) -> Result<String> {
    ask(&mut connect(addr, client).await?).await
}

/// The certificate that a new connection is shown.
async fn shown(addr: SocketAddr, client: &ClientConfig) -> CertificateDer<'static> {
    let stream = connect(addr, client).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_talks_and_another_does_not() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new("ours"));
    let server = start(terms(&dir, &authority.issue(|_| {}))).await;
    let answer = talk(server.addr, &authority.client(None)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with("you are nobody - from 127.0.0.1"), "{answer}");
    let stranger = Authority::new("theirs").client(None);
    let error = talk(server.addr, &stranger).await.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn both_versions_are_spoken_and_http1_is_agreed_upon() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new("ours"));
    let server = start(terms(&dir, &authority.issue(|_| {}))).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = RootCertStore::empty();
        roots.add(authority.0.der().clone()).unwrap();
        let mut client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut stream = connect(server.addr, &client).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert!(ask(&mut stream).await.unwrap().contains("200 OK"));
    }
}

#[tokio::test]
async fn a_required_certificate_lets_in_only_whoever_has_a_good_one() {
    let dir = TempDir::new().unwrap();
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    let terms = terms(&dir, &authority.issue(|_| {}));
    let server = start(asking(terms, &dir, ClientAuth::Required, &clients)).await;
    let named = |params: &mut CertificateParams| {
        params.distinguished_name.push(DnType::CommonName, "flow");
        params.subject_alt_names =
            vec![SanType::URI("spiffe://kiki/flow".to_owned().try_into().unwrap())];
    };
    let client = authority.client(Some(clients.issue(named)));
    // Twice: a second connection would resume the session of the first.
    for _ in 0..2 {
        let mut stream = connect(server.addr, &client).await.unwrap();
        let answer = ask(&mut stream).await.unwrap();
        assert!(answer.ends_with("you are flow spiffe://kiki/flow from 127.0.0.1"), "{answer}");
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
    }
    let error = talk(server.addr, &authority.client(None)).await.unwrap_err().to_string();
    assert!(error.contains("CertificateRequired"), "{error}");
    let foreign = Authority::new("theirs").issue(named);
    let error = talk(server.addr, &authority.client(Some(foreign))).await.unwrap_err().to_string();
    assert!(error.contains("UnknownCA"), "{error}");
    let old = clients.issue(|params| params.not_after = date_time_ymd(2020, 1, 1));
    let error = talk(server.addr, &authority.client(Some(old))).await.unwrap_err().to_string();
    assert!(error.contains("CertificateExpired"), "{error}");
}

#[tokio::test]
async fn an_optional_certificate_may_be_left_out_but_must_be_good_when_shown() {
    let dir = TempDir::new().unwrap();
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    let terms = terms(&dir, &authority.issue(|_| {}));
    let server = start(asking(terms, &dir, ClientAuth::Optional, &clients)).await;
    let answer = talk(server.addr, &authority.client(None)).await.unwrap();
    assert!(answer.contains("you are nobody"), "{answer}");
    let own = clients.issue(|params| params.distinguished_name.push(DnType::CommonName, "flow"));
    let answer = talk(server.addr, &authority.client(Some(own))).await.unwrap();
    assert!(answer.contains("you are flow"), "{answer}");
    let foreign = Authority::new("theirs").issue(|_| {});
    let error = talk(server.addr, &authority.client(Some(foreign))).await.unwrap_err().to_string();
    assert!(error.contains("UnknownCA"), "{error}");
}

#[tokio::test]
async fn new_connections_get_the_new_certificate_while_an_old_one_goes_on() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new("ours"));
    let (first, second) = (authority.issue(|_| {}), authority.issue(|_| {}));
    let terms = terms(&dir, &first);
    let server = start(terms.clone()).await;
    let client = authority.client(None);
    let mut old = connect(server.addr, &client).await.unwrap();
    assert!(ask(&mut old).await.unwrap().contains("200 OK"));
    assert_eq!(shown(server.addr, &authority.client(None)).await, der(&first.0));

    // Half of the change is no pair: what is in use stays.
    put(&terms.cert_file, &second.0);
    let error = server.tls.reload().unwrap_err();
    assert!(matches!(error, TlsError::KeyMismatch { .. }), "{error}");
    assert_eq!(shown(server.addr, &authority.client(None)).await, der(&first.0));

    put(&terms.key_file, &second.1);
    server.tls.reload().unwrap();
    assert_eq!(shown(server.addr, &authority.client(None)).await, der(&second.0));
    assert!(ask(&mut old).await.unwrap().contains("200 OK"));
}

#[tokio::test]
async fn files_that_change_are_noticed_and_a_broken_one_changes_nothing() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new("ours"));
    let (first, second) = (authority.issue(|_| {}), authority.issue(|_| {}));
    let terms = terms(&dir, &first);
    let server = start(terms.clone()).await;
    let watching = tokio::spawn(watch_files(server.tls.clone(), server.stop.subscribe()));
    let until = async |expected: &str, within: Duration| {
        let began = Instant::now();
        while shown(server.addr, &authority.client(None)).await != der(expected) {
            assert!(began.elapsed() < within, "not taken after {within:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    put(&terms.cert_file, "-----BEGIN CERTIFICATE-----\nAAAA");
    tokio::time::sleep(LOOK + Duration::from_millis(300)).await;
    assert_eq!(shown(server.addr, &authority.client(None)).await, der(&first.0));
    put(&terms.cert_file, &second.0);
    put(&terms.key_file, &second.1);
    until(&second.0, LOOK * 3).await;
    // On a call it does not wait for its next look.
    put(&terms.cert_file, &first.0);
    put(&terms.key_file, &first.1);
    server.tls.ask_reload();
    until(&first.0, LOOK / 2).await;
    server.stop.send(true).unwrap();
    tokio::time::timeout(GRACE, watching).await.expect("the watch ends").unwrap();
}

#[tokio::test]
async fn whoever_comes_from_an_authority_that_was_taken_out_is_let_in_no_more() {
    let dir = TempDir::new().unwrap();
    let (authority, before) = (Authority::new("ours"), Authority::new("before"));
    let terms = terms(&dir, &authority.issue(|_| {}));
    let server = start(asking(terms.clone(), &dir, ClientAuth::Required, &before)).await;
    let client = authority.client(Some(before.issue(|_| {})));
    assert!(talk(server.addr, &client).await.is_ok());
    asking(terms, &dir, ClientAuth::Required, &Authority::new("after"));
    server.tls.reload().unwrap();
    let error = talk(server.addr, &client).await.unwrap_err().to_string();
    assert!(error.contains("UnknownCA"), "{error}");
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_dropped_within_the_limit() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new("ours"));
    let server = start(terms(&dir, &authority.issue(|_| {}))).await;
    // Silence, and a record that is never finished.
    for begin in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        stream.write_all(begin).await.unwrap();
        let began = Instant::now();
        let ended = tokio::time::timeout(HEAD * 4, stream.read(&mut [0; 64])).await;
        assert!(matches!(ended.expect("dropped"), Ok(0) | Err(_)));
        assert!(began.elapsed() >= HEAD / 2, "dropped at once, not by the limit");
    }
    assert!(talk(server.addr, &authority.client(None)).await.is_ok());
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_so_and_noise_is_hung_up() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new("ours"));
    let server = start(terms(&dir, &authority.issue(|_| {}))).await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(HEAD, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{answer}");
    assert!(body.contains("https://"), "{body}");

    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(&[0; 64]).await.unwrap();
    let mut answer = Vec::new();
    // Closed by an end or by a reset.
    let _ = tokio::time::timeout(HEAD, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn a_stop_lets_a_request_finish_and_drops_who_only_waits() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new("ours"));
    let server = start(terms(&dir, &authority.issue(|_| {}))).await;
    let client = authority.client(None);
    let _idle = connect(server.addr, &client).await.unwrap();
    let _unshaken = TcpStream::connect(server.addr).await.unwrap();
    let mut running = connect(server.addr, &client).await.unwrap();
    running.write_all(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.send(true).unwrap();
    let mut answer = String::new();
    // To the very end: TLS is closed in order too, or this fails.
    running.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("late but whole"), "{answer}");
    tokio::time::timeout(GRACE / 2, server.task).await.expect("ended before the grace").unwrap();
    assert!(TcpStream::connect(server.addr).await.is_err());
}

#[test]
fn every_fault_of_a_file_is_named_with_the_file() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new("ours"));
    let good = authority.issue(|_| {});
    let base = terms(&dir, &good);
    let fault = |certificate: &str, key: &str| {
        put(&base.cert_file, certificate);
        put(&base.key_file, key);
        Tls::load(base.clone()).unwrap_err().to_string()
    };
    let old = authority.issue(|params| params.not_after = date_time_ymd(2020, 1, 1));
    let broken = "-----BEGIN CERTIFICATE-----\nMAAwAA==\n-----END CERTIFICATE-----\n";
    let nokey = "-----BEGIN PRIVATE KEY-----\nMAAwAA==\n-----END PRIVATE KEY-----\n";
    let other = authority.issue(|_| {}).1;
    for (certificate, key, file, words) in [
        (&good.1[..], &good.1[..], "server.pem: ", "has no certificate"),
        (broken, &good.1, "server.pem: ", "is broken"),
        ("-----BEGIN CERTIFICATE-----\nAAAA", &good.1, "server.pem: ", "no END line"),
        (&old.0, &old.1, "server.pem: ", "expired at 2020-01-01T00:00:00Z"),
        (&good.0, &good.0, "server.key: ", "has no private key"),
        (&good.0, nokey, "server.key: ", "cannot be used"),
        (&good.0, &other, "server.key: ", "does not fit the first certificate of"),
        (&good.0, &" ".repeat(2 << 20), "server.key: ", "larger than"),
    ] {
        let told = fault(certificate, key);
        assert!(told.contains(file) && told.contains(words), "{told} has not {words}");
        let secret: Vec<&str> = key.lines().filter(|line| !line.contains("-----")).collect();
        assert!(!secret.iter().any(|line| line.len() > 7 && told.contains(line)), "{told}");
    }
    std::fs::remove_file(&base.key_file).unwrap();
    let told = Tls::load(base.clone()).unwrap_err().to_string();
    assert!(told.contains("server.key: cannot be read: No such file"), "{told}");
}

#[test]
fn an_authority_and_the_asking_for_certificates_go_together() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new("ours"));
    let plain = terms(&dir, &authority.issue(|_| {}));
    let without = TlsTerms { client_auth: ClientAuth::Required, ..plain.clone() };
    assert!(matches!(Tls::load(without), Err(TlsError::NoAuthority)));
    let unused = asking(plain.clone(), &dir, ClientAuth::None, &authority);
    assert!(matches!(Tls::load(unused), Err(TlsError::AuthorityUnused { .. })));
    let both = asking(plain, &dir, ClientAuth::Required, &authority);
    put(both.client_ca_file.as_ref().unwrap(), "nothing");
    assert!(matches!(Tls::load(both), Err(TlsError::NoCertificate { .. })));
}

#[test]
fn a_key_file_that_others_may_use_is_warned_of() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new("ours"));
    let terms = terms(&dir, &authority.issue(|_| {}));
    assert_eq!(files::key(&terms.key_file).unwrap().1, None);
    for mode in [0o640, 0o604, 0o620] {
        std::fs::set_permissions(&terms.key_file, PermissionsExt::from_mode(mode)).unwrap();
        let warning = files::key(&terms.key_file).unwrap().1.expect("a warning");
        assert!(warning.contains("server.key") && warning.contains(&format!("{mode:o}")));
    }
}
