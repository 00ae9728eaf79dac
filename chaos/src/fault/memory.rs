//! Bounded memory, by a control group of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{FaultError, FaultResult};
use super::system;
use crate::lab::ProcessId;

const GROUPS: &str = "/sys/fs/cgroup";
const MEMBERS: &str = "cgroup.procs";
/// The kernel lets a group go when the last of its processes is taken apart.
const GONE: Duration = Duration::from_secs(5);

/// A group with one process, and where the process was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub id: ProcessId,
    pub folder: PathBuf,
    pub back: PathBuf,
}

impl Group {
    /// The group that can be made for this process; `None` where groups cannot bound memory here.
    ///
    /// # Errors
    /// The system does not say where the process is.
    pub fn find(run: &Path, number: u32, id: ProcessId) -> FaultResult<Option<Group>> {
        let file = format!("/proc/{}/cgroup", id.pid);
        let told = fs::read_to_string(&file).map_err(|error| FaultError::io(file, error))?;
        let Some(back) = place(&told, Path::new(GROUPS)) else { return Ok(None) };
        // Folders of runs that are of one name are told apart by the suite's process.
        let run = run.file_name().unwrap_or_default().to_string_lossy();
        let run: String = run.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        let name = format!("kiki-chaos-{}-{run}-{number}-{}", std::process::id(), id.pid);
        let group = Group { id, folder: back.join(name), back };
        // Whether memory can be bounded in a group is seen in one.
        match fs::create_dir(&group.folder) {
            Ok(()) => {}
            Err(_) => return Ok(None),
        }
        let can = group.limit().is_some();
        fs::remove_dir(&group.folder).map_err(|error| FaultError::file(&group.folder, error))?;
        Ok(can.then_some(group))
    }

    /// The file with the most that it may have, of the first or the second kind of groups.
    fn limit(&self) -> Option<PathBuf> {
        let names = ["memory.limit_in_bytes", "memory.max"];
        names.into_iter().map(|name| self.folder.join(name)).find(|file| file.exists())
    }

    /// Makes it, and puts the process into it: from now on it gets so many bytes and no more.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn bound(&self, bytes: u64) -> FaultResult<()> {
        fs::create_dir(&self.folder).map_err(|error| FaultError::file(&self.folder, error))?;
        let file = self.limit().unwrap_or_else(|| self.folder.join("memory.max"));
        // A group needs a page or so to have a process at all.
        put(&file, bytes.max(64 << 10))?;
        put(&self.folder.join(MEMBERS), u64::from(self.id.pid))
    }

    /// What the kernel allows at once.
    ///
    /// # Errors
    /// It allows nothing at once.
    pub fn let_go(&self) -> FaultResult<()> {
        if !self.folder.exists() {
            return Ok(());
        }
        if self.id.is_alive() {
            put(&self.back.join(MEMBERS), u64::from(self.id.pid))?;
        }
        match fs::remove_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.map_err(|error| FaultError::file(&self.folder, error)),
        }
    }

    /// # Errors
    /// The group is still there.
    pub async fn undo(&self) -> FaultResult<()> {
        if system::until(GONE, || self.let_go().is_ok()).await {
            return Ok(());
        }
        self.let_go()
    }
}

fn put(file: &Path, value: u64) -> FaultResult<()> {
    fs::write(file, value.to_string()).map_err(|error| FaultError::file(file, error))
}

/// The folder of the group that a process is in. Within a container its whole path may not be seen: then the top.
fn place(told: &str, groups: &Path) -> Option<PathBuf> {
    let mut found = None;
    for line in told.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let top = match controllers {
            "" => groups.to_owned(),
            it if it.split(',').any(|it| it == "memory") => groups.join("memory"),
            _ => continue,
        };
        let whole = top.join(path.trim_start_matches('/'));
        let place = [whole, top].into_iter().find(|it| it.join(MEMBERS).exists());
        // The first kind, where memory is bounded by it; the second kind is named without controllers.
        if !controllers.is_empty() {
            return place;
        }
        found = place;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_process_is_found_in_both_kinds() {
        let groups = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let folder = groups.path().join(path);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(MEMBERS), "").unwrap();
            folder
        };
        let first = "5:cpu:/x\n4:memory:/a/b\n0::/\n";
        assert_eq!(place(first, groups.path()), None);
        let top = make("memory");
        assert_eq!(place(first, groups.path()), Some(top));
        let whole = make("memory/a/b");
        assert_eq!(place(first, groups.path()), Some(whole));
        let second = make("user.slice");
        assert_eq!(place("0::/user.slice\n", groups.path()), Some(second));
        assert_eq!(place("what\n", groups.path()), None);
    }
}
