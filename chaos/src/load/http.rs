//! One request and what came of it, as far as the wire can tell.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method};

use super::urls::Urls;

/// The largest answer that a client reads.
const BODY_MAX: usize = 1 << 20;
/// Characters of a reason that are kept.
const WHY_MAX: usize = 120;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// With its query.
    pub path: String,
    pub account: Option<Box<str>>,
    /// `Idempotency-Key`
    pub key: Option<Box<str>>,
    pub body: Option<String>,
}

impl Request {
    pub fn get(path: String) -> Request {
        Request { method: Method::GET, path, account: None, key: None, body: None }
    }

    pub fn post(path: impl Into<String>) -> Request {
        Request { method: Method::POST, ..Request::get(path.into()) }
    }

    pub fn of(mut self, account: &str) -> Request {
        self.account = Some(account.into());
        self
    }

    pub fn key(mut self, key: &str) -> Request {
        self.key = Some(key.into());
        self
    }

    pub fn json(mut self, body: String) -> Request {
        self.body = Some(body);
        self
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub media: Media,
    pub body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Media {
    Json,
    /// RFC 9457.
    Problem,
    Html,
    #[default]
    Other,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// There was no connection: not a byte of the request was sent.
    NotSent(Box<str>),
    NoAnswer(Box<str>),
    /// The answer has no end.
    TooLong,
}

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("no HTTP client can be made: {0}")]
    Client(#[from] reqwest::Error),
    #[error("the API key has characters that no header may have")]
    Key,
}

#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    key: Option<HeaderValue>,
}

impl Http {
    /// # Errors
    /// The key is none, or no client can be made.
    pub fn new(urls: &Urls, connect: Duration, timeout: Duration) -> Result<Http, HttpError> {
        // An error says that the process has one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // What is sent again is an operation of its own: nothing below may do it unseen.
            .retry(reqwest::retry::never())
            .connect_timeout(connect)
            .timeout(timeout)
            // The balancer closes idle connections after 3 s. A request that meets such an end is lost for no reason.
            .pool_idle_timeout(Duration::from_secs(2))
            .pool_max_idle_per_host(64)
            .tcp_nodelay(true)
            .build()?;
        let key = urls.key.as_ref().map(|key| HeaderValue::try_from(format!("Bearer {key}")));
        let key = key.transpose().map_err(|_| HttpError::Key)?;
        Ok(Http { client, key })
    }

    pub async fn send(&self, base: &str, request: &Request) -> Result<Reply, Lost> {
        self.send_bounded(base, request, BODY_MAX).await
    }

    pub async fn send_bounded(
        &self,
        base: &str,
        request: &Request,
        most: usize,
    ) -> Result<Reply, Lost> {
        let mut call =
            self.client.request(request.method.clone(), format!("{base}{}", request.path));
        if let Some(key) = &self.key {
            call = call.header(AUTHORIZATION, key);
        }
        if let Some(account) = &request.account {
            call = call.header("x-account", &**account);
        }
        if let Some(key) = &request.key {
            call = call.header("idempotency-key", &**key);
        }
        if let Some(body) = &request.body {
            call = call.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let mut response = call.send().await.map_err(|e| lost(&e))?;
        let mut reply = Reply {
            status: response.status().as_u16(),
            media: media(response.headers().get(CONTENT_TYPE)),
            body: Vec::new(),
        };
        while let Some(chunk) = response.chunk().await.map_err(|e| Lost::NoAnswer(root(&e)))? {
            if reply.body.len() + chunk.len() > most {
                return Err(Lost::TooLong);
            }
            reply.body.extend_from_slice(&chunk);
        }
        Ok(reply)
    }
}

fn media(header: Option<&HeaderValue>) -> Media {
    let text = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text.split(';').next().unwrap_or_default().trim() {
        "application/json" => Media::Json,
        "application/problem+json" => Media::Problem,
        "text/html" => Media::Html,
        _ => Media::Other,
    }
}

fn lost(error: &reqwest::Error) -> Lost {
    let why = root(error);
    // Of a connection that was made before, nobody knows how much of the request had left.
    if error.is_connect() { Lost::NotSent(why) } else { Lost::NoAnswer(why) }
}

/// The innermost cause: those around it say no more than that something failed.
fn root(error: &reqwest::Error) -> Box<str> {
    if error.is_timeout() {
        return "timeout".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().chars().take(WHY_MAX).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn told(answer: Option<&'static [u8]>, most: usize) -> Result<Reply, Lost> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = tokio::spawn(async move {
            let Some(answer) = answer else { return };
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut read = [0; 4_096];
            assert!(stream.read(&mut read).await.expect("a request") > 0);
            stream.write_all(answer).await.expect("it is written");
        });
        if answer.is_none() {
            // The listener is gone then, and its port refuses.
            serving.await.expect("it ends");
        }
        let (connect, all) = (Duration::from_millis(500), Duration::from_millis(900));
        let http = Http::new(&Urls::default(), connect, all).expect("a client");
        http.send_bounded(&base, &Request::post("/x").json("{}".to_owned()), most).await
    }

    #[tokio::test]
    async fn only_where_there_was_no_connection_nothing_was_sent() {
        assert!(matches!(told(None, 100).await, Err(Lost::NotSent(_))));
        assert!(matches!(told(Some(b""), 100).await, Err(Lost::NoAnswer(_))));
        assert!(matches!(told(Some(b"HTTP/1.1 200 OK\r\n"), 100).await, Err(Lost::NoAnswer(_))));
        let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab";
        assert!(matches!(told(Some(cut), 100).await, Err(Lost::NoAnswer(_))));
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_end_and_no_further_than_its_bound() {
        let whole = b"HTTP/1.1 201 Created\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 2\r\n\r\n{}";
        let reply = told(Some(whole), 2).await.expect("an answer");
        assert_eq!(
            (reply.status, reply.media, reply.body.as_slice()),
            (201, Media::Json, &b"{}"[..])
        );
        assert_eq!(told(Some(whole), 1).await, Err(Lost::TooLong));
    }
}
