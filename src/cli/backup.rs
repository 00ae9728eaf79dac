//! `kiki backup`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use sha2::{Digest, Sha256};

use super::config_args::ConfigArgs;
use super::database;
use super::exit::{CliError, CliResult};
use super::format::{grouped, table};
use crate::store::Store;
use crate::store::export::Manifest;

/// Write a consistent copy of the store to a file
///
/// Works while the services run: the copy is of one moment. It holds every account, budget, hold
/// and ledger row, with checksums, and can be restored into SQLite or PostgreSQL; secrets of the
/// data directory are not in it. The digest that is printed is the SHA-256 of the file's last line,
/// which has the checksums of everything before it.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki backup kiki-backup.gz\n  zcat kiki-backup.gz | tail -n 1 | sha256sum\n  kiki ledger verify --export kiki-backup.gz"
)]
pub struct BackupArgs {
    /// The file to write; it must not exist yet
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Write a compact copy of the SQLite database instead, which can be restored too
    #[arg(long)]
    pub copy: bool,

    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Runs the command.
pub async fn run(args: BackupArgs) -> CliResult {
    let config = args.config.load()?.config.store.opening();
    let file = args.file.display();
    if args.file.exists() {
        return Err(CliError::failed(format!("{file} exists already: name another file")));
    }
    database::must_be_one(&config)?;
    let store = Store::open_existing(config).await?;
    let mut out = io::stdout().lock();
    if args.copy {
        store.copy(&args.file).await?;
        let bytes = std::fs::metadata(&args.file)?.len();
        writeln!(out, "{file}: a copy of the database, {} bytes", grouped(&bytes.to_string()))?;
    } else {
        let manifest = store.export(&args.file).await?;
        let counts = manifest.tables.iter().map(|(name, sum)| (name.as_str(), sum.rows));
        write!(out, "{}", table(&["TABLE", "ROWS"], &rows(counts)))?;
        writeln!(out, "{file}: written, digest {}", digest(&manifest)?)?;
    }
    store.close().await;
    Ok(())
}

/// Tables with their rows, for printing.
pub(super) fn rows<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> Vec<Vec<String>> {
    counts.map(|(name, rows)| vec![name.to_owned(), grouped(&rows.to_string())]).collect()
}

/// The SHA-256 of an export's last line with its end.
fn digest(manifest: &Manifest) -> Result<String, CliError> {
    let text = serde_json::to_string(manifest).map_err(CliError::failed)?;
    let digest = Sha256::digest(format!("{{\"manifest\":{text}}}\n"));
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
