//! How a request and its answer travel between nodes: a head in JSON with its length before it, and the bytes of the
//! body behind it.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};

use crate::actors::cluster::links::LinkError;
use crate::models::access::{Role, Scopes};

/// A request as it travels, before the bytes of its body.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) who: Who,
}

/// Who sent it, as the node found out that took it.
#[derive(Serialize, Deserialize)]
pub(super) struct Who {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) scopes: Scopes,
    pub(super) ends_at_us: Option<i64>,
}

/// An answer as it travels, before the bytes of its body.
#[derive(Serialize, Deserialize)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

/// Headers of the message, not of the connection it came by.
pub(super) fn listed(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    const OF_CONNECTIONS: [HeaderName; 7] = [
        HeaderName::from_static("x-api-key"),
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::UPGRADE,
        header::AUTHORIZATION,
        header::TE,
    ];
    let of_message = headers.iter().filter(|(name, _)| !OF_CONNECTIONS.contains(name));
    of_message.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

pub(super) fn read(headers: Vec<(String, Vec<u8>)>) -> HeaderMap {
    let mut read = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(&value))
        {
            read.append(name, value);
        }
    }
    read
}

/// A head in JSON with its length before it, and a body behind it.
pub(super) fn joined(head: &impl Serialize, body: &[u8]) -> Result<Vec<u8>, LinkError> {
    let head = serde_json::to_vec(head).map_err(|e| LinkError::NotUnderstood(e.to_string()))?;
    let length = u32::try_from(head.len()).map_err(|e| LinkError::NotUnderstood(e.to_string()))?;
    let mut all = Vec::with_capacity(4 + head.len() + body.len());
    all.extend(length.to_be_bytes());
    all.extend(head);
    all.extend_from_slice(body);
    Ok(all)
}

pub(super) fn parted<'a, T: Deserialize<'a>>(all: &'a [u8]) -> Result<(T, &'a [u8]), LinkError> {
    let short = || LinkError::NotUnderstood("it is cut off".to_owned());
    let (length, rest) = all.split_first_chunk::<4>().ok_or_else(short)?;
    let length = u32::from_be_bytes(*length) as usize;
    let (head, body) = rest.split_at_checked(length).ok_or_else(short)?;
    let head = serde_json::from_slice(head).map_err(|e| LinkError::NotUnderstood(e.to_string()))?;
    Ok((head, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            method: "POST".into(),
            uri: "/a/{b}?c=d".into(),
            headers: vec![("x-a".into(), vec![0xff, b'b'])],
            who: Who {
                name: "key:1".into(),
                role: Role::Viewer,
                scopes: Scopes::parse(["shield:acme"]).expect("scopes"),
                ends_at_us: Some(7),
            },
        }
    }

    #[test]
    fn a_request_arrives_as_it_was_sent_and_one_that_is_cut_off_is_refused() {
        let sent = joined(&head(), b"body").expect("joined");
        let (there, body) = parted::<Head>(&sent).expect("parted");
        assert_eq!((there.uri, body), (head().uri, &b"body"[..]));
        assert_eq!(there.headers, head().headers);
        assert_eq!(there.who.scopes, head().who.scopes);
        let whole = sent.len() - 4;
        for cut in 0..whole {
            assert!(parted::<Head>(&sent[..cut]).is_err(), "{cut}");
        }
        assert!(parted::<Head>(&[0xff; 64]).is_err());
    }

    #[test]
    fn what_proves_somebody_and_what_is_of_the_connection_stays_behind() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer secret"),
            ("x-api-key", "secret"),
            ("content-length", "4"),
            ("connection", "close"),
            ("idempotency-key", "k"),
            ("traceparent", "t"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let names: Vec<String> = listed(&headers).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["idempotency-key", "traceparent"]);
    }
}
