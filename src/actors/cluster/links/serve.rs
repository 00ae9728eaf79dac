//! Links that other nodes open: taken, and let in when they have shown who they are.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::session::{Reception, Session};
use super::wire::v1::link_service_server::LinkServiceServer;
use super::wire::{Ear, FRAME_MAX, HELLO_WITHIN, Heard, WINDOW};
use crate::api::tls::{Tls, x509};

/// Connections that have not shown a certificate yet. Beyond, the oldest goes: strangers who say nothing must not
/// keep a node out that has something to say.
const STRANGERS_MAX: usize = 64;
/// Connections of nodes.
const LINKS_MAX: usize = 1_024;
/// Pause after an accept that failed, so that running out of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Of one connection: a node opens one stream.
const STREAMS_MAX: u32 = 4;

/// A connection whose holder has shown a certificate of the cluster's authority.
struct Shaken {
    stream: TlsStream<Heard<TcpStream>>,
    names: Vec<String>,
    ear: Ear,
}

/// Takes links until it is dropped, and all of them with it.
pub async fn serve(listener: Arc<TcpListener>, tls: Tls, reception: Arc<Reception>) {
    let mut shaking: JoinSet<Option<Shaken>> = JoinSet::new();
    let mut order: VecDeque<AbortHandle> = VecDeque::new();
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, addr)) => {
                    if order.len() >= STRANGERS_MAX && let Some(oldest) = order.pop_front() {
                        oldest.abort();
                    }
                    let shake = shake(stream, tls.clone());
                    order.push_back(shaking.spawn(async move {
                        match timeout(HELLO_WITHIN, shake).await {
                            Ok(Ok(shaken)) => Some(shaken),
                            Ok(Err(error)) => {
                                // Strangers must not fill the log; a node of this cluster says itself why it is not let in.
                                tracing::debug!(%addr, %error, "{addr} is no node: {error}");
                                None
                            }
                            Err(_) => {
                                tracing::debug!(%addr, "{addr} has said nothing");
                                None
                            }
                        }
                    }));
                }
                Err(error) => {
                    tracing::warn!(%error, "a link could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(shaken) = shaking.join_next() => {
                order.retain(|it| !it.is_finished());
                // One that was dropped for a newer one is nothing to tell of.
                if let Ok(Some(shaken)) = shaken {
                    match links.len() < LINKS_MAX {
                        true => _ = links.spawn(converse(shaken, Arc::clone(&reception))),
                        false => tracing::warn!(names = ?shaken.names, "too many links are open"),
                    }
                }
            }
            Some(_) = links.join_next() => {}
        }
    }
}

async fn shake(stream: TcpStream, tls: Tls) -> std::io::Result<Shaken> {
    stream.set_nodelay(true)?;
    let stream = Heard::new(stream);
    let ear = stream.ear();
    let stream = tls.acceptor_of_http2().accept(stream).await?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let names = shown.and_then(|own| x509::read(own)).map(|facts| facts.dns_names);
    Ok(Shaken { stream, names: names.unwrap_or_default(), ear })
}

async fn converse(shaken: Shaken, reception: Arc<Reception>) {
    let Shaken { stream, names, ear } = shaken;
    let session = Session::new(reception, names, ear);
    let admitted = session.admitted();
    let service = LinkServiceServer::new(session).max_decoding_message_size(FRAME_MAX);
    let serving = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(16 << 10)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    // Whoever is let in stays for as long as there is something to hear; others have said enough.
    let unannounced = async {
        if timeout(HELLO_WITHIN * 2, admitted).await.is_ok_and(|admitted| admitted.is_ok()) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = serving => if let Err(error) = ended {
            tracing::debug!(%error, "a link has ended early");
        },
        () = unannounced => {}
    }
}
