//! `kiki-chaos heal`

use std::path::PathBuf;

use clap::Args;

use super::{CliResult, say};

/// Undo what a run has left that did not end in order
///
/// Faults first, by the records that they wrote before anything was done; then the processes, mounts and interfaces of
/// the lab. It may be called again and again.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki-chaos heal chaos-report/redis-is-stopped-7")]
pub struct HealArgs {
    /// The folder of the run
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub async fn run(args: &HealArgs) -> CliResult {
    if !args.folder.is_dir() {
        return Err(format!("{} is no folder", args.folder.display()));
    }
    let faults = crate::fault::heal(&args.folder).await;
    let lab = match args.folder.join(crate::lab::record::FILE).exists() {
        // Also where a fault could not be undone: what it struck may go with the lab.
        true => crate::lab::heal(&args.folder).await.map_err(|error| error.to_string())?,
        false => Vec::new(),
    };
    let faults = faults.map_err(|error| error.to_string())?;
    let done = faults
        .iter()
        .map(|it| format!("undid fault {}: {} of {}", it.number, it.kind, it.target))
        .chain(lab)
        .collect::<Vec<_>>();
    match done.is_empty() {
        true => say("nothing was left"),
        false => say(&done.join("\n")),
    }
    Ok(0)
}
