//! `kiki ledger verify`, `backup`, `restore` and `migrate` on stores of their own: on SQLite, and on
//! PostgreSQL when `KIKI_TEST_POSTGRES_URL` names a server where schemas may be made.

#[path = "offline/rows.rs"]
mod rows;
#[path = "offline/site.rs"]
mod site;

use std::io::Read;

use kiki::models::shield::hold::settle_op;
use kiki::store::ServerLock;
use sha2::{Digest, Sha256};

use rows::{DAY, fill, hold};
use site::Site;

macro_rules! on_every_store {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let site = crate::Site::sqlite();
                super::$name(&site).await;
                site.drop().await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                if let Some(site) = crate::Site::postgres().await {
                    super::$name(&site).await;
                    site.drop().await;
                }
            })+
        }
    };
}

on_every_store!(
    a_good_ledger_is_verified_beside_a_running_server,
    every_planted_corruption_is_named,
    a_backup_restored_elsewhere_verifies_with_the_same_totals,
    a_restore_is_refused_beside_a_server_and_over_rows,
    migrations_run_alone_and_once,
);

async fn a_good_ledger_is_verified_beside_a_running_server(site: &Site) {
    let store = site.open().await;
    fill(&store).await;
    let _server = ServerLock::acquire(&site.data(), "127.0.0.1:8090").expect("the lock");
    let out = site.kiki(&["ledger", "verify"]).good();
    assert!(out.contains("3,004 rows, 2 budgets: every invariant holds"), "{out}");
    let words: Vec<&str> = out
        .lines()
        .find(|l| l.contains("camp_002"))
        .expect("its line")
        .split_whitespace()
        .collect();
    assert_eq!(words, ["acme", "camp_002", "4", "2.75", "5,000.00", "USD"]);
    let other = site.kiki(&["ledger", "verify", "--account", "nobody"]).good();
    assert!(other.contains("0 rows, 0 budgets"), "{other}");

    let file = site.file("while-it-runs.gz");
    site.kiki(&["backup", &file]).good();
    store.close().await;
}

