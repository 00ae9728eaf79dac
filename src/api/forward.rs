//! Requests that another node is to answer. A handler that meets something which is not here says so (`detour`)
//! and gives up; the whole request then goes to its owner over the link of the nodes, with who sent it, and the
//! answer comes back as it is. While a shard is between two nodes its requests wait, bounded in number and time.

mod attempts;
mod keep;
mod wire;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, Response as HttpResponse, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service, ServiceExt};

use super::access::{Call, Listener, caller};
use super::problem::{Code, Problem};
use crate::actors::cluster::links::LinkError;
use crate::actors::cluster::{Placement, detour};
use crate::models::access::{Identity, LimitClass};
use crate::models::cluster::member::Route;
use crate::models::cluster::node::Incarnation;
use crate::models::cluster::shard::Shard;
use attempts::{Ways, attempt, away, waits};
use keep::{KEPT_MAX, Keeping, Room, Whole, Why, kept};
use wire::{Answered, Head, Who, joined, listed, parted, read};

/// Bytes of an answer that comes from another node.
const ANSWER_MAX: usize = 12 * 1024 * 1024;
/// Requests that are on their way to other nodes, or wait for one, at a time.
const AWAY_MAX: usize = 4_096;
/// What is answered to a request while an earlier attempt of it is being worked on.
const IN_PROGRESS: (u16, &[u8]) = (409, b"\"code\":\"in_progress\"");
/// The documented spend of old, which books by GET, too.
const SPEND: &str = "/spend";
/// Calls that read no key.
const NOT_TWICE: [&str; 1] = ["/api/v1/webhooks"];
/// Where exchanges ask for bids.
const BIDS: &str = "/openrtb2/bid";
/// What the answering node says where it is not the one, either.
const MOVED: HeaderName = HeaderName::from_static("x-kiki-moved");

fn kind(listener: Listener) -> Option<&'static str> {
    match listener {
        Listener::Shield => Some("http.shield"),
        Listener::Value => Some("http.value"),
        Listener::Flow => Some("http.flow"),
        Listener::Admin => Some("http.admin"),
        Listener::Health | Listener::Grpc => None,
    }
}

/// Puts [`Forward`] around the routes of a listener, and answers what other nodes send to them.
#[derive(Clone)]
pub struct ForwardLayer {
    placement: Arc<Placement>,
    listener: Listener,
    places: Arc<Semaphore>,
    room: Room,
    copies: Room,
    /// Bytes of a body that is kept.
    body_max: usize,
}

impl ForwardLayer {
    /// `routes` are those of the listener without anything around them.
    pub fn new(placement: &Arc<Placement>, listener: Listener, routes: &Router) -> ForwardLayer {
        if let Some(kind) = kind(listener) {
            let routes = routes.clone();
            let answer = move |_: Incarnation, body: Vec<u8>| {
                let routes = routes.clone();
                let work: BoxFuture<'static, Result<Vec<u8>, LinkError>> =
                    Box::pin(answer(routes, body));
                work
            };
            placement.links().answer(kind, Arc::new(answer));
        }
        let places = Arc::new(Semaphore::new(AWAY_MAX));
        let (room, copies) = (Room::of_process(), Room::of_copies());
        let placement = Arc::clone(placement);
        ForwardLayer { placement, listener, places, room, copies, body_max: KEPT_MAX }
    }

    /// The same around handlers that take no larger body: of one that they would refuse nothing is kept.
    pub fn bounded(self, body_max: usize) -> ForwardLayer {
        ForwardLayer { body_max: body_max.min(KEPT_MAX), ..self }
    }
}

impl<S> Layer<S> for ForwardLayer {
    type Service = Forward<S>;

    fn layer(&self, inner: S) -> Forward<S> {
        Forward { inner, layer: self.clone() }
    }
}

#[derive(Clone)]
pub struct Forward<S> {
    inner: S,
    layer: ForwardLayer,
}

impl<S> Service<Request> for Forward<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future =
        futures_util::future::Either<S::Future, BoxFuture<'static, Result<Response, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        use futures_util::future::Either;
        // Bids are no node's alone, and have an order of their own in which they are read.
        let of_all = self.layer.listener == Listener::Flow && request.uri().path() == BIDS;
        if of_all || self.layer.placement.is_alone() {
            return Either::Left(self.inner.call(request));
        }
        let spare = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, spare);
        let layer = self.layer.clone();
        Either::Right(Box::pin(async move { Ok(layer.pass(inner, request).await) }))
    }
}

/// A request that can be sent once more: here, or to another node.
struct Kept {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    /// What the body takes of the room for all of them.
    _room: Option<OwnedSemaphorePermit>,
}

impl Kept {
    fn of(parts: &Parts, body: Whole) -> Kept {
        Kept {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            body: body.bytes,
            _room: body.room,
        }
    }

