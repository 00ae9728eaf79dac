//! `kiki completions`.

use std::io::{self, Write};

use clap::Args;
use clap_complete::Shell;

use super::exit::CliResult;

/// Print a completion script for a shell
///
/// The script completes every command and flag. Where it goes is the shell's business; bash reads
/// it from /etc/bash_completion.d or from a file that ~/.bashrc sources.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki completions bash > /etc/bash_completion.d/kiki\n  kiki completions zsh > ~/.zfunc/_kiki\n  kiki completions fish > ~/.config/fish/completions/kiki.fish"
)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command.
pub fn run(args: &CompletionsArgs) -> CliResult {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "kiki", &mut script);
    Ok(io::stdout().lock().write_all(&script)?)
}
