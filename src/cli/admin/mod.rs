//! `kiki admin`: what the admin API shows, as tables and trees.

mod actor;
mod actors;
mod breakers;
mod client;
mod cluster;
mod dead_letters;
mod events;
mod faults;
mod print;
mod services;
mod tree;

use clap::{Args, Subcommand};

use super::exit::CliResult;
use super::server_args::ServerArgs;
use super::tls_args::TlsArgs;
use client::Admin;

/// Look into a running node and its cluster: actors, breakers, shards, faults and events
///
/// Reads the admin API of a node (port 8090), and through it that of any other node with --node.
/// Everything is printed for people; --json prints the answers as they are.
#[derive(Debug, Args)]
pub struct AdminCommand {
    /// The admin API's address [environment: KIKI_ADMIN_URL] [default: the configured one,
    /// http://127.0.0.1:8090]
    #[arg(long, value_name = "URL", global = true, env = "KIKI_ADMIN_URL", hide_env = true)]
    url: Option<String>,

    /// Print the API's JSON instead of tables
    #[arg(long, global = true)]
    json: bool,

    /// The node that is to answer, through the one that is reached [default: the one that is reached]
    #[arg(long, value_name = "NODE", global = true)]
    node: Option<String>,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    tls: TlsArgs,

    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Tree(tree::TreeArgs),
    Actors(actors::ActorsArgs),
    Actor(actor::ActorArgs),
    Breakers(breakers::BreakersArgs),
    Cluster(cluster::ClusterCommand),
    Faults(faults::FaultsCommand),
    Events(events::EventsArgs),
    Services(services::ServicesArgs),
    DeadLetters(dead_letters::DeadLettersArgs),
}

/// Runs the command.
pub async fn run(args: AdminCommand) -> CliResult {
    let base = args.server.url(args.url.as_deref(), |server| server.admin_addr())?;
    let admin = Admin::new((&base, args.node), &args.tls, args.json, args.server.headers()?)?;
    match args.command {
        Action::Tree(args) => tree::run(&admin, &args).await,
        Action::Actors(args) => actors::run(&admin, &args).await,
        Action::Actor(args) => actor::run(&admin, &args).await,
        Action::Breakers(args) => breakers::run(&admin, &args).await,
        Action::Cluster(args) => cluster::run(&admin, args).await,
        Action::Faults(args) => faults::run(&admin, args).await,
        Action::Events(args) => events::run(&admin, &args).await,
        Action::Services(_) => services::run(&admin).await,
        Action::DeadLetters(args) => dead_letters::run(&admin, &args).await,
    }
}
