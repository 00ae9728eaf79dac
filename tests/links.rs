//! The ways between nodes: several of them in one process, with certificates of their own.

#[path = "links/admin.rs"]
mod admin;
#[path = "links/erasure.rs"]
mod erasure;
#[path = "links/identity.rs"]
mod identity;
#[path = "links/keys.rs"]
mod keys;
#[path = "links/releases.rs"]
mod releases;
#[path = "links/support.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use kiki::actors::cluster::links::{LinkError, LinkState, Links};
use kiki::actors::kernel::{OperatorOrder, Trace};
use kiki::models::cluster::node::Incarnation;
use tokio::sync::{Semaphore, mpsc};

use support::{Node, Office, Proxy, meet, row};

const SOON: Duration = Duration::from_secs(5);

/// Answers with what it was asked.
fn echo(links: &Links) {
    let echo = |_: Incarnation, body: Vec<u8>| async move { Ok(body) }.boxed();
    links.answer("echo", Arc::new(echo));
}

async fn pair() -> (Node, Node) {
    let office = Office::open();
    let (a, b) = (Node::start(&office, "a", 1).await, Node::start(&office, "b", 2).await);
    echo(&a.links);
    echo(&b.links);
    meet(&[&a, &b]).await;
    (a, b)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_answered_by_the_node_that_was_asked() {
    let (a, b) = pair().await;
    let who = |own: u64| move |from: Incarnation, n: u64| async move { Ok((own, from.0, n + 1)) };
    a.links.answer_with("who", who(1));
    b.links.answer_with("who", who(2));
    let ab: (u64, u64, u64) = a.links.ask_for(b.id(), "who", &7u64, SOON).await.expect("answered");
    let ba: (u64, u64, u64) = b.links.ask_for(a.id(), "who", &9u64, SOON).await.expect("answered");
    assert_eq!((ab, ba), ((2, 1, 8), (1, 2, 10)));

    // The largest body, there and back, beside small ones.
    let large: Vec<u8> = (0..16 << 20).map(|n| (n % 251) as u8).collect();
    let small = async {
        for n in 0..100u8 {
            let answer = a.links.ask(b.id(), "echo", vec![n], SOON).await;
            assert_eq!(answer, Ok(vec![n]));
        }
    };
    let (answer, ()) = tokio::join!(a.links.ask(b.id(), "echo", large.clone(), SOON * 4), small);
    assert!(answer == Ok(large));

    let view = a.up(&b.row).await;
    assert!(view.rtt_us.is_some() && view.rtt_smoothed_us.is_some(), "{view:?}");
    assert_eq!((view.asks, view.failures, view.in_flight), (102, 0, 0), "{view:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_is_told_what_became_of_it() {
    let (a, b) = pair().await;
    b.links.answer_with("refuses", |_, ()| async { Err::<(), _>(LinkError::Refused("no".into())) });
    b.links.answer_with("panics", |_, number: u64| async move {
        assert!(number > 1, "a mistake in a handler");
        Ok(number)
    });
    b.links.answer_with("large", |_, ()| async { Ok("x".repeat(17 << 20)) });
    b.links.answer_with("trace", |_, ()| async { Ok(Trace::current().map(|it| it.trace_id)) });
    let ask =
        |kind: &'static str, body: &'static [u8]| a.links.ask(b.id(), kind, body.to_vec(), SOON);
    let unknown = ask("unheard of", b"null").await.expect_err("unknown");
    assert!(matches!(unknown, LinkError::NotUnderstood(_)) && unknown.is_untouched(), "{unknown}");
    let other = ask("refuses", b"{}").await.expect_err("another form");
    assert!(matches!(other, LinkError::NotUnderstood(_)), "{other}");
    assert_eq!(ask("refuses", b"null").await, Err(LinkError::Refused("no".to_owned())));
    // Nobody knows how far it came; it is told at once.
    let began = Instant::now();
    assert_eq!(ask("panics", b"1").await, Err(LinkError::Silent));
    assert_eq!(ask("large", b"null").await, Err(LinkError::Silent));
    assert!(began.elapsed() < SOON / 2, "{:?}", began.elapsed());
    assert_eq!(ask("panics", b"2").await, Ok(b"2".to_vec()));

    let too_large = a.links.ask(b.id(), "echo", vec![0; (16 << 20) + 1], SOON).await;
    assert!(matches!(too_large, Err(LinkError::Refused(_))), "{too_large:?}");
    let nobody = a.links.ask(Incarnation(99), "echo", Vec::new(), SOON).await;
    assert_eq!(nobody, Err(LinkError::Away));
    assert_eq!(a.links.ask(a.id(), "echo", Vec::new(), SOON).await, Err(LinkError::Away));
    let alone = Links::alone();
    assert_eq!(alone.ask(b.id(), "echo", Vec::new(), SOON).await, Err(LinkError::Away));

    let trace = Trace::root(true);
    let asked = a.links.ask_for::<_, Option<u128>>(b.id(), "trace", &(), SOON);
    assert_eq!(trace.scope(asked).await, Ok(Some(trace.trace_id)));
    let without = a.links.ask_for::<_, Option<u128>>(b.id(), "trace", &(), SOON).await;
    assert_eq!(without, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_arrives_and_is_not_answered() {
    let (a, b) = pair().await;
    let (tell, mut told) = mpsc::unbounded_channel();
    b.links.answer_with("news", move |from: Incarnation, text: String| {
        let tell = tell.clone();
        async move { tell.send((from, text)).map_err(|_| LinkError::Silent) }
    });
    assert_eq!(a.links.tell(b.id(), "unheard of", Vec::new()), Ok(()));
    assert_eq!(a.links.tell(b.id(), "news", b"\"spring\"".to_vec()), Ok(()));
    assert_eq!(told.recv().await, Some((a.id(), "spring".to_owned())));
    assert_eq!(a.links.tell(Incarnation(99), "news", Vec::new()), Err(LinkError::Away));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_no_longer_is_not_worked_for() {
    struct Gone(Arc<AtomicUsize>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (a, b) = pair().await;
    let gone = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&gone);
    b.links.answer_with("slow", move |_, ()| {
        let gone = Gone(Arc::clone(&count));
        async move {
            let _gone = gone;
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(())
        }
    });
    let began = Instant::now();
    let answer = a.links.ask(b.id(), "slow", b"null".to_vec(), Duration::from_millis(200)).await;
    assert_eq!(answer, Err(LinkError::Silent));
    assert!((200..2_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    let until_gone = async |wanted: usize| {
        let began = Instant::now();
        while gone.load(Ordering::SeqCst) < wanted {
            assert!(began.elapsed() < SOON, "{}", gone.load(Ordering::SeqCst));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    until_gone(1).await;
    // No time at all: it is not even sent.
    let none = a.links.ask(b.id(), "slow", b"null".to_vec(), Duration::ZERO).await;
    assert_eq!(none, Err(LinkError::Away));
    assert_eq!(a.up(&b.row).await.in_flight, 0);

    // The asker's process ends.
    let (links, id) = (a.links.clone(), b.id());
    let asked =
        tokio::spawn(async move { links.ask(id, "slow", b"null".to_vec(), SOON * 10).await });
    while a.up(&b.row).await.in_flight == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    a.end().await;
    assert_eq!(asked.await.expect("no panic"), Err(LinkError::Silent));
    until_gone(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_questions_as_may_be_are_open_and_no_more() {
    let (a, b) = pair().await;
    let open = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&open);
    b.links.answer_with("waits", move |_, number: usize| {
        let gate = Arc::clone(&gate);
        async move {
            let place = gate.acquire().await.map_err(|_| LinkError::Silent)?;
            place.forget();
            Ok(number)
        }
    });
    let asks: Vec<_> = (0..1_024usize)
        .map(|number| {
            let (links, to) = (a.links.clone(), b.id());
            tokio::spawn(async move { links.ask_for(to, "waits", &number, SOON * 4).await })
        })
        .collect();
    let began = Instant::now();
    while a.up(&b.row).await.in_flight < 1_024 {
        assert!(began.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let began = Instant::now();
    let beyond = a.links.ask(b.id(), "echo", Vec::new(), SOON).await;
    assert_eq!(beyond, Err(LinkError::Full));
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    // The other direction is another link.
    assert_eq!(b.links.ask(a.id(), "echo", vec![1], SOON).await, Ok(vec![1]));
    open.add_permits(1_024);
    for (number, ask) in asks.into_iter().enumerate() {
        assert_eq!(ask.await.expect("no panic"), Ok(number));
    }
    assert_eq!(a.links.ask(b.id(), "echo", vec![2], SOON).await, Ok(vec![2]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_and_comes_back_is_another_one() {
    let office = Office::open();
    let (a, b) = (Node::start(&office, "a", 1).await, Node::start(&office, "b", 2).await);
    meet(&[&a, &b]).await;
    b.links.answer_with("never", |_, ()| std::future::pending::<Result<(), LinkError>>());
    let (links, id) = (a.links.clone(), b.id());
    let open =
        tokio::spawn(async move { links.ask(id, "never", b"null".to_vec(), SOON * 10).await });
    while a.up(&b.row).await.in_flight == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (old, began) = (b.row.clone(), Instant::now());
    b.end().await;
    assert_eq!(open.await.expect("no panic"), Err(LinkError::Silent));
    a.until(&old, LinkState::Away).await;
    assert_eq!(a.links.ask(id, "echo", Vec::new(), SOON).await, Err(LinkError::Away));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());

    let again = Node::start(&office, "b", 3).await;
    echo(&again.links);
    meet(&[&a, &again]).await;
    assert_eq!(a.links.ask(again.id(), "echo", vec![3], SOON).await, Ok(vec![3]));
    assert_eq!(a.links.ask(id, "echo", vec![3], SOON).await, Err(LinkError::Away));
    assert_eq!(a.links.seen().len(), 1);

    // Where the register still has the old life at the new one's address, nobody answers for it.
    let stale = row("b", 2, &again.row.address);
    a.told(&[&a.row, &stale]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let view = a.view(&stale).expect("a way");
    assert!(view.state != LinkState::Up, "{view:?}");
    assert!(view.last_error.is_some_and(|it| it.contains("another life")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_that_is_cut_is_noticed_within_seconds_and_found_again() {
    let office = Office::open();
    let (a, b) = (Node::start(&office, "a", 1).await, Node::start(&office, "b", 2).await);
    echo(&b.links);
    let proxy = Proxy::to(&b.row.address).await;
    let through = row("b", 2, &proxy.address.to_string());
    a.told(&[&a.row, &through]);
    b.told(&[&a.row, &through]);
    a.up(&through).await;
    assert_eq!(a.links.ask(b.id(), "echo", vec![1], SOON).await, Ok(vec![1]));
    proxy.cut(true);
    let began = Instant::now();
    assert_eq!(a.links.ask(b.id(), "echo", vec![2], SOON * 10).await, Err(LinkError::Silent));
    assert!((1_500..5_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    a.until(&through, LinkState::Away).await;
    assert_eq!(a.links.ask(b.id(), "echo", vec![3], SOON).await, Err(LinkError::Away));
    proxy.cut(false);
    a.up(&through).await;
    assert_eq!(a.links.ask(b.id(), "echo", vec![4], SOON).await, Ok(vec![4]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_come_again_when_their_actor_is_restarted() {
    let (a, b) = pair().await;
    let order = OperatorOrder::Restart;
    assert!(a.registry.order("/cluster/links", order).await);
    let began = Instant::now();
    while a.links.ask(b.id(), "echo", vec![1], SOON).await != Ok(vec![1])
        || b.links.ask(a.id(), "echo", vec![2], SOON).await != Ok(vec![2])
    {
        assert!(began.elapsed() < SOON * 2, "{:?} {:?}", a.links.seen(), b.links.seen());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_that_are_not_as_long_as_here_are_shown() {
    let office = Office::open();
    let mut fast = office.sign("b", "b");
    fast.lease = Duration::from_secs(2);
    let (a, c) = (Node::start(&office, "a", 1).await, Node::start(&office, "c", 3).await);
    let b = Node::with(fast, 2).await.expect("links");
    meet(&[&a, &b, &c]).await;
    let other = |of: &Node, it: &Node| of.view(&it.row).expect("a link").other_lease_ms;
    assert_eq!((other(&a, &b), other(&b, &a), other(&a, &c)), (Some(2_000), Some(10_000), None));
}
