//! Ends: children before parents, nothing that was taken is lost.

use std::time::{Duration, Instant};

use kiki::actors::kernel::*;
use tokio::sync::oneshot;

use crate::support::*;

async fn with_child(registry: &Registry, log: &Log) -> (Service, Handle<Msg>, Handle<Msg>) {
    let service = registry.service("s").start().unwrap();
    let parent =
        fast(service.supervisor().child("parent")).start(Probe::maker("parent", log)).unwrap();
    let child_log = log.clone();
    let child = parent.ask(SOON, |reply| {
        Msg::Run(Box::new(move |_, cx| {
            reply.send(
                fast(cx.supervisor().child("child"))
                    .start(Probe::maker("child", &child_log))
                    .unwrap(),
            );
        }))
    });
    let child = child.await.unwrap();
    (service, parent, child)
}

#[tokio::test]
async fn a_stopping_parent_drains_its_children_first_and_answers_them_meanwhile() {
    let (registry, log) = (registry(), Log::default());
    let (service, parent, child) = with_child(&registry, &log).await;
    let gate = occupy(&child).await;
    let (asked, of_parent) = (parent.clone(), log.clone());
    child
        .tell(Msg::Run(Box::new(move |_, cx| {
            let ask = async move { asked.ask(SOON, Msg::Count).await };
            cx.pipe(ask, move |answer| Msg::Log(format!("child was answered {answer:?}")));
            of_parent.add("child handled its queue");
        })))
        .unwrap();
    log.take();
    let draining = tokio::spawn(async move { service.drain(SOON).await });
    eventually("the child takes no more", || child.tell(Msg::Add(1)) == Err(Refused::Gone)).await;
    assert_eq!(parent.tell(Msg::Add(1)), Ok(()), "the parent serves until its children are gone");
    gate.send(()).unwrap();
    within(draining).await.unwrap();
    let lines = log.take();
    assert_eq!(
        lines,
        ["child handled its queue", "child was answered Ok(1)", "stop child", "stop parent"]
    );
    assert_eq!(parent.tell(Msg::Add(1)), Err(Refused::Gone));
    assert_eq!(registry.actors(&ActorQuery::default()).total, 0);
    assert!(registry.services().is_empty());
}

#[tokio::test]
async fn a_drain_handles_the_queue_and_a_stop_makes_it_dead_letters() {
    for (order, counted, dead) in [(OperatorOrder::Drain, 3, 0), (OperatorOrder::Stop, 0, 3)] {
        let (registry, log) = (registry(), Log::default());
        let service = registry.service("s").start().unwrap();
        let a = service.supervisor().child("a").start(Probe::maker("a", &log)).unwrap();
        let gate = occupy(&a).await;
        for _ in 0..3 {
            a.tell(Msg::Log("handled".into())).unwrap();
        }
        let ordering = tokio::spawn({
            let registry = registry.clone();
            async move { registry.order("/s/a", order).await }
        });
        eventually("it takes no more", || {
            detail(&registry, "/s/a").summary.state != State::Running
        })
        .await;
        gate.send(()).unwrap();
        assert!(within(ordering).await.unwrap());
        eventually("its queue is done", || detail(&registry, "/s/a").summary.depth == 0).await;
        assert_eq!(detail(&registry, "/s/a").summary.state, State::Stopped);
        assert_eq!(
            log.lines().iter().filter(|line| *line == "handled").count(),
            counted,
            "{order:?}"
        );
        assert_eq!(registry.dead_letters(10).0, dead, "{order:?}");
        assert_eq!(log.lines().last().unwrap().as_str(), "stop a");
        assert_eq!(a.tell(Msg::Add(1)), Err(Refused::Gone));
        assert!(registry.order("/s/a", OperatorOrder::Restart).await);
        assert_eq!(count(&a).await, 0, "the same handle works again");
    }
}

