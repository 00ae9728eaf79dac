//! `kiki-chaos lab`

use std::path::PathBuf;

use clap::Args;

use super::{CliResult, program};
use crate::lab::{LabSpec, Wanted, show};

/// Open a lab and show where everything is, until Ctrl-C
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki-chaos lab\n  kiki-chaos lab --nodes 5 --fast --set shield.hold_ttl_s=5 --dir /tmp/lab"
)]
pub struct LabArgs {
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// Leases of 2 s
    #[arg(long)]
    fast: bool,
    /// Keep everything on loopback, without network namespaces
    #[arg(long)]
    loopback: bool,
    /// A wall clock of its own for each node
    #[arg(long)]
    clocks: bool,
    /// A key of the nodes' configuration with its value
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The folder of the lab
    #[arg(long, default_value = "chaos-lab")]
    dir: PathBuf,
    /// The program kiki; otherwise that beside this one, or in PATH
    #[arg(long, value_name = "FILE", env = "KIKI_BIN")]
    binary: Option<PathBuf>,
}

pub async fn run(args: LabArgs) -> CliResult {
    let mut spec = LabSpec::new(args.nodes, program::find(args.binary.as_ref())?, args.dir);
    if args.fast {
        spec.leases = "fast".to_owned();
    }
    spec.clocks = args.clocks;
    if args.loopback {
        spec.network = Wanted::Loopback;
    }
    for one in &args.set {
        let pair = one.split_once('=').ok_or_else(|| format!("--set {one}: is not KEY=VALUE"))?;
        spec.settings.insert(pair.0.to_owned(), pair.1.to_owned());
    }
    show(spec).await.map(|()| 0).map_err(|error| error.to_string())
}
