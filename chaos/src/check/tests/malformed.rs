//! Files that are not what they should be: an error that says where, and never a panic.

use proptest::prelude::*;

use super::world::{Size, run};
use super::{alone, jsonl};
use crate::check::{CheckError, Options, folder};

const SMALL: Size = Size { clients: 3, operations: 60, budgets: 1, trouble: 100, plenty: false };

fn cut_off() -> Options {
    Options { allow_cut_off: true, ..Options::default() }
}

/// A history without its last line: it may be alone.
fn unended() -> Vec<u8> {
    let mut run = run(3, SMALL);
    run.lines.pop();
    jsonl(&run.lines)
}

fn error_of(bytes: &[u8]) -> (u64, String) {
    match alone(bytes, &Options::default()) {
        Err(CheckError::Line { line, why, .. }) => (line, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_history_without_an_end_is_checked_only_if_it_is_asked_for_and_said_to_be_cut_off() {
    let refused = alone(&unended(), &Options::default()).unwrap_err().to_string();
    assert!(refused.contains("no `end` line") && refused.contains("--cut-off"), "{refused}");
    let checked = alone(&unended(), &cut_off()).unwrap();
    assert!(checked.cut_off && checked.operations == 60, "{checked:?}");
    assert!(checked.notes.iter().any(|note| note.contains("cut off")), "{checked:?}");
    assert!(checked.notes.iter().any(|note| note.contains("not compared")), "{checked:?}");
}

#[test]
fn nobody_is_blamed_for_rows_of_calls_that_were_cut_off() {
    let run = run(3, SMALL);
    let whole = jsonl(&run.lines);
    let (ledger, audit) = (jsonl(&run.ledger), jsonl(&run.audit));
    let end = serde_json::to_vec(&run.end).unwrap();
    let checked = |history: &[u8], ledger: &[u8], options: &Options| {
        let folder_of = tempfile::tempdir().unwrap();
        let files = [
            ("history.jsonl", history),
            ("ledger.jsonl", ledger),
            ("audit.jsonl", &audit),
            ("end.json", &end),
        ];
        for (name, bytes) in files {
            std::fs::write(folder_of.path().join(name), bytes).unwrap();
        }
        folder(folder_of.path(), options)
    };
    for part in [whole.len() / 10, whole.len() / 3, whole.len() / 2, whole.len() - 30] {
        let cut = &whole[..part];
        let told = checked(cut, &ledger, &cut_off()).unwrap();
        assert_eq!(told.violations, [], "{part}");
        assert!(told.cut_off && told.ledger_rows == 0 && told.audit_rows == 0, "{told:?}");
        assert!(checked(cut, &ledger, &Options::default()).is_err());
    }
    // What was cut off may be the ledger, too.
    let half = &ledger[..ledger.len() / 2];
    assert!(checked(&whole, half, &Options::default()).is_err());
    let told = checked(&whole, half, &cut_off()).unwrap();
    assert!(told.violations.is_empty() && told.cut_off && told.ledger_rows == 0, "{told:?}");
    let told = checked(&whole, &ledger, &cut_off()).unwrap();
    assert!(told.violations.is_empty() && !told.cut_off && told.ledger_rows > 0, "{told:?}");
}

#[test]
fn a_last_line_that_was_cut_off_is_an_error_or_left_out_as_one_likes() {
    let mut bytes = unended();
    bytes.truncate(bytes.len() - 9);
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    let (line, why) = error_of(&bytes);
    assert!(line == lines + 1 && why.contains("cut off"), "{line}: {why}");
    assert!(alone(&bytes, &cut_off()).unwrap().cut_off);
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let good = String::from_utf8(unended()).unwrap();
    let begin = good.lines().next().unwrap();
    let invoke = r#"{"line":"invoke","id":1,"at_us":5,"client":0,"via":"n","op":{"op":"read","account":"a","campaign":"c"}}"#;
    let complete =
        r#"{"line":"complete","id":1,"at_us":9,"outcome":{"outcome":"unknown","why":"x"}}"#;
    let end = r#"{"line":"end","at_us":99}"#;
    let cases: &[(u64, &str, Vec<&str>)] = &[
        (1, "first line has to be a `begin`", vec![invoke]),
        (2, "second `begin`", vec![begin, begin]),
        (2, "expected", vec![begin, "garbage"]),
        (2, "EOF", vec![begin, ""]),
        (2, "unknown variant", vec![begin, r#"{"line":"what"}"#]),
        (3, "begins twice", vec![begin, invoke, invoke]),
        (2, "never began", vec![begin, complete]),
        (4, "ends twice", vec![begin, invoke, complete, complete]),
        (3, "ended before this line", vec![begin, end, invoke]),
    ];
    for (line, why, lines) in cases {
        let text = lines.join("\n") + "\n";
        let (at, said) = error_of(text.as_bytes());
        assert!(at == *line && said.contains(why), "{at}: {said}; wanted {line}: {why}");
    }
    let replaced = [
        (r#""version":1"#, r#""version":2"#, "version 2"),
        (r#""version":1"#, r#""version":"1""#, "invalid type"),
        (r#""hold_us":20000000"#, r#""hold_us":18446744073709551615"#, "hold_us"),
        (r#""window_cap":900000000"#, r#""window_cap":9223372036854775807"#, "window_cap"),
    ];
    for (from, to, why) in replaced {
        assert!(good.contains(from), "{from}");
        let (at, said) = error_of(good.replacen(from, to, 1).as_bytes());
        assert!(at == 1 && said.contains(why), "{at}: {said}");
    }
    let early = complete.replace("\"at_us\":9", "\"at_us\":4");
    assert!(
        error_of(format!("{begin}\n{invoke}\n{early}\n").as_bytes()).1.contains("before it began")
    );
    let negative = invoke
        .replace("\"read\"", "\"authorise\"")
        .replace("\"campaign\"", "\"amount\":-5,\"key\":\"k\",\"campaign\"");
    assert!(error_of(format!("{begin}\n{negative}\n").as_bytes()).1.contains("at least 1"));
}

#[test]
fn an_empty_file_and_one_endless_line_are_errors() {
    assert!(matches!(alone(b"", &Options::default()), Err(CheckError::File { .. })));
    let (line, why) = error_of(&vec![b'['; 10 << 20]);
    assert!(line == 1 && why.contains("longer than"), "{line}: {why}");
    let begin = unended();
    let mut bytes = begin.split_inclusive(|byte| *byte == b'\n').next().unwrap().to_vec();
    bytes.extend(vec![b' '; 10 << 20]);
    assert_eq!(error_of(&bytes).0, 2);
}

#[test]
fn a_folder_says_which_file_is_missing_or_broken() {
    let folder_of = tempfile::tempdir().unwrap();
    let at = folder_of.path();
    let options = Options::default();
    let said = |options: &Options| folder(at, options).unwrap_err().to_string();
    assert!(said(&options).contains("history.jsonl"));
    let run = run(3, SMALL);
    std::fs::write(at.join("history.jsonl"), jsonl(&run.lines)).unwrap();
    assert!(said(&options).contains("ledger.jsonl: is not there"));
    std::fs::write(at.join("ledger.jsonl"), jsonl(&run.ledger)).unwrap();
    assert!(said(&options).contains("audit.jsonl: is not there"));
    std::fs::write(at.join("audit.jsonl"), jsonl(&run.audit)).unwrap();
    assert!(said(&options).contains("end.json: is not there"));
    std::fs::write(at.join("end.json"), "{\n \"budgets\": 7}").unwrap();
    assert!(said(&options).contains("end.json, line 2"));
    std::fs::write(at.join("end.json"), serde_json::to_vec(&run.end).unwrap()).unwrap();
    assert_eq!(folder(at, &options).unwrap().violations, []);
    std::fs::write(at.join("ledger.jsonl"), "{\"account\":1}\n").unwrap();
    assert!(said(&options).contains("ledger.jsonl, line 1"));
    let mut rows = run.ledger.clone();
    rows[1].kind = "gift".into();
    std::fs::write(at.join("ledger.jsonl"), jsonl(&rows)).unwrap();
    assert!(said(&options).contains("ledger.jsonl, line 2: kind is \"gift\""));
    std::fs::write(at.join("ledger.jsonl"), jsonl(&run.ledger)).unwrap();
    let mut audit = run.audit.clone();
    let place = audit.iter().position(|row| row.event.starts_with("budget.")).unwrap();
    audit[place].data["amount"] = 5.into();
    std::fs::write(at.join("audit.jsonl"), jsonl(&audit)).unwrap();
    assert!(said(&options).contains(&format!("audit.jsonl, line {}: data.amount", place + 1)));
}

proptest! {
    #[test]
    fn bytes_that_are_changed_anywhere_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = unended();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        for options in [Options::default(), cut_off()] {
            if let Ok(checked) = alone(&bytes, &options) {
                prop_assert!(checked.cut_off);
            }
        }
    }
}
