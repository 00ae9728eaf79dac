//! `kiki ltv evaluate`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::super::exit::{CliError, CliResult};
use super::super::files;
use super::log::{self, LogArgs, day};
use super::mlflow;
use super::model_kind::ModelArgs;
use super::progress::Progress;
use super::shown;
use crate::connectors::mlflow as tracking;
use crate::models::value::evaluate::crossed::crossed;
use crate::models::value::evaluate::judged::{EvaluateError, Holdout};
use crate::models::value::evaluate::temporal::temporal;
use crate::models::value::log::day::Day;
use crate::models::value::registry::version::Kind;
use crate::models::value::report::page::{About, page};

/// Judge a kind of model on purchases that it has not seen
///
/// The model is fitted to what is known at the calibration's end and judged by what came after it, up to the
/// holdout's end: by order (normalised Gini, Spearman, AUC), levels (decile MAPE, calibration by frequency,
/// total bias), error (MAE, RMSE) and what its 95% intervals held. Forecasts without a model stand beside it.
///
/// With --folds each part of the customers is judged by a model that was fitted on the others, which knows of
/// those what they bought in the holdout, too.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki ltv evaluate --transactions cdnow_sample.txt --format cdnow-sample \\\n    --calibration-end 1997-09-30 --holdout-end 1998-06-30 --model bg-nbd --report report\n  kiki ltv evaluate --transactions orders.csv --calibration-end 2026-03-31 --holdout-end 2026-06-30"
)]
pub struct EvaluateArgs {
    #[command(flatten)]
    log: LogArgs,

    /// The last day that is known to the model
    #[arg(long, value_name = "DATE", value_parser = day)]
    calibration_end: Day,

    /// The last day that it is judged by
    #[arg(long, value_name = "DATE", value_parser = day)]
    holdout_end: Day,

    /// Judge parts of the customers by models of the others, 2 to 20 parts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=20))]
    folds: Option<u32>,

    #[command(flatten)]
    model: ModelArgs,

    /// Write a page with tables and charts into this folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn failed(error: EvaluateError) -> CliError {
    match error {
        EvaluateError::Holdout { .. } | EvaluateError::Folds(_) => CliError::usage(error),
        other => CliError::failed(other),
    }
}

/// Runs the command.
pub fn run(args: EvaluateArgs) -> CliResult {
    let holdout = Holdout::new(args.calibration_end, args.holdout_end).map_err(failed)?;
    let mut logged = mlflow::begun("evaluate", &args.log, &args.model);
    let outcome = print(args, holdout, logged.as_mut().map(|of| &mut of.run));
    mlflow::ended(logged, outcome.as_ref().err());
    outcome
}

fn print(args: EvaluateArgs, holdout: Holdout, logged: Option<&mut tracking::Run>) -> CliResult {
    let mut progress = Progress::new();
    let (customers, read) = log::customers(&args.log, &progress)?;
    let begun = Instant::now();
    let terms = args.model.terms(args.log.reading.format, holdout.cut, holdout.days());
    let mut watch = |step| progress.step(step);
    let judged = match args.folds {
        None => temporal(&customers, holdout, &terms, &mut watch).map(|(judged, _)| judged),
        Some(folds) => crossed(&customers, holdout, folds, &terms, &mut watch),
    };
    progress.finish();
    let evaluation = judged.map_err(failed)?;
    let seconds = begun.elapsed().as_secs_f64();
    let kind = Kind::from(args.model.model);
    if let Some(run) = logged {
        run.param("cut", holdout.cut);
        run.param("end", holdout.end);
        run.param("horizon_days", holdout.days());
        run.param("folds", evaluation.folds);
        run.metric("seconds", seconds);
        run.metric("holdout.confidence", evaluation.mean_confidence);
        // Of folds each fit has its own parameters.
        if let [report] = evaluation.fits.as_slice() {
            tracking::fitted(run, report);
        }
        tracking::scores(run, &evaluation.spend);
        tracking::coverage(run, &evaluation.coverage);
    }
    let written = args.report.as_ref().map(|folder| {
        // Without its folders: a page is for others, too.
        let source = args.log.transactions.file_name().unwrap_or_default();
        let source = source.to_string_lossy();
        let about =
            About { model: kind.as_str(), source: &source, currency: read.currency.as_deref() };
        let path = folder.join("index.html");
        std::fs::create_dir_all(folder)
            .map_err(|error| CliError::failed(format!("{}: {error}", folder.display())))?;
        files::write(&path, page(&evaluation, about).as_bytes()).map(|()| path)
    });
    let written = written.transpose()?;
    let mut out = io::stdout().lock();
    if args.json {
        let told = json!({
            "model": kind,
            "seed": args.model.seed,
            "rounded": terms.rounded,
            "log": read,
            "evaluation": evaluation,
            "seconds": seconds,
            "report": written,
        });
        writeln!(out, "{told:#}")?;
    } else {
        write!(out, "{}", shown::evaluation(kind, &evaluation, &read, seconds))?;
        if let Some(path) = written {
            writeln!(out, "\nThe report is in {}", path.display())?;
        }
    }
    Ok(())
}
