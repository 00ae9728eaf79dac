use ed25519_dalek::SigningKey;

use super::*;
use crate::models::shield::audit::head::TreeHead;
use crate::models::shield::audit::merkle::Hash;

fn block_of(account: &str, month: &str, first: i64, lines: usize) -> ToCopy {
    let line = |n| {
        format!(
            "{{\"at\":\"{month}-03T10:00:00.00000{n}Z\",\"event\":\"budget.denied\",\
             \"actor\":\"system\",\"outcome\":\"denied\",\"data\":{{\"reason\":\"paused\"}}}}"
        )
    };
    let text = (0..lines).map(line).collect::<Vec<String>>().join("\n");
    ToCopy { account: account.to_owned(), month: month.to_owned(), first, text, skip: 0 }
}

fn block(month: &str, first: i64, lines: usize) -> ToCopy {
    block_of("a", month, first, lines)
}

fn head(account: &str, size: u64) -> ToExport {
    let head = TreeHead {
        account: account.to_owned(),
        size,
        root: Hash::ZERO,
        at_us: size as i64,
        prev: Hash::ZERO,
    };
    let line = head.sign(&SigningKey::from_bytes(&[7; 32])).line().expect("a line");
    ToExport { account: account.to_owned(), size: size as i64, line, cut: false }
}

/// The files of a folder and how many lines each has.
fn lines(dir: &Path) -> Vec<(String, usize)> {
    let line = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.expect("an entry");
        let text = fs::read_to_string(entry.path()).expect("text");
        (entry.file_name().to_str().expect("text").to_owned(), text.lines().count())
    };
    let mut found: Vec<_> = fs::read_dir(dir).expect("listed").map(line).collect();
    found.retain(|(name, _)| name != POSITION_FILE);
    found.sort();
    found
}

fn named(name: &str, lines: usize) -> (String, usize) {
    (name.to_owned(), lines)
}

#[test]
fn a_copy_goes_on_where_it_was_and_a_new_month_begins_a_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    let mut files = Files::open(dir.path()).expect("files");
    files.copy(&[block("2026-10", 0, 2)]).expect("a copy");
    // a crash in the middle of the next copy
    let mut torn =
        OpenOptions::new().append(true).open(dir.path().join(COPY_FILE)).expect("the copy");
    torn.write_all(b"2026-10-03T10:00:0").expect("a torn line");
    drop((files, torn));
    let mut files = Files::open(dir.path()).expect("files");
    assert_eq!(files.next("a"), 2);
    files.copy(&[block("2026-10", 2, 1), block("2026-11", 3, 1)]).expect("a copy");
    let old = read("shield_audit_gdpr-2026-10.csv");
    let lines: Vec<&str> = old.lines().collect();
    assert_eq!(lines.len(), 4, "{old}");
    assert!(lines[0].starts_with("timestamp,account,index"));
    assert_eq!(
        lines[3],
        "2026-10-03T10:00:00.000000Z,a,2,budget.denied,DENIED,system,,,reason=paused"
    );
    let new = read(COPY_FILE);
    assert_eq!(new.lines().count(), 2);
    assert_eq!((files.next("a"), files.next("b")), (4, 0));
}

#[test]
fn a_crash_anywhere_in_a_rotation_neither_repeats_rows_nor_misnames_a_month() {
    let (october, november) = (block("2026-10", 0, 3), [block("2026-11", 3, 2)]);
    let done = [named("shield_audit_gdpr-2026-10.csv", 4), named(COPY_FILE, 3)];
    let begun = || {
        let dir = tempfile::tempdir().expect("a folder");
        let mut files = Files::open(dir.path()).expect("files");
        files.copy(std::slice::from_ref(&october)).expect("a copy");
        (dir, files)
    };
    // the copy has its new name, its position does not know
    let (dir, files) = begun();
    let copy = dir.path().join(COPY_FILE);
    fs::rename(&copy, dir.path().join("shield_audit_gdpr-2026-10.csv")).expect("renamed");
    drop(files);
    let mut files = Files::open(dir.path()).expect("files");
    assert_eq!(lines(dir.path()), [named(COPY_FILE, 4)]);
    files.copy(&november).expect("a copy");
    assert_eq!(lines(dir.path()), done);
    // the new month has rows, its position does not know
    let (dir, mut files) = begun();
    files.rotate("2026-11").expect("a rotation");
    fs::write(dir.path().join(COPY_FILE), "a row\nanother ro").expect("written");
    drop(files);
    let mut files = Files::open(dir.path()).expect("files");
    files.copy(&november).expect("a copy");
    assert_eq!(lines(dir.path()), done);
}

