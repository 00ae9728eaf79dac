//! Arguments of `kiki restore`.

use std::path::PathBuf;

use clap::Args;

use super::config_args::ConfigArgs;

/// Put a backup back into an empty store
///
/// What was spent after the backup is unknown to it, so a restore closes every slice and pauses all
/// spending, and says so: check the budgets against the platforms, then resume them.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Example:\n  kiki restore --input kiki-backup.gz --data-dir data-restored"
)]
pub struct RestoreArgs {
    /// The backup to read
    #[arg(long, short, value_name = "FILE")]
    pub input: PathBuf,

    /// Replace a store that is not empty
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub config: ConfigArgs,
}
