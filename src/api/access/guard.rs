//! The guard around every handler of a listener: who calls, may it, how often, and who is told.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::{BoxFuture, Either};
use tokio::task::futures::TaskLocalFuture;
use tower::{Layer, Service};

use super::caller::{Arrived, Call};
use super::local::foreign;
use super::routes::{ADMIN_API, Found, Listener, Needs, Rule, find};
use crate::access::{Act, ActOutcome, Door, Proof, Refusal};
use crate::api::gate;
use crate::api::peer::Peer;
use crate::api::problem::{Code, Problem};
use crate::api::query::named_node;
use crate::clock;
use crate::models::access::{Decision, Identity, Names};

const API_KEY: &str = "x-api-key";
const POLICY: &str = "ratelimit-policy";
const LIMIT: &str = "ratelimit";
/// Characters of a path that are told.
const SUBJECT_CHARS_MAX: usize = 512;
/// What is told instead of a path that no route takes.
const NO_ROUTE: &str = "(no route)";

/// Puts a [`Guard`] around the routes of a listener.
#[derive(Clone)]
pub struct GuardLayer {
    door: Arc<Door>,
    listener: Listener,
}

impl GuardLayer {
    pub fn new(door: Arc<Door>, listener: Listener) -> GuardLayer {
        GuardLayer { door, listener }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, layer: self.clone() }
    }
}

/// Lets through who may.
#[derive(Clone)]
pub struct Guard<S> {
    inner: S,
    layer: GuardLayer,
}

impl<S> Service<Request> for Guard<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future =
        Either<TaskLocalFuture<Call, S::Future>, BoxFuture<'static, Result<Response, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if self.layer.door.is_for_this_machine()
            && let Some(why) = foreign(request.method(), request.uri(), request.headers())
        {
            let detail = format!("{why}, and nobody is asked who he is here: see auth.allow_open");
            let answer = Problem::new(Code::Forbidden, detail).into_response();
            return Either::Right(Box::pin(std::future::ready(Ok(answer))));
        }
        let found = self.layer.find(&request);
        let audited = matches!(found, Found::Rule(rule) if rule.event.is_some());
        if let Some(everybody) = self.layer.door.everybody().filter(|_| !audited) {
            // The hot path of an open installation: one more reference to a name, and no more.
            let call = Call { who: Arc::clone(everybody), account: None };
            return Either::Left(call.scope(self.inner.call(request)));
        }
        if matches!(found, Found::Rule(rule) if rule.is_signed()) {
            // What is booked must not be turned away for coming from the address of an exchange: a forged
            // one costs no more than counting it.
            let call = Call { who: self.layer.door.nobody(), account: None };
            return Either::Left(call.scope(self.inner.call(request)));
        }
        // Keys, tokens and shared limits may take a while, which is the caller's time.
        request.extensions_mut().insert(Arrived(clock::mono_us()));
        let spare = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, spare);
        let layer = self.layer.clone();
        Either::Right(Box::pin(async move { Ok(layer.pass(found, inner, request).await) }))
    }
}

/// What is told of a request, whatever becomes of it.
struct Told {
    path: String,
    /// The route, in the table's words: told where the path is anybody's invention.
    route: &'static str,
    request_id: HeaderValue,
    at_us: i64,
}

impl Told {
    fn of(request: &Request, found: &Found) -> Told {
        let route = match found {
            Found::Rule(rule) => rule.path,
            Found::Methods(rules) => rules.first().map_or(NO_ROUTE, |rule| rule.path),
            Found::Nothing => NO_ROUTE,
        };
        let mut path: String = request.uri().path().chars().take(SUBJECT_CHARS_MAX).collect();
        // An order to what is on another node is none to what has the same path here.
        if route.starts_with(ADMIN_API)
            && let Ok(Some(node)) = named_node(request.uri())
        {
            path = format!("{path}?node={node}");
        }
        let request_id = gate::request_id(request.headers());
        Told { path, route, request_id, at_us: clock::wall_us() }
    }

    fn act(&self, event: &'static str, who: &Identity, outcome: ActOutcome, status: u16) -> Act {
        Act {
            at_us: self.at_us,
            event,
            actor: Arc::clone(&who.name),
            account: "*".to_owned(),
            subject: self.path.clone(),
            outcome,
            status,
            reason: String::new(),
            request_id: self.request_id.to_str().unwrap_or_default().to_owned(),
        }
    }
}

