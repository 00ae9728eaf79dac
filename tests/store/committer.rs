use std::time::{Duration, Instant};

use kiki::models::breaker::BreakerState;
use kiki::store::{Committer, CommitterTerms, Fault, Full, Outcome, Store, StoreError, Write};
use tokio::task::JoinHandle;

use crate::{ACCOUNT, Db, budget_row, entry, on_every_store, own, put, write};

on_every_store!(
    waiting_writes_are_committed_in_batches_in_the_order_of_each_budget,
    a_closed_committer_flushes_and_ends,
    a_full_queue_refuses_at_once,
    a_write_that_waited_too_long_fails_and_is_never_written,
    what_waits_survives_the_end_of_its_driver,
    a_failing_store_opens_the_breaker_which_closes_after_a_probe,
    a_write_that_nobody_waits_for_is_never_written,
    behind_a_barrier_everything_before_it_has_ended,
    a_barrier_waits_for_what_a_lost_driver_left_behind,
);

fn start(store: &Store, terms: CommitterTerms) -> (Committer, JoinHandle<()>) {
    let (committer, driver) = Committer::new(store.clone(), terms);
    (committer, tokio::spawn(driver.run()))
}

fn make(name: &str, epoch: i64, version: i64) -> Write {
    let mut row = budget_row(name);
    row.seq = version + 1;
    Write {
        entries: vec![entry(name, version + 1, &format!("{name}-{version}"), 1)],
        budget_row: put(version, row),
        ..write(name, epoch)
    }
}

async fn waiting_writes_are_committed_in_batches_in_the_order_of_each_budget(db: &Db) {
    let store = db.open().await;
    let epoch = own(&store).await;
    let (committer, driver) = start(&store, CommitterTerms::default());
    let mut outcomes = Vec::new();
    for version in 0..20 {
        for budget in 0..50 {
            let write = make(&format!("b{budget}"), epoch, version);
            outcomes.push(committer.submit(write).expect("taken"));
        }
    }
    for outcome in outcomes {
        assert_eq!(outcome.await.expect("an outcome"), Outcome::Committed);
    }
    let view = committer.view();
    assert_eq!((view.committed_total, view.queue_depth, view.queue_bytes), (1000, 0, 0));
    assert!(view.batches_total < 200, "{view:?}");
    committer.close();
    driver.await.expect("it ends");
    let rows = store.ledger(ACCOUNT, "b7", 0, 100).await.expect("a read");
    assert!(rows.iter().map(|row| row.seq).eq(1..=20));
}

async fn a_closed_committer_flushes_and_ends(db: &Db) {
    let store = db.open().await;
    let epoch = own(&store).await;
    let (committer, driver) = Committer::new(store, CommitterTerms::default());
    let outcome = committer.submit(make("b", epoch, 0)).expect("taken");
    committer.close();
    let refused = committer.submit(make("c", epoch, 0)).expect_err("closed");
    assert_eq!(refused.why, Full::Closed);
    driver.run().await;
    assert_eq!(outcome.await.expect("an outcome"), Outcome::Committed);
}

async fn a_full_queue_refuses_at_once(db: &Db) {
    let store = db.open().await;
    let terms = CommitterTerms { queue_max: 3, ..CommitterTerms::default() };
    let (committer, _driver) = Committer::new(store.clone(), terms);
    let taken: Vec<_> = (0..3).map(|n| committer.submit(make("b", 1, n)).expect("taken")).collect();
    let refused = committer.submit(make("b", 1, 3)).expect_err("full");
    assert_eq!(refused.why, Full::Queue);
    assert!(refused.retry_after_ms > 0);
    assert_eq!((committer.view().queue_depth, committer.view().refused_total), (3, 1));
    drop(taken);
    let bytes = CommitterTerms { queue_bytes_max: 100, ..CommitterTerms::default() };
    let (committer, _driver) = Committer::new(store, bytes);
    assert_eq!(committer.submit(make("b", 1, 0)).expect_err("full").why, Full::Queue);
}

async fn a_write_that_waited_too_long_fails_and_is_never_written(db: &Db) {
    let store = db.open().await;
    let epoch = own(&store).await;
    let wait_max = Duration::from_millis(300);
    let (committer, driver) =
        start(&store, CommitterTerms { wait_max, ..CommitterTerms::default() });
    store.faults().set(Fault::SlowStatements(Duration::from_millis(1500)), 1);
    let first = committer.submit(make("a", epoch, 0)).expect("taken");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    let second = committer.submit(make("b", epoch, 0)).expect("taken");
    let outcome = second.await.expect("an outcome");
    assert!(matches!(outcome, Outcome::Failed(StoreError::Waited { .. })), "{outcome:?}");
    assert!(began.elapsed() < Duration::from_millis(800), "{:?}", began.elapsed());
    assert_eq!(first.await.expect("an outcome"), Outcome::Committed);
    committer.close();
    driver.await.expect("it ends");
    assert_eq!(store.budget(ACCOUNT, "b").await, Ok(None));
    assert_eq!(committer.view().expired_total, 1);
}

