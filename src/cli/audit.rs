//! `kiki audit`.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};

use super::config_args::ConfigArgs;
use super::database;
use super::exit::{CliError, CliResult};
use super::format::{grouped, table};
use crate::actors::shield::audit::{
    Exported, HEADS_FILE, VerifyError, heads_of, look_through, verify_kept,
};
use crate::actors::shield::vault;
use crate::clock;
use crate::config::Config;
use crate::models::shield::audit::head::SignedHead;
use crate::models::shield::audit::report::Report;
use crate::store::{PAGE_MAX, Store};

const DAY_US: i64 = 86_400_000_000;

/// Verify and export audit logs
#[derive(Debug, Args)]
pub struct AuditCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Verify audit logs, from the first record to the last
    ///
    /// Reads the configured store and changes nothing, also while a server runs. Recomputes every
    /// hash, compares the tree with each signed head, and checks the signatures. Only heads that were
    /// kept outside (--roots) can tell that a whole log was written anew, or is gone. Names what it
    /// finds and exits with code 1 if there is anything.
    #[command(
        after_long_help = "Examples:\n  kiki audit verify\n  kiki audit verify --account acme --roots /mnt/worm/shield_audit_heads.jsonl"
    )]
    Verify(VerifyArgs),

    /// Write the records of an account as they were hashed, one JSON object a line
    ///
    /// Anybody can verify the file: the leaf of a line is SHA-256 of a zero byte and its bytes (RFC
    /// 6962). What a running server has not written yet (a second at most) is not in it.
    #[command(after_long_help = "Examples:\n  kiki audit export --account acme > acme.jsonl")]
    Export(ExportArgs),
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// Verify only this account's log
    #[arg(long, value_name = "ID")]
    account: Option<String>,

    /// Heads that were kept outside: a copy of shield_audit_heads.jsonl (repeatable). Whoever has a
    /// head in it must have a log
    #[arg(long, value_name = "FILE")]
    roots: Vec<PathBuf>,

    /// Days that records had to be kept, where that is not audit.retention_days: months that were
    /// dropped earlier are found
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<u32>,

    /// Print the result as JSON, a report a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// The account
    #[arg(long, value_name = "ID")]
    account: String,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the command.
pub async fn run(args: AuditCommand) -> CliResult {
    match args.command {
        Action::Verify(args) => verify(args).await,
        Action::Export(args) => export(args).await,
    }
}

async fn opened(config: &Config) -> Result<Store, CliError> {
    let config = config.store.opening();
    database::must_be_one(&config)?;
    Ok(Store::open_existing(config).await?)
}

async fn verify(args: VerifyArgs) -> CliResult {
    let config = args.config.load()?.config;
    let store = opened(&config).await?;
    let keys = vault::public_keys(&store.keyring(vault::AUDIT).await?).map_err(CliError::failed)?;
    let days = args.retention_days.unwrap_or(config.audit.retention_days);
    let since_us = clock::wall_us() - i64::from(days) * DAY_US;
    let own = config.audit.dir_or(&config.store.data_dir).join(HEADS_FILE);
    let stored = accounts(&store).await?;
    let mut named = stored.clone();
    let mut bad = 0;
    for file in &args.roots {
        let found = look_through(file).map_err(|e| failed(file, &e))?;
        bad += tell_bad(file, &found)?;
        named.extend(found.accounts);
    }
    if own.is_file() {
        match look_through(&own) {
            Ok(found) => {
                tell_bad(&own, &found)?;
                named.extend(found.accounts);
            }
            Err(error) => writeln!(io::stderr(), "{}: {error}", own.display())?,
        }
    }
    if let Some(account) = args.account {
        named = BTreeSet::from([account]);
    }
    if named.is_empty() && bad == 0 {
        return Err(CliError::failed("there is no audit log in this store yet"));
    }
    let mut out = io::stdout().lock();
    let mut findings = 0;
    for account in &named {
        let mut heads = Vec::new();
        for file in &args.roots {
            heads.extend(read_heads(file, account)?);
        }
        // of a log that is gone as a whole, the file beside the copies may still know
        if heads.is_empty() && !stored.contains(account) && own.is_file() {
            heads = read_heads(&own, account)?;
        }
        let began = Instant::now();
        let report = verify_kept(&store, account, heads, keys.clone(), Some(since_us)).await;
        let report = match report {
            Ok(report) => report,
            // the others are looked at all the same
            Err(error @ VerifyError::Unreadable { .. }) => {
                writeln!(io::stderr(), "{account}: {error}")?;
                findings += 1;
                continue;
            }
            Err(error) => return Err(CliError::failed(error)),
        };
        findings += report.findings_total;
        match args.json {
            true => writeln!(out, "{}", serde_json::to_string(&report).map_err(CliError::failed)?)?,
            false => print(&report, began.elapsed(), &mut out)?,
        }
    }
    if !args.json && args.roots.is_empty() {
        writeln!(
            out,
            "no heads from outside were given: keep copies of {HEADS_FILE} elsewhere, and give one with --roots"
        )?;
    }
    store.close().await;
    match (findings, bad) {
        (0, 0) => Ok(()),
        (0, n) => Err(CliError::failed(format!("{n} lines of the heads from outside are none"))),
        (n, _) => {
            Err(CliError::failed(format!("{n} findings: somebody changed what was recorded")))
        }
    }
}

