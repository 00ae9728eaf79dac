//! What goes over a link: frames, and what they mean here.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

use super::LinkError;
use crate::models::cluster::node::Incarnation;

/// The interface, as it is compiled from `proto/kiki/cluster/v1/link.proto`.
pub mod v1 {
    tonic::include_proto!("kiki.cluster.v1");
}

pub use v1::frame::Kind;
use v1::{Answer, Frame, Hello, Status};

/// What this release speaks; the one before is understood, too.
pub const PROTOCOL: u32 = 1;
/// Questions of one link that are open at a time.
pub const ASKS_MAX: usize = 1_024;
/// Bytes of the largest body.
pub const BODY_MAX: usize = 16 << 20;
/// Bytes of the largest frame: what is beside the body is small.
pub const FRAME_MAX: usize = BODY_MAX + (64 << 10);
/// Bytes that may be on their way in one stream before the other side has taken any: a large body must not wait for
/// its own beginning to be acknowledged.
pub const WINDOW: u32 = 4 << 20;
/// A connection has so long for its handshake, and as long again to say hello.
pub const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// This node, as it says hello.
#[derive(Clone, Debug)]
pub struct Me {
    pub node: String,
    pub incarnation: Incarnation,
    /// How long its leases last.
    pub lease_ms: u32,
}

impl Me {
    pub fn hello(&self) -> Frame {
        frame(Kind::Hello(Hello {
            node: self.node.clone(),
            incarnation: self.incarnation.0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            lease_ms: self.lease_ms,
        }))
    }
}

pub fn frame(kind: Kind) -> Frame {
    Frame { kind: Some(kind) }
}

/// Whether a node of that protocol can be spoken with: its own, or one newer, which speaks the one before.
pub fn is_understood(protocol: u32) -> bool {
    (PROTOCOL.saturating_sub(1)..=PROTOCOL + 1).contains(&protocol)
}

/// The answer's frame.
pub fn answered(id: u64, answer: Result<Vec<u8>, LinkError>) -> Frame {
    let (status, body, reason) = match answer {
        Ok(body) if body.len() <= BODY_MAX => (Status::Done, body, String::new()),
        // It was done, and cannot be told.
        Ok(_) => (Status::Unspecified, Vec::new(), "the answer is too large".to_owned()),
        Err(LinkError::NotUnderstood(reason)) => (Status::NotUnderstood, Vec::new(), reason),
        Err(LinkError::Refused(reason)) => (Status::Refused, Vec::new(), reason),
        Err(LinkError::Full) => (Status::Full, Vec::new(), String::new()),
        Err(LinkError::Away) => (Status::Away, Vec::new(), String::new()),
        Err(LinkError::Silent) => (Status::Unspecified, Vec::new(), String::new()),
    };
    frame(Kind::Answer(Answer { id, status: status.into(), body, reason }))
}

/// What the answer's frame means to whoever asked.
pub fn read_answer(answer: Answer) -> Result<Vec<u8>, LinkError> {
    match answer.status() {
        Status::Done => Ok(answer.body),
        Status::NotUnderstood => Err(LinkError::NotUnderstood(answer.reason)),
        Status::Refused => Err(LinkError::Refused(answer.reason)),
        Status::Late => Err(LinkError::Refused("the question came too late".to_owned())),
        Status::Full => Err(LinkError::Full),
        Status::Away => Err(LinkError::Away),
        // Also what a newer release answers, and this one has no word for.
        Status::Unspecified => Err(LinkError::Silent),
    }
}

pub fn late(id: u64) -> Frame {
    let status = Status::Late.into();
    frame(Kind::Answer(Answer { id, status, body: Vec::new(), reason: String::new() }))
}

/// What is sent first, and what is sent when there is nothing of that: a probe must not wait behind megabytes.
pub fn lanes<T: Send + 'static>(
    first: mpsc::Receiver<T>,
    rest: mpsc::Receiver<T>,
) -> impl Stream<Item = T> + Send + 'static {
    stream::unfold((first, rest), |(mut first, mut rest)| async move {
        let next = tokio::select! {
            biased;
            next = first.recv() => next,
            Some(next) = rest.recv() => Some(next),
        };
        next.map(|next| (next, (first, rest)))
    })
}

/// A connection that counts what it hears.
pub struct Heard<S> {
    inner: S,
    bytes: Arc<AtomicU64>,
}

impl<S> Heard<S> {
    pub fn new(inner: S) -> Heard<S> {
        Heard { inner, bytes: Arc::default() }
    }

    pub fn ear(&self) -> Ear {
        Ear { bytes: Arc::clone(&self.bytes), seen: 0, quiet: 0 }
    }
}

/// Notices that nothing is heard any more. It counts looks, not time: a process that stood still itself has heard
/// nothing either, and must not think ill of others for that.
pub struct Ear {
    bytes: Arc<AtomicU64>,
    seen: u64,
    quiet: u32,
}

impl Ear {
    /// In how many looks in a row nothing was heard.
    pub fn listen(&mut self) -> u32 {
        let now = self.bytes.load(Relaxed);
        self.quiet = if now == self.seen { self.quiet.saturating_add(1) } else { 0 };
        self.seen = now;
        self.quiet
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.bytes.fetch_add((buf.filled().len() - before) as u64, Relaxed);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_is_what_is_read() {
        let answers = [
            Ok(b"done".to_vec()),
            Err(LinkError::NotUnderstood("what".to_owned())),
            Err(LinkError::Refused("no".to_owned())),
            Err(LinkError::Full),
            Err(LinkError::Away),
            Err(LinkError::Silent),
        ];
        for answer in answers {
            let Some(Kind::Answer(told)) = answered(7, answer.clone()).kind else {
                panic!("no answer");
            };
            assert_eq!(told.id, 7);
            assert_eq!(read_answer(told), answer);
        }
        let Some(Kind::Answer(told)) = late(1).kind else { panic!("no answer") };
        assert!(read_answer(told).is_err_and(|error| error.is_untouched()));
    }

    #[test]
    fn a_status_without_a_word_may_mean_that_it_was_done() {
        let newer = Answer { id: 1, status: 99, body: b"?".to_vec(), reason: String::new() };
        assert_eq!(read_answer(newer), Err(LinkError::Silent));
    }
}