async fn a_failing_store_opens_the_breaker_which_closes_after_a_probe(db: &Db) {
    let store = db.open().await;
    let epoch = own(&store).await;
    let (committer, _driver) = start(&store, CommitterTerms::default());
    store.faults().set(Fault::BeforeCommit, 3);
    for n in 0..3 {
        let outcome = committer.submit(make("b", epoch, 0)).expect("taken").await;
        assert!(matches!(outcome, Ok(Outcome::Failed(_))), "{n}");
    }
    let refused = committer.submit(make("b", epoch, 0)).expect_err("the breaker is open");
    assert_eq!(refused.why, Full::Breaker);
    assert!(refused.retry_after_ms <= 250);
    assert_ne!(committer.view().breaker.state, BreakerState::Closed);
    let began = Instant::now();
    while committer.view().breaker.state != BreakerState::Closed {
        assert!(began.elapsed() < Duration::from_secs(2), "it closes by its own probe");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let outcome = committer.submit(make("b", epoch, 0)).expect("taken").await;
    assert_eq!(outcome, Ok(Outcome::Committed));
}

async fn what_waits_survives_the_end_of_its_driver(db: &Db) {
    let store = db.open().await;
    let epoch = own(&store).await;
    let (committer, driver) = start(&store, CommitterTerms::default());
    store.faults().set(Fault::SlowStatements(Duration::from_secs(60)), 1);
    let in_flight = committer.submit(make("a", epoch, 0)).expect("taken");
    while !committer.view().in_flight {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let waiting = committer.submit(make("b", epoch, 0)).expect("taken");
    assert!(committer.drive_again().is_none(), "there is only one");
    driver.abort();
    assert!(in_flight.await.is_err(), "its outcome is unknown");
    let again = loop {
        match committer.drive_again() {
            Some(driver) => break driver,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    committer.close();
    again.run().await;
    assert_eq!(waiting.await, Ok(Outcome::Committed));
    assert_eq!(store.budget(ACCOUNT, "a").await, Ok(None));
}

async fn a_write_that_nobody_waits_for_is_never_written(db: &Db) {
    let store = db.open().await;
    let epoch = own(&store).await;
    let (committer, driver) = Committer::new(store.clone(), CommitterTerms::default());
    drop(committer.submit(make("a", epoch, 0)).expect("taken"));
    let kept = committer.submit(make("b", epoch, 0)).expect("taken");
    let driver = tokio::spawn(driver.run());
    assert_eq!(kept.await, Ok(Outcome::Committed));
    assert_eq!(store.budget(ACCOUNT, "a").await, Ok(None));
    assert_eq!((committer.view().abandoned_total, committer.view().committed_total), (1, 1));
    drop(committer.submit(make("a", epoch, 0)).expect("taken"));
    committer.close();
    driver.await.expect("it ends");
    committer.barrier().await;
}

async fn behind_a_barrier_everything_before_it_has_ended(db: &Db) {
    let store = db.open().await;
    let epoch = own(&store).await;
    let (committer, _driver) = start(&store, CommitterTerms::default());
    committer.barrier().await;
    store.faults().set(Fault::SlowCommit(Duration::from_millis(300)), 1);
    let mut first = committer.submit(make("a", epoch, 0)).expect("taken");
    while !committer.view().in_flight {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(committer.submit(make("b", epoch, 0)).expect("taken"));
    committer.barrier().await;
    assert_eq!(first.try_recv(), Ok(Outcome::Committed));
    assert_eq!(store.budget(ACCOUNT, "b").await, Ok(None));

    // its outcome is unknown to us, but not to whoever reads behind the barrier
    store.faults().set(Fault::UnknownDone, 1);
    let unknown = committer.submit(make("c", epoch, 0)).expect("taken");
    committer.barrier().await;
    assert!(matches!(unknown.await, Ok(Outcome::Unknown(_))));
    assert!(store.budget(ACCOUNT, "c").await.expect("a read").is_some());
}

async fn a_barrier_waits_for_what_a_lost_driver_left_behind(db: &Db) {
    let store = db.open().await;
    let epoch = own(&store).await;
    let (committer, driver) = start(&store, CommitterTerms::default());
    store.faults().set(Fault::SlowStatements(Duration::from_secs(60)), 1);
    let lost = committer.submit(make("a", epoch, 0)).expect("taken");
    while !committer.view().in_flight {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    driver.abort();
    assert!(lost.await.is_err(), "its outcome is unknown");
    let short = Duration::from_millis(200);
    let alone = tokio::time::timeout(short, committer.barrier()).await;
    assert!(alone.is_err(), "nobody has looked at what became of it");
    let again = committer.drive_again().expect("the first is gone");
    let _again = tokio::spawn(again.run());
    let long = Duration::from_secs(5);
    tokio::time::timeout(long, committer.barrier()).await.expect("a fence has passed");
    assert_eq!(store.budget(ACCOUNT, "a").await, Ok(None));
}