#[test]
fn a_head_that_a_crash_cut_off_is_not_glued_to_the_next() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(HEADS_FILE);
    let mut files = Files::open(dir.path()).expect("files");
    files.export(&[head("a", 1)]).expect("exported");
    let whole = fs::read_to_string(&path).expect("text");
    for cut in (1..whole.len()).step_by(37).chain([whole.len() - 1]) {
        fs::write(&path, format!("{whole}{}", &whole[..cut])).expect("torn");
        files.export(&[head("a", 2)]).expect("exported");
        let text = fs::read_to_string(&path).expect("text");
        let heads: Vec<u64> =
            text.lines().map(|line| SignedHead::parse(line).expect("a head").head.size).collect();
        assert_eq!(heads, [1, 2], "cut at {cut}");
    }
    assert_eq!(files.head("a"), 2);
    let hash = SignedHead::parse(&head("a", 2).line).expect("a head").hash().to_string();
    assert_eq!(Files::open(dir.path()).expect("files").hash("a"), Some(hash.as_str()));
}

#[test]
fn files_that_are_ahead_of_their_store_are_kept_and_their_accounts_begin_anew() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut files = Files::open(dir.path()).expect("files");
    files.copy(&[block("2026-11", 0, 3), block_of("b", "2026-11", 0, 1)]).expect("a copy");
    files.export(&[head("a", 3), head("b", 1)]).expect("exported");
    assert_eq!(files.accounts(), ["a", "b"]);
    assert_eq!(files.begin_anew(&["a".to_owned()]).expect("renamed"), 1);
    let kept = [
        named("shield_audit_gdpr-2026-11-before-restore-1.csv", 5),
        named("shield_audit_heads-before-restore-1.jsonl", 2),
    ];
    assert_eq!(lines(dir.path()), kept);
    assert_eq!((files.next("a"), files.head("a"), files.hash("a")), (0, 0, None));
    assert_eq!((files.next("b"), files.head("b")), (1, 1));
    files.copy(&[block("2026-11", 0, 2)]).expect("a copy");
    files.export(&[head("a", 2)]).expect("exported");
    assert_eq!(files.begin_anew(&["a".to_owned()]).expect("renamed"), 2);
    assert_eq!(lines(dir.path()).len(), 4);
    // nothing there, as after a crash in between
    assert_eq!(files.begin_anew(&["a".to_owned()]).expect("nothing"), 3);
    assert_eq!(lines(dir.path()).len(), 4);
}

#[test]
fn copies_of_dropped_months_are_removed_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let gone = [
        "shield_audit_gdpr-2026-09.csv",
        "shield_audit_gdpr-2026-10.csv",
        "shield_audit_gdpr-2026-10-2.csv",
        "shield_audit_gdpr-2026-10-before-restore-1.csv",
    ];
    let kept = [
        "shield_audit_gdpr-2026-10-.csv",
        "shield_audit_gdpr-2026-10-mine.csv",
        "shield_audit_gdpr-2026-10.csv.gz",
        "shield_audit_gdpr-2026-11.csv",
        "shield_audit_gdpr-before-restore-1.csv",
        "shield_audit_heads.jsonl",
    ];
    for name in gone.iter().chain(&kept) {
        fs::write(dir.path().join(name), "text\n").expect("written");
    }
    let november = "2026-11".parse().expect("a month");
    let mut files = Files::open(dir.path()).expect("files");
    assert_eq!(files.prune(november).expect("pruned"), 4);
    let left: Vec<String> = lines(dir.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, kept);
    // a quiet installation: the copy itself is of a month that is over
    files.copy(&[block("2026-10", 0, 3)]).expect("a copy");
    assert_eq!(files.prune(november).expect("pruned"), 1);
    assert!(!dir.path().join(COPY_FILE).exists());
    files.copy(&[block("2026-12", 3, 1)]).expect("a copy");
    assert_eq!(fs::read_to_string(dir.path().join(COPY_FILE)).expect("text").lines().count(), 2);
    assert_eq!(files.next("a"), 4);
}
