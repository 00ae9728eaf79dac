//! `kiki restore`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::backup::rows;
use super::config_args::ConfigArgs;
use super::exit::{CliError, CliResult};
use super::format::table;
use crate::actors::shield::dsr::{add_erasures, read_erasures};
use crate::store::{ServerLock, Store, StoreError};

/// Put a backup back into an empty store
///
/// The whole file is proved before anything is written. What was spent after the backup is unknown
/// to it, so a restore closes every slice and pauses all spending, and says so: check the budgets
/// against the platforms, then resume. Refused while a server runs on the data directory, and into
/// a store that is not empty.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki restore kiki-backup.gz --data-dir data-restored")]
pub struct RestoreArgs {
    /// The backup to read
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// A copy of shield_erasures.jsonl: whom it names is erased again. The one that is beside the
    /// audit's copies (audit.dir) is looked at anyhow
    #[arg(long, value_name = "FILE")]
    pub erasures: Option<PathBuf>,

    #[command(flatten)]
    pub config: ConfigArgs,
}

/// The folders that a restore makes for itself; a restore that fails leaves none of them behind.
struct NewFolder {
    /// The uppermost folder that is not there yet.
    first: Option<PathBuf>,
}

impl NewFolder {
    fn of(dir: &Path) -> NewFolder {
        let missing = dir.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists());
        NewFolder { first: missing.last().map(Path::to_owned) }
    }

    fn keep(&mut self) {
        self.first = None;
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if let Some(first) = &self.first
            && first.exists()
            && let Err(error) = std::fs::remove_dir_all(first)
        {
            tracing::warn!(%error, "{} could not be removed", first.display());
        }
    }
}

/// Runs the command.
pub async fn run(args: RestoreArgs) -> CliResult {
    let config = args.config.load()?.config;
    let audit_dir = config.audit.dir_or(&config.store.data_dir).to_owned();
    let settings = config.store;
    // Read before anything is written: a file that is none must not be found out afterwards.
    let erasures = match &args.erasures {
        Some(path) => {
            read_erasures(path).map_err(|e| CliError::failed(format!("{}: {e}", path.display())))?
        }
        None => Vec::new(),
    };
    let (dir, file) = (settings.data_dir.display(), args.file.display());
    if !args.file.is_file() {
        return Err(CliError::failed(format!("{file} is no file")));
    }
    let in_use = |pid: u32, address: &str| {
        let what = if address.is_empty() { "another command or server" } else { "a server" };
        CliError::failed(format!(
            "{what} works on {dir} (process {pid}, {address}): end it before a restore"
        ))
    };
    if let Some(holder) = ServerLock::holder(&settings.data_dir)? {
        return Err(in_use(holder.pid, &holder.address));
    }
    // Before anything makes it.
    let mut made = NewFolder::of(&settings.data_dir);
    // Held until the end: no server starts on a store that is half there.
    let _lock = match ServerLock::acquire(&settings.data_dir, "") {
        Err(StoreError::Locked { pid, address }) => return Err(in_use(pid, &address)),
        lock => lock?,
    };
    let restored = Store::restore(&settings.opening(), &args.file).await.map_err(|error| {
        CliError::failed(match error {
            StoreError::NotEmpty { .. } => {
                format!("{error}: a restore writes only into an empty store, name another")
            }
            other => other.to_string(),
        })
    })?;
    made.keep();
    add_erasures(&audit_dir, &erasures)
        .map_err(|e| CliError::failed(format!("{}: {e}", audit_dir.display())))?;
    let mut out = io::stdout().lock();
    let counts = restored.rows.iter().map(|(name, rows)| (name.as_str(), *rows));
    write!(out, "{}", table(&["TABLE", "ROWS"], &rows(counts)))?;
    writeln!(out, "{file}: restored; slices closed: {}", restored.slices_closed)?;
    writeln!(
        out,
        "spending is paused: what was spent after the backup is not in it. Compare the budgets \
         with the platforms, then start the server and call POST /api/v1/restore/resume"
    )?;
    writeln!(
        out,
        "a backup holds no secrets: copy master.key and token.secret of the former data directory \
         to {dir} (or set KIKI_MASTER_KEY and KIKI_TOKEN_SECRET) before you start the server"
    )?;
    writeln!(
        out,
        "people who were erased after the backup are erased again at the next start, as far as \
         shield_erasures.jsonl in {} names them",
        audit_dir.display()
    )?;
    Ok(())
}
