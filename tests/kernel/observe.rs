//! What operators see: views, traces, dead letters, events, breakers, pages.

use std::time::{Duration, Instant};

use kiki::actors::kernel::*;
use kiki::models::breaker::{Admission, BreakerState, BreakerTerms, CallOutcome};

use crate::support::*;

fn two(registry: &Registry) -> (Handle<Msg>, Handle<Msg>) {
    let log = Log::default();
    let service = registry.service("s").start().unwrap();
    let start = |name| service.supervisor().child(name).start(Probe::maker(name, &log)).unwrap();
    (start("a"), start("b"))
}

#[tokio::test]
async fn the_last_state_is_published_after_the_last_message_without_asking() {
    let registry = registry();
    let (a, _) = two(&registry);
    for _ in 0..10 {
        a.tell(Msg::Add(1)).unwrap();
    }
    let seen = || registry.view::<View>("/s/a").map(|view| view.count);
    eventually("the view catches up", || seen() == Some(10)).await;
    let detail = detail(&registry, "/s/a");
    assert_eq!(detail.view, Some(serde_json::json!({ "name": "a", "count": 10 })));
    assert_eq!(detail.summary.handled, 10, "nobody asked");
    assert!(registry.view::<String>("/s/a").is_none(), "another type");
}

#[tokio::test]
async fn trace_ids_propagate_from_ask_to_handler_and_on() {
    let registry = registry();
    let (a, b) = two(&registry);
    let root = Trace::root(true);
    let further = b.clone();
    let through_two = a.ask(SOON, |reply| {
        Msg::Run(Box::new(move |_, cx| {
            let here = Trace::current();
            let ask = async move { further.ask(SOON, Msg::Trace).await };
            cx.pipe(ask, move |there| {
                Msg::Run(Box::new(move |_, _| reply.send((here, there.unwrap()))))
            });
        }))
    });
    let (in_a, in_b) = root.scope(through_two).await.unwrap();
    let (in_a, in_b) = (in_a.unwrap(), in_b.unwrap());
    assert_eq!((in_a.trace_id, in_b.trace_id), (root.trace_id, root.trace_id));
    assert_ne!(in_a.span_id, root.span_id, "each handler is a span of its own");
    assert_ne!(in_b.span_id, in_a.span_id);
    assert!(in_b.sampled);
    assert_eq!(a.ask(SOON, Msg::Trace).await, Ok(None), "and it ends with its message");
}

#[tokio::test]
async fn dead_letters_show_what_why_where_and_the_trace() {
    let registry = registry();
    let (a, _) = two(&registry);
    registry.order("/s/a", OperatorOrder::Stop).await;
    let trace = Trace::root(false);
    trace.scope(async { assert_eq!(a.tell(Msg::Panic), Err(Refused::Gone)) }).await;
    let (total, letters) = registry.dead_letters(10);
    assert_eq!((total, letters.len()), (1, 1));
    let letter = serde_json::to_value(&letters[0]).unwrap();
    assert_eq!(letter["path"], "/s/a");
    assert_eq!(letter["message"], "Panic");
    assert_eq!(letter["why"], "gone");
    assert_eq!(letter["trace"], trace.to_string());
}

#[tokio::test]
async fn events_are_numbered_and_can_be_resumed() {
    let registry = registry();
    let (a, _) = two(&registry);
    let mut events = registry.events(None);
    a.tell(Msg::Fail).unwrap();
    let first = event(&mut events, |kind| matches!(kind, EventKind::Restart { .. })).await;
    registry.emit("threshold", "/s/a", serde_json::json!({ "percent": 80 }));
    let mut resumed = registry.events(Some(first.seq));
    let next = event(&mut resumed, |_| true).await;
    assert_eq!(next.seq, first.seq + 1);
    let json = serde_json::to_value(&*next).unwrap();
    assert_eq!((&json["event"], &json["name"]), (&"service".into(), &"threshold".into()));
    assert_eq!(registry.recent_events(1)[0].seq, next.seq);
}