/// Every account with anything of a log.
async fn accounts(store: &Store) -> Result<BTreeSet<String>, CliError> {
    let mut accounts = BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = store.audit_accounts(&after, PAGE_MAX).await?;
        let full = page.len() == PAGE_MAX as usize;
        if let Some(last) = page.last() {
            after.clone_from(last);
        }
        accounts.extend(page);
        if !full {
            return Ok(accounts);
        }
    }
}

fn failed(path: &Path, why: &io::Error) -> CliError {
    CliError::failed(format!("{}: {why}", path.display()))
}

fn read_heads(path: &Path, account: &str) -> Result<Vec<SignedHead>, CliError> {
    heads_of(path, account).map_err(|e| failed(path, &e))
}

/// Names the lines of a file that are no heads. Gives how many these are.
fn tell_bad(path: &Path, found: &Exported) -> io::Result<u64> {
    let (mut err, path) = (io::stderr().lock(), path.display());
    for bad in &found.bad {
        writeln!(err, "{path}: {bad}")?;
    }
    let hidden = found.bad_total.saturating_sub(found.bad.len() as u64);
    if hidden > 0 {
        writeln!(err, "{path}: and {hidden} more")?;
    }
    Ok(found.bad_total)
}

fn print(report: &Report, took: Duration, out: &mut impl Write) -> io::Result<()> {
    let word = if report.verified { "verified" } else { "DOES NOT VERIFY" };
    writeln!(out, "{}: {word} in {:.2} s", report.account, took.as_secs_f64())?;
    let figure = |n: u64| grouped(&n.to_string());
    let mut rows = vec![
        vec!["records".to_owned(), figure(report.records)],
        vec!["blocks".to_owned(), figure(report.blocks)],
        vec!["signed heads".to_owned(), figure(report.heads)],
        vec!["heads from outside".to_owned(), figure(report.exported)],
        vec!["first record kept".to_owned(), figure(report.first)],
        vec!["not signed yet".to_owned(), figure(report.unsigned)],
    ];
    if let Some(month) = report.dropped {
        rows.push(vec!["dropped up to".to_owned(), month.to_string()]);
    }
    rows.push(vec!["root".to_owned(), report.root.to_string()]);
    write!(out, "{}", table(&["", ""], &rows))?;
    for finding in &report.findings {
        writeln!(out, "  {} at record {}: {finding}", finding.code(), finding.position())?;
    }
    let hidden = report.findings_total.saturating_sub(report.findings.len() as u64);
    if hidden > 0 {
        writeln!(out, "  and {hidden} more")?;
    }
    Ok(())
}

async fn export(args: ExportArgs) -> CliResult {
    let store = opened(&args.config.load()?.config).await?;
    if store.audit_log(&args.account).await?.is_none() {
        return Err(CliError::failed(format!("account {} has no audit log", args.account)));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut next = 0;
    loop {
        let rows = store.audit_blocks(&args.account, next, 16).await?;
        let Some(last) = rows.last() else { break };
        next = last.block + 1;
        for row in &rows {
            writeln!(out, "{}", row.lines)?;
        }
    }
    out.flush()?;
    store.close().await;
    Ok(())
}
