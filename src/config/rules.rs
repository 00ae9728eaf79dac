//! What must hold between keys, and what a reader should be told.

use super::choice::{AuthMode, TlsClientAuth};
use super::keys::Config;
use super::problem::{Problem, Source};
use super::values::Values;
use crate::models::cluster::node::{Roles, is_node_name};
use crate::models::flow::auction::standing;
use crate::models::flow::campaign::name::is_token;

/// Shortest secret that may sign tokens, in characters.
pub const TOKEN_SECRET_CHARS_MIN: usize = 32;

/// Everything that is wrong between keys that are each right by themselves.
pub fn problems(config: &Config, values: &Values) -> Vec<Problem> {
    let mut found = Vec::new();
    // The default of a key is never what is wrong: whoever set the other one is told.
    let set = |key: &str| values.source(key) != Source::Default;
    let blamed = |key: &'static str, other: &'static str| match set(key) || !set(other) {
        true => key,
        false => other,
    };
    let mut wrong = |key: &str, message: String| {
        let source = values.source(key);
        found.push(Problem { source, key: Some(key.to_owned()), message });
    };
    let server = &config.server;
    let auth = &config.auth;
    if !is_token(&config.flow.seat, 64) {
        wrong("flow.seat", "must be 1 to 64 printable characters".to_owned());
    }
    let base = &config.flow.notice_base_url;
    let is_url = ["http://", "https://"].iter().any(|scheme| base.starts_with(scheme));
    let is_base = is_url && is_token(base, 512) && !base.contains(['?', '#']);
    if !base.is_empty() && !is_base {
        let message = "must begin with http:// or https://, and have no query".to_owned();
        wrong("flow.notice_base_url", message);
    }
    if !server.bind.is_loopback() && auth.mode == AuthMode::Open && !auth.allow_open {
        let message = format!(
            "nobody would be asked who he is, and anyone who reaches {} could spend. Use \
             \"required\", listen on 127.0.0.1, or say auth.allow_open = true as well",
            server.bind
        );
        wrong("auth.mode", message);
    }
    for (key, value) in [
        ("auth.oidc_audience", auth.oidc_audience.as_str()),
        ("auth.oidc_jwks_url", auth.oidc_jwks_url.as_str()),
    ] {
        match (auth.oidc_issuer.is_empty(), value.is_empty()) {
            (false, true) => wrong(key, "is needed with auth.oidc_issuer".to_owned()),
            (true, false) => wrong(key, "has no effect without auth.oidc_issuer".to_owned()),
            _ => {}
        }
    }
    if !auth.oidc_jwks_url.is_empty() && !auth.jwks_is_safe() {
        let message = "must be https: whoever can write on the way could sign tokens";
        wrong("auth.oidc_jwks_url", message.to_owned());
    }
    let mut ports = server.ports().to_vec();
    if config.cluster.has_links() {
        ports.push(("cluster.link_port", config.cluster.link_port));
    }
    let offset = server.port_offset;
    for (at, (key, port)) in ports.iter().copied().enumerate() {
        if port.checked_add(offset).is_none() && set(key) {
            wrong(key, format!("{port} + server.port_offset {offset} is beyond 65535"));
        }
        if let Some((other, _)) = ports[..at].iter().find(|(_, other)| *other == port) {
            let blamed = blamed(key, other);
            let first = if blamed == key { other } else { key };
            wrong(blamed, format!("{port} is {first} already"));
        }
    }
    let beyond =
        |(key, port): &(&'static str, u16)| !set(key) && port.checked_add(offset).is_none();
    if let Some((key, port)) = ports.iter().copied().filter(beyond).max_by_key(|(_, port)| *port) {
        wrong("server.port_offset", format!("{offset} + {key} {port} is beyond 65535"));
    }
    tls(config, &set, &mut wrong);
    cluster(config, &mut wrong);
    let store = &config.store;
    if store.data_dir.as_os_str().is_empty() {
        wrong("store.data_dir", "must not be empty".to_owned());
    }
    let shield = &config.shield;
    if shield.hold_ttl_s > shield.hold_ttl_max_s {
        let (key, message) = match blamed("shield.hold_ttl_s", "shield.hold_ttl_max_s") {
            key @ "shield.hold_ttl_s" => (key, "is longer than shield.hold_ttl_max_s"),
            key => (key, "is shorter than shield.hold_ttl_s"),
        };
        wrong(key, message.to_owned());
    }
    let promised_us = config.flow.hold_ttl_s.micros().saturating_add(standing::GRACE_US);
    if promised_us > shield.hold_ttl_max_s.micros() {
        let grace_s = standing::GRACE_US / 1_000_000;
        let (key, other) = match blamed("flow.hold_ttl_s", "shield.hold_ttl_max_s") {
            key @ "flow.hold_ttl_s" => (key, "is longer than shield.hold_ttl_max_s allows"),
            key => (key, "is too short for flow.hold_ttl_s"),
        };
        let message =
            format!("{other}: a bid's money is held {grace_s} s longer than the exchange is told");
        wrong(key, message);
    }
    if shield.slice_margin_ms.micros() >= shield.slice_ttl_s.micros() {
        let (key, message) = match blamed("shield.slice_margin_ms", "shield.slice_ttl_s") {
            key @ "shield.slice_margin_ms" => {
                (key, "leaves a slice no time: it must be shorter than shield.slice_ttl_s")
            }
            key => (key, "is no longer than shield.slice_margin_ms, which leaves a slice no time"),
        };
        wrong(key, message.to_owned());
    }
    let account = &shield.default_account;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let dots = account.bytes().all(|b| b == b'.');
    if dots || account.len() > 64 || !account.bytes().all(plain) {
        let message = "expected 1 to 64 letters, digits, '-', '_' or '.', and not dots alone";
        wrong("shield.default_account", message.to_owned());
    }
    let secret = shield.token_secret.expose().chars().count();
    if (1..TOKEN_SECRET_CHARS_MIN).contains(&secret) {
        let message = format!("needs at least {TOKEN_SECRET_CHARS_MIN} characters");
        wrong("shield.token_secret", message);
    }
    found
}

/// A node that others could not tell from another, or that they could not reach.
fn cluster(config: &Config, wrong: &mut impl FnMut(&str, String)) {
    let cluster = &config.cluster;
    if !is_node_name(&cluster.node) {
        let message = "expected 1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'";
        wrong("cluster.node", message.to_owned());
    }
    match cluster.roles.parse::<Roles>() {
        Ok(Roles::NONE) => wrong("cluster.roles", "a node opens at least one service".to_owned()),
        Ok(_) => {}
        Err(error) => wrong("cluster.roles", error.to_string()),
    }
    let files = [
        ("cluster.ca_file", &cluster.ca_file),
        ("cluster.cert_file", &cluster.cert_file),
        ("cluster.key_file", &cluster.key_file),
    ];
    let named = |file: &std::path::Path| !file.as_os_str().is_empty();
    let missing = files.iter().find(|(_, file)| !named(file));
    let given = files.iter().find(|(_, file)| named(file));
    if let (Some((missing, _)), Some((given, _))) = (missing, given) {
        wrong(missing, format!("is needed beside {given}"));
    }
    if given.is_some() && config.store.database_url.is_empty() {
        let message =
            "nodes share a PostgreSQL: set store.database_url, or leave cluster's files empty";
        wrong("cluster.ca_file", message.to_owned());
    }
}

/// Files of TLS that are named without those that they need.
fn tls(config: &Config, set: &impl Fn(&str) -> bool, wrong: &mut impl FnMut(&str, String)) {
    let server = &config.server;
    let (cert, key) = (&server.tls_cert_file, &server.tls_key_file);
    let none = |file: &std::path::Path| file.as_os_str().is_empty();
    let (auth, ca) = (server.tls_client_auth, &server.tls_client_ca_file);
    if none(cert) && !none(key) {
        wrong("server.tls_key_file", "needs server.tls_cert_file beside it".to_owned());
    }
    if none(key) && !none(cert) {
        wrong("server.tls_cert_file", "needs server.tls_key_file beside it".to_owned());
    }
    let asked = auth != TlsClientAuth::None;
    if none(cert) && none(key) && (asked || !none(ca)) {
        let key = if asked { "server.tls_client_auth" } else { "server.tls_client_ca_file" };
        let message = "has no meaning without server.tls_cert_file and server.tls_key_file";
        return wrong(key, message.to_owned());
    }
    if asked && none(ca) {
        let message = format!(
            "{:?} needs server.tls_client_ca_file: the authorities that good certificates come from",
            auth.word()
        );
        wrong("server.tls_client_auth", message);
    }
    if !asked && !none(ca) {
        let message =
            "is named, but server.tls_client_auth is \"none\": say \"optional\" or \"required\"";
        let at = ["server.tls_client_auth", "server.tls_client_ca_file"];
        wrong(if set(at[0]) && !set(at[1]) { at[0] } else { at[1] }, message.to_owned());
    }
}

/// What is allowed but deserves a word.
pub fn warnings(config: &Config, values: &Values) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |key: &str, message: &str| {
        found.push(format!("{}: {key}: {message}", values.source(key)));
    };
    let bind = config.server.bind;
    if !bind.is_loopback() && !config.auth.required(bind) {
        let message = "anyone who reaches this address may spend: nobody is asked who he is";
        say("auth.allow_open", message);
    }
    if config.chaos.enabled {
        say("chaos.enabled", "the admin API accepts fault rules");
    }
    if config.telemetry.otlp_endpoint.port() == Some(4317) {
        let message = "4317 is the port of gRPC: OTLP over HTTP, which is spoken here, has 4318";
        say("telemetry.otlp_endpoint", message);
    }
    found
}
