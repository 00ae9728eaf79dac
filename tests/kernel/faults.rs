//! Each fault acts where it is set, and ends.

use std::time::{Duration, Instant};

use kiki::actors::kernel::*;

use crate::support::*;

const LONG_MS: u64 = 60_000;
/// Long enough for a busy machine to strike before it is over.
const TTL_MS: u64 = 1_500;

struct Target {
    registry: Registry,
    a: Handle<Msg>,
    b: Handle<Msg>,
    events: EventStream,
}

fn target() -> Target {
    let (registry, log) = (registry(), Log::default());
    let events = registry.events(None);
    let service = registry.service("s").start().unwrap();
    let start = |name| {
        fast(service.supervisor().child(name))
            .intensity(100, per_minute())
            .start(Probe::maker(name, &log))
            .unwrap()
    };
    Target { a: start("a"), b: start("b"), registry, events }
}

impl Target {
    fn set(&self, kind: FaultKind, ttl_ms: u64) -> u64 {
        let rule = FaultRule { pattern: "/s/a".into(), kind, probability: 1.0, ttl_ms, seed: 7 };
        self.registry.set_fault(rule).unwrap()
    }

    async fn over(&mut self) {
        event(&mut self.events, |kind| matches!(kind, EventKind::FaultEnded { hits: 1.., .. }))
            .await;
        assert!(self.registry.faults().is_empty());
        count(&self.a).await;
    }
}

#[tokio::test]
async fn panic_and_error_faults_fail_the_handler_until_their_ttl_ends() {
    for kind in [FaultKind::Panic, FaultKind::Error] {
        let mut t = target();
        t.set(kind, TTL_MS);
        assert_eq!(t.a.ask(SOON, Msg::Count).await, Err(AskError::Faulted));
        assert_eq!(count(&t.b).await, 0, "others are spared");
        t.over().await;
        assert!(detail(&t.registry, "/s/a").last_errors[0].reason.contains("fault was set"));
    }
}

#[tokio::test]
async fn a_delay_fault_delays_and_can_be_cleared() {
    let mut t = target();
    let id = t.set(FaultKind::Delay { delay_ms: 80 }, LONG_MS);
    let begun = Instant::now();
    count(&t.a).await;
    assert!(begun.elapsed() >= Duration::from_millis(80));
    assert_eq!(t.registry.clear_faults(Some(id + 1)), 0);
    assert_eq!(t.registry.clear_faults(Some(id)), 1);
    t.over().await;
}

#[tokio::test]
async fn a_hang_fault_hangs_until_its_ttl_ends_and_an_operator_can_restart_meanwhile() {
    let mut t = target();
    t.set(FaultKind::Hang, TTL_MS);
    t.a.tell(Msg::Add(1)).unwrap();
    eventually("it hangs", || detail(&t.registry, "/s/a").handling.is_some()).await;
    t.over().await;
    assert_eq!(count(&t.a).await, 1, "then it goes on");

    t.set(FaultKind::Hang, LONG_MS);
    t.a.tell(Msg::Add(1)).unwrap();
    eventually("it hangs", || detail(&t.registry, "/s/a").handling.is_some()).await;
    assert!(within(t.registry.order("/s/a", OperatorOrder::Restart)).await);
    assert_eq!(detail(&t.registry, "/s/a").lives, 2);
    assert_eq!(t.registry.clear_faults(None), 1);
    t.over().await;
}

#[tokio::test]
async fn a_drop_fault_loses_messages_to_the_dead_letters() {
    let mut t = target();
    t.set(FaultKind::Drop, TTL_MS);
    t.a.tell(Msg::Add(1)).unwrap();
    assert_eq!(t.a.ask(SOON, Msg::Count).await, Err(AskError::Faulted));
    let letters = t.registry.dead_letters(10).1;
    assert_eq!(
        letters.iter().map(|l| (l.message, l.why)).collect::<Vec<_>>(),
        [("Count", Why::Dropped), ("Add", Why::Dropped)]
    );
    t.over().await;
    assert_eq!(count(&t.a).await, 0);
}

#[tokio::test]
async fn what_an_actor_sends_itself_is_not_lost() {
    let mut t = target();
    // It comes when the fault is there.
    let later = |_: &mut Probe, cx: &mut Cx<Probe>| {
        cx.send_after(Duration::from_millis(300), Msg::Add(7));
    };
    t.a.tell(Msg::Run(Box::new(later))).unwrap();
    assert_eq!(count(&t.a).await, 0, "it has begun");
    t.set(FaultKind::Drop, TTL_MS);
    t.a.tell(Msg::Add(1)).unwrap();
    t.over().await;
    assert_eq!(count(&t.a).await, 7);
}

