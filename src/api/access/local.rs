//! Where nobody is asked who he is because only this machine can call, browsers of this machine can be
//! made to call by any page that they show. Such requests are told from others by what browsers say
//! about them and pages cannot change: `Host` (a name of the page's own that leads here: DNS
//! rebinding), `Origin` and `Sec-Fetch-Site`.

use std::net::IpAddr;

use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, Method, Uri};

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is not of this machine's own making. `None`: it is, as far as it says.
pub fn foreign(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<&'static str> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = uri.authority().map(|authority| authority.as_str());
    if host.or_else(|| text(HOST)).is_some_and(|host| !is_here(host)) {
        return Some("the Host is not this machine");
    }
    // `null` is what pages without an origin of their own send.
    let origin = text(ORIGIN);
    let of_page = |origin| str::split_once(origin, "://").map_or("?", |(_, host)| host);
    if origin.is_some_and(|origin| !is_here(of_page(origin))) {
        return Some("a page of another origin has sent it");
    }
    // Somebody who follows a link to a page changes nothing.
    let follows = *method == Method::GET
        && text(SEC_FETCH_MODE) == Some("navigate")
        && (uri.path() == "/" || uri.path().starts_with("/docs"));
    match text(SEC_FETCH_SITE) {
        Some("cross-site") if !follows => Some("a page of another site has sent it"),
        _ => None,
    }
}

/// Whether it is a name or number of this machine, with or without a port.
fn is_here(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(host, _)| host),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let host = host.trim_end_matches('.');
    let (before, name) = match host.len().checked_sub("localhost".len()) {
        Some(at) => host.split_at_checked(at).unwrap_or((host, "")),
        None => (host, ""),
    };
    (name.eq_ignore_ascii_case("localhost") && (before.is_empty() || before.ends_with('.')))
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(method: &str, uri: &str, pairs: &[(&str, &str)]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().expect("a name");
            headers.insert(name, value.parse().expect("a value"));
        }
        foreign(&method.parse().expect("a method"), &uri.parse().expect("a URI"), &headers)
    }

    #[test]
    fn names_and_numbers_of_this_machine_are_here_and_nothing_else_is() {
        for here in [
            "localhost",
            "LOCALHOST:8081",
            "Kiki.LocalHost",
            "localhost.:8081",
            "kiki.localhost:8081",
            "127.0.0.1",
            "127.0.0.1:8081",
            "127.9.9.9",
            "[::1]:8081",
            "[::1]",
            "[::ffff:127.0.0.1]:80",
        ] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "0.0.0.0",
            "10.0.0.1",
            "[::]",
            "[::1",
            "2130706433",
            "null",
        ] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn tools_and_own_pages_pass_and_pages_of_others_do_not() {
        let host = ("host", "localhost:8081");
        assert_eq!(told("POST", "/spend", &[]), None);
        assert_eq!(told("POST", "/spend", &[host]), None);
        assert_eq!(told("GET", "/docs/", &[host, ("sec-fetch-site", "same-origin")]), None);
        assert_eq!(told("POST", "/spend", &[host, ("origin", "http://localhost:3000")]), None);
        assert_eq!(told("POST", "/spend", &[host, ("origin", "http://[::1]:3000")]), None);
        assert!(told("GET", "/spend", &[("host", "rebound.example:8081")]).is_some());
        assert!(told("GET", "http://rebound.example/spend", &[host]).is_some());
        assert!(told("POST", "/spend", &[host, ("origin", "https://evil.example")]).is_some());
        assert!(told("POST", "/spend", &[host, ("origin", "null")]).is_some());
        let cross = ("sec-fetch-site", "cross-site");
        assert!(told("GET", "/spend", &[host, cross]).is_some());
        let follows = ("sec-fetch-mode", "navigate");
        assert!(told("GET", "/spend", &[host, cross, follows]).is_some(), "it changes something");
        assert_eq!(told("GET", "/docs/", &[host, cross, follows]), None);
        assert!(told("POST", "/docs/", &[host, cross, follows]).is_some());
    }
}
