//! What is read of a platform that books while it is read, or that does not tell everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::fake::Fake;

const METRICS: &str =
    "shield_invariant_violations_total{invariant=\"BG-1\"} 0\nshield_audit_unverified_logs 0\n";

/// A platform with one budget, on which `more` rows are booked, each after somebody has read its ledger.
async fn platform(more: u64, metrics: &'static str) -> Fake {
    let (seq, more) = (Arc::new(AtomicU64::new(1)), AtomicU64::new(more));
    Fake::start(move |path| {
        let now = seq.load(Ordering::SeqCst);
        let body = match path {
            "/api/v1/audit/export" => String::new(),
            "/api/v1/audit/verify" => r#"{"verified":true,"findings":[]}"#.to_owned(),
            "/metrics" => metrics.to_owned(),
            path if path.starts_with("/api/admin/actors") => r#"{"actors":[]}"#.to_owned(),
            path if path.contains("@account") => r#"{"rows":[],"next_cursor":null}"#.to_owned(),
            path if path.contains("/ledger?") => {
                if more.load(Ordering::SeqCst) > 0 {
                    more.fetch_sub(1, Ordering::SeqCst);
                    seq.fetch_add(1, Ordering::SeqCst);
                }
                let row = |seq| {
                    format!(
                        r#"{{"seq":{seq},"kind":"spend","amount":1,"currency":"USD","at":"2026-11-22T00:00:00Z","op":"x"}}"#
                    )
                };
                let rows: Vec<String> = (1..=now).map(row).collect();
                format!(r#"{{"rows":[{}],"next_cursor":null}}"#, rows.join(","))
            }
            _ => format!(
                r#"{{"budget":9,"spent":{now},"refunded":0,"held":0,"escrow":0,"remaining":0,"ledger_seq":{now}}}"#
            ),
        };
        (200, body)
    })
    .await
}

async fn read(platform: &Fake, dir: &Path, patience: Duration) -> Result<Collected, CollectError> {
    let spec = LoadSpec { accounts: 1, campaigns: 1, bidding: 0, ..LoadSpec::default() };
    let url = platform.url.clone();
    let patience = Patience { holds: patience, answers: Duration::from_secs(10) };
    let urls = Urls {
        // Nobody is at the first addresses.
        shield: ["http://127.0.0.1:9", "http://127.0.0.1:10", &url].map(str::to_owned).into(),
        nodes: vec![("node-1".to_owned(), url)],
        ..Urls::default()
    };
    collect(&spec, &urls, dir, patience, Vec::new()).await
}

#[tokio::test]
async fn what_is_booked_while_it_is_read_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(1, METRICS).await;
    let read = read(&platform, folder.path(), Duration::from_secs(10)).await.unwrap();
    assert_eq!((read.end.budgets[0].ledger_seq, read.ledger_rows), (2, 2));
    assert_eq!((read.untold, read.end.violations_counted), (vec![], vec![]));
}

#[tokio::test]
async fn who_is_gone_is_not_waited_for_at_each_question() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(0, METRICS).await;
    let began = Instant::now();
    read(&platform, folder.path(), Duration::from_secs(10)).await.unwrap();
    assert!(began.elapsed() < 3 * PAUSE, "{:?}", began.elapsed());
    // Where nobody answers it ends.
    let spec = LoadSpec { accounts: 1, campaigns: 1, bidding: 0, ..LoadSpec::default() };
    let nobody = Urls { shield: vec!["http://127.0.0.1:9".to_owned()], ..Urls::default() };
    let patience = Patience { holds: PAUSE, answers: PAUSE };
    let failed = collect(&spec, &nobody, folder.path(), patience, Vec::new()).await.unwrap_err();
    assert!(matches!(failed, CollectError::Unanswered { .. }), "{failed}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_booked_on_and_on_is_not_compared() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(u64::MAX, METRICS).await;
    let failed = read(&platform, folder.path(), Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(failed, CollectError::Moves(_)), "{failed}");
    assert!(!folder.path().join("end.json").exists());
}

#[tokio::test]
async fn a_node_that_does_not_count_what_is_broken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(0, "shield_audit_unverified_logs 0\n").await;
    let read = read(&platform, folder.path(), Duration::from_millis(10)).await.unwrap();
    let [(node, what)] = &read.untold[..] else { panic!("{:?}", read.untold) };
    assert!(node == "node-1" && what.contains("shield_invariant_violations_total"), "{what}");
}