    /// Whether it does no more when it is done twice.
    fn may_be_repeated(&self) -> bool {
        let twice_is_twice = NOT_TWICE.iter().any(|path| self.uri.path().starts_with(path));
        let keyed = self.headers.contains_key("idempotency-key");
        match self.uri.path() {
            // It books, whatever its method.
            SPEND => keyed,
            _ => self.method.is_safe() || keyed && !twice_is_twice,
        }
    }
}

/// The ways of a request that is kept.
struct WaysOf<'a, S> {
    layer: &'a ForwardLayer,
    inner: S,
    /// Its head as it came, with what this node knows of its sender.
    own: Parts,
    kept: Kept,
}

impl<S> Ways for WaysOf<'_, S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send,
    S::Future: Send,
{
    async fn whereabouts(&mut self, shard: Shard, wait: Duration) -> Route {
        self.layer.placement.whereabouts(shard, wait).await
    }

    async fn here(&mut self) -> (Response, Option<Shard>) {
        let again = Request::from_parts(self.own.clone(), self.kept.body.clone().into());
        here(&mut self.inner, again).await
    }

    async fn there(
        &mut self,
        node: Incarnation,
        left: Duration,
    ) -> Result<Option<Response>, LinkError> {
        self.layer.send(node, &self.kept, left).await
    }

    fn may_be_repeated(&self) -> bool {
        self.kept.may_be_repeated()
    }

    fn path(&self) -> &str {
        self.kept.uri.path()
    }
}

impl ForwardLayer {
    async fn pass<S>(&self, mut inner: S, request: Request) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible> + Clone + Send,
        S::Future: Send,
    {
        let began = Instant::now();
        let (parts, body) = request.into_parts();
        let body = match kept(body, self.body_max, &self.room).await {
            Ok(Keeping::Whole(body)) => body,
            Ok(Keeping::Stream(body, why)) => {
                return self.here_alone(inner, Request::from_parts(parts, body), why).await;
            }
            Err(problem) => return problem.into_response(),
        };
        let kept = Kept::of(&parts, body);
        let own = parts.clone();
        let first = Request::from_parts(parts, kept.body.clone().into());
        let (answer, wanted) = here(&mut inner, first).await;
        let Some(shard) = wanted else { return answer };
        let Ok(_place) = self.places.try_acquire() else {
            return away("too many requests wait for other nodes");
        };
        let waits = waits(self.placement.settles_within());
        attempt(&mut WaysOf { layer: self, inner, own, kept }, shard, (began, waits)).await
    }

    /// Handles a request whose body is not kept: here, or not at all.
    async fn here_alone<S>(&self, mut inner: S, request: Request, why: Why) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible> + Clone,
    {
        let (answer, wanted) = here(&mut inner, request).await;
        match (wanted, why) {
            (Some(_), Why::NoRoom) => away("too many requests are kept for other nodes"),
            (Some(_), Why::Large) => {
                let what = match self.body_max < KEPT_MAX {
                    // No handler would have taken it.
                    true => "the body is larger than it may be",
                    false => {
                        "another node owns this, and so large a body is not passed on: ask that node"
                    }
                };
                Problem::new(Code::BodyTooLarge, what).into_response()
            }
            (None, _) => answer,
        }
    }

    /// Sends a request to a node that was named, whoever owns what it asks for, and answers what that answers.
    ///
    /// # Errors
    /// It could not be sent, or nobody knows what became of it.
    pub async fn send_to(
        &self,
        node: Incarnation,
        request: Request,
        patience: Duration,
    ) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let kept = match kept(body, self.body_max, &self.room).await? {
            Keeping::Whole(body) => Kept::of(&parts, body),
            Keeping::Stream(_, Why::Large) => {
                return Err(Problem::new(Code::BodyTooLarge, "the body is larger than it may be"));
            }
            Keeping::Stream(_, Why::NoRoom) => {
                let why = "too many requests are kept for other nodes";
                return Err(Problem::new(Code::NotReached, why));
            }
        };
        let Ok(_place) = self.places.try_acquire() else {
            return Err(Problem::new(Code::NotReached, "too many requests wait for other nodes"));
        };
        match self.send(node, &kept, patience).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => {
                Err(Problem::new(Code::Conflict, "another node owns this: ask without naming one"))
            }
            Err(error) if error.is_untouched() || kept.method.is_safe() => {
                Err(Problem::new(Code::NotReached, error.to_string()))
            }
            Err(error) => Err(Problem::new(Code::Unanswered, format!("{error}: it may be done"))),
        }
    }

    /// `None`: it is not the one that answers.
    async fn send(
        &self,
        node: Incarnation,
        kept: &Kept,
        left: Duration,
    ) -> Result<Option<Response>, LinkError> {
        let Some(kind) = kind(self.listener) else { return Err(LinkError::Away) };
        let who = caller();
        let head = Head {
            method: kept.method.as_str().to_owned(),
            uri: kept.uri.to_string(),
            headers: listed(&kept.headers),
            who: Who {
                name: who.name.to_string(),
                role: who.role,
                scopes: (*who.scopes).clone(),
                ends_at_us: who.ends_at_us,
            },
        };
        // It is copied on its way. Copies have room of their own: else bodies that wait to be sent could take all of it,
        // and none would go. Without room it waits, as where too many questions are open.
        let _copied = self.copies.take(kept.body.len()).ok_or(LinkError::Full)?;
        let body = joined(&head, &kept.body)?;
        let answer = self.placement.links().ask(node, kind, body, left).await?;
        let (Answered { status, headers }, body) =
            parted::<Answered>(&answer).map_err(|_| LinkError::Silent)?;
        let mut response = HttpResponse::new(Body::from(body.to_vec()));
        *response.status_mut() =
            axum::http::StatusCode::from_u16(status).map_err(|_| LinkError::Silent)?;
        *response.headers_mut() = read(headers);
        if status == IN_PROGRESS.0 && has(body, IN_PROGRESS.1) {
            response.extensions_mut().insert(Code::InProgress);
        }
        match response.headers().contains_key(MOVED) {
            true => Ok(None),
            false => Ok(Some(response)),
        }
    }
}

