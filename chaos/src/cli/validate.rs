//! `kiki-chaos validate`

use clap::Args;

use super::{CliResult, say, subjects};

/// Check files of experiments, without running anything
///
/// Everything that is wrong is told with its line and what is allowed. Settings of the platform are checked by the
/// platform, when a lab starts it.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki-chaos validate my.yaml other.yaml")]
pub struct ValidateArgs {
    /// Files, or names of experiments that come with the program
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
}

pub fn run(args: &ValidateArgs) -> CliResult {
    for subject in subjects::read(&args.files, None)? {
        say(&format!("{}: good: {}", subject.file, subject.experiment.title));
    }
    Ok(0)
}
