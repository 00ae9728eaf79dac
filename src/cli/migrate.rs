//! `kiki migrate`.

use std::io::{self, Write};

use clap::{Args, Subcommand};

use super::config_args::ConfigArgs;
use super::exit::CliResult;
use crate::store::{Migrated, Store};

/// Bring the store's tables up to this version
#[derive(Debug, Args)]
pub struct MigrateCommand {
    #[command(subcommand)]
    pub command: MigrateAction,
}

/// What to do with the store's tables.
#[derive(Debug, Subcommand)]
pub enum MigrateAction {
    /// Apply the migrations that are missing, and print which they were
    ///
    /// `kiki up` does the same at its start; this command does it alone, for installations that
    /// migrate as a step of their own. Running it again changes nothing.
    #[command(
        after_long_help = "Example:\n  DATABASE_URL=postgres://kiki@localhost/kiki kiki migrate up"
    )]
    Up(MigrateUpArgs),
}

/// Arguments of `kiki migrate up`.
#[derive(Debug, Args)]
pub struct MigrateUpArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Runs the command.
pub async fn run(args: MigrateCommand) -> CliResult {
    let MigrateAction::Up(args) = args.command;
    let config = args.config.load()?.config.store.opening();
    let Migrated { before, applied } = Store::migrate(&config).await?;
    let newest = |versions: &[i64]| versions.iter().max().copied().unwrap_or(0);
    let (old, new) = (newest(&before), newest(&applied).max(newest(&before)));
    let mut out = io::stdout().lock();
    writeln!(out, "before: schema version {old}")?;
    match applied.len() {
        0 => writeln!(out, "after:  schema version {new}, nothing was missing")?,
        _ => {
            let list: Vec<String> = applied.iter().map(i64::to_string).collect();
            writeln!(out, "after:  schema version {new}, applied {}", list.join(", "))?;
        }
    }
    Ok(())
}
