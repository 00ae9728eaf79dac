//! The body of a bid request, from the wire to JSON: within a time, a size, and one coding.

use std::io::Read;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::MultiGzDecoder;

use crate::models::flow::openrtb::Fault;

/// How long a body may take: exchanges wait for tenths of a second for the whole answer.
const ARRIVES_WITHIN: Duration = Duration::from_secs(2);

/// A body that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body is broken off, or not packed as it says")]
    Broken,
    #[error("the body did not arrive within 2 s")]
    Late,
    #[error("the body has another content-encoding than gzip")]
    Coding,
}

impl Unread {
    /// Of the answer, which has no body.
    pub fn status(self) -> StatusCode {
        match self {
            Unread::TooLarge(_) | Unread::Broken => StatusCode::BAD_REQUEST,
            Unread::Late => StatusCode::REQUEST_TIMEOUT,
            Unread::Coding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    pub fn fault(self) -> Fault {
        match self {
            Unread::TooLarge(_) => Fault::TooLarge,
            Unread::Broken => Fault::Broken,
            Unread::Late => Fault::Late,
            Unread::Coding => Fault::Coding,
        }
    }
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
}

/// The body of at most `most` bytes, unpacked ones too. What it says it is (`content-type`) is not asked:
/// whatever is JSON is read.
///
/// # Errors
/// [`Unread`]: it is too large, broken off or not gzip, does not arrive, or is in another coding.
pub async fn body(request: Request, most: usize) -> Result<Bytes, Unread> {
    let (head, body) = request.into_parts();
    let coding = coding(&head.headers).ok_or(Unread::Coding)?;
    if body.size_hint().lower() > most as u64 {
        return Err(Unread::TooLarge(most));
    }
    let read = tokio::time::timeout(ARRIVES_WITHIN, axum::body::to_bytes(body, most)).await;
    let bytes = read.map_err(|_| Unread::Late)?;
    let bytes = bytes.map_err(|error| broken(&error, most))?;
    match coding {
        Coding::Plain => Ok(bytes),
        Coding::Gzip => unpacked(&bytes, most).map(Bytes::from),
    }
}

/// Why a body ends before its end.
fn broken(error: &axum::Error, most: usize) -> Unread {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return Unread::TooLarge(most);
        }
        cause = error.source();
    }
    Unread::Broken
}

/// `None`: one that is not spoken here.
fn coding(headers: &HeaderMap) -> Option<Coding> {
    let mut coding = Coding::Plain;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for name in value.to_str().ok()?.split(',').map(str::trim) {
            let plain = name.is_empty() || name.eq_ignore_ascii_case("identity");
            let gzip = ["gzip", "x-gzip"].iter().any(|known| name.eq_ignore_ascii_case(known));
            match (plain, gzip, coding) {
                (true, ..) => {}
                (false, true, Coding::Plain) => coding = Coding::Gzip,
                _ => return None,
            }
        }
    }
    Some(coding)
}

/// At most so many bytes of it are ever written: whatever a few bytes claim to unfold to.
fn unpacked(packed: &[u8], most: usize) -> Result<Vec<u8>, Unread> {
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::with_capacity(packed.len().saturating_mul(4).min(most));
    MultiGzDecoder::new(packed).take(limit).read_to_end(&mut bytes).map_err(|_| Unread::Broken)?;
    if bytes.len() > most { Err(Unread::TooLarge(most)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("written")
    }

    #[test]
    fn gzip_is_unpacked_as_far_as_the_limit() {
        assert_eq!(unpacked(&packed(b"{}"), 2).as_deref(), Ok(&b"{}"[..]));
        assert_eq!(unpacked(&packed(b"{ }"), 2), Err(Unread::TooLarge(2)));
        let bomb = packed(&vec![b' '; 16 << 20]);
        assert!(bomb.len() < 128 << 10);
        assert_eq!(unpacked(&bomb, 1 << 20), Err(Unread::TooLarge(1 << 20)));
        let two = [packed(b"{"), packed(b"}")].concat();
        assert_eq!(unpacked(&two, 2).as_deref(), Ok(&b"{}"[..]), "RFC 1952 2.2");
    }

    #[test]
    fn what_is_broken_off_or_no_gzip_is_not_unpacked() {
        let whole = packed(b"{\"id\":\"1\"}");
        for end in 0..whole.len() {
            assert_eq!(unpacked(&whole[..end], 1_024), Err(Unread::Broken), "{end}");
        }
        assert_eq!(unpacked(b"{}", 1_024), Err(Unread::Broken));
        let mut wrong = whole.clone();
        let at = wrong.len() - 6;
        wrong[at] ^= 1;
        assert_eq!(unpacked(&wrong, 1_024), Err(Unread::Broken), "its checksum is another");
    }

    #[test]
    fn gzip_and_nothing_are_the_codings() {
        let of = |values: &[&'static str]| {
            let values = values.iter().copied().map(HeaderValue::from_static);
            let headers: HeaderMap = values.fold(HeaderMap::new(), |mut headers, value| {
                headers.append(header::CONTENT_ENCODING, value);
                headers
            });
            coding(&headers)
        };
        for plain in [&[][..], &["identity"], &[""]] {
            assert_eq!(of(plain), Some(Coding::Plain), "{plain:?}");
        }
        for gzip in [&["gzip"][..], &["GZip"], &["x-gzip"], &["identity, gzip"]] {
            assert_eq!(of(gzip), Some(Coding::Gzip), "{gzip:?}");
        }
        for other in [&["br"][..], &["deflate"], &["gzip, gzip"], &["gzip", "gzip"]] {
            assert_eq!(of(other), None, "{other:?}");
        }
    }
}
