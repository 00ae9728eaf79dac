//! Processes that cannot be mistaken for others: the number, and when it began.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process of this machine, since it was started last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    pub pid: u32,
    /// When it began, in ticks since the machine did: field 22 of /proc/PID/stat. A number is given to another process
    /// some day, this time is not.
    pub start: u64,
}

impl ProcessId {
    /// The process that has this number now.
    pub fn of(pid: u32) -> Option<ProcessId> {
        let (_, start) = state_and_start(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        Some(ProcessId { pid, start })
    }

    /// Whether it runs, or is stopped: whatever is not over.
    pub fn is_alive(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid));
        let found = stat.ok().and_then(|stat| state_and_start(&stat));
        found.is_some_and(|(state, start)| start == self.start && !matches!(state, 'Z' | 'X'))
    }

    /// Sends a signal to it and to nobody else. False: it is over.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn signal(self, signal: Signal) -> rustix::io::Result<bool> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(false);
        };
        let gone_is_fine = |error| match error {
            rustix::io::Errno::SRCH => Ok(false),
            error => Err(error),
        };
        // What is opened stays this process, also when its number is given to another one meanwhile.
        let opened = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(opened) => opened,
            Err(error) => return gone_is_fine(error),
        };
        if !self.is_alive() {
            return Ok(false);
        }
        pidfd_send_signal(&opened, signal).map(|()| true).or_else(gone_is_fine)
    }
}

/// Its name is in brackets and may contain anything.
fn state_and_start(stat: &str) -> Option<(char, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// Numbers of all processes.
pub fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The processes that this one has started, and those that they have.
pub fn descendants(of: u32) -> Vec<ProcessId> {
    let stats = all().filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let start = state_and_start(&stat)?.1;
        let parent: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        Some((parent, ProcessId { pid, start }))
    });
    let stats: Vec<(u32, ProcessId)> = stats.collect();
    let mut found: Vec<ProcessId> = Vec::new();
    let mut parents = vec![of];
    while let Some(parent) = parents.pop() {
        for (of, child) in &stats {
            if *of == parent && !found.contains(child) {
                found.push(*child);
                parents.push(child.pid);
            }
        }
    }
    found
}

/// Which life of the machine this is.
///
/// # Errors
/// The system does not say.
pub fn boot() -> std::io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let rest = (5..=25).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(state_and_start(&format!("7 (a) R (b) S 4 {rest}")), Some(('S', 22)));
        assert_eq!(state_and_start("7 (a) S 1 2"), None);
        assert_eq!(state_and_start(""), None);
    }

    #[test]
    fn a_signal_reaches_the_process_and_none_that_began_at_another_time() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        let other = ProcessId { start: id.start + 1, ..id };
        assert!(id.is_alive() && !other.is_alive());
        assert_eq!(other.signal(Signal::KILL), Ok(false));
        assert!(id.is_alive());
        assert_eq!(id.signal(Signal::KILL), Ok(true));
        child.wait().unwrap();
        assert!(!id.is_alive());
        assert_eq!(id.signal(Signal::KILL), Ok(false));
        assert!(all().any(|pid| pid == std::process::id()));
    }

    #[test]
    fn the_processes_of_a_process_are_found_over_generations() {
        let mut child =
            Command::new("sh").args(["-c", "sh -c 'sleep 60 & wait' & wait"]).spawn().unwrap();
        let of = std::time::Instant::now();
        while descendants(child.id()).len() < 2 && of.elapsed().as_secs() < 10 {
            std::thread::yield_now();
        }
        let found = descendants(child.id());
        assert_eq!(found.len(), 2);
        assert!(descendants(std::process::id()).contains(&found[1]));
        for one in found {
            assert_eq!(one.signal(Signal::KILL), Ok(true));
        }
        child.wait().unwrap();
    }
}
