//! TLS as a user meets it: `kiki up` with certificates, new ones while it runs, and the commands
//! that talk to it. And what a collector of traces and metrics gets.

mod common;
#[path = "tls/otlp.rs"]
mod otlp;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use common::Server;
use kiki::config::{Environment, Loader};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use reqwest::tls::TlsInfo;
use rustix::process::Signal;
use tempfile::TempDir;

/// An authority and what it signed, as files.
struct Office {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Office {
    fn open() -> Office {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::new(vec![]).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let own = params.self_signed(&key).expect("signed");
        std::fs::write(folder.path().join("ca.pem"), own.pem()).expect("written");
        Office { folder, issuer: Issuer::new(params, key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Signs a certificate for this machine that is good for so many days.
    fn sign(&self, name: &str, days: i64) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::from([127, 0, 0, 1])));
        let now = jiff::Timestamp::now();
        let at = |day: i64| {
            let at = now + jiff::SignedDuration::from_hours(24 * day);
            let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
            let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
            rcgen::date_time_ymd(i32::from(date.year()), month, day)
        };
        (params.not_before, params.not_after) = (at(-1), at(days));
        let key = KeyPair::generate().expect("a key");
        let own = params.signed_by(&key, &self.issuer).expect("signed");
        let write = |end: &str, text: String| {
            // As tools do it: a reader sees the old file or the new one.
            std::fs::write(self.path("draft"), text).expect("written");
            std::fs::rename(self.path("draft"), self.path(&format!("{name}.{end}")))
                .expect("moved");
        };
        write("key", key.serialize_pem());
        write("pem", own.pem());
    }

    fn start(&self, more: &[&str]) -> Server {
        let named = |key: &str, file: &str| format!("server.{key}={}", self.path(file).display());
        let own = [named("tls_cert_file", "server.pem"), named("tls_key_file", "server.key")];
        let settings: Vec<&str> =
            own.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Server::start(&self.path("data"), &settings)
    }

    fn client(&self) -> reqwest::Client {
        let pem = std::fs::read(self.path("ca.pem")).expect("read");
        let ca = reqwest::Certificate::from_pem(&pem).expect("a certificate");
        let builder = kiki::connectors::http::builder("https:").tls_certs_only([ca]);
        // A connection keeps its certificate: each request gets a new one.
        builder.tls_info(true).pool_max_idle_per_host(0).build().expect("a client")
    }

