//! Actors by key: passivation, one activation at a time, quarantine.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kiki::actors::kernel::*;

use crate::support::*;

/// An entity whose state outlives it, as a store would keep it.
struct Durable {
    key: String,
    store: Store,
    alive: Arc<AtomicU32>,
    resting: bool,
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<HashMap<String, u64>>>);

enum Ask {
    Add(u64),
    Get(Reply<u64>),
    Rest,
    Fail,
}

impl Actor for Durable {
    type Msg = Ask;
    type View = u64;
    const TYPE: &'static str = "durable";

    async fn started(&mut self, _: &mut Cx<Self>) -> Result<(), Fault> {
        assert_eq!(self.alive.fetch_add(1, SeqCst), 0, "one activation at a time");
        Ok(())
    }

    async fn handle(&mut self, msg: Ask, _: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Ask::Add(n) => *self.store.0.lock().unwrap().entry(self.key.clone()).or_default() += n,
            Ask::Get(reply) => reply.send(self.total()),
            Ask::Rest => self.resting = true,
            Ask::Fail => return Err(Fault::new("told to")),
        }
        Ok(())
    }

    async fn stopping(&mut self, _: &mut Cx<Self>) {
        // Gives others a chance to find the next activation beside this one.
        tokio::task::yield_now().await;
    }

    fn view(&self) -> u64 {
        self.total()
    }
}

