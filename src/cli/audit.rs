//! `kiki audit`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};

use super::config_args::ConfigArgs;
use super::database;
use super::exit::{CliError, CliResult};
use super::format::{grouped, table};
use crate::actors::shield::audit::{HEADS_FILE, verify as verify_log};
use crate::actors::shield::vault;
use crate::models::shield::audit::head::{HEAD_LINE_BYTES_MAX, SignedHead};
use crate::models::shield::audit::heads::HeadsFile;
use crate::models::shield::audit::report::Report;
use crate::store::{PAGE_MAX, Store};

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
    /// kept outside (--roots) can tell that a whole log was written anew. Names what it finds and
    /// exits with code 1 if there is anything.
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

    /// Heads that were kept outside: a copy of shield_audit_heads.jsonl
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,

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

async fn opened(config: &ConfigArgs) -> Result<Store, CliError> {
    let config = config.load()?.config.store.opening();
    database::must_be_one(&config)?;
    Ok(Store::open_existing(config).await?)
}

async fn verify(args: VerifyArgs) -> CliResult {
    let store = opened(&args.config).await?;
    let keys = vault::public_keys(&store.keyring(vault::AUDIT).await?).map_err(CliError::failed)?;
    let accounts = match &args.account {
        Some(account) => vec![account.clone()],
        None => accounts(&store).await?,
    };
    if accounts.is_empty() {
        return Err(CliError::failed("there is no audit log in this store yet"));
    }
    let mut out = io::stdout().lock();
    let mut findings = 0;
    for account in &accounts {
        let roots = match &args.roots {
            Some(file) => heads(file, account)?,
            None => Vec::new(),
        };
        let began = Instant::now();
        let report = verify_log(&store, account, roots, keys.clone()).await;
        let report = report.map_err(CliError::failed)?;
        findings += report.findings_total;
        match args.json {
            true => writeln!(out, "{}", serde_json::to_string(&report).map_err(CliError::failed)?)?,
            false => print(&report, began.elapsed(), &mut out)?,
        }
    }
    if !args.json && args.roots.is_none() {
        writeln!(
            out,
            "no heads from outside were given: keep copies of {HEADS_FILE} elsewhere, and give one with --roots"
        )?;
    }
    store.close().await;
    match findings {
        0 => Ok(()),
        n => Err(CliError::failed(format!("{n} findings: somebody changed what was recorded"))),
    }
}

/// Every account with a log.
async fn accounts(store: &Store) -> Result<Vec<String>, CliError> {
    let mut accounts: Vec<String> = Vec::new();
    loop {
        let after = accounts.last().cloned().unwrap_or_default();
        let rows = store.audit_logs(&after, PAGE_MAX).await?;
        let full = rows.len() == PAGE_MAX as usize;
        accounts.extend(rows.into_iter().map(|row| row.account));
        if !full {
            return Ok(accounts);
        }
    }
}

/// The heads of an account in a file.
fn heads(path: &Path, account: &str) -> Result<Vec<SignedHead>, CliError> {
    let failed =
        |why: &dyn std::fmt::Display| CliError::failed(format!("{}: {why}", path.display()));
    let mut file = BufReader::new(File::open(path).map_err(|e| failed(&e))?);
    let mut heads = HeadsFile::new(account);
    let mut line = String::new();
    loop {
        line.clear();
        let mut limited = io::Read::take(&mut file, HEAD_LINE_BYTES_MAX as u64 + 2);
        if limited.read_line(&mut line).map_err(|e| failed(&e))? == 0 {
            return Ok(heads.into_heads());
        }
        heads.line(line.trim_end()).map_err(|e| failed(&e))?;
    }
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
    let store = opened(&args.config).await?;
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
