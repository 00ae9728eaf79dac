use std::io::{Read, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use kiki::store::export::{self, ExportRow, Source};
use kiki::store::{Outcome, RateRow, Store, StoreConfig, StoreError, Write};
use sha2::{Digest, Sha256};

use crate::{
    ACCOUNT, Db, account_row, budget_row, entry, hold, on_every_store, operation, outbox, own, put,
    slice_row, write,
};

on_every_store!(
    an_export_restored_elsewhere_is_equal_but_closed_and_paused,
    a_restore_refuses_a_store_that_is_not_empty,
    an_export_of_the_first_version_is_restored,
    a_damaged_export_is_refused_before_anything_is_written,
    an_interrupted_restore_keeps_the_store_shut,
    an_export_is_one_snapshot_while_writes_go_on,
    an_existing_file_is_never_overwritten,
);

/// Rows in every table; more of them than one chunk in the ledger.
async fn filled(db: &Db) -> Store {
    let store = db.open().await;
    let epoch = own(&store).await;
    for (n, name) in ["a", "b\u{1F4B6}"].into_iter().enumerate() {
        let first = 2500 * n as i64;
        let entries = (1..=2500)
            .map(|seq| entry(name, seq, &format!("{name}-{}", first + seq), seq))
            .collect();
        let whole = Write {
            entries,
            budget_row: put(0, budget_row(name)),
            slices_put: vec![slice_row(name, "s1", 100), slice_row(name, "s2", 5)],
            account_row: (n == 0).then(account_row),
            operations: vec![operation(name, &format!("o{n}"))],
            outbox: vec![outbox(&format!("e{n}"))],
            holds: vec![hold(name, &format!("h{n}"), "open")],
            ..write(name, epoch)
        };
        assert_eq!(store.commit(vec![whole]).await, vec![Outcome::Committed]);
    }
    let rate = RateRow {
        account: ACCOUNT.into(),
        currency: "EUR".into(),
        day: "2026-01-01".into(),
        rate_e9: 1_080_000_000,
    };
    store.put_rates(&[rate]).await.expect("a rate");
    store.put_meta("*", "fact", Some("kept")).await.expect("a fact");
    store
}

/// All rows as a restore leaves them: slices closed, owners and epochs and the pause left out.
async fn rows(source: Source<'_>) -> Vec<ExportRow> {
    let mut rows = Vec::new();
    let each = |row| {
        match row {
            ExportRow::Shard(_) => {}
            ExportRow::Meta(row) if row.name == kiki::store::PAUSED_BY_RESTORE => {}
            ExportRow::Slice(mut row) => {
                row.sealed = 1;
                rows.push(ExportRow::Slice(row));
            }
            other => rows.push(other),
        }
        Ok(())
    };
    source.each_row(each).await.expect("the rows");
    rows
}

async fn check_restored(config: &StoreConfig, before: &[ExportRow], epoch: i64) {
    let store = Store::open(config.clone()).await.expect("the store opens");
    assert_eq!(rows(Source::Store(&store)).await, before);
    let paused = store.paused_by_restore().await.expect("a read").expect("spending is paused");
    assert_eq!((paused.slices_closed, paused.rows["ledger"]), (4, 5000));
    assert!(store.slices(ACCOUNT, "a").await.expect("a read").iter().all(|s| s.sealed == 1));
    assert!(
        store
            .shards()
            .await
            .expect("a read")
            .iter()
            .filter(|s| s.shard < 256)
            .all(|s| s.epoch > epoch)
    );
    store.resume_after_restore().await.expect("resumed");
    assert_eq!(store.paused_by_restore().await, Ok(None));
    store.close().await;
}

async fn an_export_restored_elsewhere_is_equal_but_closed_and_paused(db: &Db) {
    let store = filled(db).await;
    let epoch = store.shards().await.expect("a read")[0].epoch;
    let before = rows(Source::Store(&store)).await;
    let file = db.path("backup.gz");
    let manifest = store.export(&file).await.expect("an export");
    assert_eq!(manifest.tables["ledger"].rows, 5000);
    assert_eq!(export::verify(&file).await, Ok(manifest));
    assert_eq!(rows(Source::File(&file)).await, before);

    let sqlite = StoreConfig::sqlite(db.path("restored"));
    let restored = Store::restore(&sqlite, &file).await.expect("a restore");
    assert_eq!(restored.slices_closed, 4);
    check_restored(&sqlite, &before, epoch).await;
    if let Some(other) = Db::postgres().await {
        Store::restore(&other.config, &file).await.expect("a restore");
        check_restored(&other.config, &before, epoch).await;
        other.drop().await;
    }
}

#[tokio::test]
async fn a_copy_of_the_database_can_be_read_and_restored_too() {
    let db = Db::sqlite();
    let store = filled(&db).await;
    let before = rows(Source::Store(&store)).await;
    let file = db.path("copy.sqlite");
    store.copy(&file).await.expect("a copy");
    assert!(matches!(store.copy(&file).await, Err(StoreError::Config(_))));
    Source::File(&file).prove().await.expect("it is sound");
    assert_eq!(rows(Source::File(&file)).await, before);
    let config = StoreConfig::sqlite(db.path("restored"));
    Store::restore(&config, &file).await.expect("a restore");
    check_restored(&config, &before, 1).await;

    let mut bytes = std::fs::read(&file).expect("the copy");
    let half = bytes.len() / 2;
    bytes[half..half + 4096].fill(0xAA);
    let broken = db.path("broken.sqlite");
    std::fs::write(&broken, bytes).expect("a file");
    let config = StoreConfig::sqlite(db.path("third"));
    let error = Store::restore(&config, &broken).await.expect_err("a refusal");
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
}

async fn a_restore_refuses_a_store_that_is_not_empty(db: &Db) {
    let store = filled(db).await;
    let file = db.path("backup.gz");
    store.export(&file).await.expect("an export");
    let error = Store::restore(&db.config, &file).await.expect_err("a refusal");
    assert!(matches!(error, StoreError::NotEmpty { .. }), "{error}");
    store.probe().await.expect("it still works");
}

/// The lines of an export as the version before the second migration wrote them.
fn as_of_first_version(file: &Path) -> Vec<u8> {
    let whole = std::fs::read(file).expect("the export");
    let mut text = String::new();
    GzDecoder::new(&whole[..]).read_to_string(&mut text).expect("text");
    let text = text.replace(r#","window_slice":null}}"#, "}}").replace(r#","since_seq":0}"#, "}");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let footer = lines.pop().expect("a manifest");
    let mut footer: serde_json::Value = serde_json::from_str(&footer).expect("JSON");
    for table in ["slice", "ledger"] {
        let mut hash = Sha256::new();
        for line in lines.iter().filter(|line| line.starts_with(&format!("{{\"{table}\":"))) {
            assert!(!line.contains("since_seq"), "{line}");
            hash.update(format!("{line}\n"));
        }
        let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        footer["manifest"]["tables"][table]["sha256"] = digest.into();
    }
    lines.push(footer.to_string());
    zipped(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

async fn an_export_of_the_first_version_is_restored(db: &Db) {
    let store = filled(db).await;
    let before = rows(Source::Store(&store)).await;
    let file = db.path("backup.gz");
    store.export(&file).await.expect("an export");
    let old = db.path("old.gz");
    std::fs::write(&old, as_of_first_version(&file)).expect("a file");
    let config = StoreConfig::sqlite(db.path("restored"));
    Store::restore(&config, &old).await.expect("a restore");
    check_restored(&config, &before, 1).await;
}

async fn a_damaged_export_is_refused_before_anything_is_written(db: &Db) {
    let store = filled(db).await;
    let file = db.path("backup.gz");
    store.export(&file).await.expect("an export");
    let whole = std::fs::read(&file).expect("the export");
    let mut text = String::new();
    GzDecoder::new(&whole[..]).read_to_string(&mut text).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len() - 1;

    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let without_row = [&lines[..10], &lines[11..]].concat();
    let changed: Vec<String> =
        lines.iter().map(|line| line.replace(r#""amount":77,"#, r#""amount":78,"#)).collect();
    let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
    let twice: Vec<&str> = lines.iter().chain([&lines[last]]).copied().collect();
    let damaged: Vec<(&str, Vec<u8>)> = vec![
        ("a flipped bit", flipped),
        ("a cut file", whole[..whole.len() - 100].to_vec()),
        ("no manifest", zipped(&lines[..last])),
        ("a missing row", zipped(&without_row)),
        ("a changed amount", zipped(&changed)),
        ("something behind the manifest", zipped(&twice)),
        ("an empty file", Vec::new()),
        ("another file", b"hello".to_vec()),
        ("another format", zipped(&[r#"{"kiki_export":99}"#])),
    ];
    for (n, (what, bytes)) in damaged.into_iter().enumerate() {
        let path = db.path(&format!("damaged-{n}"));
        std::fs::write(&path, bytes).expect("a file");
        let target = db.path(&format!("target-{n}"));
        let error = Store::restore(&StoreConfig::sqlite(&target), &path).await.expect_err(what);
        assert!(matches!(error, StoreError::Corrupt(_)), "{what}: {error}");
        assert!(!target.exists(), "{what}: nothing is written");
    }
}

fn zipped(lines: &[&str]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    for line in lines {
        writeln!(out, "{line}").expect("memory");
    }
    out.finish().expect("memory")
}

async fn an_interrupted_restore_keeps_the_store_shut(db: &Db) {
    let store = db.open().await;
    store.put_meta("*", "restoring", Some("1")).await.expect("the mark of a running restore");
    let error = Store::open(db.config.clone()).await.expect_err("it stays shut");
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
}

async fn an_export_is_one_snapshot_while_writes_go_on(db: &Db) {
    let store = filled(db).await;
    let epoch = store.shards().await.expect("a read")[0].epoch;
    let writer = store.clone();
    let going = tokio::spawn(async move {
        for version in 1..60 {
            let mut row = budget_row("a");
            row.seq = 2500 + version;
            let next = Write {
                entries: vec![entry("a", row.seq, &format!("later-{version}"), 1)],
                budget_row: put(version, row),
                ..write("a", epoch)
            };
            assert_eq!(writer.commit(vec![next]).await, vec![Outcome::Committed]);
        }
    });
    while !going.is_finished() {
        let (mut seq, mut last) = (0, 0);
        let each = |row| {
            match row {
                ExportRow::Budget(row) if row.budget == "a" => seq = row.seq,
                ExportRow::Ledger(row) if row.budget == "a" => last = row.seq,
                _ => {}
            }
            Ok(())
        };
        Source::Store(&store).each_row(each).await.expect("the rows");
        assert!(last == seq.max(2500), "the ledger ends where the budget says: {last}, {seq}");
    }
    going.await.expect("the writer ends");
}

async fn an_existing_file_is_never_overwritten(db: &Db) {
    let store = db.open().await;
    let file = db.path("mine");
    std::fs::write(&file, "mine").expect("a file");
    let error = store.export(Path::new(&file)).await.expect_err("a refusal");
    assert!(matches!(error, StoreError::Config(_)), "{error}");
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "mine");
}
