//! Processes of a cluster that are no children of whoever runs it: what was started again by hand, and what is left of
//! a run that was killed.
//!
//! Each is known by what it runs with: its program, the folder that it runs in, and the files of this cluster's folder
//! among its words. Folders and files are compared by what they are, and not by their names: those of another process
//! may be of another folder or of another mount namespace. It is held by a descriptor from before it is looked at, so that what is told to end is what was
//! looked at, whoever gets its number later.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::{Instant, sleep};

use super::super::exit::CliError;
use super::folder::Folder;

/// Time that one takes at most to end when it is killed.
const KILLED: Duration = Duration::from_secs(5);
/// How often it is looked whether one has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Bytes of a program's name that the system keeps.
const COMM_MAX: usize = 15;

/// What a process is in a cluster, in the order in which they end: first what brings requests, last what keeps their
/// results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Balancer,
    Node,
    Redis,
    Postgres,
}

impl Part {
    pub const ALL: [Part; 4] = [Part::Balancer, Part::Node, Part::Redis, Part::Postgres];

    /// What it is told to end with.
    pub fn signal(self) -> Signal {
        match self {
            // The fast shutdown: clients are not waited for, and nothing has to be recovered.
            Part::Postgres => Signal::INT,
            Part::Balancer | Part::Node | Part::Redis => Signal::TERM,
        }
    }

    /// How long it may take to end.
    pub fn patience(self) -> Duration {
        Duration::from_secs(match self {
            Part::Balancer | Part::Redis => 5,
            Part::Node => 45,
            Part::Postgres => 30,
        })
    }
}

/// A process that is not this one's child, and belongs to the cluster.
pub struct Stray {
    pub name: String,
    pub pid: u32,
    pub part: Part,
    held: OwnedFd,
}

/// All of them but those of these numbers.
///
/// # Errors
/// The system's list of processes cannot be read.
pub fn find(folder: &Folder, but: &[u32]) -> Result<Vec<Stray>, CliError> {
    let home = Home::of(folder)?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let number: Option<i32> = name.to_str().and_then(|name| name.parse().ok());
        let Some((number, pid)) = number.and_then(|it| Some((it, Pid::from_raw(it)?))) else {
            continue;
        };
        let number = number.unsigned_abs();
        if number == std::process::id() || but.contains(&number) {
            continue;
        }
        // Who may not be looked at is none of this cluster's, and who has gone need not be.
        let Some(first) = Seen::of(number).filter(|it| it.part(&home).is_some()) else {
            continue;
        };
        let held = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(held) => held,
            Err(rustix::io::Errno::SRCH) => continue,
            Err(error) => {
                let what = format!("process {number} ({})", first.program());
                return Err(CliError::failed(format!("{what} cannot be held: {error}")));
            }
        };
        // Looked at again, now that its number is nobody else's.
        if let Some(it) = Seen::of(number)
            && let Some((name, part)) = it.part(&home)
        {
            found.push((it.parent, Stray { name, pid: number, part, held }));
        }
    }
    // What PostgreSQL has forked looks like itself for a moment, and ends with it.
    let pids: Vec<u32> = found.iter().map(|(_, it)| it.pid).chain(but.iter().copied()).collect();
    found.retain(|(parent, _)| !pids.contains(parent));
    let mut found: Vec<Stray> = found.into_iter().map(|(_, it)| it).collect();
    found.sort_by(|a, b| (a.part, &a.name, a.pid).cmp(&(b.part, &b.name, b.pid)));
    Ok(found)
}

/// Tells these to end, waits for that and kills those that do not. Returns the names of those.
///
/// # Errors
/// The system does not let them be told.
pub async fn stop<'a>(strays: impl IntoIterator<Item = &'a Stray>) -> io::Result<Vec<String>> {
    let all: Vec<&Stray> = strays.into_iter().collect();
    let patience = all.iter().map(|it| it.part.patience()).max().unwrap_or_default();
    for it in &all {
        it.tell(it.part.signal())?;
    }
    let deadline = Instant::now() + patience;
    let mut killed = Vec::new();
    for it in &all {
        if !it.gone_by(deadline).await? {
            killed.push(it.name.clone());
            it.tell(Signal::KILL)?;
            it.gone_by(Instant::now() + KILLED).await?;
        }
    }
    Ok(killed)
}

