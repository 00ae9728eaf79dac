//! Addresses of other programs: with or without a scheme, checked when they are read.

use super::raw::Raw;
use super::setting::{Setting, quoted};

/// `HOST:PORT`, or nothing. A `redis://`, `http://` or `grpc://` in front is taken off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPort(String);

impl HostPort {
    /// `host:port`; empty where none was configured.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True where none was configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The host (an IPv6 address without its brackets) and the port.
    pub fn split(&self) -> Option<(&str, u16)> {
        let (host, port) = self.0.rsplit_once(':')?;
        Some((host.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?))
    }
}

impl Setting for HostPort {
    const EXPECTS: &'static str = "HOST:PORT";

    fn parse(raw: &Raw) -> Result<Option<Self>, String> {
        if !raw.is_string() {
            return Ok(None);
        }
        let text = raw.text.trim();
        let bare = ["redis://", "http://", "grpc://"].iter().find_map(|s| text.strip_prefix(s));
        let bare = bare.unwrap_or(text).trim_end_matches('/');
        let found = Self(bare.to_owned());
        let ambiguous = |host: &str| host.contains(':') && !bare.starts_with('[');
        let good = match found.split() {
            Some((host, port)) => port > 0 && is_host(host) && !ambiguous(host),
            None => bare.is_empty(),
        };
        Ok(good.then_some(found))
    }

    fn literal(&self) -> String {
        quoted(&self.0)
    }
}

/// An `http` or `https` URL, or nothing; without a scheme it is taken as `http`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// The URL; empty where none was configured.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True where none was configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl HttpUrl {
    /// The port that is written in it.
    pub fn port(&self) -> Option<u16> {
        reqwest::Url::parse(&self.0).ok()?.port()
    }
}

impl Setting for HttpUrl {
    const EXPECTS: &'static str = "an http or https URL";

    fn parse(raw: &Raw) -> Result<Option<Self>, String> {
        let text = raw.text.trim();
        if !raw.is_string() {
            return Ok(None);
        }
        if text.is_empty() {
            return Ok(Some(Self::default()));
        }
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let Ok(parsed) = reqwest::Url::parse(&url) else {
            return Ok(None);
        };
        let good = matches!(parsed.scheme(), "http" | "https") && parsed.has_host();
        if good && (parsed.password().is_some() || !parsed.username().is_empty()) {
            return Err("must not carry a user or a password".to_owned());
        }
        Ok(good.then_some(Self(url)))
    }

    fn literal(&self) -> String {
        quoted(&self.0)
    }
}

fn is_host(host: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    !host.is_empty() && host.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_port(text: &str) -> Option<String> {
        HostPort::parse(&Raw::text(text)).ok().flatten().map(|a| a.0)
    }

    #[test]
    fn an_address_needs_a_host_and_a_port_and_may_carry_a_scheme() {
        assert_eq!(host_port("localhost:50051").as_deref(), Some("localhost:50051"));
        assert_eq!(host_port("redis://cache:6379/").as_deref(), Some("cache:6379"));
        assert_eq!(host_port("[::1]:6379").as_deref(), Some("[::1]:6379"));
        assert_eq!(host_port("").as_deref(), Some(""));
        for bad in ["localhost", ":6379", "cache:0", "cache:65536", "::1:80", "a b:1", "u:p@h:1"] {
            assert_eq!(host_port(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_endpoint_without_a_scheme_is_http() {
        let url = |text| HttpUrl::parse(&Raw::text(text)).map(|u| u.map(|u| u.0));
        assert_eq!(url("collector:4318"), Ok(Some("http://collector:4318".to_owned())));
        assert_eq!(url("http://shield/check"), Ok(Some("http://shield/check".to_owned())));
        assert_eq!(url("ftp://shield"), Ok(None));
        assert!(url("http://a:b@shield").is_err());
    }
}