impl Durable {
    fn total(&self) -> u64 {
        self.store.0.lock().unwrap().get(&self.key).copied().unwrap_or(0)
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

fn one_key(service: &Service, idle_after: Duration) -> Entities<Durable> {
    let (store, alive) = (Store::default(), Arc::new(AtomicU32::new(0)));
    let entities =
        service.supervisor().entities("e").idle_after(idle_after).intensity(1, per_minute());
    let make = move |key: &str| Durable {
        key: key.to_owned(),
        store: store.clone(),
        alive: Arc::clone(&alive),
        resting: false,
    };
    entities
        .backoff(Duration::ZERO, Duration::ZERO)
        .quarantine(Duration::from_millis(100))
        .start(make)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_races_a_passivation_is_not_lost() {
    let registry = registry();
    let service = registry.service("s").start().unwrap();
    let entities = one_key(&service, Duration::ZERO);
    let mut sent = 0u64;
    let mut passivated = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) || passivated < 20 {
        match entities.tell("k", Ask::Add(1)) {
            Ok(()) => sent += 1,
            Err(Refused::Overloaded { .. }) => tokio::task::yield_now().await,
            Err(Refused::Gone) => panic!("an entity is never gone"),
        }
        if sent.is_multiple_of(50) {
            let before = entities.active();
            tokio::time::sleep(Duration::from_micros(900)).await;
            passivated += u32::from(before == 1 && entities.active() == 0);
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "only {passivated} passivations");
    }
    let mut total = Err(AskError::Gone);
    while total.is_err() {
        total = entities.ask("k", SOON, Ask::Get).await;
    }
    println!("{sent} messages over at least {passivated} passivations");
    assert_eq!(total, Ok(sent));
    assert_eq!(registry.dead_letters(1).0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_idle_entities_passivate_and_give_their_memory_back() {
    const ENTITIES: usize = 100_000;
    let _heavy = HEAVY.lock().await;
    if !alone("entities::a_hundred_thousand_idle_entities_passivate_and_give_their_memory_back") {
        return;
    }
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let awake = Arc::new(AtomicBool::new(true));
    let builder = service.supervisor().entities("e").idle_after(Duration::from_millis(500));
    let entities = builder.start({
        let (log, awake) = (log.clone(), Arc::clone(&awake));
        move |key| Probe { awake: Some(Arc::clone(&awake)), ..Probe::new(key, &log) }
    });
    let entities = entities.unwrap();
    let before = resident_bytes();
    let (mut rounds, mut sent) = (Vec::new(), 0);
    for _ in 0..2 {
        awake.store(true, SeqCst);
        sent += ENTITIES as u64;
        let begun = Instant::now();
        for n in 0..ENTITIES {
            entities.tell(&format!("camp_{n:06}"), Msg::Add(1)).unwrap();
        }
        let spawned = begun.elapsed();
        eventually("all have begun", || registry.types()[0].handled >= sent).await;
        let high = resident_bytes().saturating_sub(before);
        assert_eq!(entities.active(), ENTITIES);
        awake.store(false, SeqCst);
        eventually("all are passive", || entities.active() == 0).await;
        log.take();
        eventually("all are forgotten", || registry.actors(&ActorQuery::default()).total == 2)
            .await;
        let first_look = resident_bytes().saturating_sub(before);
        let begun = Instant::now();
        let kept = || resident_bytes().saturating_sub(before);
        eventually("most of the memory is returned", || kept() < high / 4).await;
        println!(
            "{ENTITIES} entities: spawned in {spawned:?}, +{} MiB ({} B each), passive +{} MiB, then +{} MiB {:?} later",
            high >> 20,
            high / ENTITIES as u64,
            first_look >> 20,
            kept() >> 20,
            begun.elapsed()
        );
        rounds.push(high);
    }
    assert!(
        rounds[1] < rounds[0] + rounds[0] / 4,
        "a second wave needs about what the first did: {rounds:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entity_that_is_not_idle_is_not_passivated() {
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let entities =
        service.supervisor().entities("e").idle_after(Duration::from_millis(20)).start({
            let log = log.clone();
            move |key| Probe { busy: key == "busy", ..Probe::new(key, &log) }
        });
    let entities = entities.unwrap();
    entities.tell("busy", Msg::Add(1)).unwrap();
    entities.tell("idle", Msg::Add(1)).unwrap();
    eventually("the idle one is over", || registry.actor("/s/e/idle").is_none()).await;
    assert_eq!(entities.ask("busy", SOON, Msg::Count).await, Ok(1));
    entities.tell("busy", Msg::Run(Box::new(|probe, _| probe.busy = false))).unwrap();
    eventually("so is the other", || entities.active() == 0).await;
    assert!(log.lines().contains(&"stop busy".to_owned()));
}

/// Looks after something every few milliseconds for as long as it lives, and finds there something or nothing.
struct Watcher<const KEPT_AWAKE: bool> {
    finds: Arc<AtomicBool>,
}

enum Watch {
    Begin,
    Look,
}

impl<const KEPT_AWAKE: bool> Actor for Watcher<KEPT_AWAKE> {
    type Msg = Watch;
    type View = ();
    const TYPE: &'static str = "watcher";
    const OWN_LETTERS_KEEP_AWAKE: bool = KEPT_AWAKE;

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        cx.send_after(Duration::from_millis(5), Watch::Look);
        Ok(())
    }

    async fn handle(&mut self, msg: Watch, cx: &mut Cx<Self>) -> Result<(), Fault> {
        if matches!(msg, Watch::Look) {
            if self.finds.load(SeqCst) {
                cx.stay_awake();
            }
            cx.send_after(Duration::from_millis(5), Watch::Look);
        }
        Ok(())
    }

    fn view(&self) {}
}

fn watchers<const KEPT_AWAKE: bool>(
    service: &Service,
    name: &str,
    (idle_after, finds): (Duration, &Arc<AtomicBool>),
) -> Entities<Watcher<KEPT_AWAKE>> {
    let finds = Arc::clone(finds);
    let entities = service.supervisor().entities(name).idle_after(idle_after);
    entities.start(move |_: &str| Watcher { finds: Arc::clone(&finds) }).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_of_its_own_keeps_an_entity_awake_unless_it_says_that_it_does_not() {
    const REST: Duration = Duration::from_secs(1);
    let registry = registry();
    let service = registry.service("s").start().unwrap();
    let finds = Arc::new(AtomicBool::new(true));
    let kept = watchers::<true>(&service, "kept", (REST, &finds));
    let rests = watchers::<false>(&service, "rests", (REST, &finds));
    kept.tell("k", Watch::Begin).unwrap();
    rests.tell("k", Watch::Begin).unwrap();
    tokio::time::sleep(2 * REST).await;
    assert_eq!((kept.active(), rests.active()), (1, 1), "what it finds keeps it awake");
    let idle_ms = |path: &str| detail(&registry, path).idle_ms;
    // Not the looks of its own; 0 during one.
    eventually("it is idle all the while", || idle_ms("/s/rests/k") > 1_500).await;
    let begun = Instant::now();
    finds.store(false, SeqCst);
    eventually("it rests", || rests.active() == 0).await;
    assert!(begun.elapsed() > REST / 2, "not before its time: {:?}", begun.elapsed());
    assert_eq!(kept.active(), 1);
    assert!(idle_ms("/s/kept/k") < 1_000);
    // A message wakes it, and again it rests without one.
    rests.tell("k", Watch::Begin).unwrap();
    eventually("it is awake", || rests.active() == 1).await;
    eventually("it rests again", || rests.active() == 0).await;
    assert_eq!(registry.dead_letters(1).0, 0);
}

#[tokio::test]
async fn an_entity_that_fails_too_often_is_refused_for_a_while_and_no_other_is_touched() {
    let registry = registry();
    let mut events = registry.events(None);
    let service = registry.service("s").start().unwrap();
    let entities = one_key(&service, Duration::from_secs(60));
    entities.tell("k", Ask::Fail).unwrap();
    entities.tell("k", Ask::Fail).unwrap();
    event(
        &mut events,
        |kind| matches!(kind, EventKind::Quarantine { path, .. } if &**path == "/s/e/k"),
    )
    .await;
    eventually("it is refused", || {
        matches!(
            entities.tell("k", Ask::Rest),
            Err(Refused::Overloaded { retry_after_ms: 1..=100 })
        )
    })
    .await;
    assert!(!entities.is_active("k"));
    assert!(service.ready());
    eventually("it returns", || entities.tell("k", Ask::Add(1)).is_ok()).await;
    assert_eq!(entities.ask("k", SOON, Ask::Get).await, Ok(1));
    assert!(entities.is_active("k") && !entities.is_active("other"));
}

#[tokio::test]
async fn an_operators_stop_of_an_entity_is_followed_by_a_fresh_one() {
    let registry = registry();
    let service = registry.service("s").start().unwrap();
    let entities = one_key(&service, Duration::from_secs(60));
    assert_eq!(entities.ask("k/1", SOON, Ask::Get).await, Ok(0));
    assert_eq!(entities.path_of("k/1"), "/s/e/k%2F1");
    assert!(registry.order("/s/e/k%2F1", OperatorOrder::Stop).await);
    assert!(registry.actor("/s/e/k%2F1").is_none());
    assert_eq!(entities.ask("k/1", SOON, Ask::Get).await, Ok(0));
    assert_eq!(entities.keys().len(), 1);
}

#[tokio::test]
async fn more_entities_than_allowed_are_refused() {
    let (registry, log) = (registry(), Log::default());
    let service = registry.service("s").start().unwrap();
    let entities = service.supervisor().entities("e").active_max(2);
    let entities = entities.start(move |key| Probe::new(key, &log)).unwrap();
    entities.tell("1", Msg::Add(1)).unwrap();
    entities.tell("2", Msg::Add(1)).unwrap();
    assert!(matches!(entities.tell("3", Msg::Add(1)), Err(Refused::Overloaded { .. })));
    assert_eq!(entities.tell("", Msg::Add(1)), Err(Refused::Gone));
    assert_eq!(entities.tell(&"k".repeat(1_000), Msg::Add(1)), Err(Refused::Gone));
}

#[tokio::test]
async fn a_key_of_two_names_that_are_as_long_as_names_may_be_has_its_entity() {
    let registry = registry();
    let service = registry.service("s").start().unwrap();
    let entities = one_key(&service, Duration::from_secs(60));
    let key = format!("{}:{}", "a".repeat(128), "c".repeat(128));
    entities.tell(&key, Ask::Add(1)).unwrap();
    assert_eq!(entities.ask(&key, SOON, Ask::Get).await, Ok(1));
    assert!(registry.actor(&entities.path_of(&key)).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_more_than_may_rest_those_that_are_idle_longest_end_and_nothing_is_lost() {
    const ALL: u64 = 2_000;
    let registry = registry();
    let service = registry.service("s").start().unwrap();
    let (store, alive) = (Store::default(), Arc::new(Mutex::new(HashMap::new())));
    let builder = service.supervisor().entities("e").idle_after(Duration::from_secs(600));
    let entities = builder.resident_max(100).start({
        let (store, alive) = (store.clone(), Arc::clone(&alive));
        move |key| {
            let alive: Arc<AtomicU32> =
                Arc::clone(alive.lock().unwrap().entry(key.to_owned()).or_default());
            Durable { key: key.to_owned(), store: store.clone(), alive, resting: false }
        }
    });
    let entities = entities.unwrap();
    let life_of_0 = || registry.actor("/s/e/0").map(|detail| detail.since_us);
    let mut first_life = None;
    for n in 0..ALL {
        for key in [n % 500, 0] {
            assert!(entities.ask(&key.to_string(), SOON, Ask::Get).await.is_ok());
            entities.tell(&key.to_string(), Ask::Add(1)).unwrap();
        }
        first_life = first_life.or_else(life_of_0);
        if n % 100 == 99 {
            eventually("no more than may rest are active", || entities.active() <= 100).await;
        }
    }
    assert!(entities.active() > 50, "no more end than must: {}", entities.active());
    assert_eq!(life_of_0(), first_life, "who is asked all the time never ended");
    for key in 1..500 {
        assert_eq!(entities.ask(&key.to_string(), SOON, Ask::Get).await, Ok(ALL / 500));
    }
    assert_eq!(entities.ask("0", SOON, Ask::Get).await, Ok(ALL + ALL / 500));
}
