use std::time::{Duration, Instant};

use kiki::store::{
    Backend, Holder, Outcome, PersonRow, ServerLock, Store, StoreConfig, StoreError, Write,
};

use crate::{ACCOUNT, Db, entry, hurried, on_every_store, own, slice_row, write};

on_every_store!(
    migrations_run_once_however_often_they_are_asked_for,
    opening_from_several_places_at_once_works,
    every_shard_exists_from_the_start,
    a_store_of_the_first_version_is_brought_up_to_date_with_its_rows,
    a_key_that_was_destroyed_is_in_no_file_of_the_store,
);

async fn migrations_run_once_however_often_they_are_asked_for(db: &Db) {
    let first = Store::migrate(&db.config).await.expect("migrations");
    assert!(first.before.is_empty() && !first.applied.is_empty());
    let second = Store::migrate(&db.config).await.expect("migrations");
    assert_eq!((second.before, second.applied.len()), (first.applied, 0));
    own(&db.open().await).await;
}

async fn opening_from_several_places_at_once_works(db: &Db) {
    let (a, b, c) = tokio::join!(db.open(), db.open(), db.open());
    for store in [a, b, c] {
        own(&store).await;
    }
}

async fn a_store_of_the_first_version_is_brought_up_to_date_with_its_rows(db: &Db) {
    let store = db.open().await;
    let whole = Write {
        entries: vec![entry("b", 1, "k1", 5)],
        slices_put: vec![slice_row("b", "s1", 100)],
        ..write("b", own(&store).await)
    };
    assert_eq!(store.commit(vec![whole]).await, vec![Outcome::Committed]);
    store.close().await;
    let since: Vec<String> = kiki::store::export::TABLES
        .iter()
        .skip_while(|table| **table != "person")
        .map(|table| format!("DROP TABLE {table};"))
        .collect();
    db.tamper(&since.concat()).await;
    db.tamper(
        "DROP INDEX ledger_mono; DROP INDEX hold_expires; \
         ALTER TABLE ledger DROP COLUMN window_slice; ALTER TABLE slice DROP COLUMN since_seq; \
         DROP TABLE node; ALTER TABLE shard DROP COLUMN heir; ALTER TABLE shard DROP COLUMN since; \
         DELETE FROM shard WHERE shard > 255; \
         DELETE FROM _sqlx_migrations WHERE version > 1",
    )
    .await;
    let migrated = Store::migrate(&db.config).await.expect("migrations");
    assert_eq!((migrated.before, migrated.applied), (vec![1], vec![2, 3, 4, 5, 6, 7, 8]));
    let store = db.open().await;
    assert_eq!(store.entry(ACCOUNT, "k1").await, Ok(Some(entry("b", 1, "k1", 5))));
    assert_eq!(store.slices(ACCOUNT, "b").await, Ok(vec![slice_row("b", "s1", 100)]));
}

async fn every_shard_exists_from_the_start(db: &Db) {
    let shards = db.open().await.shards().await.expect("a read");
    assert_eq!(shards.len(), 768, "256 of each role");
    assert!(shards.iter().enumerate().all(|(n, s)| s.shard == n as i64 && s.account == "*"));
}

