use std::time::{Duration, Instant};

use kiki::store::{AccountRow, Fault, Found, Outcome, Reloaded, Store, StoreError, Write};

use crate::{
    ACCOUNT, Db, account_row, budget_row, entry, hold, hurried, on_every_store, operation, outbox,
    own, put, slice_row, write,
};

on_every_store!(
    all_parts_of_a_write_are_durable_together,
    many_writes_commit_together_whatever_their_number,
    a_wrong_epoch_drops_only_the_writes_of_its_shard,
    a_duplicate_returns_the_booked_rows_and_writes_nothing,
    a_stale_version_does_not_touch_the_other_writes,
    a_slice_never_settles_beyond_its_quota_nor_sealed,
    a_sealed_slice_is_never_opened_again,
    a_settle_and_the_sealing_of_its_slice_fit_one_write,
    one_operation_in_two_budgets_of_a_batch_is_booked_once,
    two_writes_of_one_budget_in_a_batch_keep_their_order,
    a_closed_hold_is_never_opened_again,
    of_two_accounts_of_one_name_made_at_once_only_one_is_made,
    a_booking_and_a_slice_keep_where_they_belong,
    batches_of_two_servers_that_share_shards_do_not_block_each_other,
    a_failure_before_the_commit_writes_nothing,
    an_unknown_outcome_is_seen_by_a_reload_both_ways,
    a_slow_store_is_waited_for_no_longer_than_the_limits,
    taking_shards_at_once_gives_each_owner_its_own_epoch,
    a_reload_under_an_old_epoch_is_fenced,
    a_reload_waits_for_a_batch_that_is_still_on_its_way,
);

async fn one(store: &Store, write: Write) -> Outcome {
    store.commit(vec![write]).await.pop().expect("an outcome")
}

/// A budget with one open slice `s1` of 100.
async fn start(db: &Db) -> (Store, i64) {
    let store = db.open().await;
    let epoch = own(&store).await;
    let made = Write {
        budget_row: put(0, budget_row("b")),
        slices_put: vec![slice_row("b", "s1", 100)],
        ..write("b", epoch)
    };
    assert_eq!(one(&store, made).await, Outcome::Committed);
    (store, epoch)
}

async fn version(store: &Store, budget: &str) -> i64 {
    store.budget(ACCOUNT, budget).await.expect("a read").map_or(0, |row| row.version)
}

