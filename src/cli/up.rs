//! Arguments of `kiki up`.

use clap::Args;

use super::config_args::ConfigArgs;

/// Start every service in one process
///
/// Listens on the documented ports, keeps everything in the data directory and needs no other
/// software. Prints where things listen and "ready" when they serve. Ctrl-C or SIGTERM stops taking
/// new work, finishes what runs and exits. A second start on the same data directory is refused.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki up\n  kiki up --port-offset 100 --data-dir data-2\n  DATABASE_URL=postgres://kiki@localhost/kiki kiki up --set shield.window_cap=800"
)]
pub struct UpArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
}
