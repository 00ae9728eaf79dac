//! `kiki-chaos heal`

use std::path::PathBuf;

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
