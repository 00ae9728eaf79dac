//! A log behind its ledgers, on a store that is away at times.

use std::time::{Duration, Instant};

use super::*;
use crate::actors::cluster::Placement;
use crate::actors::kernel::{Actor, Handle, KernelConfig, Registry};
use crate::actors::shield::audit::{Appended, AuditTerms};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::shared::{Shared, ShieldTerms};
use crate::actors::shield::vault::Vault;
use crate::actors::shield::webhooks::HookTerms;
use crate::models::access::retry::Schedule;
use crate::models::cluster::node::Incarnation;
use crate::models::shield::entry::{Day, Kind, Now, Op};
use crate::models::shield::limits::Limits;
use crate::models::shield::money::Micros;
use crate::models::shield::seal::MasterKey;
use crate::models::shield::terms::WindowCap;
use crate::store::{
    BudgetPut, BudgetRow, Committer, CommitterTerms, Fault as StoreFault, Outcome, SHARDS, Store,
    StoreConfig, Write,
};

const ACCOUNT: &str = "acme";
const LOG: &str = "/audited/log";
const AT_US: i64 = 1_795_239_660_000_000;
/// Whoever reads waits so long for a connection.
const CONNECT: Duration = Duration::from_millis(400);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A log on a store with one connection to read: whoever holds it keeps the store away from all readers.
struct Audited {
    shared: Arc<Shared>,
    registry: Registry,
    _dir: tempfile::TempDir,
}

fn terms(dir: &std::path::Path) -> ShieldTerms {
    let patience = Duration::from_secs(1);
    ShieldTerms {
        limits: Limits::default(),
        window: WindowCap { amount: Micros(1_000_000), length_us: 60_000_000 },
        default_account: ACCOUNT.to_owned(),
        default_currency: "EUR".parse().expect("a currency"),
        hold_ttl_us: 30_000_000,
        idle_after: PATIENCE,
        resident_max: 100,
        mailbox_max: 100,
        audit: AuditTerms { dir: dir.to_owned(), retention_us: i64::MAX, verify_every: PATIENCE },
        webhooks: HookTerms { allow_private: true, patience, schedule: Schedule::default() },
    }
}

fn entry(seq: i64, budget: &str) -> Entry {
    Entry {
        seq,
        op: Op::of(&[budget, &seq.to_string()]),
        kind: Kind::Spend,
        amount: Micros(1),
        currency: "EUR".parse().expect("a currency"),
        window_amount: Micros(1),
        at: Now { mono_us: seq, wall_us: AT_US + seq },
        day: Day(20_778),
        hold: None,
        slice: None,
        window_slice: None,
        body: 0,
        memo: None,
    }
}

impl Audited {
    async fn open() -> Audited {
        let dir = tempfile::tempdir().expect("a folder");
        let config = StoreConfig {
            readers_max: 1,
            connect_limit: CONNECT,
            ..StoreConfig::sqlite(dir.path())
        };
        let store = Store::open(config).await.expect("the store opens");
        let incarnation = Incarnation(1);
        let shards: Vec<i64> = (0..SHARDS).collect();
        let epochs = store.acquire(&shards, &incarnation.to_string()).await.expect("shards");
        let placement = Placement::fixed(incarnation, &epochs);
        let master = MasterKey::new([7; 32]).expect("a key");
        let vault = Vault::open(&store, master).await.expect("a vault");
        let (committer, driver) = Committer::new(store.clone(), CommitterTerms::default());
        tokio::spawn(driver.run());
        let shared = Shared::new(terms(dir.path()), store, committer, placement, false, vault);
        let registry = Registry::new(KernelConfig { chaos_enabled: false });
        Audited { shared, registry, _dir: dir }
    }

    /// The log's actor. Nobody else tells it what is behind.
    fn start(&self) -> Handle<Msg> {
        let service = self.registry.service("audited").start().expect("a service");
        let shared = Arc::clone(&self.shared);
        let log = service.supervisor().child("log");
        log.start(move || LogActor::new(Arc::clone(&shared), ACCOUNT)).expect("an actor")
    }

    /// Books rows up to this one; `from` is the first.
    async fn book(&self, budget: &str, from: i64, to: i64) -> Vec<Entry> {
        let name = BudgetName { account: ACCOUNT.into(), budget: budget.into() };
        let shard = name.shard();
        let entries: Vec<Entry> = (from..=to).map(|seq| entry(seq, budget)).collect();
        let version = self.shared.store.budget(ACCOUNT, budget).await.expect("a read");
        let expected_version = version.map_or(0, |row| row.version);
        let row = BudgetRow {
            account: ACCOUNT.to_owned(),
            budget: budget.to_owned(),
            shard,
            terms: "{}".to_owned(),
            status: "active".to_owned(),
            funded: 0,
            refunded: 0,
            settled: 0,
            facts: 0,
            late: 0,
            seq: to,
            state: "{}".to_owned(),
            version: 0,
            created_at: 1,
            updated_at: 1,
        };
        let write = Write {
            account: ACCOUNT.to_owned(),
            budget: budget.to_owned(),
            shard,
            epoch: self.shared.epoch(shard),
            entries: entries.iter().map(|entry| rows::entry_row(&name, entry)).collect(),
            budget_row: Some(BudgetPut { expected_version, row, keep_terms: expected_version > 0 }),
            ..Write::default()
        };
        let outcomes = self.shared.store.commit(vec![write]).await;
        assert_eq!(outcomes, [Outcome::Committed]);
        entries
    }

