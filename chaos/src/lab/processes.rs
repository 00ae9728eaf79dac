//! All processes of a lab: they are started, watched, stopped and started again.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt;
use rustix::process::Signal;
use tokio::sync::watch;

use super::error::{LabError, LabResult};
use super::host::HostName;
use super::pid::{self, ProcessId};
use super::process::{Died, Process, Spec, command, tail, words};
use super::record::{self, Record};
use super::spawner::Spawner;

/// Time until a process that was killed is gone.
const KILLED: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// Keeps the processes of a lab.
pub struct Processes {
    spawner: Spawner,
    record: Arc<Record>,
    setpriv: PathBuf,
    /// The namespaces of hosts, where hosts have any.
    namespaces: BTreeMap<HostName, String>,
    all: Arc<Mutex<BTreeMap<String, Slot>>>,
    died: Arc<Mutex<Vec<Died>>>,
}

struct Slot {
    spec: Spec,
    id: ProcessId,
    shown: String,
    /// Those that it had started when its end was ordered.
    kin: Vec<ProcessId>,
    /// Whether its end was ordered.
    ordered: Arc<Mutex<bool>>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Processes {
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn new(
        record: Arc<Record>,
        setpriv: PathBuf,
        namespaces: BTreeMap<HostName, String>,
    ) -> LabResult<Processes> {
        let spawner = Spawner::new().map_err(|error| LabError::io("starting processes", error))?;
        let (all, died) = (Arc::default(), Arc::default());
        Ok(Processes { spawner, record, setpriv, namespaces, all, died })
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        lock(&self.all)
    }

    /// Starts a process; one of this name must not be running.
    ///
    /// # Errors
    /// It runs already, or cannot be started.
    pub async fn spawn(&self, spec: Spec) -> LabResult<ProcessId> {
        if self.all().get(&spec.name).is_some_and(|slot| slot.ended.borrow().is_none()) {
            return Err(LabError::Bad(format!("{} runs already", spec.name)));
        }
        let namespace = self.namespaces.get(&spec.host).map(String::as_str);
        let words = words(&spec, namespace, &self.setpriv);
        let shown: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        let shown = shown.join(" ");
        let mark = format!("{:032x}", rand::rng().random::<u128>());
        let command = command(&spec, &words, &mark)?;
        let entry = record::Process { name: spec.name.clone(), mark: mark.clone(), id: None };
        self.record.note(|made| made.processes.push(entry))?;
        let failed = |error| LabError::io(format!("starting {}", spec.name), error);
        let mut child = self.spawner.spawn(command).await.map_err(failed)?;
        // Nobody has waited for it, so that its number is its own, also where it has ended already.
        let id = child.id().and_then(ProcessId::of);
        let id = id.ok_or_else(|| failed(std::io::Error::other("the system does not show it")))?;
        self.record.note(|made| {
            if let Some(entry) = made.processes.iter_mut().find(|it| it.mark == mark) {
                entry.id = Some(id);
            }
        })?;
        let ordered = Arc::new(Mutex::new(false));
        let (tell, ended) = watch::channel(None);
        let (died, was_ordered) = (self.died.clone(), ordered.clone());
        let (name, log) = (spec.name.clone(), spec.log.clone());
        tokio::spawn(async move {
            let status = child.wait().await.unwrap_or_else(|error| {
                tracing::error!("the end of {name} cannot be seen: {error}");
                ExitStatus::from_raw(-1)
            });
            let at = Instant::now();
            if !*lock(&was_ordered) {
                let said = tail(&log);
                lock(&died).push(Died { name, id, at, status: status.to_string(), said });
            }
            // Nobody may look any more.
            tell.send_replace(Some(status));
        });
        self.all()
            .insert(spec.name.clone(), Slot { spec, id, shown, kin: Vec::new(), ordered, ended });
        Ok(id)
    }

    /// What is known of a process.
    pub fn get(&self, name: &str) -> Option<Process> {
        self.all().get(name).map(|slot| Process {
            name: slot.spec.name.clone(),
            host: slot.spec.host,
            id: slot.id,
            alive: slot.ended.borrow().is_none(),
            command: slot.shown.clone(),
            folder: slot.spec.folder.clone(),
            log: slot.spec.log.clone(),
            clock: slot.spec.clock.clone(),
        })
    }

    pub fn names(&self) -> Vec<String> {
        self.all().keys().cloned().collect()
    }

    /// Who runs what, to tell who calls.
    pub fn pids(&self) -> Vec<(HostName, u32)> {
        let all = self.all();
        let alive = all.values().filter(|slot| slot.ended.borrow().is_none());
        alive.map(|slot| (slot.spec.host, slot.id.pid)).collect()
    }

    pub fn is_alive(&self, name: &str) -> bool {
        self.all().get(name).is_some_and(|slot| slot.ended.borrow().is_none())
    }

    /// Ends that nobody ordered, since the lab was opened.
    pub fn died(&self) -> Vec<Died> {
        lock(&self.died).clone()
    }

    /// From now on the end of this process is ordered: whoever ends it by a way of his own says so first.
    ///
    /// # Errors
    /// There is no process of this name.
    pub fn expect_end(&self, name: &str) -> LabResult<()> {
        self.with(name, |slot| *lock(&slot.ordered) = true)
    }

    /// Its end is nobody's order any more: what was to end it is over, and it lives.
    ///
    /// # Errors
    /// There is no process of this name.
    pub fn expect_life(&self, name: &str) -> LabResult<()> {
        self.with(name, |slot| *lock(&slot.ordered) = false)
    }

    /// Sends a signal to a process; after KILL and TERM its end is ordered. False: it is over.
    ///
    /// # Errors
    /// There is no process of this name, or the system does not allow it.
    pub fn signal(&self, name: &str, signal: Signal) -> LabResult<bool> {
        if [Signal::KILL, Signal::TERM, Signal::INT, Signal::QUIT].contains(&signal) {
            self.expect_end(name)?;
            let kin = pid::descendants(self.with(name, |slot| slot.id)?.pid);
            if let Some(slot) = self.all().get_mut(name) {
                // Those of a process that is over belong to nobody any more: they are known from before.
                slot.kin.extend(kin);
            }
        }
        let id = self.with(name, |slot| slot.id)?;
        id.signal(signal).map_err(|error| LabError::io(format!("a signal to {name}"), error.into()))
    }

    /// Tells a process to end in order, and kills it where it does not. Returns how it ended.
    ///
    /// # Errors
    /// There is no process of this name, or it does not even end when it is killed.
    pub async fn stop(&self, name: &str) -> LabResult<ExitStatus> {
        let (told, grace) = self.with(name, |slot| (slot.spec.stop, slot.spec.grace))?;
        self.signal(name, told)?;
        match self.ended(name, grace).await? {
            Some(status) => self.without_kin(name).await.map(|()| status),
            None => self.kill(name).await,
        }
    }

    /// Kills a process and waits for its end.
    ///
    /// # Errors
    /// There is no process of this name, or it does not end.
    pub async fn kill(&self, name: &str) -> LabResult<ExitStatus> {
        self.signal(name, Signal::KILL)?;
        let ended = self.ended(name, KILLED).await?;
        let ended =
            ended.ok_or_else(|| LabError::Bad(format!("{name} was killed and does not end")))?;
        self.without_kin(name).await.map(|()| ended)
    }

    /// Waits until those have ended, too, that a process had started, and kills what does not. PostgreSQL does not start
    /// while a process of its life before still has its memory.
    async fn without_kin(&self, name: &str) -> LabResult<()> {
        let kin = self.with(name, |slot| slot.kin.clone())?;
        let began = Instant::now();
        let mut killed = false;
        while kin.iter().any(|one| one.is_alive()) {
            if began.elapsed() > KILLED {
                return Err(LabError::Bad(format!("what {name} had started does not end")));
            }
            if began.elapsed() > KILLED / 4 && !killed {
                killed = true;
                for one in &kin {
                    let failed = |error: rustix::io::Errno| LabError::io(name, error.into());
                    one.signal(Signal::KILL).map_err(failed)?;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits for the end of a process, for so long at most.
    ///
    /// # Errors
    /// There is no process of this name.
    pub async fn ended(&self, name: &str, patience: Duration) -> LabResult<Option<ExitStatus>> {
        let mut ended = self.with(name, |slot| slot.ended.clone())?;
        let waited = tokio::time::timeout(patience, ended.wait_for(Option::is_some)).await;
        Ok(waited.ok().and_then(Result::ok).and_then(|status| *status))
    }

    /// Starts a process again as it was started before; one that still runs is stopped first.
    ///
    /// # Errors
    /// There is no process of this name, it does not end, or it does not start.
    pub async fn restart(&self, name: &str) -> LabResult<ProcessId> {
        if self.is_alive(name) {
            self.stop(name).await?;
        }
        self.without_kin(name).await?;
        let spec = self.with(name, |slot| slot.spec.clone())?;
        self.spawn(spec).await
    }

    /// The error of a process that is not as it should be, with the end of its log.
    pub fn complaint(&self, name: &str, what: String) -> LabError {
        let log = self.get(name).map(|it| it.log).unwrap_or_default();
        LabError::Start { name: name.to_owned(), what, said: tail(&log), log }
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&Slot) -> T) -> LabResult<T> {
        let all = self.all();
        let found = all.get(name).map(act);
        found.ok_or_else(|| {
            let names: Vec<&str> = all.keys().map(String::as_str).collect();
            LabError::Bad(format!("there is no process {name:?}: there are {}", names.join(", ")))
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::programs::program;
    use super::*;

    fn shell(folder: &Path, name: &str, text: &str) -> Spec {
        Spec {
            name: name.to_owned(),
            host: HostName::Node(1),
            program: "/bin/sh".into(),
            args: vec!["-c".into(), text.into()],
            env: vec![("GREETING".to_owned(), "hello".into())],
            folder: folder.to_owned(),
            log: folder.join(format!("{name}.log")),
            user: None,
            stop: Signal::TERM,
            grace: Duration::from_millis(300),
            clock: None,
        }
    }

    fn processes(folder: &Path) -> Processes {
        let record = Arc::new(Record::begin(folder, "r").unwrap());
        Processes::new(record, program("setpriv").unwrap(), BTreeMap::new()).unwrap()
    }

    #[tokio::test]
    async fn an_end_that_nobody_ordered_is_told_and_an_ordered_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let processes = processes(folder.path());
        processes.spawn(shell(folder.path(), "quick", "echo $GREETING; exit 3")).await.unwrap();
        let ended = processes.ended("quick", Duration::from_secs(10)).await.unwrap().unwrap();
        assert_eq!(ended.code(), Some(3));
        let died = processes.died();
        assert_eq!((died[0].status.as_str(), died[0].said.as_str()), ("exit status: 3", "hello"));
        processes.spawn(shell(folder.path(), "sleeper", "exec sleep 60")).await.unwrap();
        assert!(processes.spawn(shell(folder.path(), "sleeper", "true")).await.is_err());
        assert_eq!(processes.stop("sleeper").await.unwrap().signal(), Some(15));
        assert_eq!(processes.died().len(), 1);
        let unknown = processes.stop("nobody").await.unwrap_err().to_string();
        assert_eq!(unknown, "there is no process \"nobody\": there are quick, sleeper");
    }

    #[tokio::test]
    async fn who_survived_what_was_to_end_it_ends_without_an_order() {
        let folder = tempfile::tempdir().unwrap();
        let processes = processes(folder.path());
        let id = processes.spawn(shell(folder.path(), "sleeper", "exec sleep 60")).await.unwrap();
        processes.expect_end("sleeper").unwrap();
        processes.expect_life("sleeper").unwrap();
        id.signal(Signal::KILL).unwrap();
        processes.ended("sleeper", Duration::from_secs(10)).await.unwrap().unwrap();
        assert_eq!(processes.died().len(), 1);
    }

    #[tokio::test]
    async fn one_that_does_not_listen_is_killed_and_starts_again_as_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let processes = processes(folder.path());
        let stubborn = "trap '' TERM; echo up; while :; do sleep 0.1; done";
        let first = processes.spawn(shell(folder.path(), "stubborn", stubborn)).await.unwrap();
        while !tail(&folder.path().join("stubborn.log")).contains("up") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let second = processes.restart("stubborn").await.unwrap();
        assert!(!first.is_alive() && second.is_alive() && first != second);
        let made = record::read(folder.path()).unwrap();
        let ids: Vec<_> = made.processes.iter().map(|it| it.id.unwrap()).collect();
        assert_eq!(ids, [first, second]);
        assert_eq!(processes.kill("stubborn").await.unwrap().signal(), Some(9));
        assert_eq!(processes.died(), []);
    }

    #[tokio::test]
    async fn no_process_outlives_the_lab() {
        let folder = tempfile::tempdir().unwrap();
        let processes = processes(folder.path());
        let id = processes.spawn(shell(folder.path(), "sleeper", "exec sleep 60")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(id.is_alive());
        drop(processes);
        for _ in 0..500 {
            if !id.is_alive() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it still runs");
    }
}