#[tokio::test]
async fn a_breaker_is_seen_outlives_restarts_and_can_be_reset() {
    let registry = registry();
    let (a, _) = two(&registry);
    let mut events = registry.events(None);
    let trip = |reply: Reply<bool>| {
        Msg::Run(Box::new(move |_, cx: &mut Cx<Probe>| {
            let breaker = cx.breaker(BreakerTerms { failures_max: 1, ..BreakerTerms::default() });
            let passed = breaker.admit() == Admission::Pass;
            if passed {
                breaker.record(CallOutcome::Failure);
            }
            reply.send(passed);
        }))
    };
    assert_eq!(a.ask(SOON, trip).await, Ok(true));
    event(&mut events, |kind| matches!(kind, EventKind::Breaker { .. })).await;
    a.tell(Msg::Fail).unwrap();
    assert_eq!(a.ask(SOON, trip).await, Ok(false), "still open in the next life");
    let breakers = registry.breakers();
    assert_eq!((&*breakers[0].path, breakers[0].breaker.state), ("/s/a", BreakerState::Open));
    assert!(!registry.reset_breaker("/s/b"));
    assert!(registry.reset_breaker("/s/a"));
    assert_eq!(detail(&registry, "/s/a").breaker.unwrap().state, BreakerState::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_actors_are_paged_and_each_page_takes_less_than_50_ms() {
    let _heavy = HEAVY.lock().await;
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let entities = service.supervisor().entities("e").idle_after(Duration::from_secs(600));
    let entities = entities.start(move |key| Probe::new(key, &log)).unwrap();
    for n in 0..100_000 {
        entities.tell(&format!("camp_{n:06}"), Msg::Add(1)).unwrap();
    }
    eventually("all are started", || registry.types().iter().any(|t| t.handled == 100_000)).await;
    let mut worst = Duration::ZERO;
    for sort in [Sort::Path, Sort::Depth, Sort::Restarts] {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let query = ActorQuery {
                prefix: Some("/s/e/".into()),
                kind: Some("probe".into()),
                sort,
                cursor: cursor.take(),
                limit: Some(1_000),
            };
            let begun = computed();
            let page = registry.actors(&query);
            let took = computed() - begun;
            worst = worst.max(took);
            seen.extend(page.actors.into_iter().map(|actor| actor.path));
            pages += 1;
            cursor = page.next;
            if cursor.is_none() || (sort != Sort::Path && pages == 5) {
                break;
            }
        }
        let expected: Vec<String> =
            (0..pages * 1_000).map(|n| format!("/s/e/camp_{n:06}")).collect();
        assert!(
            seen.iter().map(|path| &**path).eq(expected.iter().map(String::as_str)),
            "{sort:?}"
        );
        assert!(sort != Sort::Path || seen.len() == 100_000);
    }
    let begun = Instant::now();
    let one = detail(&registry, "/s/e/camp_050000");
    let tree = registry.tree(3);
    println!("slowest page of 1,000 in 100,000: {worst:?}; detail and tree {:?}", begun.elapsed());
    assert_eq!(one.summary.handled, 1);
    assert_eq!((tree[0].below, tree[0].children[0].children.len()), (100_001, 1_000));
    assert!(worst < Duration::from_millis(50), "{worst:?}");
    within(service.drain(Duration::from_secs(60))).await;
}

#[tokio::test]
async fn names_that_are_no_part_of_a_path_are_refused() {
    let registry = registry();
    let log = Log::default();
    let service = registry.service("s").start().unwrap();
    for name in ["", "a/b", "a\nb", &"x".repeat(201)] {
        let started = service.supervisor().child(name).start(Probe::maker("x", &log));
        assert!(matches!(started, Err(SpawnError::BadName(_))));
    }
    assert!(registry.service("s").start().is_err(), "taken");
    service.supervisor().child("a").start(Probe::maker("a", &log)).unwrap();
    assert!(matches!(
        service.supervisor().child("a").start(Probe::maker("a", &log)),
        Err(SpawnError::Taken(_))
    ));
}
