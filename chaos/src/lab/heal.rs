//! Undoes what a lab has left whose suite is gone.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::error::{LabError, LabResult};
use super::pid::{self, ProcessId};
use super::record::{self, MARK, Made};
use super::tool;

/// Time until a process that was killed is gone.
const GONE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// Ends the processes of the lab in this folder, and removes its mounts, interfaces and namespaces. What was undone,
/// in words; nothing where nothing was left. It may be called again and again.
///
/// A process is ended only where it is the one that was started: its number and when it began, or the mark in its
/// environment.
///
/// # Errors
/// The suite that opened it still runs, or the system does not allow something.
pub async fn heal(folder: &Path) -> LabResult<Vec<String>> {
    let made = record::read(folder)?;
    let boot = pid::boot().map_err(|error| LabError::io("the boot's id", error))?;
    let mut done = Vec::new();
    if boot != made.boot {
        remove_files(folder, &mut done)?;
        record::close(folder, &made)?;
        return Ok(done);
    }
    if !made.closed && made.suite.pid != std::process::id() && made.suite.is_alive() {
        return Err(LabError::Bad(format!(
            "the suite of run {} still runs (pid {}): end it first, it undoes what it made",
            made.run, made.suite.pid
        )));
    }
    let mut killed = Vec::new();
    for (name, id) in left(&made) {
        let failed =
            |error: rustix::io::Errno| LabError::io(format!("ending {name}"), error.into());
        if id.signal(Signal::KILL).map_err(failed)? {
            done.push(format!("ended {name} (pid {})", id.pid));
            killed.push((name, id));
        }
    }
    let deadline = Instant::now() + GONE;
    while let Some((name, id)) = killed.iter().find(|(_, id)| id.is_alive()) {
        if Instant::now() > deadline {
            return Err(LabError::Bad(format!(
                "{name} (pid {}) was killed and does not end",
                id.pid
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
    remove(&made, &mut done).await?;
    remove_files(folder, &mut done)?;
    record::close(folder, &made)?;
    Ok(done)
}

/// Mounts first, then what may be in a namespace, then the namespaces.
async fn remove(made: &Made, done: &mut Vec<String>) -> LabResult<()> {
    let mounted = fs::read_to_string("/proc/self/mountinfo")
        .map_err(|error| LabError::io("/proc/self/mountinfo", error))?;
    for path in made.mounts.iter().rev().filter(|path| is_mounted(&mounted, path)) {
        tool::run(["umount".as_ref(), "--lazy".as_ref(), path.as_os_str()]).await?;
        done.push(format!("unmounted {}", path.display()));
    }
    for link in made.links.iter().filter(|link| Path::new("/sys/class/net").join(link).exists()) {
        tool::run(["ip", "link", "del", link]).await?;
        done.push(format!("removed the interface {link}"));
    }
    for name in made.namespaces.iter().filter(|name| Path::new("/run/netns").join(name).exists()) {
        tool::run(["ip", "netns", "del", name]).await?;
        done.push(format!("removed the namespace {name}"));
    }
    Ok(())
}

/// Databases, certificates with their keys, configurations with passwords: nothing that a report needs.
fn remove_files(folder: &Path, done: &mut Vec<String>) -> LabResult<()> {
    let files = folder.join(record::FILES);
    match fs::remove_dir_all(&files) {
        Ok(()) => done.push(format!("removed {}", files.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(LabError::file(&files, error)),
    }
    Ok(())
}

/// Processes of this lab that are still there.
fn left(made: &Made) -> Vec<(String, ProcessId)> {
    let known = made.processes.iter().filter_map(|it| Some((it.name.clone(), it.id?)));
    let mut all: Vec<(String, ProcessId)> = known.filter(|(_, id)| id.is_alive()).collect();
    for process in made.processes.iter().filter(|it| it.id.is_none()) {
        let marked =
            pid::all().filter(|pid| has_mark(*pid, &process.mark)).filter_map(ProcessId::of);
        all.extend(marked.map(|id| (process.name.clone(), id)));
    }
    all
}

fn has_mark(pid: u32, mark: &str) -> bool {
    let wanted = format!("{MARK}={mark}");
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes()))
}

/// Spaces and the like are written as octal numbers there.
fn is_mounted(mountinfo: &str, path: &Path) -> bool {
    let escaped: String = path
        .to_string_lossy()
        .chars()
        .map(|c| match c {
            ' ' | '\t' | '\n' | '\\' => format!("\\{:03o}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    mountinfo.lines().any(|line| line.split(' ').nth(4) == Some(escaped.as_str()))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::super::record::Process;
    use super::*;

    fn sleeper(mark: &str) -> (Child, ProcessId) {
        let child = Command::new("sleep").arg("60").env(MARK, mark).spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        // Until it is `sleep`, its environment is this test's.
        while !has_mark(id.pid, mark) {
            std::thread::sleep(Duration::from_millis(5));
        }
        (child, id)
    }

    #[tokio::test]
    async fn only_the_processes_of_the_lab_end_and_a_second_time_nothing_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let record = record::Record::begin(folder.path(), "r").unwrap();
        let mark = format!("heal-{}", std::process::id());
        let (mut known, known_id) = sleeper("other");
        let (mut unknown, _) = sleeper(&mark);
        let (mut stranger, stranger_id) = sleeper("stranger");
        let process =
            |name: &str, mark: &str, id| Process { name: name.into(), mark: mark.into(), id };
        record
            .note(|made| {
                made.processes.push(process("known", "other", Some(known_id)));
                made.processes.push(process("unknown", &mark, None));
                // The number is another process's today.
                let before = ProcessId { start: stranger_id.start - 1, ..stranger_id };
                made.processes.push(process("before", "none", Some(before)));
            })
            .unwrap();
        let waiting = std::thread::spawn(move || (known.wait().unwrap(), unknown.wait().unwrap()));
        fs::create_dir_all(folder.path().join("lab/db")).unwrap();
        let done = heal(folder.path()).await.unwrap();
        assert_eq!(done.len(), 3, "{done:?}");
        assert!(!folder.path().join("lab").exists());
        assert!(
            done[0].starts_with("ended known (pid") && done[1].starts_with("ended unknown (pid")
        );
        waiting.join().unwrap();
        assert!(stranger_id.is_alive());
        assert_eq!(heal(folder.path()).await.unwrap(), Vec::<String>::new());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    #[tokio::test]
    async fn a_lab_that_is_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let record = record::Record::begin(folder.path(), "r").unwrap();
        let (mut suite, id) = sleeper("suite");
        record.note(|made| made.suite = id).unwrap();
        let refused = heal(folder.path()).await.unwrap_err().to_string();
        assert!(refused.contains("still runs"), "{refused}");
        suite.kill().unwrap();
        suite.wait().unwrap();
        assert_eq!(heal(folder.path()).await.unwrap(), Vec::<String>::new());
        assert!(record::read(folder.path()).unwrap().closed);
    }

    #[test]
    fn a_mount_is_found_by_its_whole_path() {
        let info = "30 1 0:2 / /a\\040b rw - tmpfs kc rw\n31 1 0:2 / /c rw - tmpfs kc rw\n";
        assert!(is_mounted(info, Path::new("/a b")) && is_mounted(info, Path::new("/c")));
        assert!(!is_mounted(info, Path::new("/a")) && !is_mounted(info, Path::new("/")));
    }
}
