//! What must hold between keys, and what a reader should be told.

use super::keys::Config;
use super::problem::Problem;
use super::values::Values;

/// Shortest secret that may sign tokens, in characters.
pub const TOKEN_SECRET_CHARS_MIN: usize = 32;

/// Everything that is wrong between keys that are each right by themselves.
pub fn problems(config: &Config, values: &Values) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut wrong = |key: &str, message: String| {
        let source = values.source(key);
        found.push(Problem { source, key: Some(key.to_owned()), message });
    };
    let server = &config.server;
    if !server.bind.is_loopback() && !config.auth.allow_open {
        let message = format!(
            "listening on {} would let anyone who reaches it spend: no authentication is \
             configured. Listen on 127.0.0.1, or say auth.allow_open = true",
            server.bind
        );
        wrong("server.bind", message);
    }
    let ports = server.ports();
    for (at, (key, port)) in ports.iter().enumerate() {
        if port.checked_add(server.port_offset).is_none() {
            let message = format!("{port} + port_offset {} is beyond 65535", server.port_offset);
            wrong(key, message);
        }
        if let Some((other, _)) = ports[..at].iter().find(|(_, other)| other == port) {
            wrong(key, format!("{port} is {other} already"));
        }
    }
    let store = &config.store;
    if store.data_dir.as_os_str().is_empty() {
        wrong("store.data_dir", "must not be empty".to_owned());
    }
    let shield = &config.shield;
    if shield.hold_ttl_s > shield.hold_ttl_max_s {
        wrong("shield.hold_ttl_s", "is longer than shield.hold_ttl_max_s".to_owned());
    }
    if shield.slice_margin_ms.micros() >= shield.slice_ttl_s.micros() {
        let message = "leaves a slice no time: it must be shorter than shield.slice_ttl_s";
        wrong("shield.slice_margin_ms", message.to_owned());
    }
    let account = &shield.default_account;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if account.is_empty() || account.len() > 64 || !account.bytes().all(plain) {
        let message = "expected 1 to 64 letters, digits, '-', '_' or '.'";
        wrong("shield.default_account", message.to_owned());
    }
    let secret = shield.token_secret.expose().chars().count();
    if (1..TOKEN_SECRET_CHARS_MIN).contains(&secret) {
        let message = format!("needs at least {TOKEN_SECRET_CHARS_MIN} characters");
        wrong("shield.token_secret", message);
    }
    found
}

/// What is allowed but deserves a word.
pub fn warnings(config: &Config, values: &Values) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |key: &str, message: &str| {
        found.push(format!("{}: {key}: {message}", values.source(key)));
    };
    if !config.server.bind.is_loopback() {
        let message = "anyone who reaches this address may spend: no authentication is configured";
        say("auth.allow_open", message);
    }
    if config.chaos.enabled {
        say("chaos.enabled", "the admin API accepts fault rules");
    }
    if !config.telemetry.otlp_endpoint.is_empty() {
        say("telemetry.otlp_endpoint", "this version does not export traces yet");
    }
    found
}
