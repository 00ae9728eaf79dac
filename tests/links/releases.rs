//! A node of another release, and one that does not keep to what is agreed: frame by frame.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kiki::actors::cluster::links::v1::frame::Kind;
use kiki::actors::cluster::links::v1::link_service_client::LinkServiceClient;
use kiki::actors::cluster::links::v1::{Answer, Ask, Frame, Hello, Probe, Status};
use kiki::api::tls::{ClientAuth, Tls, TlsTerms};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::{Code, Streaming};

use crate::support::{Node, Office, row};
use crate::{SOON, echo};

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

/// A link that says what it is told to.
struct Raw {
    send: mpsc::Sender<Frame>,
    frames: Streaming<Frame>,
}

fn frame(kind: Kind) -> Frame {
    Frame { kind: Some(kind) }
}

fn hello(node: &str, incarnation: u64, protocol: u32) -> Frame {
    let (node, version) = (node.to_owned(), "9.9.9".to_owned());
    frame(Kind::Hello(Hello { node, incarnation, version, protocol, lease_ms: 2_000 }))
}

/// Shows b's certificate to a, and begins with a frame.
async fn begin(office: &Office, a: &Node, first: Frame) -> Result<Raw, tonic::Status> {
    let files = office.sign("b", "b");
    let terms = TlsTerms {
        cert_file: files.cert_file,
        key_file: files.key_file,
        client_ca_file: Some(files.ca_file),
        client_auth: ClientAuth::Required,
    };
    let connector = Tls::load(terms).expect("certificates").connector_of_http2().expect("TLS");
    let stream = TcpStream::connect(&a.row.address).await.expect("connected");
    let name = ServerName::try_from("a").expect("a name");
    let stream = connector.connect(name, stream).await.expect("shaken");
    let (origin, connection) =
        handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let (send, sent) = mpsc::channel(64);
    send.send(first).await.expect("room");
    let uri = "https://a".parse().expect("a URI");
    let mut client = LinkServiceClient::with_origin(Origin(origin), uri);
    let answer = client.join(ReceiverStream::new(sent)).await?;
    Ok(Raw { send, frames: answer.into_inner() })
}

impl Raw {
    async fn say(&self, kind: Option<Kind>) {
        self.send.send(Frame { kind }).await.expect("it is taken");
    }

    async fn hear(&mut self) -> Kind {
        let next = tokio::time::timeout(SOON, self.frames.message()).await.expect("in time");
        next.expect("a frame").and_then(|frame| frame.kind).expect("a known kind")
    }

    async fn ask(&mut self, ask: Ask) -> Answer {
        let id = ask.id;
        self.say(Some(Kind::Ask(ask))).await;
        match self.hear().await {
            Kind::Answer(answer) if answer.id == id => answer,
            other => panic!("{other:?}"),
        }
    }
}

fn ask(id: u64, kind: &str, left_ms: u32) -> Ask {
    Ask { id, kind: kind.to_owned(), body: b"body".to_vec(), left_ms, ..Ask::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_release_says_beyond_is_left_unread() {
    let office = Office::open();
    let a = Node::start(&office, "a", 1).await;
    echo(&a.links);
    a.told(&[&a.row, &row("b", 2, "127.0.0.1:1")]);
    let mut raw = begin(&office, &a, hello("b", 2, 2)).await.expect("let in");
    let Kind::Hello(said) = raw.hear().await else { panic!("no hello") };
    assert_eq!((said.node.as_str(), said.incarnation, said.protocol), ("a", 1, 1));
    // A kind of frame that is not known here, and frames that nobody waits for.
    raw.say(None).await;
    raw.say(Some(Kind::Answer(Answer { id: 77, ..Answer::default() }))).await;
    raw.say(Some(hello("b", 2, 2).kind.expect("a kind"))).await;
    let answer = raw.ask(ask(1, "echo", 5_000)).await;
    assert_eq!((answer.status(), answer.body.as_slice()), (Status::Done, &b"body"[..]));
    assert_eq!(raw.ask(ask(2, "of tomorrow", 5_000)).await.status(), Status::NotUnderstood);
    // Whoever asked has given up.
    assert_eq!(raw.ask(ask(3, "echo", 0)).await.status(), Status::Late);
    raw.say(Some(Kind::Probe(Probe { sent_us: 4_711 }))).await;
    let Kind::Echo(echoed) = raw.hear().await else { panic!("no echo") };
    assert_eq!(echoed.sent_us, 4_711);
    // This one was under way for a minute longer than that probe.
    let slow = Ask { sent_us: 4_711 - 60_000_000, ..ask(4, "echo", 5_000) };
    assert_eq!(raw.ask(slow).await.status(), Status::Late);

    // A newer link of the same life takes the place of this one.
    let mut newer = begin(&office, &a, hello("b", 2, 1)).await.expect("let in");
    assert!(matches!(newer.hear().await, Kind::Hello(_)));
    let ended = tokio::time::timeout(SOON, raw.frames.message()).await.expect("in time");
    assert_eq!(ended.expect_err("it is over").code(), Code::Aborted);
    assert_eq!(newer.ask(ask(1, "echo", 5_000)).await.status(), Status::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_who_it_says_is_told_so() {
    let office = Office::open();
    let a = Node::start(&office, "a", 1).await;
    a.told(&[&a.row, &row("b", 2, "127.0.0.1:1"), &row("c", 3, "127.0.0.1:2")]);
    for (first, code) in [
        (hello("c", 3, 1), Code::Unauthenticated),
        (hello("b", 3, 1), Code::PermissionDenied),
        (hello("b", 9, 1), Code::PermissionDenied),
        (hello("b", 2, 3), Code::FailedPrecondition),
        (frame(Kind::Ask(ask(1, "echo", 5_000))), Code::InvalidArgument),
        (Frame { kind: None }, Code::InvalidArgument),
    ] {
        let refused = begin(&office, &a, first.clone()).await.err();
        assert_eq!(refused.expect("refused").code(), code, "{first:?}");
    }
    assert!(begin(&office, &a, hello("b", 2, 1)).await.is_ok());
}
