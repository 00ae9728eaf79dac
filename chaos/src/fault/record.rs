//! Undo records, one for each fault, in `undo/` of the run's folder: what may be left of the fault, written before
//! anything is done and removed after it was seen to be undone.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{FaultError, FaultResult};
use super::left::Left;
use crate::files;
use crate::lab::{ProcessId, pid};

const FOLDER: &str = "undo";
const VERSION: u32 = 1;
/// No record is as large.
const FILE_MAX: u64 = 1 << 20;
/// No run has as many faults open.
const FILES_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub version: u32,
    pub number: u32,
    pub kind: String,
    pub target: String,
    /// Which life of the machine: of another one, nothing is left on the machine.
    pub boot: String,
    /// Who does it.
    pub suite: ProcessId,
    /// When it is over at the latest, in milliseconds since 1970.
    pub ends_ms: u64,
    /// What is taken away from the last to the first.
    pub left: Vec<Left>,
}

impl Record {
    /// # Errors
    /// The machine does not say who and when this is.
    pub fn new(
        number: u32,
        kind: &str,
        target: &str,
        ttl: Duration,
        left: Vec<Left>,
    ) -> FaultResult<Record> {
        let suite = ProcessId::of(std::process::id());
        let suite =
            suite.ok_or_else(|| FaultError::Bad("/proc does not show this process".to_owned()))?;
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        Ok(Record {
            version: VERSION,
            number,
            kind: kind.to_owned(),
            target: target.to_owned(),
            boot: pid::boot().map_err(|error| FaultError::io("the boot's id", error))?,
            suite,
            ends_ms: now_ms().saturating_add(ttl),
            left,
        })
    }

    /// Writes it to the run's folder, so that it is there whole after a loss of power, too.
    ///
    /// # Errors
    /// It cannot be written: then nothing must be done.
    pub fn write(&self, folder: &Path) -> FaultResult<()> {
        let undo = folder.join(FOLDER);
        fs::create_dir_all(&undo).map_err(|error| FaultError::file(&undo, error))?;
        let file = file(folder, self.number);
        let failed = |error: std::io::Error| FaultError::file(&file, error);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| FaultError::Bad(format!("{}: {error}", file.display())))?;
        let draft = file.with_extension("draft");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut open = options.open(&draft).map_err(failed)?;
        open.write_all(&text).and_then(|()| open.sync_all()).map_err(failed)?;
        fs::rename(&draft, &file).and_then(|()| sync(&undo)).map_err(failed)
    }

    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, folder: &Path) -> FaultResult<()> {
        let file = file(folder, self.number);
        let removed = match fs::remove_file(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        removed.and_then(|()| sync(&folder.join(FOLDER))).map_err(|e| FaultError::file(&file, e))
    }

    pub fn is_over(&self) -> bool {
        now_ms() >= self.ends_ms
    }
}

/// All records in a run's folder, the newest first.
///
/// # Errors
/// One cannot be read, or is none of ours.
pub fn all(folder: &Path) -> FaultResult<Vec<Record>> {
    let (records, bad) = found(folder)?;
    FaultError::all(bad).map(|()| records)
}

/// The records in a run's folder that can be read, the newest first, and what is wrong with each of the others.
///
/// # Errors
/// The folder cannot be read.
pub fn found(folder: &Path) -> FaultResult<(Vec<Record>, Vec<FaultError>)> {
    let undo = folder.join(FOLDER);
    let failed = |error| FaultError::file(&undo, error);
    let entries = match fs::read_dir(&undo) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((Vec::new(), Vec::new()));
        }
        Err(error) => return Err(failed(error)),
    };
    let (mut records, mut bad) = (Vec::new(), Vec::new());
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        // A draft that was not finished is of a fault that was not begun.
        if path.extension().is_some_and(|it| it == "json") {
            match read(&path) {
                Ok(record) => records.push(record),
                Err(error) => bad.push(error),
            }
        }
        if records.len() + bad.len() > FILES_MAX {
            return Err(FaultError::Bad(format!("{}: more than {FILES_MAX}", undo.display())));
        }
    }
    records.sort_by_key(|it| std::cmp::Reverse(it.number));
    Ok((records, bad))
}

fn read(path: &Path) -> FaultResult<Record> {
    let bad = |what: String| FaultError::Bad(format!("{}: {what}", path.display()));
    let failed = |error| FaultError::file(path, error);
    let text = files::read_text(path, FILE_MAX).map_err(failed)?;
    let record: Record = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    if record.version != VERSION {
        return Err(bad(format!("version {}: allowed is {VERSION}", record.version)));
    }
    if path.file_name() != file(Path::new(""), record.number).file_name() {
        return Err(bad(format!("it tells of fault {}", record.number)));
    }
    Ok(record)
}

fn file(folder: &Path, number: u32) -> PathBuf {
    folder.join(FOLDER).join(format!("{number:03}.json"))
}

/// Names in a folder are kept by the folder.
fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

pub fn now_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    u64::try_from(now.tv_sec * 1000 + now.tv_nsec / 1_000_000).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32) -> Record {
        let left = vec![Left::Dead { name: "node-1".into() }];
        Record::new(number, "kill", "node-1", Duration::from_secs(5), left).unwrap()
    }

    #[test]
    fn records_are_read_newest_first_and_an_unfinished_one_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(all(folder.path()).unwrap(), []);
        for number in [2, 10, 1] {
            record(number).write(folder.path()).unwrap();
        }
        fs::write(folder.path().join("undo/011.draft"), "{").unwrap();
        let numbers = |folder: &Path| -> Vec<u32> {
            all(folder).unwrap().iter().map(|it| it.number).collect()
        };
        assert_eq!(numbers(folder.path()), [10, 2, 1]);
        assert!(!record(1).is_over());
        record(10).remove(folder.path()).unwrap();
        record(10).remove(folder.path()).unwrap();
        assert_eq!(numbers(folder.path()), [2, 1]);
    }

    #[test]
    fn what_is_no_record_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        record(1).write(folder.path()).unwrap();
        let path = folder.path().join("undo/001.json");
        let good = fs::read_to_string(&path).unwrap();
        let long = " ".repeat(1 << 20);
        for bad in [
            "",
            "[]",
            &good.replace("\"version\": 1", "\"version\": 2"),
            &good.replace("\"number\": 1", "\"number\": 2"),
            &good.replace("\"dead\"", "\"alive\""),
            &(good.clone() + &long),
        ] {
            fs::write(&path, bad).unwrap();
            let refused = all(folder.path()).unwrap_err().to_string();
            assert!(refused.contains("undo/001.json: "), "{refused}");
        }
    }
}