#[tokio::test]
async fn a_throttle_refuses_what_goes_beyond_its_rate_and_says_for_how_long() {
    let mut t = target();
    t.set(FaultKind::Throttle { per_second: 1 }, TTL_MS);
    let told: Vec<_> = (0..20).map(|_| t.a.tell(Msg::Add(1))).collect();
    let taken = told.iter().filter(|told| told.is_ok()).count() as u64;
    // A second may pass on a busy machine.
    assert!((1..=3).contains(&taken), "{told:?}");
    let retry = |told: &Result<(), Refused>| match told {
        Err(Refused::Overloaded { retry_after_ms }) => (1..=1_000).contains(retry_after_ms),
        _ => told.is_ok(),
    };
    assert!(told.iter().all(retry), "{told:?}");
    t.b.tell(Msg::Add(1)).unwrap();
    assert_eq!(count(&t.b).await, 1, "others are spared");
    event(&mut t.events, |kind| matches!(kind, EventKind::FaultEnded { hits: 1.., .. })).await;
    assert_eq!(count(&t.a).await, taken, "what was taken is handled, and nothing else");
}

#[tokio::test]
async fn a_corrupt_fault_spoils_what_an_actor_can_spoil() {
    let mut t = target();
    t.set(FaultKind::Corrupt, TTL_MS);
    t.a.tell(Msg::Add(1)).unwrap();
    assert!(count(&t.a).await >= 1_000);
    t.over().await;
    t.b.tell(Msg::Add(1)).unwrap();
    assert_eq!(count(&t.b).await, 1);
}

#[tokio::test]
async fn a_duplicate_fault_has_copyable_messages_handled_twice() {
    let mut t = target();
    t.set(FaultKind::Duplicate, TTL_MS);
    t.a.tell(Msg::Add(1)).unwrap();
    assert_eq!(count(&t.a).await, 2);
    t.over().await;
    t.a.tell(Msg::Add(1)).unwrap();
    assert_eq!(count(&t.a).await, 3);
}

#[tokio::test]
async fn a_flood_fault_fills_the_mailbox_so_that_it_refuses() {
    let mut t = target();
    let gate = occupy(&t.a).await;
    t.set(FaultKind::Flood { per_second: 1_000_000 }, TTL_MS);
    eventually("it overflows", || matches!(t.a.tell(Msg::Add(1)), Err(Refused::Overloaded { .. })))
        .await;
    assert!(t.b.tell(Msg::Add(1)).is_ok());
    gate.send(()).unwrap();
    event(&mut t.events, |kind| {
        matches!(kind, EventKind::FaultEnded { hits: 1_000.., expired: true, .. })
    })
    .await;
    eventually("the noise is over", || t.a.depth() == 0).await;
    assert!(t.a.ask(SOON, Msg::Count).await.is_ok());
}

#[tokio::test]
async fn a_seed_strikes_the_same_messages_again() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let t = target();
        let rule = FaultRule {
            pattern: "/s/*".into(),
            kind: FaultKind::Drop,
            probability: 0.5,
            ttl_ms: LONG_MS,
            seed,
        };
        t.registry.set_fault(rule).unwrap();
        let mut struck = Vec::new();
        for _ in 0..40 {
            struck.push(t.a.ask(SOON, Msg::Count).await.is_err());
        }
        runs.push(struck);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    let hits = runs[0].iter().filter(|hit| **hit).count();
    assert!((8..=32).contains(&hits), "about half: {hits}");
}

#[tokio::test]
async fn faults_are_refused_unless_enabled_and_when_they_make_no_sense() {
    let rule = |pattern: &str, probability, ttl_ms| FaultRule {
        pattern: pattern.into(),
        kind: FaultKind::Panic,
        probability,
        ttl_ms,
        seed: 0,
    };
    let off = Registry::new(KernelConfig { chaos_enabled: false });
    assert_eq!(off.set_fault(rule("/s", 1.0, 1)), Err(FaultRefused::Disabled));
    let on = registry();
    for (bad, field) in [
        (rule("s", 1.0, 1), "pattern"),
        (rule("/s", 1.1, 1), "probability"),
        (rule("/s", f64::NAN, 1), "probability"),
        (rule("/s", 1.0, 0), "ttl_ms"),
        (rule("/s", 1.0, 3_600_001), "ttl_ms"),
    ] {
        assert!(
            matches!(on.set_fault(bad), Err(FaultRefused::Invalid { field: f, .. }) if f == field)
        );
    }
}