#[tokio::test]
async fn a_whole_service_can_be_stopped_and_restarted_by_its_path() {
    let (registry, log) = (registry(), Log::default());
    let (_service, parent, _child) = with_child(&registry, &log).await;
    assert!(within(registry.order("/s", OperatorOrder::Stop)).await);
    assert_eq!(detail(&registry, "/s/parent").summary.state, State::Stopped);
    assert!(registry.actor("/s/parent/child").is_none());
    assert!(within(registry.order("/s", OperatorOrder::Restart)).await);
    assert_eq!(count(&parent).await, 0);
}

#[tokio::test]
async fn a_drain_waits_for_continuations_under_way() {
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let a = service.supervisor().child("a").start(Probe::maker("a", &log)).unwrap();
    let (commit, committed) = oneshot::channel::<()>();
    let asker = a.clone();
    let asking = tokio::spawn(async move {
        asker
            .ask(SOON, |reply| {
                Msg::Run(Box::new(move |_, cx| {
                    let commit = async { committed.await.is_ok() };
                    cx.pipe(commit, move |ok| Msg::Run(Box::new(move |_, _| reply.send(ok))));
                }))
            })
            .await
    });
    eventually("the ask is handled", || detail(&registry, "/s/a").summary.handled == 1).await;
    let draining = tokio::spawn(async move { service.drain(SOON).await });
    eventually("it takes no more", || a.tell(Msg::Add(1)) == Err(Refused::Gone)).await;
    commit.send(()).unwrap();
    assert_eq!(within(asking).await.unwrap(), Ok(true), "what was begun is answered");
    within(draining).await.unwrap();
}

#[tokio::test]
async fn a_drain_interrupts_a_hung_actor_when_its_patience_ends() {
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let a = fast(service.supervisor().child("a")).start(Probe::maker("a", &log)).unwrap();
    let _gate = occupy(&a).await;
    a.tell(Msg::Add(1)).unwrap();
    within(service.drain(Duration::from_millis(20))).await;
    assert!(registry.actor("/s/a").is_none());
    assert_eq!(registry.dead_letters(10).1[0].why, Why::Discarded);
}

#[tokio::test]
async fn who_ends_last_has_a_time_of_its_own_when_the_others_have_used_it_up() {
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let last = service.supervisor().child("last").reserve(SOON);
    let last = last.start(Probe::maker("last", &log)).unwrap();
    let hung = fast(service.supervisor().child("hung")).start(Probe::maker("hung", &log)).unwrap();
    let _gate = occupy(&hung).await;
    let gate = occupy(&last).await;
    last.tell(Msg::Log("handled".into())).unwrap();
    let draining = tokio::spawn(async move { service.drain(Duration::from_millis(20)).await });
    eventually("the last one takes no more", || last.tell(Msg::Add(1)).is_err()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    gate.send(()).unwrap();
    within(draining).await.unwrap();
    let lines = log.take();
    assert!(lines.ends_with(&["handled".to_owned(), "stop last".to_owned()]), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_actors_start_and_stop_fast() {
    let _heavy = HEAVY.lock().await;
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let begun = Instant::now();
    let entities =
        service.supervisor().entities("e").start(move |key| Probe::new(key, &log)).unwrap();
    for n in 0..20_000u32 {
        entities.tell(&n.to_string(), Msg::Add(1)).unwrap();
    }
    let spawned = begun.elapsed();
    let begun = Instant::now();
    within(service.drain(SOON)).await;
    println!("20,000 actors spawned in {spawned:?}, drained in {:?}", begun.elapsed());
    assert_eq!(registry.actors(&ActorQuery::default()).total, 0);
}

#[tokio::test]
async fn nothing_starts_below_what_is_ending() {
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let entities = service.supervisor().entities("e").start({
        let log = log.clone();
        move |key| Probe::new(key, &log)
    });
    let entities = entities.unwrap();
    service.drain(SOON).await;
    assert!(matches!(
        service.supervisor().child("late").start(Probe::maker("late", &log)),
        Err(SpawnError::Closed(_))
    ));
    assert_eq!(entities.tell("k", Msg::Add(1)), Err(Refused::Gone));
}