impl Stray {
    fn tell(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.held, signal) {
            // It has ended by itself.
            Err(rustix::io::Errno::SRCH) => Ok(()),
            told => Ok(told?),
        }
    }

    /// Waits for its end. `false`: it runs still.
    async fn gone_by(&self, deadline: Instant) -> io::Result<bool> {
        loop {
            if self.has_ended()? {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(LOOK).await;
        }
    }

    /// Whether nothing of it runs any more. Where nobody takes it from the system's list, it stays there, and its
    /// number with it.
    fn has_ended(&self) -> io::Result<bool> {
        // To one that runs this says nothing.
        match pidfd_send_signal(&self.held, Signal::CONT) {
            Err(rustix::io::Errno::SRCH) => return Ok(true),
            told => told?,
        }
        let folder = PathBuf::from(format!("/proc/{}", self.pid));
        let stat = fs::read_to_string(folder.join("stat")).unwrap_or_default();
        let is_over = stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']));
        // The first of its threads may be over before the others.
        let threads = fs::read_dir(folder.join("task")).map_or(0, Iterator::count);
        Ok(is_over && threads <= 1)
    }
}

/// What a folder or file is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inode(u64, u64);

impl Inode {
    fn of(path: &Path) -> Option<Inode> {
        fs::metadata(path).ok().map(|it| Inode(it.dev(), it.ino()))
    }
}

/// The cluster whose processes are looked for.
struct Home {
    path: PathBuf,
    /// Names of the program that nodes run: as this command was called, and as it calls nodes.
    programs: Vec<Vec<u8>>,
    /// The namespace in which paths are what they are here.
    mounts: PathBuf,
}

impl Home {
    fn of(folder: &Folder) -> io::Result<Home> {
        let mut programs = vec![fs::read("/proc/self/comm")?];
        if let Some(name) = std::env::current_exe()?.file_name() {
            let name = name.as_bytes();
            let mut comm = name[..name.len().min(COMM_MAX)].to_vec();
            comm.push(b'\n');
            programs.push(comm);
        }
        let path = fs::canonicalize(folder.path())?;
        Ok(Home { path, programs, mounts: fs::read_link("/proc/self/ns/mnt")? })
    }

    fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// A process, as the system shows it.
struct Seen {
    /// The name of its program, with a line's end.
    comm: Vec<u8>,
    parent: u32,
    words: Vec<PathBuf>,
    cwd: PathBuf,
    /// What its folder is: at that path there may be another one by now.
    inside: Inode,
    mounts: PathBuf,
}

impl Seen {
    fn of(number: u32) -> Option<Seen> {
        let at = |name: &str| PathBuf::from(format!("/proc/{number}/{name}"));
        let comm = fs::read(at("comm")).ok()?;
        let stat = fs::read_to_string(at("stat")).ok()?;
        // Behind the name, which may have anything in it: the state, and the parent's number.
        let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        let line = fs::read(at("cmdline")).ok()?;
        let words =
            line.split(|byte| *byte == 0).map(|word| PathBuf::from(OsStr::from_bytes(word)));
        let (words, cwd) = (words.collect(), fs::read_link(at("cwd")).ok()?);
        let (inside, mounts) = (Inode::of(&at("cwd"))?, fs::read_link(at("ns/mnt")).ok()?);
        Some(Seen { comm, parent, words, cwd, inside, mounts })
    }

    fn program(&self) -> String {
        String::from_utf8_lossy(&self.comm).trim_end().to_owned()
    }

