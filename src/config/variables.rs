//! Which variable sets which key, beside the `KIKI_SECTION_NAME` that every key has.

use super::environment::Environment;
use super::keys::{find, keys};
use super::problem::{Problem, Source};
use super::raw::Raw;
use super::suggest::nearest;
use super::values::Values;

/// Variables that begin with `KIKI_` but are no keys.
const OTHER_VARIABLES: [&str; 4] =
    ["KIKI_CONFIG", "KIKI_ADMIN_URL", "KIKI_CA_FILE", "KIKI_API_KEY"];

/// Where Redis listens unless it was told otherwise.
const REDIS_PORT: &str = "6379";

/// Places what the variables say. `one_role` names the only HTTP role that the process plays,
/// which is when `PORT` counts.
pub fn place(
    environment: &Environment,
    one_role: Option<&str>,
    values: &mut Values,
    problems: &mut Vec<Problem>,
) {
    let mut set = |path: &'static str, text: &str, source: Source| {
        let Some(key) = find(path) else { return };
        let raw = Raw::text(text);
        match key.check(&raw) {
            Ok(()) => values.place(key.path, raw, source),
            Err(message) => problems.push(Problem { source, key: Some(path.to_owned()), message }),
        }
    };
    if let Some(port) = one_role.and_then(|role| find(&format!("server.{role}_port")))
        && let Some((text, source)) = environment.get("PORT")
    {
        set(port.path, text, source);
    }
    if let Some((host, source)) = environment.get("REDIS_HOST") {
        let port = environment.get("REDIS_PORT").map_or(REDIS_PORT, |(port, _)| port.trim());
        let host = host.trim();
        let bare_v6 = host.matches(':').count() > 1 && !host.contains(['[', '/']);
        let host = if bare_v6 { format!("[{host}]") } else { host.to_owned() };
        set("redis.addr", &format!("{host}:{port}"), source);
    }
    let database = database_url(environment);
    if let Ok(Some((url, source))) = &database {
        set("store.database_url", url, source.clone());
    }
    for key in keys() {
        let names = key.variable_names();
        if let Some((text, source)) = names.iter().find_map(|name| environment.get(name)) {
            set(key.path, text, source);
        }
    }
    problems.extend(database.err());
}

/// The URL that `DB_HOST` and its like make together; `DATABASE_URL` wins over them.
fn database_url(environment: &Environment) -> Result<Option<(String, Source)>, Problem> {
    let get = |name: &str| environment.get(name).map(|(text, _)| text.trim());
    if get("DATABASE_URL").is_some() || get("KIKI_STORE_DATABASE_URL").is_some() {
        return Ok(None);
    }
    let bad =
        |source: Source, message: &str| Problem { source, key: None, message: message.to_owned() };
    let Some((host, source)) = environment.get("DB_HOST") else {
        return match ["DB_NAME", "DB_USER", "DB_PASSWORD"].iter().find_map(|n| environment.get(n)) {
            Some((_, source)) => Err(bad(source, "is set but DB_HOST is not")),
            None => Ok(None),
        };
    };
    let port = get("DB_PORT").unwrap_or("5432");
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        let source = environment.get("DB_PORT").map_or(source, |(_, source)| source);
        return Err(bad(source, "expected a port from 1 to 65535"));
    }
    let ssl_mode = get("DB_SSL_MODE");
    let modes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
    if let Some(mode) = ssl_mode
        && !modes.contains(&mode)
    {
        let source = environment.get("DB_SSL_MODE").map_or(source, |(_, source)| source);
        return Err(bad(source, &format!("expected one of {}", modes.join(", "))));
    }
    let mut url = format!("postgres://{}", encoded(get("DB_USER").unwrap_or("kiki")));
    if let Some(password) = environment.get("DB_PASSWORD") {
        url += &format!(":{}", encoded(password.0));
    }
    let bare_v6 = host.contains(':') && !host.starts_with('[');
    let host = match host.trim() {
        socket if socket.starts_with('/') => encoded(socket),
        v6 if bare_v6 => format!("[{v6}]"),
        host => host.to_owned(),
    };
    url += &format!("@{host}:{port}/{}", encoded(get("DB_NAME").unwrap_or("kiki")));
    if let Some(mode) = ssl_mode {
        url += &format!("?sslmode={mode}");
    }
    Ok(Some((url, source)))
}

/// Percent-encodes what is not plain in every part of a URL.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Says which `KIKI_` variables set nothing, which is usually a slip.
pub fn unknown(environment: &Environment) -> Vec<String> {
    let known: Vec<String> = keys().flat_map(|key| key.variable_names()).collect();
    let ours = environment.names().filter(|(name, _)| {
        name.starts_with("KIKI_")
            && !name.starts_with("KIKI_TEST_")
            && !OTHER_VARIABLES.contains(name)
            && !known.iter().any(|k| k == name)
    });
    ours.map(|(name, source)| {
        let hint = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("; did you mean {near}?"),
            None => String::new(),
        };
        format!("{source}: sets nothing{hint}")
    })
    .collect()
}
