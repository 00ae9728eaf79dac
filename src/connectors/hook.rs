//! Sends events to receivers that users name. A URL of theirs must not reach this machine or its
//! network (CWE-918): every address is looked at when it is connected to, not when the URL is stored,
//! so that a name that changes its mind is refused as well. No redirects, no proxy, no cookies.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Url};

use crate::models::access::hook::{ID_HEADER, SIGNATURE_HEADER};
use crate::models::access::is_public;

/// Characters of a URL.
pub const URL_CHARS_MAX: usize = 2_048;

/// Why nothing can be sent to a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("is not a URL with http or https and a host")]
    Malformed,
    #[error("has more than {URL_CHARS_MAX} characters")]
    TooLong,
    #[error("has a user or a password in it: events are signed instead")]
    Credentials,
    #[error("is not an address of the public internet (see webhooks.allow_private)")]
    Private,
}

/// Why a receiver did not take an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("no answer within the time")]
    Timeout,
    #[error("the answer has status {0}")]
    Status(u16),
    #[error("the URL {0}")]
    Url(#[from] BadUrl),
    #[error("{0}")]
    Transport(String),
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub signature: String,
    pub body: String,
}

/// A client for receivers.
#[derive(Clone, Debug)]
pub struct HookClient {
    plain: Client,
    /// Made when it is first needed: a machine without certificates starts all the same.
    tls: Arc<OnceLock<Client>>,
    allow_private: bool,
    patience: Duration,
}

/// The URL, if events may be sent there. A name is looked at only when it is connected to.
///
/// # Errors
/// Why they may not.
pub fn check(text: &str, allow_private: bool) -> Result<Url, BadUrl> {
    if text.chars().count() > URL_CHARS_MAX {
        return Err(BadUrl::TooLong);
    }
    let url = Url::parse(text).map_err(|_| BadUrl::Malformed)?;
    let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https"));
    let host = host.ok_or(BadUrl::Malformed)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadUrl::Credentials);
    }
    // Parsing has made every spelling of an IPv4 address (decimal, octal, short) the usual one.
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match literal {
        Ok(address) if !allow_private && !is_public(address) => Err(BadUrl::Private),
        _ => Ok(url),
    }
}

impl HookClient {
    /// # Errors
    /// A client cannot be made.
    pub fn new(allow_private: bool, patience: Duration) -> Result<HookClient, SendError> {
        let plain = made("http:", allow_private, patience)?;
        Ok(HookClient { plain, tls: Arc::default(), allow_private, patience })
    }

    /// The client for a URL.
    fn client(&self, url: &Url) -> Result<&Client, SendError> {
        if url.scheme() == "http" {
            return Ok(&self.plain);
        }
        match self.tls.get() {
            Some(client) => Ok(client),
            None => {
                let client = made("https:", self.allow_private, self.patience)?;
                Ok(self.tls.get_or_init(|| client))
            }
        }
    }

    /// Sends once. Any 2xx means that it was taken; what else the answer says is not read.
    ///
    /// # Errors
    /// It was not taken, or nobody knows.
    pub async fn send(&self, url: &str, message: Message) -> Result<(), SendError> {
        let url = check(url, self.allow_private)?;
        let request = self
            .client(&url)?
            .post(url)
            .header("content-type", "application/json")
            .header("user-agent", concat!("kiki/", env!("CARGO_PKG_VERSION")))
            .header(ID_HEADER, &message.id)
            .header(SIGNATURE_HEADER, &message.signature)
            .body(message.body);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(SendError::Status(answer.status().as_u16())),
            Err(error) if error.is_timeout() => Err(SendError::Timeout),
            Err(error) => Err(SendError::Transport(reason(&error))),
        }
    }
}

fn made(scheme: &str, allow_private: bool, patience: Duration) -> Result<Client, SendError> {
    let builder = super::http::builder(scheme)
        .no_proxy()
        .timeout(patience)
        // A connection that is kept is one whose address is not looked at again.
        .pool_max_idle_per_host(0)
        .dns_resolver(PublicNames { allow_private });
    builder.build().map_err(|e| SendError::Transport(reason(&e)))
}

/// The innermost cause, without the URL: that may hold a secret.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match std::ptr::addr_eq(cause, error) {
        true => "the receiver cannot be reached".to_owned(),
        false => cause.to_string().chars().take(200).collect(),
    }
}

/// Resolves names to addresses of the public internet alone.
struct PublicNames {
    allow_private: bool,
}

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|address| allow_private || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err("the name has no address of the public internet".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(allow_private: bool) -> HookClient {
        HookClient::new(allow_private, Duration::from_secs(2)).unwrap()
    }

    #[test]
    fn a_url_into_the_own_network_is_refused_however_it_is_spelled() {
        let check = |url| check(url, false);
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1:8090/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest/meta-data/",
            "http://0/",
        ] {
            assert_eq!(check(url).err(), Some(BadUrl::Private), "{url}");
        }
        for url in ["", "ftp://example.com/", "file:///etc/passwd", "http://", "example.com"] {
            assert_eq!(check(url).err(), Some(BadUrl::Malformed), "{url}");
        }
        assert_eq!(check("https://u:p@example.com/").err(), Some(BadUrl::Credentials));
        let long = format!("https://example.com/{}", "x".repeat(URL_CHARS_MAX));
        assert_eq!(check(&long).err(), Some(BadUrl::TooLong));
        assert!(check("https://example.com/hook?x=1").is_ok());
    }

    #[tokio::test]
    async fn a_name_that_resolves_into_the_own_network_is_not_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        listener.set_nonblocking(true).unwrap();
        let message = Message { id: "a".into(), signature: "t=1".into(), body: "{}".into() };
        let refused = client(false).send(&url, message.clone()).await.unwrap_err().to_string();
        assert!(refused.contains("public internet"), "{refused}");
        assert!(listener.accept().is_err(), "somebody has connected");
        let open = HookClient::new(true, Duration::from_millis(200)).unwrap();
        let silent = open.send(&url, message).await;
        assert_eq!(silent, Err(SendError::Timeout), "it connects where it may");
    }
}
