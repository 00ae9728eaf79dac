//! `kiki ltv fit`.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::super::exit::{CliError, CliResult};
use super::super::files;
use super::log::{self, LogArgs, Told, day};
use super::mlflow;
use super::model_kind::ModelArgs;
use super::progress::Progress;
use super::shown;
use crate::connectors::mlflow as tracking;
use crate::models::value::forecast::account::{Account, Cuts};
use crate::models::value::forecast::model::ValueModel;
use crate::models::value::forecast::terms::{FitError, FitReport, FitTerms};
use crate::models::value::log::day::Day;
use crate::models::value::registry::version::Kind;

/// Fit a model to a purchase log
///
/// Prints the parameters with their standard errors, the log-likelihood and the time it took. Purchases of
/// one customer on one day are one. What is after the calibration's end is not looked at.
///
/// bg-nbd, mbg-nbd, pareto-nbd and gamma-gamma keep a fixed number of bytes for each customer where the log
/// has every customer's purchases in the order of their days; a log in another order, and the models that
/// learn, keep 16 bytes for each day with a purchase.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki ltv fit --transactions cdnow_sample.txt --format cdnow-sample \\\n    --calibration-end 1997-09-30 --model bg-nbd\n  kiki ltv fit --transactions orders.csv.gz --horizon-days 180 --out value.model"
)]
pub struct FitArgs {
    #[command(flatten)]
    log: LogArgs,

    /// The last day that is known to the model [default: the last day of the log]
    #[arg(long, value_name = "DATE", value_parser = day)]
    calibration_end: Option<Day>,

    /// The horizon that will mostly be asked for, in days
    #[arg(long, visible_alias = "horizon", value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3_653))]
    horizon_days: u32,

    #[command(flatten)]
    model: ModelArgs,

    /// Write the model to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: FitArgs) -> CliResult {
    let mut logged = mlflow::begun("fit", &args.log, &args.model);
    let outcome = print(args, logged.as_mut().map(|of| &mut of.run));
    mlflow::ended(logged, outcome.as_ref().err());
    outcome
}

fn print(args: FitArgs, logged: Option<&mut tracking::Run>) -> CliResult {
    let begun = Instant::now();
    let mut progress = Progress::new();
    let fitted = fit(&args, &mut progress);
    progress.finish();
    let Fitted { model, report, read, seconds } = fitted?;
    if let Some(run) = logged {
        run.param("cut", model.cut());
        run.param("horizon_days", model.horizon_days());
        run.metric("seconds", seconds);
        tracking::fitted(run, &report);
    }
    if let Some(path) = &args.out {
        let bytes = model.to_bytes().map_err(CliError::failed)?;
        files::write(path, &bytes)?;
    }
    let mut out = io::stdout().lock();
    if args.json {
        let told = json!({
            "model": model.kind(),
            "calibration_end": model.cut(),
            "horizon_days": model.horizon_days(),
            "rounded": args.model.terms(args.log.reading.format, model.cut(), 1).rounded,
            "log": read,
            "customers": report.customers,
            "repeaters": report.repeaters,
            "parts": shown::parts(&report),
            "weight": report.weight,
            "ratio": report.ratio,
            "calibrated_on": report.calibrated_on,
            "notes": report.notes,
            "seconds": { "fit": seconds, "all": begun.elapsed().as_secs_f64() },
            "out": args.out,
        });
        writeln!(out, "{told:#}")?;
    } else {
        write!(out, "{}", shown::fit(&model, &report, &read, seconds))?;
        if let Some(path) = &args.out {
            writeln!(out, "\nThe model is in {}", path.display())?;
        }
    }
    Ok(())
}

struct Fitted {
    model: ValueModel,
    report: FitReport,
    read: Told,
    seconds: f64,
}

/// What went wrong with a fit, as a command says it.
pub fn failed(error: FitError) -> CliError {
    CliError::failed(error)
}

fn fit(args: &FitArgs, progress: &mut Progress) -> Result<Fitted, CliError> {
    let terms = |cut| args.model.terms(args.log.reading.format, cut, args.horizon_days);
    let kind = Kind::from(args.model.model);
    if !matches!(kind, Kind::Ziln | Kind::Blend)
        && let Some(fitted) = streamed(args, progress, &terms)?
    {
        return Ok(fitted);
    }
    let (customers, read) = log::customers(&args.log, progress)?;
    let terms = terms(args.calibration_end.unwrap_or(read.last));
    let begun = Instant::now();
    let fitted = ValueModel::fit(&customers, &terms, &mut |step| progress.step(step));
    let (model, report) = fitted.map_err(failed)?;
    Ok(Fitted { model, report, read, seconds: begun.elapsed().as_secs_f64() })
}

/// In constant memory per customer; `None` where the log's order does not allow that.
fn streamed(
    args: &FitArgs,
    progress: &mut Progress,
    terms: &dyn Fn(Day) -> FitTerms,
) -> Result<Option<Fitted>, CliError> {
    let mut first: Option<Day> = None;
    let known = |day: &Day| args.calibration_end.is_none_or(|end| *day <= end);
    let read = log::read(&args.log, progress, |(_, day, _)| {
        if known(&day) {
            first = Some(first.map_or(day, |first| first.min(day)));
        }
    })?;
    let terms = terms(args.calibration_end.unwrap_or(read.last));
    let first = first.ok_or_else(|| failed(FitError::Empty(terms.cut)))?;
    let cuts = Cuts::new(first, terms.cut, terms.horizon_days);
    let Some(new) = Account::new(cuts) else { return Ok(None) };
    let mut accounts: HashMap<Box<str>, Account> = HashMap::new();
    let mut in_order = true;
    // The bad lines have been named.
    let again = log::read_again(&args.log, |(id, day, micros)| {
        if !accounts.contains_key(id) {
            accounts.insert(id.into(), new);
        }
        let added = accounts.get_mut(id).is_some_and(|account| account.add(day, micros).is_ok());
        in_order = in_order && added;
    });
    again?;
    if !in_order {
        return Ok(None);
    }
    let begun = Instant::now();
    let accounts = accounts.into_iter().filter_map(|(id, account)| Some((id, account.known()?)));
    let fitted =
        ValueModel::fit_accounts(accounts.collect(), cuts, &terms, &mut |step| progress.step(step));
    let (model, report) = fitted.map_err(failed)?;
    Ok(Some(Fitted { model, report, read, seconds: begun.elapsed().as_secs_f64() }))
}
