//! `kiki ltv`: what customers are worth, from files of purchases without a server, and the models of a
//! running one.

mod api;
mod drift;
mod evaluate;
mod fit;
mod import;
mod log;
mod mlflow;
mod model_kind;
mod models;
mod predict;
mod progress;
mod shown;

use clap::{Args, Subcommand};

use super::exit::{CliResult, block_on};

/// Fit, judge and ask models of customer lifetime value
///
/// fit, evaluate and predict read purchase logs (packed with gzip or not) and work without a server. import
/// brings such logs into a running server, models looks after the models there, and drift does both. A model
/// knows nothing after the day it is fitted to; what is said of a customer is expected spend within a horizon,
/// with an interval and reasons.
#[derive(Debug, Args)]
pub struct LtvCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Fit(fit::FitArgs),
    Evaluate(evaluate::EvaluateArgs),
    Predict(predict::PredictArgs),
    Drift(drift::DriftArgs),
    Import(import::ImportArgs),
    Models(models::ModelsCommand),
}

/// Runs the command.
pub fn run(command: LtvCommand) -> CliResult {
    match command.command {
        Action::Fit(args) => fit::run(args),
        Action::Evaluate(args) => evaluate::run(args),
        Action::Predict(args) => predict::run(args),
        Action::Drift(args) => drift::run(args),
        Action::Import(args) => block_on(import::run(args))?,
        Action::Models(args) => block_on(models::run(args))?,
    }
}
