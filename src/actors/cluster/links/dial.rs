//! The way to one other node: dialled, kept, and dialled anew.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tonic::body::Body;
use tonic::codegen::http::{Request, Response, Uri};
use tonic::{Status, Streaming};

use super::line::Line;
use super::peer::Peer;
use super::wire::v1::Frame;
use super::wire::v1::link_service_client::LinkServiceClient;
use super::wire::{
    Ear, FRAME_MAX, HELLO_WITHIN, Heard, Kind, Me, WINDOW, is_understood, read_answer,
};
use crate::api::tls::Tls;
use crate::clock;

/// How often a link is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// A probe goes with every second look: each 500 ms.
const LOOKS_A_PROBE: u32 = 2;
/// Looks in a row that hear nothing: 2 s. Then the other side is away.
const QUIET_MAX: u32 = 8;
/// The wait before the next attempt doubles between these.
const WAIT_MIN: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How the end of a link is told that the other side has brought about.
const ENDED: &str = "it has ended the link";

#[derive(Clone)]
pub struct Dialler {
    pub me: Me,
    pub tls: Tls,
}

/// A link that stands: both have said hello.
struct Link {
    line: Arc<Line>,
    frames: Streaming<Frame>,
    ear: Ear,
    /// Carries the connection, and ends it.
    _carrier: JoinSet<()>,
}

impl Dialler {
    /// Keeps a link to a node, for as long as it is not told to end.
    pub async fn keep(self, peer: Arc<Peer>) {
        let mut wait = WAIT_MIN;
        loop {
            let error = match timeout(HELLO_WITHIN, self.dial(&peer)).await {
                Ok(Ok(link)) => {
                    wait = WAIT_MIN;
                    carry(&peer, link).await
                }
                Ok(Err(error)) => error,
                Err(_) => "it does not answer in time".to_owned(),
            };
            peer.failed(error);
            // Half of it by chance: nodes that lost each other at once do not come back at once.
            sleep(wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    async fn dial(&self, peer: &Peer) -> Result<Link, String> {
        let stream = TcpStream::connect(&peer.address).await.map_err(told)?;
        stream.set_nodelay(true).map_err(told)?;
        let stream = Heard::new(stream);
        let ear = stream.ear();
        let name = ServerName::try_from(peer.name.clone()).map_err(told)?;
        let connector = self.tls.connector_of_http2().map_err(told)?;
        let stream = connector.connect(name, stream).await.map_err(told)?;
        let (send, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(told)?;
        let mut carrier = JoinSet::new();
        carrier.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a link's connection has ended");
            }
        });
        let origin = Uri::try_from(format!("https://{}", peer.name)).map_err(told)?;
        let (line, outgoing) = Line::new(self.me.hello());
        let mut client = LinkServiceClient::with_origin(Origin(send), origin)
            .max_decoding_message_size(FRAME_MAX);
        let answer = client.join(outgoing).await.map_err(|status| said(&status))?;
        let mut frames = answer.into_inner();
        let first = frames.message().await.map_err(|status| said(&status))?;
        let Some(Kind::Hello(hello)) = first.and_then(|first| first.kind) else {
            return Err("it has said no hello".to_owned());
        };
        if !is_understood(hello.protocol) {
            return Err(format!("it speaks protocol {}, which is not known here", hello.protocol));
        }
        peer.compare_leases(hello.lease_ms, self.me.lease_ms);
        if hello.node != peer.name || hello.incarnation != peer.incarnation.0 {
            return Err(format!("another life of it is there, {:016x}", hello.incarnation));
        }
        Ok(Link { line, frames, ear, _carrier: carrier })
    }
}

/// Lets answers in until the link has ended, and says why it did.
async fn carry(peer: &Peer, link: Link) -> String {
    let Link { line, mut frames, mut ear, _carrier } = link;
    let standing = peer.stands(line);
    let (node, address) = (&peer.name, &peer.address);
    tracing::info!(%node, %address, "there is a link to node {node}");
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0u32;
    loop {
        tokio::select! {
            frame = frames.message() => match frame {
                Ok(Some(frame)) => match frame.kind {
                    Some(Kind::Answer(answer)) => {
                        standing.line.answered(answer.id, read_answer(answer));
                    }
                    Some(Kind::Echo(echo)) => {
                        peer.measured(clock::mono_us().saturating_sub(echo.sent_us).max(0));
                    }
                    // Of a newer release, or not for whoever asks.
                    _ => {}
                },
                Ok(None) => return ENDED.to_owned(),
                Err(status) => return lost(&status),
            },
            _ = look.tick() => {
                peer.complain();
                if ear.listen() >= QUIET_MAX {
                    return "nothing is heard of it".to_owned();
                }
                if looks.is_multiple_of(LOOKS_A_PROBE) {
                    standing.line.probe();
                }
                looks = looks.wrapping_add(1);
            }
        }
    }
}

fn told(error: impl Error + 'static) -> String {
    told_of(&error)
}

/// An error with all that has led to it.
fn told_of(error: &(dyn Error + 'static)) -> String {
    let causes = chain(error).map(ToString::to_string);
    causes.collect::<Vec<_>>().join(": ")
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Whether the other side has closed the connection, however it went, and whichever of the layers noticed it first.
fn has_ended(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    chain(error).any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(kind, Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
            || cause.to_string().contains("close_notify")
    })
}

/// What the other side says, or what has become of the connection.
fn said(status: &Status) -> String {
    status.source().map_or_else(|| status.message().to_owned(), told_of)
}

/// Why a link that stood has ended. Before it stands, who closes it may well be somebody else, or refuse it: that is told
/// as it is.
fn lost(status: &Status) -> String {
    match status.source() {
        Some(cause) if has_ended(cause) => ENDED.to_owned(),
        _ => said(status),
    }
}

/// One connection, as the generated client takes it.
#[derive(Clone)]
struct Origin(SendRequest<Body>);

impl tower::Service<Request<Body>> for Origin {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Response<Incoming>, hyper::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_the_other_side_of_a_link_has_gone_is_told_in_one_way() {
        let eof = "peer closed connection without sending TLS close_notify";
        let eof = || io::Error::new(io::ErrorKind::UnexpectedEof, eof);
        for gone in [eof(), io::ErrorKind::BrokenPipe.into(), io::ErrorKind::ConnectionReset.into()]
        {
            assert_eq!(lost(&Status::from_error(Box::new(gone))), ENDED);
        }
        assert_eq!(lost(&Status::internal("no")), "no");
        // While it is dialled, who closes the connection may be anybody.
        assert!(told(eof()).contains("close_notify"));
        assert_eq!(told(io::Error::from(io::ErrorKind::ConnectionReset)), "connection reset");
        assert_eq!(said(&Status::from_error(Box::new(eof()))), told(eof()));
    }
}
