//! Listening: connections with time limits on their heads, a bound on their number, TLS where there
//! are certificates, and an orderly end that lets requests finish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;

use super::peer::{Introduced, Peer, PeerCertificate};
use super::tls::Tls;

/// Open connections of one listener; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 16_384;
/// Pause after an accept that failed, so that running out of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The answer to plain HTTP where TLS is spoken.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 36\r\n\
    connection: close\r\n\
    \r\n\
    this port speaks TLS: use https://\r\n";

/// A bound socket, before anything is served on it.
pub struct Listener {
    pub addr: SocketAddr,
    socket: TcpListener,
}

/// Binds an address. Port 0 takes a free one.
pub async fn bind(addr: SocketAddr) -> std::io::Result<Listener> {
    let socket = TcpListener::bind(addr)
        .await
        .map_err(|e| std::io::Error::new(e.kind(), format!("{addr}: {e}")))?;
    Ok(Listener { addr: socket.local_addr()?, socket })
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    Http1,
    /// gRPC: HTTP/2, without TLS from its first byte on.
    Http2,
}

/// Calls of one connection that run at a time; more wait.
const STREAMS_MAX: u32 = 256;
/// A connection that says nothing for so long is asked whether it is there, and has as long again to
/// answer.
const ALIVE_AFTER: Duration = Duration::from_secs(60);
const ALIVE_WITHIN: Duration = Duration::from_secs(20);

/// What every connection of a listener is served with.
#[derive(Clone)]
struct Manner {
    speaks: Speaks,
    router: Router,
    tls: Option<Tls>,
    head_timeout: Duration,
    stop: watch::Receiver<bool>,
}

/// Serves until `stop` turns true; then takes no new connection, lets running requests finish
/// for at most `grace`, and ends. With `tls`, nothing else is spoken; the handshake has
/// `head_timeout`, and so has the head of a request. Handlers find the [`Peer`] in the request's
/// extensions.
pub async fn serve(
    listener: Listener,
    (speaks, router): (Speaks, Router),
    tls: Option<Tls>,
    head_timeout: Duration,
    grace: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let manner = Manner { speaks, router, tls, head_timeout, stop: stop.clone() };
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = stopped(&mut stop) => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.socket.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, addr)) => {
                let manner = manner.clone();
                connections.spawn(async move {
                    connection(stream, Peer::plain(addr), manner).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, finish).await.is_err() {
        tracing::warn!("requests were still running after the grace period");
    }
}

async fn connection(stream: TcpStream, peer: Peer, manner: Manner) {
    // Answers are small: waiting to fill a packet only delays them. A socket that refuses is gone.
    let _ = stream.set_nodelay(true);
    match manner.tls.clone() {
        None => converse(stream, peer, manner).await,
        // Boxed: the state of TLS is large, and a connection without it must not carry its size.
        Some(tls) => Box::pin(secured(stream, peer, tls, manner)).await,
    }
}

/// A connection with TLS: the handshake first.
async fn secured(stream: TcpStream, mut peer: Peer, tls: Tls, mut manner: Manner) {
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(manner.head_timeout, handshake(stream, &tls, manner.speaks)) => {
            shaken
        }
        // Nothing was asked yet that could be finished.
        () = stopped(&mut manner.stop) => return,
    };
    match shaken {
        Ok(Ok(Some(stream))) => {
            let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            peer.certificate = shown.map(|own| Arc::new(PeerCertificate::read(own)));
            converse(stream, peer, manner).await;
        }
        Ok(Ok(None)) => {}
        Ok(Err(error)) => tracing::debug!(%error, addr = %peer.addr, "a TLS handshake failed"),
        Err(_) => tracing::debug!(addr = %peer.addr, "a TLS handshake took too long"),
    }
}

/// `None` for a peer that spoke plain HTTP: it was told so.
async fn handshake(
    mut stream: TcpStream,
    tls: &Tls,
    speaks: Speaks,
) -> std::io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    // A method's name begins with a capital letter; a TLS record of a handshake with 22.
    if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
        // What was sent is read first: closing over unread bytes would take the answer back.
        let _ = stream.read(&mut [0; 4096]).await?;
        stream.write_all(SPEAK_TLS).await?;
        stream.shutdown().await?;
        return Ok(None);
    }
    let acceptor = match speaks {
        Speaks::Http1 => tls.acceptor(),
        Speaks::Http2 => tls.acceptor_of_http2(),
    };
    acceptor.accept(stream).await.map(Some)
}

async fn converse<S>(stream: S, peer: Peer, manner: Manner)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if manner.speaks == Speaks::Http2 {
        return Box::pin(converse_http2(stream, peer, manner)).await;
    }
    let Manner { router, head_timeout, mut stop, .. } = manner;
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), Introduced::new(router, peer));
    tokio::pin!(serving);
    let ended = tokio::select! {
        biased;
        ended = serving.as_mut() => ended,
        () = stopped(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn converse_http2<S>(stream: S, peer: Peer, manner: Manner)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Manner { router, mut stop, .. } = manner;
    let serving = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(64 * 1024)
        .keep_alive_interval(Some(ALIVE_AFTER))
        .keep_alive_timeout(ALIVE_WITHIN)
        .serve_connection(TokioIo::new(stream), Introduced::new(router, peer));
    tokio::pin!(serving);
    let ended = tokio::select! {
        biased;
        ended = serving.as_mut() => ended,
        () = stopped(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Waits for the order to stop. A sender that is gone means the same.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
