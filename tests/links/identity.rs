//! Who is let in, and what others can see.

use std::time::{Duration, Instant};

use kiki::actors::cluster::links::{LinkError, LinkState, LinksError};
use tokio::net::TcpStream;

use super::{SOON, echo};
use crate::support::{Node, Office, Proxy, meet, row};

/// What others see of a node within this time, they would see of it at all.
const WHILE: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_authority_gets_nowhere() {
    let (office, other) = (Office::open(), Office::open());
    let (a, b) = (Node::start(&office, "a", 1).await, Node::start(&other, "b", 2).await);
    for (asks, answers) in [(&a, &b), (&b, &a)] {
        echo(&answers.links);
        asks.told(&[&a.row, &b.row]);
        answers.told(&[&a.row, &b.row]);
        let view = asks.until(&answers.row, LinkState::Away).await;
        tokio::time::sleep(WHILE).await;
        let answer = asks.links.ask(answers.id(), "echo", Vec::new(), SOON).await;
        assert_eq!(answer, Err(LinkError::Away));
        assert!(view.last_error.is_some_and(|it| it.contains("certificate")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_nodes_name_gets_nowhere() {
    let office = Office::open();
    let unnamed = Node::with(office.sign("b", "c"), 2).await.err().expect("not its name");
    assert!(matches!(unnamed, LinksError::Unnamed { .. }), "{unnamed}");

    // It says that it is b, and has a certificate of c.
    let (a, b) = (Node::start(&office, "a", 1).await, Node::start(&office, "b", 2).await);
    office.sign("b", "c");
    tokio::time::sleep(Duration::from_secs(3)).await;
    for node in [&a, &b] {
        echo(&node.links);
        node.told(&[&a.row, &b.row]);
    }
    let dialled = b.until(&a.row, LinkState::Away).await;
    let error = dialled.last_error.expect("an error");
    assert!(error.contains("the certificate names c, and not b"), "{error}");
    let dials = a.until(&b.row, LinkState::Away).await;
    let error = dials.last_error.expect("an error");
    assert!(error.contains("certificate"), "{error}");
    tokio::time::sleep(WHILE).await;
    assert_eq!(a.links.ask(b.id(), "echo", Vec::new(), SOON).await, Err(LinkError::Away));
    assert_eq!(b.links.ask(a.id(), "echo", Vec::new(), SOON).await, Err(LinkError::Away));

    // It is c, and says that it is the life that the register knows as b's.
    let c = Node::start(&office, "c", 2).await;
    c.told(&[&a.row, &row("c", 2, "127.0.0.1:1")]);
    let error = c.until(&a.row, LinkState::Away).await.last_error.expect("an error");
    assert!(error.contains("no node that is known"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_the_register_is_not_answered_any_more() {
    let office = Office::open();
    let (a, b) = (Node::start(&office, "a", 1).await, Node::start(&office, "b", 2).await);
    echo(&b.links);
    meet(&[&a, &b]).await;
    b.told(&[&b.row]);
    let refused = a.links.ask(b.id(), "echo", vec![1], SOON).await;
    assert!(matches!(refused, Err(LinkError::Refused(_))), "{refused:?}");
    a.until(&b.row, LinkState::Away).await;
    // The other end drops what it shows of the link by itself.
    let gone = async {
        while !b.links.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, gone).await.expect("the link is not shown any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_that_say_nothing_keep_no_node_out() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("enough descriptors");
    let office = Office::open();
    let a = Node::start(&office, "a", 1).await;
    echo(&a.links);
    let mut silent = Vec::new();
    for _ in 0..1_000 {
        silent.push(TcpStream::connect(&a.row.address).await.expect("connected"));
    }
    let (b, began) = (Node::start(&office, "b", 2).await, Instant::now());
    meet(&[&a, &b]).await;
    assert_eq!(b.links.ask(a.id(), "echo", vec![1], SOON).await, Ok(vec![1]));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // And more of them do not end what stands.
    for _ in 0..200 {
        silent.push(TcpStream::connect(&a.row.address).await.expect("connected"));
    }
    assert_eq!(b.links.ask(a.id(), "echo", vec![2], SOON).await, Ok(vec![2]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_on_the_way_reads_what_nodes_say() {
    let office = Office::open();
    let (a, b) = (Node::start(&office, "a", 1).await, Node::start(&office, "b", 2).await);
    let answer = |_, text: String| async move { Ok(text.replace("budget", "answer")) };
    b.links.answer_with("secret-kind", answer);
    let proxy = Proxy::to(&b.row.address).await;
    let through = row("b", 2, &proxy.address.to_string());
    a.told(&[&a.row, &through]);
    b.told(&[&a.row, &through]);
    a.up(&through).await;
    let text = "budget-4711 ".repeat(1_000);
    let answer: String =
        a.links.ask_for(b.id(), "secret-kind", &text, SOON).await.expect("an answer");
    assert!(answer.starts_with("answer-4711"));
    let seen = proxy.seen.lock().expect("whole").clone();
    assert!(seen.len() > 2 * text.len(), "{}", seen.len());
    for word in ["budget-4711", "answer-4711", "secret-kind", "kiki.cluster"] {
        let found = seen.windows(word.len()).any(|window| window == word.as_bytes());
        assert!(!found, "{word}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_certificates_are_used_for_new_links_while_old_ones_stand() {
    let office = Office::open();
    let (a, b) = (Node::start(&office, "a", 1).await, Node::start(&office, "b", 2).await);
    echo(&a.links);
    echo(&b.links);
    meet(&[&a, &b]).await;
    let since = a.up(&b.row).await.since_us;
    // All of it is new, the authority too.
    let next = Office::beside(&office.folder);
    next.sign("a", "a");
    next.sign("b", "b");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let c = Node::start(&next, "c", 3).await;
    echo(&c.links);
    meet(&[&a, &b, &c]).await;
    assert_eq!(a.links.ask(c.id(), "echo", vec![1], SOON).await, Ok(vec![1]));
    assert_eq!(c.links.ask(b.id(), "echo", vec![2], SOON).await, Ok(vec![2]));
    let stood = a.up(&b.row).await;
    assert_eq!((stood.since_us, stood.failures), (since, 0), "{stood:?}");
    assert_eq!(a.links.ask(b.id(), "echo", vec![3], SOON).await, Ok(vec![3]));

    // Of the old authority nobody new is let in.
    let late = Node::start(&office, "late", 4).await;
    late.told(&[&late.row, &a.row]);
    a.told(&[&a.row, &b.row, &c.row, &late.row]);
    late.until(&a.row, LinkState::Away).await;
    tokio::time::sleep(WHILE).await;
    assert_eq!(late.links.ask(a.id(), "echo", vec![4], SOON).await, Err(LinkError::Away));
}
