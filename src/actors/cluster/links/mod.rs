//! The ways to other nodes.
//!
//! Each node keeps one connection to each other one, and asks over its own: TLS, in which both show a certificate of
//! the cluster's authority, and HTTP/2 with one stream of frames (`proto/kiki/cluster/v1/link.proto`). `dial` keeps
//! them, `serve` and `session` take those of others, `actor` follows the register.

mod actor;
mod dial;
mod line;
mod peer;
mod serve;
mod session;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::tls::Tls;
use crate::models::cluster::node::Incarnation;

pub use actor::{LinkSettings, LinksError};
use peer::Peer;
pub use peer::{LinkState, LinkView};
/// What goes over a link.
pub use wire::v1;

/// Why another node did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no way to it at this moment, or there is no such node. It was not asked.
    #[error("there is no way to that node")]
    Away,
    /// As many questions to it are open as may be. It was not asked.
    #[error("too many questions to that node are open")]
    Full,
    /// It may have been asked, and it may have done it.
    #[error("that node did not answer in time")]
    Silent,
    /// It knows no such question, or not this form of it.
    #[error("that node does not understand the question: {0}")]
    NotUnderstood(String),
    /// It does not do it now. Nothing was done.
    #[error("that node refuses: {0}")]
    Refused(String),
}

impl LinkError {
    /// Whether it is certain that nothing was done.
    pub fn is_untouched(&self) -> bool {
        !matches!(self, LinkError::Silent)
    }
}

/// Answers one kind of question of other nodes. Bodies are bytes; [`Links::ask_for`] speaks JSON.
pub trait Answers: Send + Sync {
    fn answer(
        &self,
        from: Incarnation,
        body: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>, LinkError>>;
}

impl<F> Answers for F
where
    F: Fn(Incarnation, Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>, LinkError>> + Send + Sync,
{
    fn answer(
        &self,
        from: Incarnation,
        body: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>, LinkError>> {
        self(from, body)
    }
}

#[derive(Clone)]
pub struct Links {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    answers: RwLock<BTreeMap<&'static str, Arc<dyn Answers>>>,
    peers: ArcSwap<Table>,
    address: Option<SocketAddr>,
    /// What both directions show; none for a node that is alone.
    tls: Option<Tls>,
}

/// Other nodes that there is a way to, or is to be.
type Table = BTreeMap<Incarnation, Arc<Peer>>;

impl Links {
    /// Of a node that has nobody beside it.
    pub fn alone() -> Links {
        Links { inner: Arc::default() }
    }

    /// Of a node that takes links there.
    fn at(address: SocketAddr, tls: Tls) -> Links {
        let (address, tls) = (Some(address), Some(tls));
        Links { inner: Arc::new(Inner { address, tls, ..Inner::default() }) }
    }

    /// When the certificate of links that is in use ends, in microseconds since 1970-01-01 UTC; `None` for a node that is
    /// alone.
    pub fn certificate_ends_us(&self) -> Option<i64> {
        self.inner.tls.as_ref().map(Tls::expires_us)
    }

    /// Where links are taken; `None` for a node that is alone.
    pub fn address(&self) -> Option<SocketAddr> {
        self.inner.address
    }

    /// The way to each other node, as operators see it.
    pub fn seen(&self) -> Vec<LinkView> {
        self.inner.peers.load().values().map(|peer| peer.view()).collect()
    }

    /// From now on these are the other nodes.
    fn show(&self, peers: Table) {
        self.inner.peers.store(Arc::new(peers));
    }

    /// Who answers a kind of question.
    fn answers_of(&self, kind: &str) -> Option<(&'static str, Arc<dyn Answers>)> {
        let answers = self.inner.answers.read().unwrap_or_else(PoisonError::into_inner);
        answers.get_key_value(kind).map(|(kind, who)| (*kind, Arc::clone(who)))
    }

    fn peer(&self, to: Incarnation) -> Result<Arc<Peer>, LinkError> {
        self.inner.peers.load().get(&to).cloned().ok_or(LinkError::Away)
    }

    /// From now on questions of this kind are answered by `who`.
    pub fn answer(&self, kind: &'static str, who: Arc<dyn Answers>) {
        let mut answers = self.inner.answers.write().unwrap_or_else(PoisonError::into_inner);
        answers.insert(kind, who);
    }

    /// Asks another node.
    ///
    /// # Errors
    /// See [`LinkError`]: all but one say that nothing was done.
    pub async fn ask(
        &self,
        to: Incarnation,
        kind: &'static str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<Vec<u8>, LinkError> {
        self.peer(to)?.ask(kind, body, patience).await
    }

    /// Tells another node, which does not answer. What cannot be sent now is not sent.
    ///
    /// # Errors
    /// It was not sent.
    pub fn tell(
        &self,
        to: Incarnation,
        kind: &'static str,
        body: Vec<u8>,
    ) -> Result<(), LinkError> {
        self.peer(to)?.tell(kind, body)
    }

    /// Asks in JSON, and reads the answer.
    pub async fn ask_for<Q: Serialize, A: DeserializeOwned>(
        &self,
        to: Incarnation,
        kind: &'static str,
        question: &Q,
        patience: Duration,
    ) -> Result<A, LinkError> {
        let body = serde_json::to_vec(question).map_err(not_understood)?;
        let answer = self.ask(to, kind, body, patience).await?;
        // What it did is not known here.
        serde_json::from_slice(&answer).map_err(|_| LinkError::Silent)
    }

    /// Answers in JSON.
    pub fn answer_with<Q, A, F>(
        &self,
        kind: &'static str,
        by: impl Fn(Incarnation, Q) -> F + Send + Sync + 'static,
    ) where
        Q: DeserializeOwned + Send + 'static,
        A: Serialize + Send + 'static,
        F: Future<Output = Result<A, LinkError>> + Send + 'static,
    {
        let by = Arc::new(by);
        let answer = move |from: Incarnation, body: Vec<u8>| {
            let by = Arc::clone(&by);
            let work: BoxFuture<'static, Result<Vec<u8>, LinkError>> = Box::pin(async move {
                let question = serde_json::from_slice(&body).map_err(not_understood)?;
                let answer = by(from, question).await?;
                serde_json::to_vec(&answer).map_err(|_| LinkError::Silent)
            });
            work
        };
        self.answer(kind, Arc::new(answer));
    }
}

fn not_understood(error: serde_json::Error) -> LinkError {
    LinkError::NotUnderstood(error.to_string())
}
