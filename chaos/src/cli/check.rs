//! `kiki-chaos check`

use std::path::PathBuf;

use clap::Args;

use super::{CliResult, say};
use crate::check::{Options, folder};
use crate::verdict::{Checked, Verdict};

/// Check the files of a run once more, without running anything
///
/// The folder has history.jsonl, and ledger.jsonl, audit.jsonl and end.json unless the history was cut off. The exit code
/// is 0 where nothing is violated, 2 where something is, 3 where too little could be compared to say so. With --cut-off,
/// what clients were told is enough for 0.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki-chaos check chaos-report/redis-is-stopped-7")]
pub struct CheckArgs {
    /// The folder of the run
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Check a history that was cut off alone, without what was read of the platform after the run
    #[arg(long)]
    cut_off: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &CheckArgs) -> CliResult {
    let options = Options { allow_cut_off: args.cut_off, ..Options::default() };
    let checked = folder(&args.folder, &options).map_err(|error| error.to_string())?;
    if args.json {
        say(&serde_json::to_string_pretty(&checked).map_err(|error| error.to_string())?);
    } else {
        say(&format!(
            "{} operations ({} done, {} refused, {} unavailable, {} unknown), {} ledger rows, {} audit records, {} keys searched ({} not): {} violations in {} ms",
            checked.operations,
            checked.done,
            checked.refused,
            checked.unavailable,
            checked.unknown,
            checked.ledger_rows,
            checked.audit_rows,
            checked.searched,
            checked.not_searched,
            checked.violations_total,
            checked.took_ms
        ));
        for one in &checked.given_up {
            say(&format!("{} keys were not searched: {}", one.keys, one.why));
        }
        for violation in &checked.violations {
            say(&format!("{} {}", violation.invariant.code(), violation.what));
        }
        checked.notes.iter().for_each(|note| say(note));
    }
    if checked.violations_total > 0 {
        return Ok(Verdict::InvariantViolated.exit_code());
    }
    too_little(&checked, args.cut_off).map_or(Ok(Verdict::Held.exit_code()), Err)
}

/// Why it cannot be said that everything held, though nothing is violated.
fn too_little(checked: &Checked, cut_off: bool) -> Option<String> {
    if checked.operations == 0 {
        return Some("nothing was compared: no operation is in the history".to_owned());
    }
    let alone = checked.ledger_rows == 0 && checked.searched == 0;
    (alone && !cut_off).then(|| {
        "what clients were told was compared with itself alone: there is no row of a ledger, and no key whose answers were searched; --cut-off takes that as enough".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_which_nothing_can_be_compared_has_not_held() {
        let folder = tempfile::tempdir().expect("a folder");
        let begin = r#"{"line":"begin","version":1,"title":"t","seed":7,"started_at":"2026-09-21T14:13:20Z","window_cap":0,"window_us":0,"hold_us":1,"budgets":[]}"#;
        std::fs::write(folder.path().join("history.jsonl"), format!("{begin}\n")).expect("written");
        let ended = |cut_off: bool| {
            run(&CheckArgs { folder: folder.path().to_owned(), cut_off, json: false })
        };
        let refused = ended(false).expect_err("it has no end");
        assert!(refused.contains("--cut-off"), "{refused}");
        let refused = ended(true).expect_err("there is nothing in it");
        assert!(refused.contains("nothing was compared"), "{refused}");
        let asked = r#"{"line":"invoke","id":1,"at_us":5,"client":1,"via":"http://h:1","op":{"op":"may_use","account":"a","person":"u","consent":"c"}}"#;
        let text = format!("{begin}\n{asked}\n");
        std::fs::write(folder.path().join("history.jsonl"), text).expect("written");
        assert_eq!(ended(true), Ok(0), "what is in it breaks nothing");
    }

    #[test]
    fn a_whole_run_without_a_ledger_says_what_was_compared() {
        let checked = Checked { operations: 3, ..Checked::default() };
        let why = too_little(&checked, false).expect("it is too little");
        assert!(
            why.contains("with itself alone") && !why.contains("nothing was compared"),
            "{why}"
        );
        assert_eq!(too_little(&checked, true), None);
        assert_eq!(too_little(&Checked { ledger_rows: 1, ..checked }, false), None);
    }
}