impl GuardLayer {
    fn find(&self, request: &Request) -> Found {
        if self.listener == Listener::Grpc {
            // a router of gRPC has a route for each service, and the table one for each method
            return find(self.listener, request.method(), request.uri().path());
        }
        let template = request.extensions().get::<MatchedPath>();
        template.map_or(Found::Nothing, |t| find(self.listener, request.method(), t.as_str()))
    }

    async fn pass<S>(&self, found: Found, mut inner: S, request: Request) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let told = Told::of(&request, &found);
        if let Some(everybody) = self.door.everybody() {
            let who = Arc::clone(everybody);
            return self.handle(found, &mut inner, request, (who, told)).await;
        }
        let address = request.extensions().get::<Peer>().map(|peer| peer.addr.ip());
        // Without a connection there is no address: all of them share one.
        let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let proof = match proof(request.headers()) {
            Ok(proof) => proof,
            Err(problem) => return self.turn_away(problem, told, "two proofs"),
        };
        let who = match self.door.identify(proof, address).await {
            Ok(who) => who,
            Err(Refusal::Failed(reason)) => {
                return self.turn_away(unauthenticated(), told, &reason);
            }
            Err(Refusal::Barred(decision)) => {
                let answer = limited(decision);
                let why = "too many proofs of this address were not good";
                return counted(self.turn_away(answer, told, why), &decision);
            }
        };
        let decision = self.door.take(&who, address).await;
        let mut response = match decision.filter(|decision| !decision.allowed) {
            Some(decision) => {
                let told = Told { path: told.route.to_owned(), ..told };
                self.deny(limited(decision), &told, &who, "too many requests")
            }
            None if proof == Proof::None && !is_public(&found) => {
                self.turn_away(unauthenticated(), told, "no proof")
            }
            None => match self.may(&found, &who) {
                Ok(()) => self.handle(found, &mut inner, request, (who, told)).await,
                Err(Turned::Denied(problem, why)) => self.deny(problem, &told, &who, &why),
                Err(Turned::Methods(rules)) => other_method(rules),
                Err(Turned::Nowhere) => nowhere(),
            },
        };
        if let Some(decision) = &decision {
            response = counted(response, decision);
        }
        response
    }

    /// Whether the table lets the caller in.
    fn may(&self, found: &Found, who: &Identity) -> Result<(), Turned> {
        if is_public(found) {
            return Ok(());
        }
        let needs = match found {
            Found::Rule(rule) => Some(rule.needs),
            _ => None,
        };
        let right = match (needs, found) {
            (Some(Needs::Right(right) | Needs::All(right)), _) => right,
            (_, Found::Methods(rules)) => return Err(Turned::Methods(rules)),
            _ => return Err(Turned::Nowhere),
        };
        let service = match found {
            Found::Rule(rule) => rule.service(self.listener),
            _ => self.listener.service(),
        };
        let forbidden = |why: &str| Turned::Denied(Problem::new(Code::Forbidden, why), why.into());
        who.may(right, service, None).map_err(|why| forbidden(&why.to_string()))?;
        match needs {
            Some(Needs::All(_)) if who.accounts(service) != Names::All => {
                Err(forbidden("the scope does not name all accounts"))
            }
            _ => Ok(()),
        }
    }

    /// Runs the handler as the caller, and tells of it where the table says so.
    async fn handle<S>(
        &self,
        found: Found,
        inner: &mut S,
        request: Request,
        (who, told): (Arc<Identity>, Told),
    ) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let event = match found {
            Found::Rule(rule) => rule.event_of(&told.path),
            _ => None,
        };
        let account = event.map(|_| Arc::new(OnceLock::new()));
        let call = Call { who: Arc::clone(&who), account: account.clone() };
        let unseen =
            event.map(|event| Unseen { layer: self, who: &who, told: &told, event, done: false });
        let Ok(mut response) = call.scope(inner.call(request)).await;
        let status = response.status().as_u16();
        let denied = response.extensions().get::<Code>() == Some(&Code::Forbidden);
        if denied {
            // The handler found that the account is another's, or that this takes another person.
            let act = told.act("access.denied", &who, ActOutcome::Denied, status);
            self.door.saw_soon(Act { reason: "the handler refused this caller".to_owned(), ..act });
        }
        if let Some(unseen) = unseen {
            let outcome = match status {
                _ if denied => ActOutcome::Denied,
                200..400 => ActOutcome::Ok,
                _ => ActOutcome::Failed,
            };
            let mut act = told.act(unseen.event, &who, outcome, status);
            if let Some(account) = account.as_ref().and_then(|cell| cell.get()) {
                act.account.clone_from(account);
            }
            // What was never understood as an act is none: strangers cannot fill the log with it.
            let malformed = matches!(status, 400 | 405 | 408 | 413 | 415);
            if !denied && !malformed {
                self.door.saw(act).await;
            }
            unseen.told_of();
            response.headers_mut().insert(gate::REQUEST_ID, told.request_id.clone());
        }
        response
    }

    /// Denies somebody who proved nothing. What is told of it is the route and not the path: a log
    /// that keeps everything must not keep what strangers write.
    fn turn_away(&self, problem: Problem, told: Told, why: &str) -> Response {
        let told = Told { path: told.route.to_owned(), ..told };
        self.deny(problem, &told, &self.door.nobody(), why)
    }

    fn deny(&self, problem: Problem, told: &Told, who: &Identity, why: &str) -> Response {
        let mut response = problem.into_response();
        response.headers_mut().insert(gate::REQUEST_ID, told.request_id.clone());
        let status = response.status().as_u16();
        let act = told.act("access.denied", who, ActOutcome::Denied, status);
        self.door.saw_soon(Act { reason: why.to_owned(), ..act });
        response
    }
}

