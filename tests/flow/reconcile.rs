//! `kiki flow reconcile`: a bill and a ledger that differ in every way they can.

use kiki::models::shield::money::Micros;

use super::fake::{Fake, Manners, kiki};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lost_notices_left_unbooked_is_booked_by_them_and_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("bill.jsonl");
    let fake = Fake::start().await;
    let summary = fake.trade(&report, &["--lost", "0.5", "--late", "0", "--duplicated", "0"]).await;
    let before = fake.booked();
    let (code, found) = fake.reconcile(&report, &["--dry-run"]).await;
    let missing = found["missing"].as_u64().expect("a count");
    assert!(code == 3 && missing > 0, "{found}");
    assert_eq!(fake.booked(), before, "a dry run books nothing");
    let (code, found) = fake.reconcile(&report, &[]).await;
    assert_eq!((code, found["booked_now"]["notices"].as_u64()), (0, Some(missing)), "{found}");
    let billed: i64 = ["USD", "EUR"]
        .iter()
        .filter_map(|currency| summary["spend_micros"][currency].as_i64())
        .sum();
    assert_eq!(fake.booked(), Micros(billed));
    let (code, found) = fake.reconcile(&report, &[]).await;
    assert_eq!((code, found["booked_now"]["notices"].as_u64()), (0, Some(0)), "{found}");
    assert_eq!(fake.booked(), Micros(billed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_notices_are_refused_the_rest_is_booked_as_spends_and_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("bill.jsonl");
    let fake = Fake::start().await;
    fake.books().manners = Manners { refuses: true, ..Manners::default() };
    let summary = fake.trade(&report, &["--lost", "0", "--late", "0"]).await;
    assert_eq!(fake.booked(), Micros::ZERO);
    let (code, found) = fake.reconcile(&report, &[]).await;
    assert_eq!((code, &found["booked_now"]["spends"]), (0, &summary["sold"]), "{found}");
    let booked = fake.booked();
    assert!(booked > Micros::ZERO);
    assert!(fake.books().rows.iter().all(|row| row.hold.is_some()), "each is that of its hold");
    let (code, _) = fake.reconcile(&report, &[]).await;
    assert_eq!((code, fake.booked()), (0, booked));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_that_is_a_micro_off_is_found_and_corrected_when_asked_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("bill.jsonl");
    let fake = Fake::start().await;
    fake.books().manners = Manners { dear: true, ..Manners::default() };
    fake.trade(&report, &["--lost", "0", "--late", "0", "--duplicated", "0"]).await;
    for _ in 0..2 {
        let (code, found) = fake.reconcile(&report, &[]).await;
        assert_eq!((code, found["differing"].as_u64()), (3, Some(1)), "{found}");
        let one = &found["differences"][0];
        let of = |name: &str| one[name].as_i64().expect("micros");
        assert_eq!(of("booked_micros") - of("billed_micros"), 1, "{found}");
        assert_eq!(one["state"], "settled");
    }
    let path = report.to_str().expect("text");
    let (code, out, err) =
        kiki(&["flow", "reconcile", "--report", path, "--url", &fake.url()]).await;
    assert!(code == 3 && out.contains("difference 0.000001"), "{out}");
    assert!(err.contains("in 1 impression"), "{err}");
    let (code, found) = fake.reconcile(&report, &["--correct"]).await;
    assert_eq!((code, found["booked_now"]["corrections"].as_u64()), (0, Some(1)), "{found}");
    assert_eq!(fake.reconcile(&report, &[]).await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_that_nobody_billed_is_found_unless_others_bill_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, part) = (folder.path().join("whole.jsonl"), folder.path().join("part.jsonl"));
    let fake = Fake::start().await;
    fake.trade(&whole, &["--lost", "0", "--late", "0"]).await;
    let text = std::fs::read_to_string(&whole).expect("a bill");
    let lines: Vec<&str> = text.lines().collect();
    // Without its end, and without the last impression.
    std::fs::write(&part, lines[..lines.len() - 2].join("\n") + "\n").expect("written");
    let (code, found) = fake.reconcile(&part, &[]).await;
    assert_eq!((code, found["unbilled"].as_u64()), (3, Some(1)), "{found}");
    assert_eq!(found["whole"], false);
    assert_eq!(fake.reconcile(&part, &["--others"]).await.0, 0);
    let twice = whole.to_str().expect("text").to_owned();
    let args = ["flow", "reconcile", "--url", &fake.url(), "--report", &twice, "--report", &twice];
    let (code, _, err) = kiki(&args).await;
    assert!(code == 2 && err.contains("billed twice"), "{code} {err}");
}

#[tokio::test]
async fn what_is_no_bill_and_a_server_that_is_away_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bill.jsonl");
    std::fs::write(&path, "auction,imp\n").expect("written");
    let file = path.to_str().expect("text");
    let (code, _, err) = kiki(&["flow", "reconcile", "--report", file]).await;
    assert!(code == 1 && err.contains("line 1"), "{code} {err}");
    let (code, _, err) = kiki(&["flow", "reconcile", "--report", "none"]).await;
    assert!(code == 1 && err.contains("none"), "{code} {err}");
}