/// Runs a handler here, and tells what it wanted that is not here.
async fn here<S>(inner: &mut S, request: Request) -> (Response, Option<Shard>)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone,
{
    let work = inner.clone().oneshot(request);
    detour::watched(async move {
        let Ok(answer) = work.await;
        (answer, detour::wanted())
    })
    .await
}

/// Answers what another node sends.
async fn answer(routes: Router, body: Vec<u8>) -> Result<Vec<u8>, LinkError> {
    let not_understood = |why: &str| LinkError::NotUnderstood(why.to_owned());
    let (head, body) = parted::<Head>(&body)?;
    let method =
        Method::from_bytes(head.method.as_bytes()).map_err(|_| not_understood("method"))?;
    let uri: Uri = head.uri.parse().map_err(|_| not_understood("address"))?;
    let mut request = Request::new(Body::from(body.to_vec()));
    (*request.method_mut(), *request.uri_mut()) = (method, uri);
    *request.headers_mut() = read(head.headers);
    let who = Identity {
        name: head.who.name.into(),
        role: head.who.role,
        scopes: Arc::new(head.who.scopes),
        // Counted where it came in.
        class: LimitClass::Address,
        ends_at_us: head.who.ends_at_us,
    };
    let mut routes = routes;
    let (answer, wanted) = Call::of(Arc::new(who)).scope(here(&mut routes, request)).await;
    let (parts, body) = answer.into_parts();
    let headers = listed(&parts.headers);
    if wanted.is_some() {
        let moved = Answered { status: 503, headers: vec![(MOVED.to_string(), b"1".to_vec())] };
        return joined(&moved, &[]);
    }
    let body = http_body_util::Limited::new(body, ANSWER_MAX).collect().await;
    let Ok(body) = body else {
        let what =
            "it is done, and its answer is too large to be passed on: ask the node that owns it";
        let (parts, body) = Problem::new(Code::Unanswered, what).into_response().into_parts();
        let told = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let head = Answered { status: parts.status.as_u16(), headers: listed(&parts.headers) };
        return joined(&head, &told);
    };
    joined(&Answered { status: parts.status.as_u16(), headers }, &body.to_bytes())
}

fn has(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_says_that_it_is_being_worked_on_is_known_by_its_bytes() {
        let text = async |code| {
            let answer = Problem::new(code, "\"code\" and more").into_response();
            let status = answer.status().as_u16();
            let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.expect("a body");
            (status == IN_PROGRESS.0, has(&body, IN_PROGRESS.1))
        };
        assert_eq!(text(Code::InProgress).await, (true, true));
        assert_eq!(text(Code::Conflict).await, (true, false));
    }

    #[test]
    fn what_books_is_repeated_with_a_key_alone() {
        let again = |method: Method, path: &'static str, keyed: bool| {
            let mut headers = HeaderMap::new();
            if keyed {
                headers.insert("idempotency-key", HeaderValue::from_static("k"));
            }
            let uri = Uri::from_static(path);
            Kept { method, uri, headers, body: Bytes::new(), _room: None }.may_be_repeated()
        };
        assert!(again(Method::GET, "/api/v1/budget/camp", false));
        assert!(!again(Method::GET, "/spend?campaign_id=camp&amount=1", false));
        assert!(again(Method::GET, "/spend?campaign_id=camp&amount=1", true));
        assert!(!again(Method::POST, "/api/v1/spend", false));
        assert!(again(Method::POST, "/api/v1/spend", true));
        assert!(!again(Method::POST, "/api/v1/webhooks", true));
    }
}
