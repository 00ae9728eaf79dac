//! `kiki config check` and `kiki config show`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::config_args::ConfigArgs;
use super::exit::CliResult;
use crate::config::{DEFAULT_TOML, Loader, show};

/// Check a configuration file, or print the configuration in force
#[derive(Debug, Args)]
pub struct ConfigCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check a file: every unknown key and bad value, with its line and column
    ///
    /// Prints "ok", or everything that is wrong at once and exits with code 2. Only the file is
    /// judged, over the built-in defaults: no variable of the environment is read.
    #[command(after_long_help = "Example:\n  kiki config check kiki.toml")]
    Check {
        /// The file to check
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the configuration in force, with where each value came from
    ///
    /// The output is TOML that can be kept as a file; secrets are replaced by "[redacted]".
    #[command(
        after_long_help = "Examples:\n  kiki config show --port-offset 100\n  kiki config show --defaults > kiki.toml"
    )]
    Show {
        /// Print the built-in defaults instead, with the explanation of every key
        #[arg(long)]
        defaults: bool,

        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// Runs the command.
pub fn run(args: ConfigCommand) -> CliResult {
    let mut out = io::stdout().lock();
    match args.command {
        Action::Check { file } => {
            Loader::new().file(Some(&file)).load()?;
            writeln!(out, "ok")?;
        }
        Action::Show { defaults: true, .. } => out.write_all(DEFAULT_TOML.as_bytes())?,
        Action::Show { config, .. } => {
            let loaded = config.load()?;
            out.write_all(show(&loaded.values).as_bytes())?;
            for warning in &loaded.warnings {
                writeln!(io::stderr(), "warning: {warning}")?;
            }
        }
    }
    Ok(())
}
