//! Bounded mailboxes, deadlines, answers, and the inner lane.

use std::time::{Duration, Instant};

use kiki::actors::kernel::*;
use tokio::sync::oneshot;

use crate::support::*;

fn one(registry: &Registry, mailbox: u32, log: &Log) -> Handle<Msg> {
    let service = registry.service("s").start().unwrap();
    fast(service.supervisor().child("a")).mailbox(mailbox).start(Probe::maker("a", log)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mailbox_refuses_at_once_and_memory_stays_flat_under_a_million_messages() {
    let _heavy = HEAVY.lock().await;
    if !alone(
        "mailbox::a_full_mailbox_refuses_at_once_and_memory_stays_flat_under_a_million_messages",
    ) {
        return;
    }
    let (registry, log) = (registry(), Log::default());
    let a = one(&registry, 1_000, &log);
    let gate = occupy(&a).await;
    (0..1_000).for_each(|_| a.tell(Msg::Add(1)).unwrap());
    let before = resident_bytes();
    let begun = Instant::now();
    for _ in 0..1_000_000 {
        assert!(matches!(a.tell(Msg::Add(1)), Err(Refused::Overloaded { retry_after_ms: 1.. })));
    }
    let took = begun.elapsed();
    let grown = resident_bytes().saturating_sub(before);
    println!("1,000,000 refusals in {took:?}, resident memory grew by {} KiB", grown / 1_024);
    assert!(grown < 8 << 20, "memory grew by {grown} bytes");
    assert!(took < Duration::from_secs(10), "a refusal waited for nothing: {took:?}");
    assert_eq!(a.depth(), 1_000);
    let full = detail(&registry, "/s/a");
    assert_eq!(
        (full.refused, full.summary.depth, full.summary.capacity),
        (1_000_000, 1_000, 1_000)
    );
    gate.send(()).unwrap();
    eventually("there is room again", || a.depth() < 1_000).await;
    assert_eq!(count(&a).await, 1_000, "what was taken is handled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_when_a_million_messages_pass_through() {
    let _heavy = HEAVY.lock().await;
    if !alone("mailbox::memory_stays_flat_when_a_million_messages_pass_through") {
        return;
    }
    let (registry, log) = (registry(), Log::default());
    let a = one(&registry, 1_000, &log);
    let before = resident_bytes();
    let mut sent = 0u64;
    while sent < 1_000_000 {
        match a.tell(Msg::Add(1)) {
            Ok(()) => sent += 1,
            Err(_) => tokio::task::yield_now().await,
        }
    }
    let mut counted = Err(AskError::Gone);
    while counted.is_err() {
        counted = a.ask(SOON, Msg::Count).await;
    }
    let grown = resident_bytes().saturating_sub(before);
    println!("1,000,000 messages handled, resident memory grew by {} KiB", grown / 1_024);
    assert_eq!(counted, Ok(1_000_000));
    assert!(grown < 8 << 20, "memory grew by {grown} bytes");
}

#[tokio::test]
async fn a_hung_actor_is_visible_with_its_depth_growing_and_its_last_view() {
    let (registry, log) = (registry(), Log::default());
    let a = one(&registry, 10, &log);
    a.tell(Msg::Add(42)).unwrap();
    let _gate = occupy(&a).await;
    for depth in 1..=5 {
        a.tell(Msg::Add(1)).unwrap();
        let seen = detail(&registry, "/s/a");
        assert_eq!(seen.summary.depth, depth);
        assert_eq!(seen.handling.expect("busy").message, "Wait");
    }
    eventually("it is seen to hang", || {
        detail(&registry, "/s/a").handling.is_some_and(|handling| handling.for_ms >= 5)
    })
    .await;
    assert!(registry.view::<View>("/s/a").is_some(), "its last view");
    let fullest =
        registry.actors(&ActorQuery { sort: Sort::Depth, limit: Some(1), ..Default::default() });
    assert_eq!(&*fullest.actors[0].path, "/s/a");
}

#[tokio::test]
async fn an_expired_ask_is_not_handled_and_becomes_a_dead_letter() {
    let (registry, log) = (registry(), Log::default());
    let a = one(&registry, 10, &log);
    for deadline in [Duration::from_millis(5), Duration::from_millis(70)] {
        let gate = occupy(&a).await;
        let begun = Instant::now();
        let answer = a.ask::<u64>(deadline, |reply| {
            Msg::Run(Box::new(move |probe, _| {
                probe.count += 1;
                reply.send(probe.count);
            }))
        });
        assert_eq!(answer.await, Err(AskError::Expired));
        let late = begun.elapsed().saturating_sub(deadline);
        assert!(late < Duration::from_millis(500), "the asker waited {late:?} too long");
        gate.send(()).unwrap();
        assert_eq!(count(&a).await, 0, "not handled");
    }
    assert_eq!(detail(&registry, "/s/a").expired, 2);
    let (total, letters) = registry.dead_letters(10);
    assert_eq!(total, 2);
    assert_eq!(
        (letters[0].why, letters[0].message, &*letters[0].path),
        (Why::Expired, "Run", "/s/a")
    );
}

#[tokio::test]
async fn an_ask_is_answered_up_to_its_deadline_and_passes_it_on() {
    let (registry, log) = (registry(), Log::default());
    let a = one(&registry, 10, &log);
    let left = a.ask(Duration::from_secs(5), |reply| {
        Msg::Run(Box::new(move |_, cx| {
            reply.send(cx.deadline().map(|deadline| deadline.remaining()));
        }))
    });
    let left = left.await.unwrap().expect("a deadline");
    assert!(left > Duration::from_secs(4) && left <= Duration::from_secs(5), "{left:?}");
    let none = a.ask(Deadline::within(Duration::ZERO), Msg::Count).await;
    assert_eq!(none, Err(AskError::Expired));
}

#[tokio::test]
async fn a_reply_may_be_kept_and_answered_later() {
    let (registry, log) = (registry(), Log::default());
    let a = one(&registry, 10, &log);
    let (kept, is_kept) = oneshot::channel();
    let asker = a.clone();
    let asking = tokio::spawn(async move {
        asker
            .ask(SOON, |reply| {
                Msg::Run(Box::new(move |probe, _| {
                    probe.kept.push(reply);
                    let _ = kept.send(());
                }))
            })
            .await
    });
    is_kept.await.unwrap();
    assert_eq!(count(&a).await, 0, "others are served meanwhile");
    a.tell(Msg::Run(Box::new(|probe, _| probe.kept.drain(..).for_each(|reply| reply.send(9)))))
        .unwrap();
    assert_eq!(within(asking).await.unwrap(), Ok(9));
}

#[tokio::test]
async fn a_full_mailbox_cannot_refuse_continuations_and_timers() {
    let (registry, log) = (registry(), Log::default());
    let a = one(&registry, 1, &log);
    let (open, gate) = oneshot::channel::<u64>();
    a.ask(SOON, |reply| {
        Msg::Run(Box::new(move |_, cx| {
            cx.pipe(async { gate.await.unwrap_or(0) }, Msg::Add);
            cx.send_after(Duration::from_millis(1), Msg::Add(100));
            reply.send(());
        }))
    })
    .await
    .unwrap();
    let hold = occupy(&a).await;
    a.tell(Msg::Add(1)).unwrap();
    assert!(matches!(a.tell(Msg::Add(1)), Err(Refused::Overloaded { .. })));
    open.send(10).unwrap();
    eventually("both wait inside", || detail(&registry, "/s/a").inner_depth == 2).await;
    hold.send(()).unwrap();
    eventually("all are handled", || detail(&registry, "/s/a").inner_depth == 0).await;
    eventually("the answer", || detail(&registry, "/s/a").summary.depth == 0).await;
    assert_eq!(count(&a).await, 111);
}

#[tokio::test]
async fn what_an_earlier_life_began_does_not_reach_the_next() {
    let (registry, log) = (registry(), Log::default());
    let a = one(&registry, 10, &log);
    let (done, gate) = oneshot::channel::<()>();
    a.tell(Msg::Run(Box::new(|_, cx| {
        cx.pipe(async { gate.await.is_ok() }, |_| Msg::Add(1));
        cx.send_after(Duration::ZERO, Msg::Add(1));
    })))
    .unwrap();
    a.tell(Msg::Fail).unwrap();
    eventually("it is restarted", || detail(&registry, "/s/a").lives == 2).await;
    let mut done = done;
    within(done.closed()).await;
    assert_eq!(count(&a).await, 0);
}
