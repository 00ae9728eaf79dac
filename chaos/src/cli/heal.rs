//! `kiki-chaos heal`

use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliResult, run::token, say};
use crate::fault::{Healed, Healing};

/// Undo what a run has left that did not end in order
///
/// Faults first, by the records that they wrote before anything was done; then the processes, mounts and interfaces of
/// the lab. It may be called again and again.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki-chaos heal chaos-report/redis-is-stopped-7\n  kiki-chaos heal chaos-report/mailboxes-are-flooded-7 --token-env KIKI_KEY"
)]
pub struct HealArgs {
    /// The folder of the run
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The environment variable that holds a key for the cluster that faults are left at
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,
}

pub async fn run(args: &HealArgs) -> CliResult {
    if !args.folder.is_dir() {
        return Err(format!("{} is no folder", args.folder.display()));
    }
    if !is_run(&args.folder) {
        return Err(no_run(&args.folder));
    }
    let faults = crate::fault::heal(&args.folder, token(args.token_env.as_deref())?).await;
    let lab = match args.folder.join(crate::lab::record::FILE).exists() {
        // Also where a fault could not be undone: what it struck may go with the lab.
        true => crate::lab::heal(&args.folder).await,
        false => Ok(Vec::new()),
    };
    let (mut done, mut left) = (Vec::new(), Vec::new());
    match faults {
        Ok(Healing { healed, errors }) => {
            let undone =
                |it: &Healed| format!("undid fault {}: {} of {}", it.number, it.kind, it.target);
            done.extend(healed.iter().map(undone));
            left.extend(errors.iter().map(ToString::to_string));
        }
        Err(error) => left.push(error.to_string()),
    }
    match lab {
        Ok(lab) => done.extend(lab),
        Err(error) => left.push(error.to_string()),
    }
    // What was undone is told in any case.
    if !done.is_empty() {
        say(&done.join("\n"));
    }
    match (done.is_empty(), left.is_empty()) {
        (true, true) => say("nothing was left"),
        (_, false) => return Err(format!("not everything was undone:\n{}", left.join("\n"))),
        (false, true) => {}
    }
    Ok(0)
}

/// Whether a run has written anything here.
fn is_run(folder: &Path) -> bool {
    let written = ["undo", crate::lab::record::FILE, "history.jsonl", "report.json"];
    written.iter().any(|name| folder.join(name).exists())
}

/// Runs directly below that may have left something are named: the folder of all reports is easily taken for one.
fn no_run(folder: &Path) -> String {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return format!("{}: {error}", folder.display()),
    };
    let below = entries.flatten().map(|it| it.path());
    let has_left = |it: &PathBuf| {
        it.is_dir() && (!crate::fault::left_in(it).is_empty() || crate::run::is_open(it))
    };
    let mut left: Vec<String> =
        below.filter(has_left).map(|it| format!("kiki-chaos heal {}", it.display())).collect();
    left.sort();
    let hint = match left.is_empty() {
        true => "no run directly below it has left anything".to_owned(),
        false => format!("of runs below it, something is left:\n{}", left.join("\n")),
    };
    format!("{} is not the folder of a run; {hint}", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_that_is_no_run_is_refused_and_runs_below_it_are_named() {
        let reports = tempfile::tempdir().expect("a folder");
        let healed =
            |folder: PathBuf| async move { run(&HealArgs { folder, token_env: None }).await };
        let refused = healed(reports.path().to_owned()).await.expect_err("it is empty");
        assert!(refused.contains("not the folder of a run"), "{refused}");
        for name in ["good-1", "left-2", "lab-3"] {
            std::fs::create_dir(reports.path().join(name)).expect("a folder");
        }
        std::fs::write(reports.path().join("good-1/history.jsonl"), "").expect("it is written");
        std::fs::create_dir(reports.path().join("left-2/undo")).expect("a folder");
        std::fs::write(reports.path().join("left-2/undo/001.json"), "{").expect("it is written");
        std::fs::write(reports.path().join("lab-3/lab.json"), "{").expect("it is written");
        let refused = healed(reports.path().to_owned()).await.expect_err("it is all of them");
        assert!(refused.contains("left-2") && refused.contains("lab-3"), "{refused}");
        assert!(!refused.contains("good-1"), "{refused}");
        assert_eq!(healed(reports.path().join("good-1")).await, Ok(0));
    }
}
