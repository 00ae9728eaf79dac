//! How commands end: an exit code, and one message on standard error.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use crate::config::Problems;
use crate::store::StoreError;

/// What still computes on a thread of its own when a command is over may take so long to notice.
const LEFT_BEHIND: Duration = Duration::from_secs(5);

/// What a command returns.
pub type CliResult = Result<(), CliError>;

/// Why a command failed, with its exit code.
#[derive(Debug)]
pub struct CliError {
    /// 1 failed, 2 wrong arguments or configuration, 3 what was looked for was found, 130 interrupted, 141 nobody reads the output.
    pub code: u8,
    /// For standard error; empty where everything has been said already.
    pub message: String,
}

impl CliError {
    /// The work could not be done.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self { code: 1, message: message.to_string() }
    }

    /// What a check looks for is there.
    pub fn found(message: impl fmt::Display) -> Self {
        Self { code: 3, message: message.to_string() }
    }

    /// The arguments or the configuration are wrong.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { code: 2, message: message.to_string() }
    }

    /// Ended by Ctrl-C.
    pub fn interrupted(message: impl fmt::Display) -> Self {
        Self { code: 130, message: message.to_string() }
    }
}

impl From<Problems> for CliError {
    fn from(problems: Problems) -> Self {
        Self::usage(problems)
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Config(why) => Self::usage(why),
            other => Self::failed(other),
        }
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // As if the signal had ended it: what was not said is not known to be good.
            io::ErrorKind::BrokenPipe => Self { code: 141, message: String::new() },
            _ => Self::failed(error),
        }
    }
}

/// Runs a command that waits for others, on a runtime of its own.
///
/// # Errors
/// The runtime's threads cannot be started.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(CliError::failed)?;
    let done = runtime.block_on(work);
    // nobody waits for it any more, and it ends with the process
    runtime.shutdown_timeout(LEFT_BEHIND);
    Ok(done)
}

/// Says what went wrong and turns it into the process's exit code.
pub fn report(result: CliResult) -> ExitCode {
    let Err(CliError { code, message }) = result else {
        return ExitCode::SUCCESS;
    };
    if !message.is_empty() {
        // Standard error is where this would be reported.
        let _ = writeln!(io::stderr(), "{message}");
    }
    ExitCode::from(code)
}