/// An act that was begun. Dropped, nobody waits for its answer any more (the connection is gone, or
/// its time is over), but it may be done: that is told, too.
struct Unseen<'a> {
    layer: &'a GuardLayer,
    who: &'a Identity,
    told: &'a Told,
    event: &'static str,
    done: bool,
}

impl Unseen<'_> {
    fn told_of(mut self) {
        self.done = true;
    }
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let act = self.told.act(self.event, self.who, ActOutcome::Failed, 0);
        let reason = "nobody waited for the answer: it may be done".to_owned();
        self.layer.door.saw_soon(Act { reason, ..act });
    }
}

/// Why a request does not reach a handler.
enum Turned {
    Denied(Problem, String),
    /// The path takes these.
    Methods(&'static [&'static Rule]),
    Nowhere,
}

fn is_public(found: &Found) -> bool {
    matches!(found, Found::Rule(rule) if rule.needs == Needs::Public)
}

fn nowhere() -> Response {
    Problem::new(Code::NotFound, "there is nothing at this path").into_response()
}

fn other_method(rules: &[&Rule]) -> Response {
    let mut allow: Vec<&str> = rules.iter().map(|rule| rule.method).collect();
    if allow.contains(&"GET") {
        allow.push("HEAD");
    }
    let problem = Problem::new(Code::MethodNotAllowed, "this path does not take this method");
    ([(header::ALLOW, allow.join(","))], problem).into_response()
}

fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated, "a valid API key or token is needed")
}

fn limited(decision: Decision) -> Problem {
    let seconds = decision.retry_after().unwrap_or(1);
    let problem = Problem::new(Code::RateLimited, "too many requests");
    problem.retry_after(seconds.saturating_mul(1_000))
}

/// The headers of draft-ietf-httpapi-ratelimit-headers.
fn counted(mut response: Response, decision: &Decision) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [(POLICY, decision.quota.policy()), (LIMIT, decision.limit())] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// What a request proves itself with: one thing, once.
fn proof(headers: &HeaderMap) -> Result<Proof<'_>, Problem> {
    let one = |name: &'static str| {
        let mut values = headers.get_all(name).iter();
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Problem::header(name, "is there twice")),
        }
    };
    let bearer = one(header::AUTHORIZATION.as_str())?;
    let key = one(API_KEY)?;
    match (bearer, key) {
        (Some(_), Some(_)) => {
            Err(Problem::header("X-API-Key", "is there beside Authorization: send one of them"))
        }
        (None, None) => Ok(Proof::None),
        (None, Some(key)) => Ok(Proof::ApiKey(key.to_str().unwrap_or_default().trim())),
        (Some(value), None) => {
            let value = value.to_str().unwrap_or_default();
            match value.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                    Ok(Proof::Bearer(token.trim()))
                }
                // Another scheme is no proof that is known here: it fails like a wrong one.
                _ => Ok(Proof::Bearer("")),
            }
        }
    }
}
