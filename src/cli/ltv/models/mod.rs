//! `kiki ltv models`: the versions of a running server, and who of them answers.

mod change;
mod fits;
mod history;
mod list;
mod show;

use clap::{Args, Subcommand};

use super::super::exit::CliResult;
use super::api::{Api, ApiArgs};

/// Look after the models of a running server
///
/// Each command is one call of its REST API (port 8087). Tables are for people; --json prints the answers as
/// they are.
#[derive(Debug, Args)]
pub struct ModelsCommand {
    /// Print the API's JSON instead of tables
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    api: ApiArgs,

    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Outcomes(show::OutcomesArgs),
    Fit(fits::FitArgs),
    Fits(fits::FitsArgs),
    Cancel(fits::CancelArgs),
    Challenge(change::ChallengeArgs),
    Promote(change::PromoteArgs),
    Rollback(change::RollbackArgs),
    History(history::HistoryArgs),
}

/// A server's API, and how its answers are printed.
#[derive(Debug)]
pub struct Models {
    pub api: Api,
    pub json: bool,
}

/// Runs the command.
pub async fn run(args: ModelsCommand) -> CliResult {
    let models = Models { api: args.api.api()?, json: args.json };
    match args.command {
        Action::List(args) => list::run(&models, &args).await,
        Action::Show(args) => show::run(&models, &args).await,
        Action::Outcomes(args) => show::outcomes(&models, &args).await,
        Action::Fit(args) => fits::fit(&models, &args).await,
        Action::Fits(_) => fits::list(&models).await,
        Action::Cancel(args) => fits::cancel(&models, &args).await,
        Action::Challenge(args) => change::challenge(&models, &args).await,
        Action::Promote(args) => change::promote(&models, &args).await,
        Action::Rollback(args) => change::roll_back(&models, &args).await,
        Action::History(args) => history::run(&models, &args).await,
    }
}
