//! Programs of the system that do one thing and end, such as `ip` and `mount`.

use std::ffi::{OsStr, OsString};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::error::{LabError, LabResult};

/// None of them has anything to wait for.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is kept of what they say.
const SAID_MAX: usize = 2_000;

/// Runs a program and returns what it printed.
///
/// # Errors
/// It is not there, fails, or takes too long: with the command and what it said.
pub async fn run<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> LabResult<String> {
    let words: Vec<OsString> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
    let shown: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let shown = shown.join(" ");
    let Some((program, args)) = words.split_first() else {
        return Err(LabError::Bad("a command without words".to_owned()));
    };
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true).env("LC_ALL", "C");
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = match output {
        Ok(output) => output.map_err(|error| LabError::io(shown.clone(), error))?,
        Err(_) => {
            let said = format!("it takes longer than {} s", PATIENCE.as_secs());
            return Err(LabError::Tool { command: shown, said });
        }
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said: String =
        String::from_utf8_lossy(&output.stderr).trim().chars().take(SAID_MAX).collect();
    let said = if said.is_empty() { output.status.to_string() } else { said };
    Err(LabError::Tool { command: shown, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_fails_is_named_with_what_it_said() {
        assert_eq!(run(["echo", "a", "b"]).await.unwrap(), "a b\n");
        let failed = run(["sh", "-c", "echo no >&2; exit 3"]).await.unwrap_err().to_string();
        assert_eq!(failed, "`sh -c echo no >&2; exit 3` failed: no");
        let silent = run(["false"]).await.unwrap_err().to_string();
        assert_eq!(silent, "`false` failed: exit status: 1");
        assert!(run(["/no/such/program"]).await.is_err());
        assert!(run::<&str>([]).await.is_err());
    }
}
