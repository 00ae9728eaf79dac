//! Arguments of `kiki migrate`.

use clap::{Args, Subcommand};

use super::config_args::ConfigArgs;

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