    fn kiki(&self, args: &[&str]) -> Output {
        common::command().args(args).current_dir(self.folder.path()).output().expect("kiki runs")
    }
}

fn https(server: &Server, port: u16, path: &str) -> String {
    format!("https://127.0.0.1:{}{path}", port + server.offset)
}

async fn certificate(client: &reqwest::Client, server: &Server) -> Vec<u8> {
    let answer = client.get(https(server, 8081, "/ready")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let info = answer.extensions().get::<TlsInfo>().expect("TLS");
    info.peer_certificate().expect("a certificate").to_vec()
}

async fn until(what: &str, server: &Server, mut happened: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !happened().await {
        let waited = began.elapsed() < Duration::from_secs(10);
        assert!(waited, "{what} has not happened; the server said\n{}", server.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_port_speaks_tls_and_new_certificates_are_taken_while_it_runs() {
    let office = Office::open();
    office.sign("server", 90);
    let mut server = office.start(&[]);
    assert!(server.said().contains("syncshield  https://127.0.0.1:"), "{}", server.said());
    let client = office.client();
    for port in [8080, 8081, 8090] {
        let answer = client.get(https(&server, port, "/ready")).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{port}");
    }
    let plain = common::client().get(server.url("/ready")).send().await.expect("an answer");
    assert_eq!(plain.status(), 400);
    assert_eq!(plain.text().await.expect("a body").trim(), "this port speaks TLS: use https://");

    let metrics = client.get(https(&server, 8080, "/metrics")).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("a body");
    let metric = "kiki_tls_certificate_expiry_seconds{of=\"services\"} ";
    let left = metrics.lines().find_map(|line| line.strip_prefix(metric));
    let days = left.expect("the metric").parse::<f64>().expect("a number") / 86_400.0;
    assert!((88.0..=90.0).contains(&days), "{days}");

    let first = certificate(&client, &server).await;
    server.signal(Signal::HUP);
    until("the reload", &server, async || {
        server.said().contains("SIGHUP") && server.said().contains("new certificates are in use")
    })
    .await;
    office.sign("server", 5);
    server.signal(Signal::HUP);
    until("the change", &server, async || certificate(&client, &server).await != first).await;

    // What is not good changes nothing.
    let second = certificate(&client, &server).await;
    std::fs::write(office.path("server.pem"), "nothing").expect("written");
    server.signal(Signal::HUP);
    until("the complaint", &server, async || {
        server.said().contains("the certificates in use stay")
    })
    .await;
    assert_eq!(certificate(&client, &server).await, second);
    assert!(server.terminate().success(), "{}", server.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ends_soon_is_warned_of_and_commands_speak_tls() {
    let office = Office::open();
    office.sign("server", 5);
    let server = office.start(&[]);
    until("the warning", &server, async || server.said().contains("certificate ends soon")).await;

    let (admin, shield) = (https(&server, 8090, ""), https(&server, 8081, ""));
    let services = office.kiki(&["admin", "services", "--url", &admin, "--ca-file", "ca.pem"]);
    assert!(services.status.success(), "{}", text(&services.stderr));
    assert!(text(&services.stdout).contains("/shield"), "{}", text(&services.stdout));
    let strange = office.kiki(&["admin", "services", "--url", &admin]);
    assert_eq!(strange.status.code(), Some(1));
    let log = "1 19970101 1 11.77\n".to_owned();
    std::fs::write(office.path("log.txt"), log).expect("written");
    let allocate = serde_json::json!({"campaign_id": "c", "budget": 100});
    let body = office.client().post(format!("{shield}/api/v1/allocate")).json(&allocate);
    assert_eq!(body.send().await.expect("an answer").status(), 201);
    let replay = ["replay", "--transactions", "log.txt", "--campaign", "c", "--url", &shield];
    let replay = office.kiki(&[&replay[..], &["--ca-file", "ca.pem"]].concat());
    assert!(replay.status.success(), "{}", text(&replay.stderr));

    let none = office.kiki(&["admin", "services", "--url", &admin, "--ca-file", "none.pem"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).starts_with("none.pem: cannot be read: "), "{}", text(&none.stderr));
    let key = office.kiki(&["admin", "services", "--url", &admin, "--ca-file", "server.key"]);
    assert!(
        text(&key.stderr).starts_with("server.key: has no certificate"),
        "{}",
        text(&key.stderr)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_clients_must_show_certificates_only_the_health_port_does_without() {
    let office = Office::open();
    office.sign("server", 90);
    office.sign("client", 90);
    let ca = format!("server.tls_client_ca_file={}", office.path("ca.pem").display());
    let server = office.start(&[&ca, "server.tls_client_auth=required"]);
    let client = office.client();
    let health = client.get(https(&server, 8080, "/health")).send().await.expect("an answer");
    assert_eq!(health.status(), 200);
    for port in [8081, 8090] {
        assert!(client.get(https(&server, port, "/ready")).send().await.is_err(), "{port}");
    }
    let admin = https(&server, 8090, "");
    let call = ["admin", "services", "--url", &admin, "--ca-file", "ca.pem"];
    let own = ["--client-cert", "client.pem", "--client-key", "client.key"];
    let shown = office.kiki(&[&call[..], &own].concat());
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let refused = office.kiki(&call);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains("--client-cert"), "{said}");
    let half = office.kiki(&[&call[..], &own[..2]].concat());
    assert_eq!(half.status.code(), Some(2));
    let swapped = ["--client-cert", "client.key", "--client-key", "client.pem"];
    let swapped = office.kiki(&[&call[..], &swapped].concat());
    // Which file holds which does not matter to the reader of PEM.
    assert!(swapped.status.success(), "{}", text(&swapped.stderr));
}

#[test]
fn a_hangup_ends_no_server_without_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(&folder.path().join("data"), &[]);
    server.signal(Signal::HUP);
    std::thread::sleep(Duration::from_millis(100));
    assert!(server.terminate().success(), "{}", server.said());
    assert!(server.said().contains("stopped"), "{}", server.said());
}

#[test]
fn a_server_whose_certificate_cannot_be_used_says_why_and_does_not_start() {
    let office = Office::open();
    office.sign("server", 90);
    office.sign("other", 90);
    let up = |cert: &str, key: &str| {
        let data = office.path("data");
        let cert = format!("server.tls_cert_file={cert}");
        let key = format!("server.tls_key_file={key}");
        let up = ["up", "--data-dir", data.to_str().expect("text"), "--set", &cert, "--set", &key];
        let output = office.kiki(&up);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    let said = up("server.pem", "other.key");
    assert!(said.contains("other.key: the key does not fit"), "{said}");
    let said = up("none.pem", "other.key");
    assert!(said.contains("none.pem: cannot be read"), "{said}");
}

#[test]
fn keys_of_tls_that_lack_each_other_are_refused() {
    let complaints = |settings: &[(&str, &str)]| -> Vec<String> {
        let loader = Loader::new().environment(Environment::empty());
        let loader = settings.iter().fold(loader, |loader, (key, value)| {
            loader.flag(&format!("server.tls_{key}"), value, "--set")
        });
        let problems = loader.load().expect_err("refused");
        let said = problems.0.iter().map(ToString::to_string);
        said.map(|line| line.trim_start_matches("flag --set: server.tls_").to_owned()).collect()
    };
    let pair = [("cert_file", "a"), ("key_file", "b")];
    let with = |more: &[(&'static str, &'static str)]| complaints(&[&pair[..], more].concat());
    assert_eq!(complaints(&pair[..1]), ["cert_file: needs server.tls_key_file beside it"]);
    assert_eq!(complaints(&pair[1..]), ["key_file: needs server.tls_cert_file beside it"]);
    let alone = "has no meaning without server.tls_cert_file and server.tls_key_file";
    assert_eq!(complaints(&[("client_auth", "required")]), [format!("client_auth: {alone}")]);
    assert_eq!(complaints(&[("client_ca_file", "c")]), [format!("client_ca_file: {alone}")]);
    assert_eq!(
        with(&[("client_auth", "optional")]),
        ["client_auth: \"optional\" needs server.tls_client_ca_file: the authorities that good \
          certificates come from"]
    );
    assert_eq!(
        with(&[("client_ca_file", "c")]),
        ["client_ca_file: is named, but server.tls_client_auth is \"none\": say \"optional\" or \
          \"required\""]
    );
    assert_eq!(
        with(&[("client_auth", "always")]),
        ["client_auth: expected \"none\", \"optional\" or \"required\", got \"always\""]
    );
    let path = Path::new("a");
    let good =
        Loader::new().flag("server.tls_cert_file", "a", "").flag("server.tls_key_file", "b", "");
    let tls = good.load().expect("good").config.server.tls().expect("TLS");
    assert_eq!(tls.cert_file, path);
}
