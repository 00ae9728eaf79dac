//! Processes that a cluster consists of: started here, and none of them left at the end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::super::exit::CliError;
use super::super::files::named;

/// How often it is asked whether one serves by now.
const LOOK: Duration = Duration::from_millis(50);
/// Time that one takes at most to end when it is killed.
const KILLED: Duration = Duration::from_secs(5);
/// So much of the end of a log is shown.
const TAIL_BYTES: u64 = 8 * 1_024;
const TAIL_LINES: usize = 20;

/// Which of the children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(usize);

struct One {
    name: String,
    log: PathBuf,
    /// Where its own words begin in the log.
    from: u64,
    pid: Pid,
    process: Child,
    /// Its end, once it has been seen. Until then its id is nobody else's.
    ended: Option<ExitStatus>,
}

/// All children of this process. What still runs when this goes away is killed.
pub struct Children {
    all: Vec<One>,
    told: mpsc::UnboundedSender<Id>,
    hear: mpsc::UnboundedReceiver<Id>,
}

impl Children {
    pub fn new() -> Children {
        let (told, hear) = mpsc::unbounded_channel();
        Children { all: Vec::new(), told, hear }
    }

    /// Starts one, in a process group of its own: the terminal's Ctrl-C is not for it. What it says goes to the
    /// end of its log.
    ///
    /// # Errors
    /// Its log or the process cannot be made.
    pub fn start(&mut self, name: &str, mut command: Command, log: &Path) -> Result<Id, CliError> {
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(log);
        let output = opened.map_err(|error| named(log, error))?;
        let from = output.metadata().map_err(|error| named(log, error))?.len();
        let also = output.try_clone().map_err(|error| named(log, error))?;
        command.stdin(Stdio::null()).stdout(output).stderr(also).process_group(0);
        let program = command.get_program().to_owned();
        let process = command.spawn().map_err(|error| named(Path::new(&program), error))?;
        let id = Id(self.all.len());
        let pid = Pid::from_child(&process);
        let (name, log) = (name.to_owned(), log.to_owned());
        self.all.push(One { name, log, from, pid, process, ended: None });
        let told = self.told.clone();
        let waiting = std::thread::Builder::new().name(format!("child {pid}")).spawn(move || {
            // It is not taken from the system's list here: its id stays its own until it is seen below.
            let until = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), until), Err(rustix::io::Errno::INTR)) {}
            // Nobody hears it where all is over.
            let _ = told.send(id);
        });
        waiting.map(drop).map_err(CliError::failed)?;
        Ok(id)
    }

    /// All that were ever started.
    pub fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        (0..self.all.len()).map(Id)
    }

    /// The processes that have not been seen to end.
    pub fn running(&self) -> impl Iterator<Item = u32> {
        self.all.iter().filter(|one| one.ended.is_none()).map(|one| one.process.id())
    }

    pub fn name(&self, id: Id) -> &str {
        &self.all[id.0].name
    }

    pub fn pid(&self, id: Id) -> u32 {
        self.all[id.0].process.id()
    }

    pub fn log(&self, id: Id) -> &Path {
        &self.all[id.0].log
    }

    /// The next one to end, with how it did.
    ///
    /// # Errors
    /// The system does not say how.
    pub async fn next_end(&mut self) -> io::Result<(Id, ExitStatus)> {
        loop {
            let Some(id) = self.hear.recv().await else { return std::future::pending().await };
            let one = &mut self.all[id.0];
            if one.ended.is_none() {
                let status = one.process.wait()?;
                one.ended = Some(status);
                return Ok((id, status));
            }
        }
    }

    /// Waits until one serves, or for its end where that is what it is for.
    ///
    /// # Errors
    /// It takes longer than it may, or a child ends meanwhile: the error has the end of its log.
    pub async fn until<F>(
        &mut self,
        id: Id,
        patience: Duration,
        mut serves: impl FnMut() -> F,
    ) -> Result<(), CliError>
    where
        F: Future<Output = bool>,
    {
        let deadline = Instant::now() + patience;
        let serving = async {
            while !serves().await {
                sleep(LOOK).await;
            }
        };
        tokio::select! {
            served = timeout_at(deadline, serving) => served.map_err(|_| {
                let what = format!("does not serve within {} s", patience.as_secs());
                self.complaint(id, &what)
            }),
            ended = self.next_end() => {
                let (who, status) = ended?;
                Err(self.complaint(who, &format!("ended: {status}")))
            }
        }
    }

    /// Waits for the good end of one.
    ///
    /// # Errors
    /// It fails, or another one ends before it.
    pub async fn finished(&mut self, id: Id) -> Result<(), CliError> {
        match self.next_end().await? {
            (who, status) if who == id && status.success() => Ok(()),
            (who, status) => Err(self.complaint(who, &format!("ended: {status}"))),
        }
    }

    /// Tells these to end, waits for that and kills those that do not. Returns the names of those.
    ///
    /// # Errors
    /// The system does not let them be told or seen.
    pub async fn stop(
        &mut self,
        those: &[Id],
        signal: Signal,
        patience: Duration,
    ) -> io::Result<Vec<String>> {
        for id in those {
            let one = &self.all[id.0];
            if one.ended.is_none() {
                gone_is_fine(kill_process(one.pid, signal))?;
                // One that stands still hears it only when it goes on.
                gone_is_fine(kill_process(one.pid, Signal::CONT))?;
            }
        }
        self.gone(those, Instant::now() + patience).await?;
        let mut killed = Vec::new();
        for id in those {
            let one = &self.all[id.0];
            if one.ended.is_none() {
                gone_is_fine(kill_process_group(one.pid, Signal::KILL))?;
                killed.push(one.name.clone());
            }
        }
        self.gone(those, Instant::now() + KILLED).await?;
        Ok(killed)
    }

    /// Waits until these have ended, or until then.
    async fn gone(&mut self, those: &[Id], deadline: Instant) -> io::Result<()> {
        while those.iter().any(|id| self.all[id.0].ended.is_none()) {
            match timeout_at(deadline, self.next_end()).await {
                Ok(ended) => drop(ended?),
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    fn complaint(&self, id: Id, what: &str) -> CliError {
        let one = &self.all[id.0];
        let said = match tail(&one.log, one.from) {
            Ok(lines) if lines.is_empty() => "it said nothing".to_owned(),
            Ok(lines) => format!("the end of {}:\n{lines}", one.log.display()),
            Err(error) => format!("{}: {error}", one.log.display()),
        };
        CliError::failed(format!("{} {what}; {said}", one.name))
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for one in self.all.iter_mut().filter(|one| one.ended.is_none()) {
            // It is told by the system alone whether that worked, and there is nobody to tell it to.
            let _ = kill_process_group(one.pid, Signal::KILL);
            let _ = one.process.wait();
        }
    }
}

/// One that has ended by itself need not be told.
fn gone_is_fine(told: rustix::io::Result<()>) -> io::Result<()> {
    match told {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        told => Ok(told?),
    }
}

/// The last lines of a file, not before there.
fn tail(path: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL_BYTES).max(from)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", text]);
        command
    }

    #[tokio::test]
    async fn who_ends_is_told_with_what_it_said_and_who_does_not_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        let mut children = Children::new();
        let stubborn =
            children.start("stubborn", shell("trap '' TERM; sleep 60 & wait; wait"), &log).unwrap();
        let quick = children
            .start("quick", shell("echo oh no; exit 3"), &folder.path().join("b.log"))
            .unwrap();
        let failed = children.finished(quick).await.unwrap_err();
        assert!(failed.message.contains("quick ended: exit status: 3"), "{}", failed.message);
        assert!(failed.message.ends_with("oh no"), "{}", failed.message);
        sleep(Duration::from_millis(200)).await;
        let both = [stubborn, quick];
        let killed = children.stop(&both, Signal::TERM, Duration::from_millis(200)).await.unwrap();
        assert_eq!(killed, ["stubborn"]);
        assert!(children.all.iter().all(|one| one.ended.is_some()));
    }

    #[tokio::test]
    async fn one_that_stands_still_is_told_to_go_on_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mut children = Children::new();
        let id = children.start("still", shell("sleep 60"), &folder.path().join("log")).unwrap();
        kill_process(children.all[id.0].pid, Signal::STOP).unwrap();
        let killed = children.stop(&[id], Signal::TERM, Duration::from_secs(20)).await.unwrap();
        assert_eq!(killed, Vec::<String>::new());
        assert!(children.all[id.0].ended.is_some());
    }

    #[tokio::test]
    async fn what_runs_when_all_is_dropped_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mut children = Children::new();
        let id = children.start("sleeper", shell("sleep 60"), &folder.path().join("log")).unwrap();
        let pid = children.all[id.0].pid;
        drop(children);
        assert_eq!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH));
    }

    #[tokio::test]
    async fn one_that_never_serves_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut children = Children::new();
        let id = children.start("mute", shell("sleep 60"), &folder.path().join("log")).unwrap();
        let waited = children.until(id, Duration::from_millis(120), async || false).await;
        assert!(waited.unwrap_err().message.starts_with("mute does not serve within 0 s"));
    }
}
