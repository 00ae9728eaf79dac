//! `kiki-chaos probe`

use std::path::PathBuf;

use clap::Args;

use super::{CliResult, program, say};
use crate::probe::{probe, table};

/// Try what this host allows, and say what is missing
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  sudo kiki-chaos probe")]
pub struct ProbeArgs {
    /// The program kiki, to try things with
    #[arg(long, value_name = "FILE", env = "KIKI_BIN")]
    binary: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &ProbeArgs) -> CliResult {
    let binary = match &args.binary {
        Some(_) => Some(program::find(args.binary.as_ref())?),
        None => program::find(None).ok(),
    };
    let rows = probe(binary.as_deref()).await.map_err(|error| error.to_string())?;
    match args.json {
        true => say(&serde_json::to_string_pretty(&rows).map_err(|error| error.to_string())?),
        false => say(&table(&rows)),
    }
    Ok(0)
}
