//! Arguments of `kiki ledger`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::config_args::ConfigArgs;

/// Look after the ledger
#[derive(Debug, Args)]
pub struct LedgerCommand {
    #[command(subcommand)]
    pub command: LedgerAction,
}

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerAction {
    /// Check the ledger's invariants offline, on a store or on an export
    ///
    /// Reads everything and changes nothing: dense sequences, one row per operation, sums that
    /// agree to the micro, caps that were never exceeded by a grant. Prints what it checked; names
    /// each violation by its invariant (BG-1 to BG-4) and exits with code 1 if there is one.
    #[command(
        after_long_help = "Examples:\n  kiki ledger verify\n  kiki ledger verify --export ledger.jsonl.gz"
    )]
    Verify(LedgerVerifyArgs),
}

/// Arguments of `kiki ledger verify`.
#[derive(Debug, Args)]
pub struct LedgerVerifyArgs {
    /// Check this export instead of the configured store
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,

    /// Check only this account
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub config: ConfigArgs,
}
