//! Arguments of `kiki backup`.

use std::path::PathBuf;

use clap::Args;

use super::config_args::ConfigArgs;

/// Write a consistent copy of the store to a file
///
/// Works while the services run: the copy is of one moment. It holds every account, budget, hold
/// and ledger row, with a checksum; secrets of the data directory are not in it.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki backup --output kiki-backup.gz")]
pub struct BackupArgs {
    /// The file to write; it must not exist yet
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,

    #[command(flatten)]
    pub config: ConfigArgs,
}
