//! `kiki ledger`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::config_args::ConfigArgs;
use super::database;
use super::exit::{CliError, CliResult};
use super::format::{grouped, table};
use crate::models::shield::money::Micros;
use crate::models::shield::verify::{
    BudgetRow, Checker, EntryRow, HoldRow, OrderRow, Report, Row, SliceRow,
};
use crate::store::Store;
use crate::store::export::{ExportRow, Source};

/// Look after the ledger
#[derive(Debug, Args)]
pub struct LedgerCommand {
    #[command(subcommand)]
    pub command: LedgerAction,
}

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerAction {
    /// Check the ledger's invariants offline, on a store or on a backup
    ///
    /// Reads everything from one moment and changes nothing, also while a server runs: dense sequences, one row per operation, sums that
    /// agree to the micro, caps that were never exceeded by a grant. Prints what it checked; names
    /// each violation by its invariant (BG-1 to BG-4) and exits with code 1 if there is one.
    #[command(
        after_long_help = "Examples:\n  kiki ledger verify\n  kiki ledger verify --export kiki-backup.gz"
    )]
    Verify(LedgerVerifyArgs),
}

/// Arguments of `kiki ledger verify`.
#[derive(Debug, Args)]
pub struct LedgerVerifyArgs {
    /// Check this backup instead of the configured store
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

/// Runs the command.
pub async fn run(args: LedgerCommand) -> CliResult {
    let LedgerAction::Verify(args) = args.command;
    let report = match &args.export {
        Some(file) => {
            let checked = check(Source::File(file), args.account.as_deref()).await;
            checked.map_err(|e| CliError {
                message: format!("{}: {}", file.display(), e.message),
                ..e
            })?
        }
        None => {
            let config = args.config.load()?.config.store.opening();
            database::must_be_one(&config)?;
            let store = Store::open_existing(config).await?;
            let report = check(Source::Store(&store), args.account.as_deref()).await?;
            store.close().await;
            report
        }
    };
    let mut out = io::stdout().lock();
    if args.json {
        let text = serde_json::to_string_pretty(&report).map_err(CliError::failed)?;
        writeln!(out, "{text}")?;
    } else {
        print(&report, &mut out)?;
    }
    match report.holds {
        true => Ok(()),
        false => Err(CliError::failed(summary(&report))),
    }
}

async fn check(source: Source<'_>, account: Option<&str>) -> Result<Report, CliError> {
    let mut checker = Checker::default();
    let each = |row| {
        if let Some(row) = plain(&row)
            && account.is_none_or(|account| account == row.account())
        {
            checker.feed(&row);
        }
        Ok(())
    };
    source.each_row(each).await?;
    Ok(checker.finish())
}

/// The row as the checker takes it; `None` for those that say nothing about money.
fn plain(row: &ExportRow) -> Option<Row<'_>> {
    Some(match row {
        ExportRow::Budget(r) => Row::Budget(BudgetRow {
            account: &r.account,
            budget: &r.budget,
            terms: &r.terms,
            funded: r.funded,
            refunded: r.refunded,
            settled: r.settled,
            facts: r.facts,
            late: r.late,
            seq: r.seq,
            state: &r.state,
        }),
        ExportRow::Slice(r) => Row::Slice(SliceRow {
            account: &r.account,
            budget: &r.budget,
            slice: &r.slice,
            quota: r.quota,
            settled: r.settled,
            day: &r.day,
            since_seq: r.since_seq,
        }),
        ExportRow::Hold(r) => Row::Hold(HoldRow {
            account: &r.account,
            budget: &r.budget,
            hold: &r.hold,
            amount: r.amount,
            settled: (r.state == "settled").then_some(r.settled_amount),
        }),
        ExportRow::Ledger(r) => Row::Entry(EntryRow {
            account: &r.account,
            budget: &r.budget,
            seq: r.seq,
            op: &r.op,
            kind: &r.kind,
            amount: r.amount,
            window_amount: r.window_amount,
            currency: &r.currency,
            hold: r.hold.as_deref(),
            slice: r.slice.as_deref(),
            day: &r.day,
        }),
        ExportRow::Operation(r) => {
            Row::Order(OrderRow { account: &r.account, budget: &r.budget, answer: &r.answer })
        }
        _ => return None,
    })
}

fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let money = |amount: Micros| grouped(&amount.display_2());
    let rows = report.budgets.iter().map(|total| {
        vec![
            total.account.clone(),
            total.budget.clone(),
            grouped(&total.rows.to_string()),
            money(total.spent),
            money(total.funded),
            total.currency.clone(),
        ]
    });
    let head = ["ACCOUNT", "BUDGET", "ROWS", "SPENT", "FUNDED", "CURRENCY"];
    write!(out, "{}", table(&head, &rows.collect::<Vec<_>>()))?;
    for violation in &report.violations {
        writeln!(out, "{violation}")?;
    }
    if report.violations_left_out > 0 {
        writeln!(out, "and {} more violations", report.violations_left_out)?;
    }
    if report.holds {
        writeln!(out, "{}", summary(report))?;
    }
    Ok(())
}

fn summary(report: &Report) -> String {
    let rows = counted(report.rows, "row", "rows");
    let budgets = counted(report.budgets.len() as u64, "budget", "budgets");
    if report.holds {
        return format!("{rows}, {budgets}: every invariant holds");
    }
    let all = report.violations.len() as u64 + report.violations_left_out;
    format!("{rows}, {budgets}: {}", counted(all, "violation", "violations"))
}

fn counted(number: u64, one: &str, many: &str) -> String {
    let what = if number == 1 { one } else { many };
    format!("{} {what}", grouped(&number.to_string()))
}