async fn every_planted_corruption_is_named(site: &Site) {
    let store = site.open().await;
    fill(&store).await;
    store.close().await;
    let one = "WHERE budget = 'camp_001' AND seq = 17";
    let planted: Vec<(String, String, &str, &str)> = vec![
        (
            format!("UPDATE ledger SET amount = amount + 1 {one}"),
            format!("UPDATE ledger SET amount = amount - 1 {one}"),
            "BG-4 acme/camp_001:",
            "its settled is 3000, its rows add up to 3000.000001",
        ),
        (
            format!("UPDATE ledger SET seq = 9999 {one}"),
            "UPDATE ledger SET seq = 17 WHERE seq = 9999".into(),
            "BG-3 acme/camp_001 ledger row 18:",
            "stands where row 17 is due",
        ),
        (
            format!("DROP INDEX ledger_op; UPDATE ledger SET op = '{}' {one}", settle_op(hold(16))),
            format!("UPDATE ledger SET op = '{}' {one}", settle_op(hold(17))),
            "BG-3 acme/camp_001 ledger row 17:",
            "has a row already",
        ),
        (
            format!("UPDATE ledger SET hold = '{}' {one}", hold(16)),
            format!("UPDATE ledger SET hold = '{}' {one}", hold(17)),
            "BG-3 acme/camp_001 ledger row 17:",
            "under a key that is not the hold's own",
        ),
        (
            format!("UPDATE ledger SET currency = 'EUR' {one}"),
            format!("UPDATE ledger SET currency = 'USD' {one}"),
            "BG-4 acme/camp_001 ledger row 17:",
            "is in EUR, its budget in USD",
        ),
        (
            format!("UPDATE ledger SET kind = 'refund' {one}"),
            format!("UPDATE ledger SET kind = 'settle' {one}"),
            "BG-4 acme/camp_001 ledger row 17:",
            "a refund of 1, counted as 1",
        ),
        (
            format!("UPDATE ledger SET day = '20260101' {one}"),
            format!("UPDATE ledger SET day = '{DAY}' {one}"),
            "BG-4 acme/camp_001:",
            "it used 3000 on 20260102",
        ),
        (
            "UPDATE budget SET refunded = refunded + 1 WHERE budget = 'camp_002'".into(),
            "UPDATE budget SET refunded = refunded - 1 WHERE budget = 'camp_002'".into(),
            "BG-4 acme/camp_002:",
            "its refunded is 0.500001",
        ),
        (
            "UPDATE slice SET quota = 1 WHERE budget = 'camp_001'".into(),
            "UPDATE slice SET quota = 3010000000 WHERE budget = 'camp_001'".into(),
            "BG-1 acme/camp_001 slice 00000000000000a1:",
            "has booked 3000 of its quota of 0.000001",
        ),
        (
            "UPDATE slice SET quota = 5001000000 WHERE budget = 'camp_001'".into(),
            "UPDATE slice SET quota = 3010000000 WHERE budget = 'camp_001'".into(),
            "BG-1 acme/camp_001:",
            "5001 is settled or in slices, and no cap was above 5000",
        ),
        (
            "UPDATE slice SET settled = 0 WHERE budget = 'camp_002'".into(),
            "UPDATE slice SET settled = 2000000 WHERE budget = 'camp_002'".into(),
            "BG-1 acme/camp_002 slice",
            "says that 0 was booked from it, the ledger 2",
        ),
        (
            format!("UPDATE hold SET hold = '{}'", hold(8000)),
            format!("UPDATE hold SET hold = '{}'", hold(3000)),
            "BG-2 acme/camp_001 hold",
            "was settled with 1 and has no ledger row",
        ),
    ];
    for (plant, mend, place, what) in planted {
        site.tamper(&plant).await;
        let ran = site.kiki(&["ledger", "verify"]);
        assert_eq!(ran.code, Some(1), "{plant}: {ran:#?}");
        let named = |line: &str| line.starts_with(place) && line.contains(what);
        assert!(ran.out.lines().any(named), "{plant}: {ran:#?}");
        assert!(ran.err.contains("violation"), "{plant}: {ran:#?}");
        site.tamper(&mend).await;
    }
    site.kiki(&["ledger", "verify"]).good();

    site.tamper("DELETE FROM ledger WHERE budget = 'camp_002' AND seq = 4").await;
    let ran = site.kiki(&["ledger", "verify", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((ran.code, &report["holds"]), (Some(1), &serde_json::json!(false)));
    let first = &report["violations"][0];
    assert_eq!((&first["invariant"], &first["budget"]), (&"BG-3".into(), &"camp_002".into()));
}

/// What `zcat FILE | tail -n 1 | sha256sum` prints.
fn last_line_digest(file: &str) -> String {
    let mut text = String::new();
    let packed = std::fs::File::open(file).expect("the backup");
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("text");
    let last = text.lines().next_back().expect("a manifest");
    let digest = Sha256::digest(format!("{last}\n"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The report of a verification, to be compared.
fn verified(site: &Site) -> serde_json::Value {
    let out = site.kiki(&["ledger", "verify", "--json"]).good();
    serde_json::from_str(&out).expect("JSON")
}

async fn a_backup_restored_elsewhere_verifies_with_the_same_totals(site: &Site) {
    let store = site.open().await;
    fill(&store).await;
    store.close().await;
    let before = verified(site);
    let file = site.file("backup.gz");
    let out = site.kiki(&["backup", &file]).good();
    assert!(out.contains("ledger     3,004"), "{out}");
    let digest = out.rsplit(' ').next().expect("a digest").trim();
    assert_eq!(digest, last_line_digest(&file), "{out}");
    let export = site.kiki(&["ledger", "verify", "--export", &file, "--json"]).good();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&export).expect("JSON"), before);
    site.kiki(&["backup", &file]).refused(1, "exists already");

    let mut restored = vec![(site.another().await, file.clone())];
    if site.schema.is_none() {
        let copy = site.file("copy.sqlite");
        let out = site.kiki(&["backup", "--copy", &copy]).good();
        assert!(out.contains("a copy of the database"), "{out}");
        restored.push((site.another().await, copy));
    } else {
        // from one database into the other
        restored.push((Site::sqlite(), file));
    }
    for (other, file) in restored {
        let out = other.kiki(&["restore", &file]).good();
        assert!(out.contains("slices closed: 3") && out.contains("spending is paused"), "{out}");
        assert_eq!(verified(&other), before);
        let store = other.open().await;
        assert!(store.paused_by_restore().await.expect("a read").is_some());
        store.close().await;
        other.kiki(&["restore", &file]).refused(1, "not empty");
        other.drop().await;
    }
}

async fn a_restore_is_refused_beside_a_server_and_over_rows(site: &Site) {
    let store = site.open().await;
    fill(&store).await;
    let file = site.file("backup.gz");
    site.kiki(&["backup", &file]).good();
    site.kiki(&["restore", &file]).refused(1, "not empty");
    site.kiki(&["ledger", "verify"]).good();
    store.close().await;

    let other = site.another().await;
    let server = ServerLock::acquire(&other.data(), "127.0.0.1:8090").expect("the lock");
    other.kiki(&["restore", &file]).refused(1, "127.0.0.1:8090");
    drop(server);
    let damaged = other.file("damaged.gz");
    let mut bytes = std::fs::read(&file).expect("the backup");
    let half = bytes.len() / 2;
    bytes[half] ^= 1;
    std::fs::write(&damaged, bytes).expect("written");
    other.kiki(&["restore", &damaged]).refused(1, "damaged");
    other.kiki(&["restore", &other.file("missing")]).refused(1, "is no file");
    other.kiki(&["restore", &file]).good();
    other.drop().await;
}

async fn migrations_run_alone_and_once(site: &Site) {
    let out = site.kiki(&["migrate", "up"]).good();
    assert!(out.contains("before: schema version 0"), "{out}");
    assert!(out.contains("after:  schema version 8, applied 1, 2, 3, 4, 5, 6, 7, 8"), "{out}");
    let again = site.kiki(&["migrate", "up"]).good();
    assert!(again.contains("schema version 8, nothing was missing"), "{again}");
    let out = site.kiki(&["ledger", "verify"]).good();
    assert!(out.contains("0 rows, 0 budgets: every invariant holds"), "{out}");
}

#[test]
fn what_is_not_there_is_neither_verified_nor_backed_up_nor_made() {
    let site = Site::sqlite();
    site.kiki(&["ledger", "verify"]).refused(2, "there is no store in");
    site.kiki(&["backup", &site.file("b.gz")]).refused(2, "there is no store in");
    site.kiki(&["ledger", "verify", "--export", &site.file("none")]).refused(1, "cannot open");
    assert!(!site.data().exists());
}
