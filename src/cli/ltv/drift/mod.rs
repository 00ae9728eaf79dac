//! `kiki ltv drift`.

mod compare;
mod files;
mod served;

use std::path::PathBuf;

use clap::Args;

use super::super::exit::{CliError, CliResult, block_on};
use super::api::ApiArgs;
use super::log::{ReadingArgs, day};
use crate::models::value::log::day::Day;

/// Say whether customers are still those that a model was fitted on
///
/// Of a running server: the report on its champion (or on --model): each input and the error of its forecasts,
/// newest values against those of the fit.
///
/// With --transactions, of a file and without a server: what is known of the customers at --reference-end against
/// what is known at --current-end (population stability index and Kolmogorov-Smirnov for each input), and the
/// purchases between both days in their order under ADWIN and Page-Hinkley.
///
/// A model sees customers with everything up to a day, so ages and totals grow with the days between; with
/// --window-days both sides are given the same length and only what changed in between shows.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki ltv drift\n  kiki ltv drift --check --json\n  kiki ltv drift --transactions orders.csv --reference-end 2026-03-31 --current-end 2026-06-30 --window-days 90"
)]
pub struct DriftArgs {
    /// The version to report on [default: the champion]
    #[arg(long, value_name = "MODEL", conflicts_with = "transactions")]
    model: Option<String>,

    /// The purchase log, packed with gzip or not; without it a server is asked
    #[arg(long, value_name = "FILE", requires = "reference_end")]
    transactions: Option<PathBuf>,

    #[command(flatten)]
    reading: ReadingArgs,

    /// The last day that is known to the reference
    #[arg(long, value_name = "DATE", value_parser = day, requires = "transactions")]
    reference_end: Option<Day>,

    /// The last day that is known now [default: the last day of the log]
    #[arg(long, value_name = "DATE", value_parser = day, requires = "transactions")]
    current_end: Option<Day>,

    /// Look only at purchases within so many days up to each of both days
    #[arg(long, value_name = "DAYS", requires = "transactions", value_parser = clap::value_parser!(u32).range(1..=36_525))]
    window_days: Option<u32>,

    /// Exit with 3 where something has drifted (1: it could not be found out)
    #[arg(long)]
    check: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    api: ApiArgs,
}

/// Runs the command.
pub fn run(args: DriftArgs) -> CliResult {
    let drifted = match (&args.transactions, args.reference_end) {
        (Some(path), Some(reference_end)) => files::run(&args, path, reference_end)?,
        _ => block_on(served::run(&args))??,
    };
    match args.check && !drifted.is_empty() {
        true => Err(CliError::found(format!("drifted: {}", drifted.join(", ")))),
        false => Ok(()),
    }
}
