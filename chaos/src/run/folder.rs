//! The folder of a run. Each run has one that nobody had before: what an earlier one has left is evidence, and may be of
//! a run that still goes on.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::lab::record;

/// Nobody keeps as many runs of the same seed.
const MOST: u32 = 10_000;

/// A folder that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub folder: PathBuf,
    /// Earlier ones of the same name and seed whose lab was not closed.
    pub open: Vec<PathBuf>,
}

/// Makes `<name>-<seed>`, or where that is there already `<name>-<seed>-2`, `-3` and so on.
///
/// # Errors
/// It cannot be made.
pub fn make(reports: &Path, name: &str, seed: u64) -> Result<Made, String> {
    let failed = |path: &Path, error| format!("{}: {error}", path.display());
    std::fs::create_dir_all(reports).map_err(|error| failed(reports, error))?;
    let mut open = Vec::new();
    for n in 1..=MOST {
        let again = if n == 1 { String::new() } else { format!("-{n}") };
        let folder = reports.join(format!("{name}-{seed}{again}"));
        // Of two who ask at the same time, one makes it.
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(Made { folder, open }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                open.extend(is_open(&folder).then_some(folder));
            }
            Err(error) => return Err(failed(&folder, error)),
        }
    }
    Err(format!("{} has {MOST} runs of {name} with seed {seed}", reports.display()))
}

/// Whether it tells of a lab that was not closed; also where nobody can read what it tells.
pub fn is_open(folder: &Path) -> bool {
    folder.join(record::FILE).exists() && !record::read(folder).is_ok_and(|made| made.closed)
}

/// Removes a folder of the run itself.
///
/// # Errors
/// It is still there.
pub fn remove(folder: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(format!("{}: {error}", folder.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_done_again_leaves_the_earlier_one_as_it_is() {
        let place = tempfile::tempdir().expect("a folder");
        let reports = place.path().join("a/b");
        let made = |seed| make(&reports, "x", seed).expect("it can be made");
        let first = made(7).folder;
        assert_eq!(first, reports.join("x-7"));
        std::fs::write(first.join("history.jsonl"), "evidence").expect("it is written");
        assert_eq!(made(7), Made { folder: reports.join("x-7-2"), open: Vec::new() });
        let lab = record::Record::begin(&reports.join("x-7-2"), "r").expect("it is written");
        drop(lab);
        let third = Made { folder: reports.join("x-7-3"), open: vec![reports.join("x-7-2")] };
        assert_eq!(made(7), third);
        assert_eq!(made(8).folder, reports.join("x-8"));
        let kept = std::fs::read_to_string(first.join("history.jsonl")).expect("it is there");
        assert_eq!(kept, "evidence");
        let file = place.path().join("file");
        std::fs::write(&file, "").expect("it is written");
        assert!(make(&file, "x", 7).expect_err("it is a file").contains("file"));
    }
}
