//! The command line. One file per command: its arguments with their help, and what it does.

mod book;
pub mod catalogue;
mod check;
mod gameday;
mod heal;
mod lab;
mod list;
mod mutants;
mod probe;
mod program;
mod run;
mod subjects;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::verdict::Verdict;

/// Orders faults against a cluster of KIKI, and says whether it kept its promises
///
/// An experiment is a file: load, a steady state, faults at their times, and what must hold. A run opens a cluster on
/// this machine (a lab), keeps a history of what clients did and were told, undoes every fault, and checks the history
/// against the ledgers and audit logs of the platform. Everything by chance comes from a seed.
///
/// Exit codes: 0 everything held, 1 a hypothesis failed, 2 an invariant was violated, 3 something could not be run or
/// checked, or the arguments are wrong; of many runs: 2 before 3 before 1.
#[derive(Debug, Parser)]
#[command(name = "kiki-chaos", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_long_help = "Examples:\n  kiki-chaos list\n  kiki-chaos run the-owner-is-killed-in-the-middle-of-an-authorisation --seed 7\n  kiki-chaos run --tag short\n  kiki-chaos gameday --hours 2"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    List(list::ListArgs),
    Validate(validate::ValidateArgs),
    Heal(heal::HealArgs),
    Probe(probe::ProbeArgs),
    Gameday(gameday::GamedayArgs),
    Check(check::CheckArgs),
    Lab(lab::LabArgs),
    Mutants(mutants::MutantsArgs),
    Book(book::BookArgs),
}

/// What a command ends with: an exit code, or why it could not be done (3).
type CliResult = Result<u8, String>;

/// Reads the arguments, does what they say, and says how it ended.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            if let Err(error) = told.print() {
                tracing::debug!("help: {error}");
            }
            return ExitCode::from(not_parsed(&told));
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match prepared(&cli.command).and_then(|()| dispatch(cli.command)) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            eprintln!("kiki-chaos: {why}");
            ExitCode::from(Verdict::CouldNotRun.exit_code())
        }
    }
}

/// Help and the version are what was asked for; anything else has run nothing. 2 would say that an invariant was
/// violated.
fn not_parsed(told: &clap::Error) -> u8 {
    match told.use_stderr() {
        true => Verdict::CouldNotRun.exit_code(),
        false => Verdict::Held.exit_code(),
    }
}

/// Labs want namespaces of their own. The process has to be in them before it has any thread: it starts again there.
fn prepared(command: &Command) -> Result<(), String> {
    let wants = match command {
        Command::Run(it) => it.wants_lab()?,
        Command::Gameday(_) | Command::Lab(_) | Command::Mutants(_) => true,
        _ => false,
    };
    if !wants {
        return Ok(());
    }
    let missing = crate::lab::enter().map_err(|error| error.to_string())?;
    if !missing.is_empty() {
        eprintln!(
            "kiki-chaos: the lab is on loopback, without faults of packets; network namespaces need {}",
            missing.join(", ")
        );
    }
    Ok(())
}

fn dispatch(command: Command) -> CliResult {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        match command {
            Command::Run(args) => run::run(args).await,
            Command::List(args) => list::run(&args),
            Command::Validate(args) => validate::run(&args),
            Command::Heal(args) => heal::run(&args).await,
            Command::Probe(args) => probe::run(&args).await,
            Command::Gameday(args) => gameday::run(args).await,
            Command::Check(args) => check::run(&args),
            Command::Lab(args) => lab::run(args).await,
            Command::Mutants(args) => mutants::run(args).await,
            Command::Book(args) => book::run(&args),
        }
    })
}

/// Writes to standard output; a reader who has gone is no error.
fn say(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
    if let Err(error) = written {
        tracing::debug!("standard output: {error}");
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn wrong_arguments_are_no_violation_and_help_is_no_error() {
        let code = |words: &[&str]| {
            let words = ["kiki-chaos"].iter().chain(words);
            not_parsed(&Cli::try_parse_from(words).expect_err("nothing to be done"))
        };
        for wrong in [
            &["--nope"][..],
            &[],
            &["run", "--seed", "x"],
            &["heal"],
            &["run", "--against", "notaurl", "--admin", "http://h:1"],
            &["run", "--against", "ftp://h:1", "--admin", "http://h:1"],
        ] {
            assert_eq!(code(wrong), 3, "{wrong:?}");
        }
        for asked in [&["--help"][..], &["--version"], &["run", "--help"]] {
            assert_eq!(code(asked), 0, "{asked:?}");
        }
    }

    #[test]
    fn every_command_and_argument_has_help_and_every_command_an_example() {
        let cli = Cli::command();
        cli.clone().debug_assert();
        for command in cli.get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name}");
            let example = command.get_after_long_help().map(ToString::to_string);
            assert!(example.is_some_and(|it| it.contains("Example")), "{name}");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{name} {}", argument.get_id());
            }
        }
    }
}
