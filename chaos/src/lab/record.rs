//! What a lab has made, in `lab.json` of the run's folder: written before it is made, so that whoever comes after a
//! suite that died can undo it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::error::{LabError, LabResult};
use super::pid::{self, ProcessId};
use crate::files;

/// The file in the run's folder.
pub const FILE: &str = "lab.json";
/// The folder in the run's folder that has the files of servers: gone with the lab.
pub const FILES: &str = "lab";
/// The variable that every process of a lab has in its environment, with a value of its own. Names that begin with KIKI_
/// are the platform's, which warns of those that it does not know.
pub const MARK: &str = "CHAOS_LAB_PROCESS";
/// No lab makes so much.
const FILE_MAX: u64 = 4 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// Of this format: 1.
    pub version: u32,
    pub run: String,
    /// Which life of the machine: of another one, nothing is left.
    pub boot: String,
    pub suite: ProcessId,
    pub namespaces: Vec<String>,
    /// Interfaces, by their names in the suite's namespace.
    pub links: Vec<String>,
    pub mounts: Vec<PathBuf>,
    pub processes: Vec<Process>,
    /// Everything was undone in order.
    pub closed: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    pub name: String,
    /// Of its environment, to find one that was started and not yet written down.
    pub mark: String,
    pub id: Option<ProcessId>,
}

/// The record of a lab that is open.
pub struct Record {
    file: PathBuf,
    made: Mutex<Made>,
}

impl Record {
    /// Begins the record of a lab in this folder.
    ///
    /// # Errors
    /// The folder has the record of another lab that is not over, or nothing can be written there.
    pub fn begin(folder: &Path, run: &str) -> LabResult<Record> {
        let file = folder.join(FILE);
        if file.exists() && !read(folder)?.closed {
            return Err(LabError::Bad(format!(
                "{} tells of a lab that was not closed: `kiki-chaos heal {}` undoes what is left of it",
                file.display(),
                folder.display()
            )));
        }
        let suite = ProcessId::of(std::process::id());
        let suite =
            suite.ok_or_else(|| LabError::Missing("/proc, with this process in it".to_owned()))?;
        let made = Made {
            version: 1,
            run: run.to_owned(),
            boot: pid::boot().map_err(|error| LabError::io("the boot's id", error))?,
            suite,
            namespaces: Vec::new(),
            links: Vec::new(),
            mounts: Vec::new(),
            processes: Vec::new(),
            closed: false,
        };
        write(&file, &made)?;
        Ok(Record { file, made: Mutex::new(made) })
    }

    /// Writes down what will be made, or what has become of it.
    ///
    /// # Errors
    /// It cannot be written: then it must not be made.
    pub fn note(&self, change: impl FnOnce(&mut Made)) -> LabResult<()> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut made);
        write(&self.file, &made)
    }
}

/// The record in a run's folder.
///
/// # Errors
/// There is none, or it is none of ours.
pub fn read(folder: &Path) -> LabResult<Made> {
    let file = folder.join(FILE);
    let failed = |error| LabError::file(&file, error);
    let text = files::read_text(&file, FILE_MAX).map_err(failed)?;
    let made: Made = serde_json::from_str(&text)
        .map_err(|error| LabError::Bad(format!("{}: {error}", file.display())))?;
    match made.version {
        1 => Ok(made),
        other => Err(LabError::Bad(format!("{}: version {other}: allowed is 1", file.display()))),
    }
}

/// Marks a record as one that has nothing left.
///
/// # Errors
/// It cannot be written.
pub fn close(folder: &Path, made: &Made) -> LabResult<()> {
    write(&folder.join(FILE), &Made { closed: true, ..made.clone() })
}

/// The file is there whole, before or after.
fn write(file: &Path, made: &Made) -> LabResult<()> {
    let text = serde_json::to_vec_pretty(made)
        .map_err(|error| LabError::Bad(format!("{}: {error}", file.display())))?;
    put(file, &text)
}

/// Writes a file of which only the owner reads anything, at once.
///
/// # Errors
/// It cannot be written.
pub fn put(file: &Path, text: &[u8]) -> LabResult<()> {
    let draft = file.with_extension("draft");
    let failed = |error| LabError::file(file, error);
    let mut options = fs::OpenOptions::new();
    let mut open =
        options.write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(failed)?;
    open.write_all(text).map_err(failed)?;
    fs::rename(&draft, file).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_not_begun_again_while_it_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::begin(folder.path(), "r1").unwrap();
        record.note(|made| made.namespaces.push("kc-r1-db".to_owned())).unwrap();
        let made = read(folder.path()).unwrap();
        assert_eq!(made.namespaces, ["kc-r1-db"]);
        assert_eq!(made.suite.pid, std::process::id());
        let refused = Record::begin(folder.path(), "r2").err().unwrap().to_string();
        assert!(refused.contains("kiki-chaos heal"), "{refused}");
        close(folder.path(), &made).unwrap();
        Record::begin(folder.path(), "r2").unwrap();
        assert_eq!(read(folder.path()).unwrap().run, "r2");
    }

    #[test]
    fn what_is_no_record_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).is_err());
        for bad in ["", "{\"version\": 1}", "[]"] {
            fs::write(folder.path().join(FILE), bad).unwrap();
            let refused = read(folder.path()).unwrap_err().to_string();
            assert!(refused.contains("lab.json") && refused.contains("line 1"), "{refused}");
        }
    }
}