    /// Its name and what it is in the cluster that is at home there.
    fn part(&self, home: &Home) -> Option<(String, Part)> {
        // What it calls by a path of this cluster is something else there.
        if self.mounts != home.mounts {
            return None;
        }
        let follows = |flag: &str, file: &Path| {
            let pairs = self.words.iter().zip(self.words.iter().skip(1));
            pairs.into_iter().any(|(word, next)| word == Path::new(flag) && self.means(next, file))
        };
        let is_in = |folder: &Path| Inode::of(folder) == Some(self.inside);
        let of_postgres = home.join("postgres");
        match self.program().as_str() {
            "haproxy" if follows("-f", &home.join("haproxy.cfg")) => {
                Some(("haproxy".to_owned(), Part::Balancer))
            }
            // What it was started with it overwrites with what it does.
            "redis-server" if is_in(&home.join("redis")) => Some(("redis".to_owned(), Part::Redis)),
            // Its own children say something else.
            "postgres" if follows("-D", &of_postgres.join("db")) => {
                Some(("postgres".to_owned(), Part::Postgres))
            }
            "initdb" if follows("-D", &of_postgres.join("db.draft")) => {
                Some(("initdb".to_owned(), Part::Postgres))
            }
            _ if home.programs.contains(&self.comm) && is_in(&home.path) => self.node(home),
            _ => None,
        }
    }

    fn node(&self, home: &Home) -> Option<(String, Part)> {
        // Behind the last word is one that is empty.
        let [_, node, config, file, end] = self.words.as_slice() else { return None };
        let said = node == Path::new("node") && config == Path::new("--config");
        if !said || !end.as_os_str().is_empty() || file.extension() != Some(OsStr::new("toml")) {
            return None;
        }
        let name = file.file_stem()?.to_str()?;
        let there = home.join(file.file_name()?.to_str()?);
        self.means(file, &there).then(|| (name.to_owned(), Part::Node))
    }

