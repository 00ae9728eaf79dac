//! `kiki flow`: bidding, without a server so far.

mod simulate;

use clap::{Args, Subcommand};

use super::exit::CliResult;

/// Try out how budgets are paced and impressions priced
///
/// simulate replays a log of auctions through the rules of pacing and pricing, and needs no server.
#[derive(Debug, Args)]
pub struct FlowCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Simulate(simulate::SimulateArgs),
}

/// Runs the command.
pub fn run(command: FlowCommand) -> CliResult {
    match command.command {
        Action::Simulate(args) => simulate::run(args),
    }
}
