//! `kiki-chaos check`

use std::path::PathBuf;

use clap::Args;

use super::{CliResult, say};
use crate::check::{Options, folder};
use crate::verdict::Verdict;

/// Check the files of a run once more, without running anything
///
/// The folder has history.jsonl, and ledger.jsonl, audit.jsonl and end.json unless the history was cut off.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki-chaos check chaos-report/redis-is-stopped-7")]
pub struct CheckArgs {
    /// The folder of the run
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Take a history that was cut off for what it is
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
    let verdict =
        if checked.violations_total > 0 { Verdict::InvariantViolated } else { Verdict::Held };
    Ok(verdict.exit_code())
}
