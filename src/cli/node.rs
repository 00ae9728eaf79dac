//! `kiki node`: this process as one of several on the same database.

use clap::Args;

use super::config_args::ConfigArgs;
use super::exit::{CliError, CliResult};
use super::up;
use crate::config::Loaded;

/// Start a node of a cluster
///
/// Runs every service as one of several nodes on the same PostgreSQL. Each node owns a part of all
/// campaigns, accounts and customers, answers any request (what is elsewhere is passed on over links
/// with mutual TLS), and takes over from a node that is gone. Its name and its certificate are in the
/// section [cluster] of the configuration; `kiki cluster certs` makes certificates. SIGTERM lets it
/// finish what runs, hands its part over, and ends it: no request is lost.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki node --config node-1.toml\n  kiki cluster up --nodes 3    (a whole cluster on this machine)"
)]
pub struct NodeArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Runs until it is told to stop.
pub async fn run(args: NodeArgs) -> CliResult {
    let Loaded { config, warnings, .. } = args.config.load()?;
    if !config.cluster.has_links() {
        return Err(CliError::usage(
            "a node of a cluster needs certificates: set cluster.ca_file, cluster.cert_file and cluster.key_file \
             (kiki cluster certs makes them), or run `kiki up` for a server that is alone",
        ));
    }
    up::serve(config, warnings).await
}
