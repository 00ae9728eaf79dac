//! The command line. One file per command: its arguments with their help, and what it does.
//!
//! To add a command: a file with a `clap::Args` struct and a `run`, a variant of [`Command`] whose
//! comment is its help, and an arm in [`dispatch`]. A test asks for complete help everywhere.

mod admin;
mod audit;
mod certificates;
mod cluster;
mod completions;
mod config;
mod config_args;
mod database;
mod exit;
mod files;
mod flow;
mod format;
mod fresh;
mod front_door;
mod health;
mod keys;
mod ltv;
mod node;
mod replay;
mod server_args;
mod tls_args;

pub mod backup;
pub mod ledger;
pub mod migrate;
pub mod restore;
pub mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use config_args::ConfigArgs;
pub use exit::{CliError, CliResult};

/// Runs marketing money: budgets that are never overspent, as supervised actors
///
/// One program plays every role. `kiki up` starts all services on this machine; the other commands
/// talk to running services or look after what they keep. Settings come from built-in defaults, a
/// file (`--config`), `.env`, the environment and flags, a later one winning.
#[derive(Debug, Parser)]
#[command(name = "kiki", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_long_help = "Examples:\n  kiki config show\n  kiki replay --transactions log.txt.gz --campaign camp_001"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What `kiki` can do.
#[derive(Debug, Subcommand)]
enum Command {
    Up(up::UpArgs),
    Node(node::NodeArgs),
    Cluster(cluster::ClusterCommand),
    Health(health::HealthArgs),
    Config(config::ConfigCommand),
    Admin(admin::AdminCommand),
    Keys(keys::KeysCommand),
    Replay(replay::ReplayArgs),
    Ltv(ltv::LtvCommand),
    Flow(flow::FlowCommand),
    Ledger(ledger::LedgerCommand),
    Audit(audit::AuditCommand),
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
    Migrate(migrate::MigrateCommand),
    Completions(completions::CompletionsArgs),
}

fn dispatch(command: Command) -> CliResult {
    match command {
        Command::Up(args) => exit::block_on(up::run(args))?,
        Command::Node(args) => exit::block_on(node::run(args))?,
        Command::Cluster(args) => cluster::run(args),
        Command::Health(args) => exit::block_on(health::run(args))?,
        Command::Config(args) => config::run(args),
        Command::Admin(args) => exit::block_on(admin::run(args))?,
        Command::Keys(args) => exit::block_on(keys::run(args))?,
        Command::Replay(args) => exit::block_on(replay::run(args))?,
        Command::Ltv(args) => ltv::run(args),
        Command::Flow(args) => flow::run(args),
        Command::Ledger(args) => exit::block_on(ledger::run(args))?,
        Command::Audit(args) => exit::block_on(audit::run(args))?,
        Command::Backup(args) => exit::block_on(backup::run(args))?,
        Command::Restore(args) => exit::block_on(restore::run(args))?,
        Command::Migrate(args) => exit::block_on(migrate::run(args))?,
        Command::Completions(args) => completions::run(&args),
    }
}

/// Parses the process's arguments, runs the command and returns its exit code: 0 done, 1 failed,
/// 2 wrong arguments or configuration, 130 interrupted.
pub fn main() -> ExitCode {
    crate::connectors::http::install_crypto();
    // Stores, backups and copies of the audit are nobody else's business on this machine. A group may
    // be let in to read; secrets are made for their owner alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    let cli = Cli::parse();
    match crate::planted::check() {
        Ok(None) => {}
        Ok(Some(bug)) => eprintln!("this process makes a mistake on purpose: {}", bug.name()),
        Err(why) => {
            eprintln!("kiki: {why}");
            return ExitCode::from(2);
        }
    }
    exit::report(dispatch(cli.command))
}

/// The whole command line, for completions and for the test of its help.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}