#[test]
fn a_second_server_is_refused_by_name_until_the_first_is_gone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    assert_eq!(ServerLock::holder(dir.path()), Ok(None));
    let mut lock = ServerLock::acquire(dir.path(), "127.0.0.1:1").expect("the lock");
    lock.publish("127.0.0.1:8090").expect("the address");
    let pid = std::process::id();
    let address = "127.0.0.1:8090".to_owned();
    let refused = ServerLock::acquire(dir.path(), "x").expect_err("a refusal");
    assert_eq!(refused, StoreError::Locked { pid, address: address.clone() });
    assert_eq!(
        refused.to_string(),
        format!("the data directory is in use by another kiki (process {pid}, 127.0.0.1:8090)")
    );
    assert_eq!(ServerLock::holder(dir.path()), Ok(Some(Holder { pid, address })));
    drop(lock);
    assert_eq!(ServerLock::holder(dir.path()), Ok(None));
    ServerLock::acquire(dir.path(), "x").expect("the lock is free again");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_reported_within_the_limit() {
    let began = Instant::now();
    let config = hurried(&StoreConfig::postgres("postgres://kiki@127.0.0.1:1/none"));
    let error = Store::open(config).await.expect_err("no store");
    assert!(error.is_transient(), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_server_that_never_answers_is_reported_within_the_limit() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let began = Instant::now();
    let config = hurried(&StoreConfig::postgres(format!("postgres://kiki@127.0.0.1:{port}/none")));
    let error = Store::open(config).await.expect_err("no store");
    assert!(matches!(error, StoreError::Timeout { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_lock_on_the_database_by_another_process_is_waited_for_no_longer_than_the_limits() {
    let db = Db::sqlite();
    db.open().await.close().await;
    let store = Store::open(hurried(&db.config)).await.expect("the store opens");
    let other = db.open().await;
    other.faults().set(kiki::store::Fault::SlowStatements(Duration::from_secs(2)), 1);
    let slow = tokio::spawn(async move { other.commit(vec![crate::write("b", 0)]).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    let error = store.probe().await.expect_err("the database is locked");
    assert!(error.is_transient(), "{error}");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    slow.await.expect("it ends");
    store.probe().await.expect("free again");
}

#[test]
fn a_data_directory_with_odd_characters_works() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let odd = dir.path().join("a b?c#d%e ü");
    runtime.block_on(async {
        Store::open(StoreConfig::sqlite(&odd)).await.expect("the store opens");
    });
    assert!(odd.join(kiki::store::SQLITE_FILE).exists());
}

#[tokio::test]
async fn a_password_is_never_printed() {
    let config = hurried(&StoreConfig::postgres("postgres://kiki:s3cret@127.0.0.1:1/none"));
    assert!(!format!("{config:?}").contains("s3cret"));
    let error = Store::open(config).await.expect_err("no store");
    assert!(!format!("{error:?} {error}").contains("s3cret"));
    let error = Store::open(StoreConfig::postgres("s3cret")).await.expect_err("no address");
    assert!(!format!("{error:?} {error}").contains("s3cret"));
}

async fn a_key_that_was_destroyed_is_in_no_file_of_the_store(db: &Db) {
    let store = db.open().await;
    let epoch = own(&store).await;
    let secret = |n: i64| format!("wrapped-{n}-{}", "k".repeat(80));
    let person = |n: i64| PersonRow {
        account: ACCOUNT.into(),
        person: format!("psn_{n}"),
        lookup: format!("lookup_{n}"),
        customer: "sealed".into(),
        wrapped_key: secret(n),
        seq: 0,
        created_at: 1,
        erased_at: None,
        version: 1,
    };
    let commit = async |row: PersonRow| {
        let one = Write { puts: vec![row.into()], ..write("psn", epoch) };
        assert_eq!(store.commit(vec![one]).await, [Outcome::Committed]);
    };
    for n in 0..200 {
        commit(person(n)).await;
    }
    for n in (0..200).filter(|n| n % 3 == 0) {
        let lookup = format!("gone_{n}");
        let wrapped_key = String::new();
        commit(PersonRow { wrapped_key, lookup, erased_at: Some(2), version: 2, ..person(n) })
            .await;
    }
    assert!(store.scrub().await.expect("the store answers"));
    let Backend::Sqlite { dir } = &db.config.backend else { return };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).expect("the folder of the store") {
        files.extend(std::fs::read(entry.expect("an entry").path()).expect("a file"));
    }
    let has = |n: i64| {
        let secret = secret(n);
        files.windows(secret.len()).any(|bytes| bytes == secret.as_bytes())
    };
    assert!(has(1) && has(2), "those that live are there");
    for n in (0..200).filter(|n| n % 3 == 0) {
        assert!(!has(n), "the key of person {n} is still there");
    }
}