    /// Whether one of its words leads there, from the folder that it is in: to the same file, or where that is not
    /// there, to its place.
    fn means(&self, word: &Path, there: &Path) -> bool {
        if word.as_os_str().is_empty() {
            return false;
        }
        let path = self.cwd.join(word);
        let place = |path: &Path| path.parent().and_then(Inode::of);
        match Inode::of(there) {
            Some(it) => Inode::of(&path) == Some(it),
            None => {
                path.file_name() == there.file_name()
                    && place(there).is_some_and(|it| place(&path) == Some(it))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    const HERE: &str = "mnt:[1]";

    fn seen(comm: &str, cwd: &Path, line: &str) -> Seen {
        let words = line.split(' ').chain([""]).map(PathBuf::from).collect();
        let (comm, inside) = (format!("{comm}\n").into_bytes(), Inode::of(cwd).unwrap());
        Seen { comm, parent: 1, words, cwd: cwd.into(), inside, mounts: HERE.into() }
    }

    #[test]
    fn a_part_is_known_by_its_program_and_the_files_of_its_folder() {
        let given = tempfile::tempdir().unwrap();
        let at = fs::canonicalize(given.path()).unwrap();
        // Two clusters that look the same.
        for name in ["c", "d"] {
            fs::create_dir_all(at.join(name).join("postgres/db")).unwrap();
            fs::create_dir(at.join(name).join("redis")).unwrap();
            for file in ["node-2.toml", "haproxy.cfg"] {
                fs::write(at.join(name).join(file), "").unwrap();
            }
        }
        std::os::unix::fs::symlink(at.join("c"), at.join("link")).unwrap();
        let programs = vec![b"kiki\n".to_vec(), b"kiki-1.2\n".to_vec()];
        let home = Home { path: at.join("c"), programs, mounts: HERE.into() };
        let read = |comm: &str, cwd: &str, line: &str| {
            let line = line.replace("/c/", &format!("{}/c/", at.display()));
            let line = line.replace("/d/", &format!("{}/d/", at.display()));
            seen(comm, &at.join(cwd), &line.replace("/link/", &format!("{}/link/", at.display())))
        };
        for (comm, cwd, line, name) in [
            ("kiki", "c", "/bin/kiki node --config /c/node-2.toml", "node-2"),
            ("kiki-1.2", "c", "/bin/kiki node --config /c/node-2.toml", "node-2"),
            ("kiki", "link", "/bin/kiki node --config /link/node-2.toml", "node-2"),
            ("kiki", "c", "/bin/kiki node --config node-2.toml", "node-2"),
            ("haproxy", "c", "/sbin/haproxy -db -f /c/haproxy.cfg", "haproxy"),
            ("haproxy", "c", "/sbin/haproxy -db -f haproxy.cfg", "haproxy"),
            ("postgres", "c/postgres/db", "postgres -D /c/postgres/db -p 1", "postgres"),
            ("initdb", "c/postgres", "initdb -D /c/postgres/db.draft", "initdb"),
            ("redis-server", "c/redis", "redis-server 127.0.0.1:1", "redis"),
        ] {
            let it = read(comm, cwd, line);
            assert_eq!(it.part(&home).map(|(name, _)| name).as_deref(), Some(name), "{line}");
            let elsewhere = Seen { mounts: "mnt:[2]".into(), ..it };
            assert_eq!(elsewhere.part(&home), None, "of a container: {line}");
        }
        // Of another cluster, of nobody's, or what only looks at the files. Where this test runs has no say.
        for (comm, cwd, line) in [
            ("kiki", "d", "/bin/kiki node --config /d/node-2.toml"),
            ("kiki", "d", "/bin/kiki node --config /c/node-2.toml"),
            ("kiki", "d", "/bin/kiki node --config node-2.toml"),
            ("kiki", "c", "/bin/kiki node --config /d/node-2.toml"),
            ("kiki", "c", "/bin/kiki config check /c/node-2.toml"),
            ("kiki", "c", "/bin/kiki cluster up --dir /c/"),
            ("sh", "c", "/bin/kiki node --config /c/node-2.toml"),
            ("tail", "c", "tail -f /c/haproxy.cfg"),
            ("haproxy", "d", "haproxy -db -f haproxy.cfg"),
            ("haproxy", "c", "haproxy -db -f /d/haproxy.cfg"),
            ("postgres", "d/postgres", "postgres -D db"),
            ("postgres", "c/postgres/db", "postgres: checkpointer"),
            ("initdb", "d/postgres", "initdb -D db.draft"),
            ("redis-server", "c", "redis-server 127.0.0.1:1"),
        ] {
            assert_eq!(read(comm, cwd, line).part(&home), None, "{comm} {cwd} {line}");
        }
    }

    fn sleeper(name: &str, cwd: &Path, args: &[&str]) -> Child {
        let program = cwd.join(name);
        if !program.exists() {
            std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        }
        Command::new(program).args(args).current_dir(cwd).spawn().unwrap()
    }

    #[tokio::test]
    async fn what_is_left_is_found_and_stopped_and_nobody_else() {
        let given = tempfile::tempdir().unwrap();
        let folder = Folder::open(Some(&given.path().join("c"))).unwrap();
        let redis = folder.within("redis").unwrap();
        let mut left = sleeper("redis-server", &redis, &["60"]);
        let mut other = sleeper("redis-server", given.path(), &["60"]);
        let mut own = sleeper("redis-server", &redis, &["60"]);
        // A process has its name when its program runs.
        let mut strays = Vec::new();
        for _ in 0..100 {
            strays = find(&folder, &[own.id()]).unwrap();
            if !strays.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let pids: Vec<u32> = strays.iter().map(|it| it.pid).collect();
        assert_eq!((pids, strays[0].part), (vec![left.id()], Part::Redis));
        assert_eq!(stop(&strays).await.unwrap(), Vec::<String>::new());
        assert!(!left.wait().unwrap().success());
        for it in [&mut other, &mut own] {
            assert!(it.try_wait().unwrap().is_none(), "it was none of them");
            it.kill().unwrap();
            it.wait().unwrap();
        }
    }
}
