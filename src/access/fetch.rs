//! Fetching a key set: behind a trait, so that tests need no network.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Bytes of a key set.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// How long a fetch may take, in all.
pub const FETCH_TIME_MAX: Duration = Duration::from_secs(5);

/// What came back.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub body: Vec<u8>,
    /// `max-age` of `Cache-Control`, in seconds.
    pub max_age_s: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("no answer within the time")]
    Timeout,
    #[error("the answer has status {0}")]
    Status(u16),
    #[error("the answer is longer than 256 KiB")]
    TooLong,
    #[error("{0}")]
    Transport(String),
}

/// A fetch that is under way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

/// Fetches a document by its URL.
pub trait Fetch: Send + Sync {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a>;
}

/// Over HTTP. No redirects: the URL of the keys is the operator's word, not the other side's.
#[derive(Clone, Debug)]
pub struct HttpFetch(reqwest::Client);

impl HttpFetch {
    /// For URLs like this one.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub fn new(url: &str) -> Result<HttpFetch, FetchError> {
        let built = crate::connectors::http::builder(url).timeout(FETCH_TIME_MAX).build();
        built.map(HttpFetch).map_err(|e| FetchError::Transport(e.to_string()))
    }

    async fn get(&self, url: &str) -> Result<Fetched, FetchError> {
        let failed = |e: reqwest::Error| match e.is_timeout() {
            true => FetchError::Timeout,
            // Without the URL: it may hold credentials.
            false => FetchError::Transport(e.without_url().to_string()),
        };
        let mut response = self.0.get(url).send().await.map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let control = response.headers().get(reqwest::header::CACHE_CONTROL);
        let max_age_s = control.and_then(|value| max_age(value.to_str().ok()?));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(FetchError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched { body, max_age_s })
    }
}

impl Fetch for HttpFetch {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        Box::pin(self.get(url))
    }
}

/// `max-age` of a `Cache-Control` (RFC 9111 5.2.2.1), in seconds; `no-store` and `no-cache` say 0.
pub fn max_age(control: &str) -> Option<u64> {
    let mut age = None;
    for part in control.split(',').map(str::trim) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(0),
            "max-age" => age = value.trim().trim_matches('"').parse().ok(),
            _ => {}
        }
    }
    age
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn the_age_of_a_cache_header_is_read() {
        for (control, age) in [
            ("public, max-age=600", Some(600)),
            ("Max-Age=\"60\" , must-revalidate", Some(60)),
            ("no-store, max-age=600", Some(0)),
            ("s-maxage=10", None),
            ("max-age=-1", None),
            ("max-age=99999999999999999999999", None),
            ("", None),
        ] {
            assert_eq!(max_age(control), age, "{control}");
        }
    }

    /// Answers one request with these bytes; gives the URL.
    fn serve(answer: Vec<u8>) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request);
            // The other side may hang up in the middle: that is what is tested.
            let _ = stream.write_all(&answer);
        });
        format!("http://{address}/keys")
    }

    async fn fetched(head: &str, body: &[u8]) -> Result<Fetched, FetchError> {
        let url = serve([format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat());
        HttpFetch::new(&url).unwrap().fetch(&url).await
    }

    #[tokio::test]
    async fn an_answer_is_taken_up_to_its_limit_and_only_as_it_is_asked_for() {
        let good = fetched("200 OK\r\ncache-control: max-age=60\r\ncontent-length: 2", b"{}").await;
        let good = good.unwrap();
        assert_eq!((&good.body[..], good.max_age_s), (&b"{}"[..], Some(60)));
        // Without a length, as one who means to send for ever would.
        let full = vec![b' '; BODY_BYTES_MAX];
        assert_eq!(fetched("200 OK", &full).await.unwrap().body.len(), BODY_BYTES_MAX);
        let long = fetched("200 OK", &[full, vec![b' ']].concat()).await;
        assert_eq!(long.err(), Some(FetchError::TooLong));
        let moved =
            fetched("302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0", b"").await;
        assert_eq!(moved.err(), Some(FetchError::Status(302)));
        let cut = fetched("200 OK\r\ncontent-length: 10", b"{}").await;
        let error = cut.unwrap_err().to_string();
        assert!(!error.contains("127.0.0.1"), "the URL may hold credentials: {error}");
    }
}
