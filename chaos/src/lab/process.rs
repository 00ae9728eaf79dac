//! What a process of a lab is: how it is started, and what is known of it while it runs.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::process::Command;

use super::clock::Clock;
use super::error::{LabError, LabResult};
use super::host::HostName;
use super::pid::ProcessId;
use super::programs::User;
use super::record::MARK;

/// How a process is started, the first time and every other time.
#[derive(Clone, Debug)]
pub struct Spec {
    pub name: String,
    pub host: HostName,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub env: Vec<(String, OsString)>,
    /// Where it runs, and where its files are.
    pub folder: PathBuf,
    pub log: PathBuf,
    /// Who runs it, where that is somebody else.
    pub user: Option<User>,
    /// What tells it to end in order.
    pub stop: Signal,
    /// How long it may take for that.
    pub grace: Duration,
    pub clock: Option<Clock>,
}

/// What is known of a process.
#[derive(Clone, Debug)]
pub struct Process {
    pub name: String,
    pub host: HostName,
    /// The one that runs, or ran last.
    pub id: ProcessId,
    pub alive: bool,
    pub command: String,
    pub folder: PathBuf,
    pub log: PathBuf,
    pub clock: Option<Clock>,
}

/// The end of a process that nobody ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Died {
    pub name: String,
    pub id: ProcessId,
    pub at: Instant,
    /// As the system says it: "exit status: 1", "signal: 9 (SIGKILL)".
    pub status: String,
    /// The last lines of its log.
    pub said: String,
}

/// The words that start a process, from the outside in: its namespace, its end with the suite's, its own clock, itself.
/// Each program puts itself in the place of the one before, so that the first one's number is the process's own.
pub fn words(spec: &Spec, namespace: Option<&str>, setpriv: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut say = |word: &dyn AsRef<OsStr>| words.push(word.as_ref().to_owned());
    if let Some(namespace) = namespace {
        for word in ["ip", "netns", "exec", namespace] {
            say(&word);
        }
    }
    say(&setpriv);
    for word in ["--pdeathsig", "KILL"] {
        say(&word);
    }
    if let Some(User { uid, gid }) = spec.user {
        for word in ["--clear-groups", "--reuid", &uid.to_string(), "--regid", &gid.to_string()] {
            say(&word);
        }
    }
    say(&"--");
    if let Some(clock) = &spec.clock {
        say(&"env");
        for (name, value) in clock.variables() {
            let mut word = OsString::from(name);
            word.push("=");
            word.push(value);
            say(&word);
        }
    }
    say(&spec.program);
    for word in &spec.args {
        say(word);
    }
    words
}

/// The command of a process, with its output at the end of its log.
///
/// # Errors
/// The log cannot be opened.
pub fn command(spec: &Spec, words: &[OsString], mark: &str) -> LabResult<Command> {
    let failed = |error| LabError::file(&spec.log, error);
    let log =
        OpenOptions::new().append(true).create(true).mode(0o600).open(&spec.log).map_err(failed)?;
    let also = log.try_clone().map_err(failed)?;
    let Some((program, args)) = words.split_first() else {
        return Err(LabError::Bad(format!("{} has no command", spec.name)));
    };
    let mut command = Command::new(program);
    command.args(args).current_dir(&spec.folder).env_clear();
    for name in ["PATH", "HOME", "LANG", "TZ", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(spec.env.iter().map(|(name, value)| (name, value))).env(MARK, mark);
    // The terminal's Ctrl-C is for the suite alone.
    command.stdin(Stdio::null()).stdout(log).stderr(also).process_group(0);
    Ok(command)
}

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    const BYTES: u64 = 16 << 10;
    const LINES: usize = 20;
    let read = || {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = std::fs::File::open(log)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(BYTES)))?;
        let mut bytes = Vec::new();
        file.take(BYTES).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = match read() {
        Ok(bytes) => bytes,
        Err(error) => return format!("{}: {error}", log.display()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_started_in_its_namespace_as_its_user_with_its_clock() {
        let folder = tempfile::tempdir().unwrap();
        let mut spec = Spec {
            name: "db".into(),
            host: HostName::Database,
            program: "/bin/postgres".into(),
            args: vec!["-D".into(), "x y".into()],
            env: Vec::new(),
            folder: "/".into(),
            log: "/dev/null".into(),
            user: None,
            stop: Signal::TERM,
            grace: Duration::ZERO,
            clock: None,
        };
        let said = |spec: &Spec, namespace| {
            let words = words(spec, namespace, Path::new("/bin/setpriv"));
            words
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
                .join("|")
        };
        assert_eq!(said(&spec, None), "/bin/setpriv|--pdeathsig|KILL|--|/bin/postgres|-D|x y");
        spec.user = Some(User { uid: 110, gid: 118 });
        assert_eq!(
            said(&spec, Some("kc-1-db")),
            "ip|netns|exec|kc-1-db|/bin/setpriv|--pdeathsig|KILL|--clear-groups|--reuid|110|--regid|118|--|/bin/postgres|-D|x y"
        );
        spec.clock = Some(Clock::new("/lib/f.so".into(), folder.path().join("clock")).unwrap());
        assert!(said(&spec, None).contains("|env|LD_PRELOAD=/lib/f.so|CHAOS_LAB_CLOCK="));
    }

    #[test]
    fn the_end_of_a_log_is_told_and_a_log_that_is_not_there_too() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        assert!(tail(&log).contains("No such file"));
        let lines: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        std::fs::write(&log, lines.join("\n")).unwrap();
        assert!(tail(&log).starts_with("line 80\n") && tail(&log).ends_with("line 99"));
    }
}
