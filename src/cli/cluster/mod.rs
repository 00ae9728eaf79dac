//! `kiki cluster`: what is needed to run several nodes on one database.

mod apart;
mod authority;
mod balancer;
mod certs;
mod children;
mod databases;
mod folder;
mod nodes;
mod ports;
mod private;
mod programs;
mod strays;
mod up;

use clap::{Args, Subcommand};

use super::exit::{self, CliResult};

/// Make certificates for nodes, or run a whole cluster on this machine
///
/// Nodes that share one PostgreSQL act as one platform: each owns a part of the budgets, customers and
/// campaigns, and passes on what another one owns, over TLS.
#[derive(Debug, Args)]
pub struct ClusterCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Certs(certs::CertsArgs),
    Up(up::UpArgs),
}

/// Runs the command.
pub fn run(args: ClusterCommand) -> CliResult {
    match args.command {
        Action::Certs(args) => certs::run(&args),
        Action::Up(args) => exit::block_on(up::run(args))?,
    }
}