    /// What was booked comes by the feed, too.
    fn feed(&self, budget: &str, entries: Vec<Entry>) {
        self.shared.audit.feeds.of(&ACCOUNT.into()).booked(&budget.into(), entries);
    }

    fn lives(&self) -> u32 {
        self.registry.actor(LOG).expect("an actor").lives
    }
}

/// How many records the log has once nothing is behind.
async fn flushed(log: &Handle<Msg>) -> u64 {
    let asked = log.ask(PATIENCE, Msg::Flush).await;
    let Appended { size } = asked.expect("an answer").expect("durable");
    size
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_life_reads_what_the_one_before_had_taken_and_not_written() {
    let audited = Audited::open().await;
    let log = audited.start();
    assert_eq!(flushed(&log).await, 0);
    let entries = audited.book("camp", 1, 3).await;
    audited.feed("camp", entries);
    // Nobody knows whether it is written: this life ends with what it has taken.
    audited.shared.store.faults().set(StoreFault::UnknownUndone, 1);
    log.tell(Msg::Look).expect("room");
    let began = Instant::now();
    while audited.lives() < 2 {
        assert!(began.elapsed() < PATIENCE, "it never failed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!audited.shared.audit.feeds.of(&ACCOUNT.into()).waits());
    assert_eq!(flushed(&log).await, 3);
    // Once: where it is written after all, nothing of it comes twice.
    let more = audited.book("camp", 4, 5).await;
    audited.feed("camp", more);
    audited.shared.store.faults().set(StoreFault::UnknownDone, 1);
    log.tell(Msg::Look).expect("room");
    while audited.lives() < 3 {
        assert!(began.elapsed() < PATIENCE, "it never failed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(flushed(&log).await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_away_what_is_behind_is_put_off_and_whoever_flushes_waits() {
    let audited = Audited::open().await;
    let log = audited.start();
    assert_eq!(flushed(&log).await, 0);
    let entries = audited.book("camp", 1, 3).await;
    let away = audited.shared.store.hold_reader().await.expect("the only one");
    audited.feed("camp", entries);
    log.tell(Msg::Look).expect("room");
    let waits = log.clone();
    let flush = tokio::spawn(async move { flushed(&waits).await });
    // For the first attempts, and for one that is put off once more.
    tokio::time::sleep(CONNECT * 3 + AGAIN + AGAIN / 4).await;
    assert!(!flush.is_finished());
    assert_eq!(audited.lives(), 1, "that it is away fails nobody");
    drop(away);
    assert_eq!(flush.await.expect("no panic"), 3);
    assert_eq!(audited.lives(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_that_begins_while_the_store_is_away_asks_again_what_is_behind() {
    let audited = Audited::open().await;
    audited.book("camp", 1, 3).await;
    let store = &audited.shared.store;
    let held = store.hold_reader().await.expect("the only one");
    let log = audited.start();
    tokio::time::sleep(CONNECT / 4).await;
    // Its log is read by who waits first, and this takes the connection before what is behind is asked for.
    let ends = async {
        tokio::time::sleep(CONNECT / 4).await;
        drop(held);
    };
    let (away, ()) = tokio::join!(store.hold_reader(), ends);
    let away = away.expect("the next turn");
    let waits = log.clone();
    let flush = tokio::spawn(async move { flushed(&waits).await });
    tokio::time::sleep(CONNECT * 2 + AGAIN).await;
    assert!(!flush.is_finished());
    drop(away);
    assert_eq!(flush.await.expect("no panic"), 3);
    assert_eq!(audited.lives(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_ledgers_than_are_asked_for_at_once_are_all_read_before_a_flush_is_answered() {
    let audited = Audited::open().await;
    for n in 0..BEHIND_MAX + 40 {
        audited.book(&format!("camp-{n}"), 1, 1).await;
    }
    let log = audited.start();
    assert_eq!(flushed(&log).await, u64::from(BEHIND_MAX) + 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_with_more_rows_than_are_read_in_one_go_is_read_to_its_end() {
    let audited = Audited::open().await;
    let all = i64::from(LEDGER_PAGE * LEDGER_PAGES_MAX) + 40;
    let mut from = 1;
    while from <= all {
        let to = all.min(from + 499);
        audited.book("camp", from, to).await;
        from = to + 1;
    }
    let log = audited.start();
    assert_eq!(flushed(&log).await, all as u64);
}

#[tokio::test]
async fn a_log_with_something_behind_is_not_put_away() {
    let audited = Audited::open().await;
    let mut log = LogActor::new(Arc::clone(&audited.shared), ACCOUNT);
    assert!(!log.idle(), "it does not know yet what is behind");
    log.unseen = None;
    assert!(log.idle());
    log.behind.insert("camp".into());
    assert!(!log.idle());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_log_gets_what_was_booked_and_never_told_here() {
    let audited = Audited::open().await;
    let log = audited.start();
    assert_eq!(flushed(&log).await, 0);
    // At another node, or by a life that told nobody any more.
    audited.book("camp", 1, 3).await;
    assert_eq!(flushed(&log).await, 3);
    let later = audited.book("camp", 4, 4).await;
    assert_eq!(flushed(&log).await, 4);
    // What is told afterwards is known.
    audited.feed("camp", later);
    assert_eq!(flushed(&log).await, 4);
    assert_eq!(audited.lives(), 1);
}
