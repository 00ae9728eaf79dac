//! What the system says of processes.

use std::fs;
use std::time::{Duration, Instant};

use crate::lab::{ProcessId, pid};

/// The variable in the environment of programs that a fault starts, with a value of its own.
pub const MARK: &str = "CHAOS_LAB_FAULT";
const LOOK: Duration = Duration::from_millis(20);

/// A line of /proc/PID/status, without its name.
fn status(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Whether it stands still, be it under a tracer.
pub fn is_stopped(id: ProcessId) -> bool {
    id.is_alive() && status(id.pid, "State").is_some_and(|it| it.starts_with(['T', 't']))
}

/// Whether a tracer holds it.
pub fn is_traced(id: ProcessId) -> bool {
    id.is_alive() && status(id.pid, "TracerPid").is_some_and(|it| it != "0")
}

/// Its own memory, in bytes: without what it only maps from files.
pub fn memory(id: ProcessId) -> Option<u64> {
    let said = status(id.pid, "RssAnon")?;
    Some(said.split(' ').next()?.parse::<u64>().ok()? << 10)
}

/// Those that it started.
pub fn children(parent: ProcessId) -> Vec<ProcessId> {
    let own = parent.pid.to_string();
    let of = pid::all().filter(|pid| status(*pid, "PPid").is_some_and(|it| it == own));
    of.filter_map(ProcessId::of).collect()
}

/// Those whose environment has this mark.
pub fn marked(mark: &str) -> Vec<ProcessId> {
    let wanted = format!("{MARK}={mark}");
    let has = |pid: &u32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes()))
    };
    pid::all().filter(has).filter_map(ProcessId::of).filter(|id| id.is_alive()).collect()
}

/// Waits until it is so, for so long at most. False: it did not come.
pub async fn until(patience: Duration, is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !is_so() {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::process::Signal;

    use super::*;

    #[tokio::test]
    async fn a_process_is_found_by_its_parent_and_its_mark_and_seen_to_stand_still() {
        let mark = format!("system-{}", std::process::id());
        let mut child = Command::new("sleep").arg("60").env(MARK, &mark).spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        let patience = Duration::from_secs(5);
        assert!(until(patience, || marked(&mark) == [id]).await);
        let own = ProcessId::of(std::process::id()).unwrap();
        assert!(children(own).contains(&id));
        assert!(!is_stopped(id) && !is_traced(id) && memory(id).is_some_and(|it| it > 0));
        id.signal(Signal::STOP).unwrap();
        assert!(until(patience, || is_stopped(id)).await);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_stopped(id) && marked(&mark).is_empty());
        assert!(!until(Duration::ZERO, || false).await);
    }
}
