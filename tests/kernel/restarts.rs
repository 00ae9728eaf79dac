//! Supervision: strategies, intensity, escalation, readiness.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use kiki::actors::kernel::*;

use crate::support::*;

fn restart_of(path: &'static str) -> impl Fn(&EventKind) -> bool {
    move |kind| matches!(kind, EventKind::Restart { path: p, .. } if &**p == path)
}

async fn three(registry: &Registry, strategy: Strategy, log: &Log) -> [Handle<Msg>; 3] {
    let service = registry.service("s").strategy(strategy).start().unwrap();
    let start =
        |name| fast(service.supervisor().child(name)).start(Probe::maker(name, log)).unwrap();
    let handles = [start("a"), start("b"), start("c")];
    for handle in &handles {
        handle.tell(Msg::Add(1)).unwrap();
        assert_eq!(count(handle).await, 1);
    }
    log.take();
    handles
}

/// Asks all the time; every ask must be answered.
fn keep_asking(handle: &Handle<Msg>, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<u32> {
    let (handle, stop) = (handle.clone(), Arc::clone(stop));
    tokio::spawn(async move {
        let mut answered = 0;
        while !stop.load(SeqCst) {
            handle.ask(SOON, Msg::Count).await.expect("a sibling answers");
            answered += 1;
            tokio::task::yield_now().await;
        }
        answered
    })
}

async fn lives_after_a_panic_of_b(strategy: Strategy) -> ([u32; 3], [u64; 3], Vec<String>) {
    let (registry, log) = (registry(), Log::default());
    let handles = three(&registry, strategy, &log).await;
    let stop = Arc::new(AtomicBool::new(false));
    let siblings = [keep_asking(&handles[0], &stop), keep_asking(&handles[2], &stop)];
    handles[1].tell(Msg::Panic).unwrap();
    eventually("b restarted", || detail(&registry, "/s/b").lives == 2).await;
    let mut counts = [0; 3];
    for (i, handle) in handles.iter().enumerate() {
        counts[i] = count(handle).await;
    }
    stop.store(true, SeqCst);
    for sibling in siblings {
        assert!(sibling.await.unwrap() > 0);
    }
    let lives = ["/s/a", "/s/b", "/s/c"].map(|path| detail(&registry, path).lives);
    (lives, counts, log.take())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_for_one_restarts_the_panicking_child_alone_while_its_siblings_keep_answering() {
    let (lives, counts, log) = lives_after_a_panic_of_b(Strategy::OneForOne).await;
    assert_eq!(lives, [1, 2, 1]);
    assert_eq!(counts, [1, 0, 1], "the failed state is gone, the others are untouched");
    assert_eq!(log, ["start b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_for_all_restarts_every_child_last_to_first_and_first_to_last() {
    let (lives, counts, log) = lives_after_a_panic_of_b(Strategy::OneForAll).await;
    assert_eq!(lives, [2, 2, 2]);
    assert_eq!(counts, [0, 0, 0]);
    assert_eq!(log, ["stop c", "stop a", "start a", "start b", "start c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rest_for_one_restarts_the_panicking_child_and_those_started_after_it() {
    let (lives, counts, log) = lives_after_a_panic_of_b(Strategy::RestForOne).await;
    assert_eq!(lives, [1, 2, 2]);
    assert_eq!(counts, [1, 0, 0]);
    assert_eq!(log, ["stop c", "start b", "start c"]);
}

#[tokio::test]
async fn messages_that_wait_survive_a_restart_and_the_failing_ask_is_told() {
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let a = fast(service.supervisor().child("a")).start(Probe::maker("a", &log)).unwrap();
    let gate = occupy(&a).await;
    a.tell(Msg::Fail).unwrap();
    a.tell(Msg::Add(5)).unwrap();
    gate.send(()).unwrap();
    assert_eq!(count(&a).await, 5);
    let error = a.ask::<u64>(SOON, |reply| {
        Msg::Run(Box::new(move |_, _| {
            let _reply = reply;
            panic!("with the reply in hand");
        }))
    });
    assert_eq!(error.await, Err(AskError::Faulted));
    eventually("it is restarted again", || detail(&registry, "/s/a").lives == 3).await;
    let detail = detail(&registry, "/s/a");
    assert_eq!(detail.summary.restarts, 2);
    assert!(detail.restart_reasons[0].reason.contains("told to"), "{:?}", detail.restart_reasons);
    assert!(detail.last_errors[1].reason.contains("with the reply in hand"));
}

#[tokio::test]
async fn permanent_children_return_from_everything_transient_ones_from_failure_temporary_ones_never()
 {
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let start = |name, restart| {
        fast(service.supervisor().child(name))
            .restart(restart)
            .start(Probe::maker(name, &log))
            .unwrap()
    };
    let stop = || Msg::Run(Box::new(|_, cx| cx.stop()));
    let permanent = start("permanent", Restart::Permanent);
    let transient = start("transient", Restart::Transient);
    let temporary = start("temporary", Restart::Temporary);
    permanent.tell(stop()).unwrap();
    eventually("it returns", || detail(&registry, "/s/permanent").lives == 2).await;
    transient.tell(Msg::Fail).unwrap();
    eventually("it returns", || detail(&registry, "/s/transient").lives == 2).await;
    transient.tell(stop()).unwrap();
    eventually("it is over", || registry.actor("/s/transient").is_none()).await;
    temporary.tell(Msg::Fail).unwrap();
    eventually("it is over", || registry.actor("/s/temporary").is_none()).await;
    assert_eq!(temporary.ask(SOON, Msg::Count).await, Err(AskError::Gone));
    assert!(registry.ready("s").unwrap(), "an end that was asked for is no failure of the service");
}

#[tokio::test]
async fn exceeding_the_intensity_turns_readiness_off_without_a_restart_storm() {
    let (registry, log) = (registry(), Log::default());
    let mut events = registry.events(None);
    let other = registry.service("other").start().unwrap();
    let neighbour = other.supervisor().child("n").start(Probe::maker("n", &log)).unwrap();
    let service = registry
        .service("s")
        .cooldown(Duration::from_millis(200), Duration::from_millis(200))
        .stable_after(Duration::from_millis(20))
        .start()
        .unwrap();
    let sibling =
        service.supervisor().child("sibling").start(Probe::maker("sibling", &log)).unwrap();
    let (starts, broken) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(true)));
    let (counting, breaking) = (Arc::clone(&starts), Arc::clone(&broken));
    let probe_log = log.clone();
    fast(service.supervisor().child("bad"))
        .intensity(3, per_minute())
        .start(move || {
            counting.fetch_add(1, SeqCst);
            Probe { fail_start: breaking.load(SeqCst), ..Probe::new("bad", &probe_log) }
        })
        .unwrap();
    let off = |kind: &EventKind| matches!(kind, EventKind::Readiness { ready: false, .. });
    event(&mut events, |kind| matches!(kind, EventKind::Escalation { path, to, .. } if &**path == "/s/bad" && to == "/s")).await;
    event(&mut events, off).await;
    assert_eq!(starts.load(SeqCst), 4, "the first start and three restarts");
    assert_eq!(registry.ready("s"), Some(false));
    assert_eq!(registry.ready("other"), Some(true));
    assert_eq!(detail(&registry, "/s/bad").summary.state, State::Parked);
    assert_eq!((count(&sibling).await, count(&neighbour).await), (0, 0), "others keep running");
    assert!(service.view().unwrap().reason.unwrap().contains("told not to start"));

    event(&mut events, off).await;
    assert_eq!(starts.load(SeqCst), 5, "one try after the wait, and no more");

    broken.store(false, SeqCst);
    event(&mut events, |kind| matches!(kind, EventKind::Readiness { ready: true, .. })).await;
    assert!(service.ready());
    assert!(starts.load(SeqCst) <= 7);
    assert_eq!(detail(&registry, "/s/bad").summary.state, State::Running);
}

#[tokio::test]
async fn an_escalation_restarts_the_group_before_it_reaches_the_service() {
    let (registry, log) = (registry(), Log::default());
    let mut events = registry.events(None);
    let service = registry.service("s").start().unwrap();
    let group = service
        .supervisor()
        .group("g")
        .intensity(1, per_minute())
        .backoff(Duration::from_millis(1), Duration::from_millis(1))
        .start()
        .unwrap();
    let a = fast(group.child("a")).start(Probe::maker("a", &log)).unwrap();
    let b =
        fast(group.child("b")).intensity(0, per_minute()).start(Probe::maker("b", &log)).unwrap();
    let outside =
        service.supervisor().child("outside").start(Probe::maker("outside", &log)).unwrap();
    a.tell(Msg::Add(1)).unwrap();
    outside.tell(Msg::Add(1)).unwrap();
    b.tell(Msg::Fail).unwrap();
    event(&mut events, restart_of("/s/g")).await;
    eventually("b returned", || detail(&registry, "/s/g/b").lives == 2).await;
    assert_eq!(count(&b).await, 0);
    assert_eq!(count(&a).await, 0, "the group was restarted as one");
    assert_eq!(count(&outside).await, 1);
    assert!(service.ready());
    b.tell(Msg::Fail).unwrap();
    event(&mut events, |kind| matches!(kind, EventKind::Readiness { ready: false, .. })).await;
}

#[tokio::test]
async fn an_escalation_to_a_parent_actor_restarts_it_and_its_children_anew() {
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let parent =
        fast(service.supervisor().child("parent")).start(Probe::maker("parent", &log)).unwrap();
    let child_log = log.clone();
    let child = parent
        .ask(SOON, |reply| {
            Msg::Run(Box::new(move |probe, cx| {
                let child = fast(cx.supervisor().child("child")).intensity(0, per_minute());
                probe.count = 7;
                reply.send(child.start(Probe::maker("child", &child_log)).unwrap());
            }))
        })
        .await
        .unwrap();
    child.tell(Msg::Panic).unwrap();
    eventually("the parent began again", || detail(&registry, "/s/parent").lives == 2).await;
    assert_eq!(count(&parent).await, 0);
    assert!(
        registry.actor("/s/parent/child").is_none(),
        "its children went with the life that made them"
    );
}

#[tokio::test]
async fn an_operator_restarts_a_hung_actor_and_its_queue_is_kept() {
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let a = fast(service.supervisor().child("a")).start(Probe::maker("a", &log)).unwrap();
    let _gate = occupy(&a).await;
    a.tell(Msg::Add(3)).unwrap();
    assert!(within(registry.order("/s/a", OperatorOrder::Restart)).await);
    assert_eq!(count(&a).await, 3);
    assert_eq!(detail(&registry, "/s/a").lives, 2);
    assert!(!registry.order("/s/nobody", OperatorOrder::Restart).await);
}

#[tokio::test]
async fn a_panicking_continuation_fails_its_actor() {
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let a = fast(service.supervisor().child("a")).start(Probe::maker("a", &log)).unwrap();
    a.tell(Msg::Run(Box::new(|_, cx| cx.pipe(async { panic!("beside") }, |()| Msg::Add(1)))))
        .unwrap();
    eventually("it is restarted", || detail(&registry, "/s/a").lives == 2).await;
    assert_eq!(count(&a).await, 0);
}