async fn all_parts_of_a_write_are_durable_together(db: &Db) {
    let (store, epoch) = start(db).await;
    let mut row = budget_row("b");
    (row.settled, row.seq, row.state) = (30, 2, r#"{"day":1}"#.into());
    row.terms = "not to be written".into();
    let whole = Write {
        check_ops: true,
        entries: vec![entry("b", 1, "h1", 10), entry("b", 2, "h2", 20)],
        budget_row: put(1, row.clone()),
        slices_put: vec![slice_row("b", "s2", 50)],
        slice_settles: vec![("s1".into(), 10), ("s1".into(), 20)],
        account_row: Some(account_row()),
        operations: vec![operation("b", "o1")],
        outbox: vec![outbox("e1")],
        holds: vec![hold("b", "h1", "settled"), hold("b", "h3", "open")],
        ..write("b", epoch)
    };
    assert_eq!(one(&store, whole).await, Outcome::Committed);

    let loaded = store.load_budget(ACCOUNT, "b").await.expect("a read").expect("the budget");
    row.version = 2;
    row.terms = budget_row("b").terms;
    assert_eq!(loaded.budget, row);
    let mut settled = slice_row("b", "s1", 100);
    settled.settled = 30;
    assert_eq!(loaded.slices, vec![settled, slice_row("b", "s2", 50)]);
    assert_eq!(store.hold(ACCOUNT, "h3").await, Ok(Some(hold("b", "h3", "open"))));
    let rows = store.ledger(ACCOUNT, "b", 0, 10).await.expect("a read");
    assert_eq!(rows, vec![entry("b", 1, "h1", 10), entry("b", 2, "h2", 20)]);
    assert_eq!(store.account(ACCOUNT).await.expect("a read"), Some(account_row()));
    assert_eq!(store.operation(ACCOUNT, "o1").await, Ok(Some(operation("b", "o1"))));
    assert_eq!(store.outbox_pending(10).await, Ok(vec![outbox("e1")]));
    assert_eq!(store.hold(ACCOUNT, "h1").await, Ok(Some(hold("b", "h1", "settled"))));

    let gone = Write { slices_gone: vec!["s2".into(), "never".into()], ..write("b", epoch) };
    assert_eq!(one(&store, gone).await, Outcome::Committed);
    assert_eq!(store.slices(ACCOUNT, "b").await.expect("a read").len(), 1);
}

async fn many_writes_commit_together_whatever_their_number(db: &Db) {
    let store = db.open().await;
    let epoch = own(&store).await;
    for count in [1, 3, 5, 17, 100, 300] {
        let make = |n: usize| {
            let name = format!("{count}-{n}");
            Write {
                budget_row: put(0, budget_row(&name)),
                slices_put: vec![slice_row(&name, "s1", 100)],
                shard: i64::try_from(n % 256).expect("small"),
                ..write(&name, epoch)
            }
        };
        let outcomes = store.commit((0..count).map(make).collect()).await;
        assert_eq!(outcomes, vec![Outcome::Committed; count]);
        let settle = |n: usize| {
            let name = format!("{count}-{n}");
            let mut row = budget_row(&name);
            (row.settled, row.seq) = (7, 1);
            Write {
                check_ops: true,
                entries: vec![entry(&name, 1, &format!("op-{name}"), 7)],
                budget_row: put(1, row),
                slice_settles: vec![("s1".into(), 7)],
                shard: i64::try_from(n % 256).expect("small"),
                ..write(&name, epoch)
            }
        };
        let outcomes = store.commit((0..count).map(settle).collect()).await;
        assert_eq!(outcomes, vec![Outcome::Committed; count]);
        for n in [0, count / 2, count - 1] {
            let name = format!("{count}-{n}");
            let loaded = store.load_budget(ACCOUNT, &name).await.expect("a read").expect("it");
            assert_eq!((loaded.budget.settled, loaded.budget.version), (7, 2));
            assert_eq!(loaded.slices[0].settled, 7);
        }
    }
}

async fn a_wrong_epoch_drops_only_the_writes_of_its_shard(db: &Db) {
    let store = db.open().await;
    let epoch = own(&store).await;
    let taken = store.acquire(&[8], "other").await.expect("a shard");
    assert_eq!(taken.get(&8), Some(&(epoch + 1)));
    let make = |name: &str, shard: i64| Write {
        budget_row: put(0, budget_row(name)),
        shard,
        ..write(name, epoch)
    };
    let outcomes = store.commit(vec![make("a", 7), make("b", 8), make("c", 9)]).await;
    assert_eq!(outcomes, vec![Outcome::Committed, Outcome::Fenced, Outcome::Committed]);
    assert_eq!((version(&store, "a").await, version(&store, "b").await), (1, 0));
    assert_eq!(one(&store, make("d", 300)).await, Outcome::Fenced, "no such shard");
}

async fn a_duplicate_returns_the_booked_rows_and_writes_nothing(db: &Db) {
    let (store, epoch) = start(db).await;
    let first = Write {
        entries: vec![entry("b", 1, "k1", 5)],
        operations: vec![operation("b", "k2")],
        ..write("b", epoch)
    };
    assert_eq!(one(&store, first).await, Outcome::Committed);
    let again = Write {
        check_ops: true,
        entries: vec![entry("b", 2, "k0", 1), entry("b", 3, "k1", 99)],
        operations: vec![operation("b", "k2")],
        ..write("b", epoch)
    };
    let other = Write {
        check_ops: true,
        entries: vec![entry("c", 1, "k9", 1)],
        budget_row: put(0, budget_row("c")),
        ..write("c", epoch)
    };
    let mut outcomes = store.commit(vec![again, other]).await;
    assert_eq!(outcomes.pop(), Some(Outcome::Committed));
    let Some(Outcome::Duplicate(mut found)) = outcomes.pop() else { panic!("not a duplicate") };
    found.sort_by(|a, b| a.op().cmp(b.op()));
    let known = vec![Found::Entry(entry("b", 1, "k1", 5)), Found::Operation(operation("b", "k2"))];
    assert_eq!(found, known);
    assert_eq!(store.entry(ACCOUNT, "k0").await, Ok(None), "nothing of the write was written");
    assert_eq!(store.found(ACCOUNT, "k1").await.expect("a read"), known[..1]);

    let unchecked = Write { entries: vec![entry("b", 2, "k1", 5)], ..write("b", epoch) };
    assert_eq!(one(&store, unchecked).await, Outcome::Stale);
    let same_seq = Write { entries: vec![entry("b", 1, "k7", 5)], ..write("b", epoch) };
    assert_eq!(one(&store, same_seq).await, Outcome::Stale);
}

async fn a_stale_version_does_not_touch_the_other_writes(db: &Db) {
    let (store, epoch) = start(db).await;
    let stale = Write {
        entries: vec![entry("b", 1, "k1", 5)],
        budget_row: put(9, budget_row("b")),
        ..write("b", epoch)
    };
    let exists = Write { budget_row: put(0, budget_row("b")), ..write("b", epoch) };
    let fine = Write {
        entries: vec![entry("c", 1, "k2", 5)],
        budget_row: put(0, budget_row("c")),
        ..write("c", epoch)
    };
    let outcomes = store.commit(vec![stale, fine, exists]).await;
    assert_eq!(outcomes, vec![Outcome::Stale, Outcome::Committed, Outcome::Stale]);
    assert_eq!(store.entry(ACCOUNT, "k1").await, Ok(None));
    assert!(store.entry(ACCOUNT, "k2").await.expect("a read").is_some());
}

async fn a_slice_never_settles_beyond_its_quota_nor_sealed(db: &Db) {
    let (store, epoch) = start(db).await;
    let settle = |sum: i64| Write { slice_settles: vec![("s1".into(), sum)], ..write("b", epoch) };
    assert_eq!(one(&store, settle(100)).await, Outcome::Committed);
    assert_eq!(one(&store, settle(1)).await, Outcome::Stale);
    let missing = Write { slice_settles: vec![("s9".into(), 0)], ..write("b", epoch) };
    assert_eq!(one(&store, missing).await, Outcome::Stale);
    let mut sealed = slice_row("b", "s1", 200);
    sealed.sealed = 1;
    let seal = Write { slices_put: vec![sealed], ..write("b", epoch) };
    assert_eq!(one(&store, seal).await, Outcome::Committed);
    assert_eq!(one(&store, settle(1)).await, Outcome::Stale);
}

async fn a_sealed_slice_is_never_opened_again(db: &Db) {
    let (store, epoch) = start(db).await;
    let with = |sealed: i64, quota: i64| {
        let mut row = slice_row("b", "s1", quota);
        row.sealed = sealed;
        Write { slices_put: vec![row], ..write("b", epoch) }
    };
    let settle = Write { slice_settles: vec![("s1".into(), 60)], ..write("b", epoch) };
    assert_eq!(one(&store, settle).await, Outcome::Committed);
    assert_eq!(one(&store, with(0, 59)).await, Outcome::Stale, "below what is settled");
    assert_eq!(one(&store, with(1, 60)).await, Outcome::Committed);
    assert_eq!(one(&store, with(0, 60)).await, Outcome::Stale);
    let slices = store.slices(ACCOUNT, "b").await.expect("a read");
    assert_eq!((slices[0].settled, slices[0].quota, slices[0].sealed), (60, 60, 1));
}

async fn a_settle_and_the_sealing_of_its_slice_fit_one_write(db: &Db) {
    let (store, epoch) = start(db).await;
    let mut sealed = slice_row("b", "s1", 40);
    sealed.sealed = 1;
    let last = Write {
        slices_put: vec![sealed, slice_row("b", "s2", 10)],
        slice_settles: vec![("s1".into(), 40), ("s2".into(), 10)],
        ..write("b", epoch)
    };
    assert_eq!(one(&store, last).await, Outcome::Committed);
    let slices = store.slices(ACCOUNT, "b").await.expect("a read");
    assert_eq!((slices[0].settled, slices[0].sealed, slices[1].settled), (40, 1, 10));
}

async fn one_operation_in_two_budgets_of_a_batch_is_booked_once(db: &Db) {
    let store = db.open().await;
    let epoch = own(&store).await;
    let make = |name: &str| Write {
        check_ops: true,
        entries: vec![entry(name, 1, "same", 5)],
        budget_row: put(0, budget_row(name)),
        ..write(name, epoch)
    };
    let outcomes = store.commit(vec![make("a"), make("b")]).await;
    assert_eq!(outcomes[0], Outcome::Committed);
    assert_eq!(outcomes[1], Outcome::Duplicate(vec![Found::Entry(entry("a", 1, "same", 5))]));
    assert_eq!(version(&store, "b").await, 0);
}

async fn two_writes_of_one_budget_in_a_batch_keep_their_order(db: &Db) {
    let (store, epoch) = start(db).await;
    let make =
        |version: i64| Write { budget_row: put(version, budget_row("b")), ..write("b", epoch) };
    let outcomes = store.commit(vec![make(1), make(2), make(2)]).await;
    assert_eq!(outcomes, vec![Outcome::Committed, Outcome::Committed, Outcome::Stale]);
    assert_eq!(version(&store, "b").await, 3);
}

async fn a_closed_hold_is_never_opened_again(db: &Db) {
    let (store, epoch) = start(db).await;
    let journal = |states: &[&str]| Write {
        holds: states.iter().map(|state| hold("b", "h", state)).collect(),
        ..write("b", epoch)
    };
    assert_eq!(one(&store, journal(&["open", "expired"])).await, Outcome::Committed);
    assert_eq!(one(&store, journal(&["open"])).await, Outcome::Committed);
    assert_eq!(store.hold(ACCOUNT, "h").await, Ok(Some(hold("b", "h", "expired"))));
    assert_eq!(one(&store, journal(&["settled"])).await, Outcome::Committed);
    assert_eq!(store.hold(ACCOUNT, "h").await, Ok(Some(hold("b", "h", "settled"))));
}

async fn of_two_accounts_of_one_name_made_at_once_only_one_is_made(db: &Db) {
    let (a, b) = (db.open().await, db.open().await);
    let epoch = own(&a).await;
    for n in 0..10 {
        let name = format!("twice-{n}");
        let make = |currency: &str| {
            let row =
                AccountRow { account: name.clone(), currency: currency.into(), ..account_row() };
            Write { account: name.clone(), account_row: Some(row), ..write("@account", epoch) }
        };
        let (x, y) = tokio::join!(one(&a, make("USD")), one(&b, make("EUR")));
        let made = match (&x, &y) {
            (Outcome::Committed, Outcome::Stale) => "USD",
            (Outcome::Stale, Outcome::Committed) => "EUR",
            other => panic!("{other:?}"),
        };
        let row = a.account(&name).await.expect("a read").expect("the account");
        assert_eq!(row.currency, made);
    }
}

async fn a_booking_and_a_slice_keep_where_they_belong(db: &Db) {
    let (store, epoch) = start(db).await;
    let mut row = entry("b", 1, "k1", 5);
    row.window_slice = Some("00000000000000a1".into());
    let mut slice = slice_row("b", "s2", 50);
    slice.since_seq = 17;
    let first =
        Write { entries: vec![row.clone()], slices_put: vec![slice.clone()], ..write("b", epoch) };
    assert_eq!(one(&store, first).await, Outcome::Committed);
    (slice.quota, slice.since_seq) = (60, 99);
    let grown = Write { slices_put: vec![slice], ..write("b", epoch) };
    assert_eq!(one(&store, grown).await, Outcome::Committed);
    assert_eq!(store.entry(ACCOUNT, "k1").await, Ok(Some(row)));
    let slices = store.slices(ACCOUNT, "b").await.expect("a read");
    assert_eq!((slices[1].quota, slices[1].since_seq), (60, 17), "it lives on since then");
}

async fn batches_of_two_servers_that_share_shards_do_not_block_each_other(db: &Db) {
    let (a, b) = (db.open().await, db.open().await);
    let epoch = own(&a).await;
    let many = async |store: &Store, name: &str, backwards: bool| {
        for round in 0..10 {
            let mut writes: Vec<Write> = (0..40)
                .map(|n| {
                    let name = format!("{name}-{round}-{n}");
                    let budget_row = put(0, budget_row(&name));
                    Write { budget_row, shard: n * 6, ..write(&name, epoch) }
                })
                .collect();
            if backwards {
                writes.reverse();
            }
            assert_eq!(store.commit(writes).await, vec![Outcome::Committed; 40]);
        }
    };
    tokio::join!(many(&a, "a", false), many(&b, "b", true));
}

async fn a_failure_before_the_commit_writes_nothing(db: &Db) {
    let (store, epoch) = start(db).await;
    let make = || Write { budget_row: put(1, budget_row("b")), ..write("b", epoch) };
    store.faults().set(Fault::BeforeCommit, 1);
    assert!(matches!(one(&store, make()).await, Outcome::Failed(StoreError::Unavailable { .. })));
    assert_eq!(version(&store, "b").await, 1);
    assert_eq!(one(&store, make()).await, Outcome::Committed);
}

async fn an_unknown_outcome_is_seen_by_a_reload_both_ways(db: &Db) {
    let (store, epoch) = start(db).await;
    let make =
        |version: i64| Write { budget_row: put(version, budget_row("b")), ..write("b", epoch) };
    let reload = async || match store.reload_budget(ACCOUNT, "b", 7, epoch).await {
        Ok(Reloaded::Current(Some(loaded))) => loaded.budget.version,
        other => panic!("{other:?}"),
    };
    store.faults().set(Fault::UnknownDone, 1);
    assert!(matches!(one(&store, make(1)).await, Outcome::Unknown(_)));
    assert_eq!(reload().await, 2);
    store.faults().set(Fault::UnknownUndone, 1);
    assert!(matches!(one(&store, make(2)).await, Outcome::Unknown(_)));
    assert_eq!(reload().await, 2);
    assert_eq!(one(&store, make(2)).await, Outcome::Committed);
}

async fn a_slow_store_is_waited_for_no_longer_than_the_limits(db: &Db) {
    start(db).await.0.close().await;
    let store = Store::open(hurried(&db.config)).await.expect("the store opens");
    let epoch = own(&store).await;
    let make =
        |version: i64| Write { budget_row: put(version, budget_row("b")), ..write("b", epoch) };
    let long = Duration::from_secs(3600);
    let began = Instant::now();
    store.faults().set(Fault::SlowStatements(long), 1);
    let outcome = one(&store, make(1)).await;
    assert!(matches!(outcome, Outcome::Failed(StoreError::Timeout { .. })), "{outcome:?}");
    store.faults().set(Fault::SlowCommit(long), 1);
    let outcome = one(&store, make(1)).await;
    assert!(matches!(outcome, Outcome::Unknown(StoreError::Timeout { .. })), "{outcome:?}");
    let Ok(Reloaded::Current(Some(loaded))) = store.reload_budget(ACCOUNT, "b", 7, epoch).await
    else {
        panic!("no reload")
    };
    assert_eq!(loaded.budget.version, 1);
    assert_eq!(one(&store, make(1)).await, Outcome::Committed);
    assert!(began.elapsed() < Duration::from_secs(5), "took {:?}", began.elapsed());
}

async fn taking_shards_at_once_gives_each_owner_its_own_epoch(db: &Db) {
    let (a, b) = (db.open().await, db.open().await);
    let shards: Vec<i64> = (0..256).collect();
    let before = own(&a).await;
    let mut epochs = Vec::new();
    for _ in 0..5 {
        let (x, y) = tokio::join!(a.acquire(&shards, "a"), b.acquire(&shards, "b"));
        for taken in [x, y] {
            let taken = taken.expect("shards");
            assert_eq!(taken.len(), 256);
            assert!(taken.values().all(|e| Some(e) == taken.get(&0)), "all shards move together");
            epochs.push(taken[&0]);
        }
    }
    epochs.sort_unstable();
    assert_eq!(epochs, (before + 1..=before + 10).collect::<Vec<_>>());
    let owners = a.shards().await.expect("a read");
    let mut owners = owners.iter().filter(|row| row.shard < 256);
    let owner = owners.next().expect("a shard").owner.clone();
    assert!(owners.all(|row| row.epoch == before + 10 && row.owner == owner));
}

async fn a_reload_under_an_old_epoch_is_fenced(db: &Db) {
    let (store, epoch) = start(db).await;
    assert_eq!(store.fence(7, epoch).await, Ok(true));
    store.acquire(&[7], "other").await.expect("a shard");
    assert_eq!(store.fence(7, epoch).await, Ok(false));
    assert_eq!(store.reload_budget(ACCOUNT, "b", 7, epoch).await, Ok(Reloaded::Fenced));
}

async fn a_reload_waits_for_a_batch_that_is_still_on_its_way(db: &Db) {
    let (store, epoch) = start(db).await;
    let other = db.open().await;
    let make = Write { budget_row: put(1, budget_row("b")), ..write("b", epoch) };
    store.faults().set(Fault::SlowCommit(Duration::from_millis(500)), 1);
    let slow = tokio::spawn(async move { one(&store, make).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(version(&other, "b").await, 1, "a plain read does not wait");
    let reloaded = other.reload_budget(ACCOUNT, "b", 7, epoch).await;
    let Ok(Reloaded::Current(Some(loaded))) = reloaded else { panic!("{reloaded:?}") };
    assert_eq!(loaded.budget.version, 2);
    assert_eq!(slow.await.expect("it ends"), Outcome::Committed);
}

/// Actors await these beside others on any thread.
#[tokio::test]
async fn every_call_may_be_awaited_on_any_thread() {
    fn send<T: Send>(_: T) {}
    let db = Db::sqlite();
    let store = db.open().await;
    send(Store::open(db.config.clone()));
    send(store.commit(Vec::new()));
    send(store.reload_budget("a", "b", 0, 0));
    send(store.load_budget("a", "b"));
    send(store.acquire(&[], "x"));
    send(store.window("a", 0, ("boot", 0), 1));
    send(store.put_meta("*", "x", None));
    send(store.outbox_delivered(&[], 0));
    send(store.holds_prune(0, 1));
    let path = db.path("x");
    send(store.export(&path));
    send(store.copy(&path));
    send(Store::restore(&db.config, &path));
}
