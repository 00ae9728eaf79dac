//! The journal of erasures, outside the database: what a restore from a backup has to erase again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// Beside the audit's copies. Keep it with the backups, and give it to a restore.
pub const ERASURES_FILE: &str = "shield_erasures.jsonl";
const LINE_BYTES_MAX: u64 = 4_096;
/// Lines that are none, of which it is told where they are.
const BAD_MAX: usize = 100;

/// One erasure at a time is written.
static WRITING: Mutex<()> = Mutex::new(());

/// An erasure: random ids, nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    pub account: String,
    pub person: String,
    pub request: String,
    /// RFC 3339.
    pub at: String,
}

/// What a journal says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    pub erasures: Vec<Erasure>,
    /// The first lines that are none: each may name somebody who comes back with a backup.
    pub bad: Vec<BadLine>,
    /// All lines that are none.
    pub bad_total: u64,
}

/// A line that is no erasure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {number}: {why}")]
pub struct BadLine {
    /// From 1.
    pub number: u64,
    pub why: String,
}

impl Journal {
    fn bad(&mut self, number: u64, why: String) {
        self.bad_total += 1;
        if self.bad.len() < BAD_MAX {
            self.bad.push(BadLine { number, why });
        }
    }
}

/// Writes an erasure down, durably. Once more is harmless.
pub fn append(dir: &Path, erasure: &Erasure) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join(ERASURES_FILE);
    let fresh = !path.exists();
    let mut line = serde_json::to_string(erasure).map_err(io::Error::other)?;
    line.push('\n');
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path)?;
    match whole_lines(&mut file)? {
        // what a crash or a full disk cut off: no key was destroyed for it, and it would spoil this
        Some(whole) if whole < file.metadata()?.len() => file.set_len(whole)?,
        Some(_) => {}
        // nothing that this ever wrote: it stays, as a line of its own
        None => line.insert(0, '\n'),
    }
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    if fresh {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// Bytes up to the end of the last line that has one. None: the file ends with more than any
/// erasure is long, and no line's end.
fn whole_lines(file: &mut File) -> io::Result<Option<u64>> {
    let len = file.metadata()?.len();
    let from = len.saturating_sub(LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    Read::take(&mut *file, LINE_BYTES_MAX).read_to_end(&mut tail)?;
    match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => Ok(Some(from + at as u64 + 1)),
        None if from == 0 => Ok(Some(0)),
        None => Ok(None),
    }
}

/// Every erasure of a file, and every line that is none: one that is damaged must not keep the
/// others from being made again. A last line that was cut by a crash is left out: its key was not
/// destroyed.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path) -> io::Result<Journal> {
    let mut file = BufReader::new(File::open(path)?);
    let mut journal = Journal::default();
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        number += 1;
        let read = Read::take(&mut file, LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if line.ends_with(b"\n") {
            match serde_json::from_slice(line.trim_ascii()) {
                Ok(erasure) => journal.erasures.push(erasure),
                // of what stands there nothing is told: it may be anything
                Err(error) => journal.bad(number, format!("is no erasure: {:?}", error.classify())),
            }
        } else if (read as u64) < LINE_BYTES_MAX {
            return Ok(journal);
        } else {
            journal.bad(number, format!("has more than {LINE_BYTES_MAX} bytes"));
            file.skip_until(b'\n')?;
        }
    }
}

/// The same of a file in which every line must be an erasure.
///
/// # Errors
/// The file cannot be read, or a line in it is none.
pub fn read_whole(path: &Path) -> io::Result<Vec<Erasure>> {
    let journal = read(path)?;
    match journal.bad.into_iter().next() {
        Some(bad) => Err(io::Error::other(bad)),
        None => Ok(journal.erasures),
    }
}

/// Adds erasures to those of a folder.
pub fn add(dir: &Path, erasures: &[Erasure]) -> io::Result<()> {
    let path = dir.join(ERASURES_FILE);
    let known = if path.exists() { read(&path)?.erasures } else { Vec::new() };
    for erasure in erasures.iter().filter(|erasure| !known.contains(erasure)) {
        append(dir, erasure)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn erasure(n: u32) -> Erasure {
        Erasure {
            account: "acme".to_owned(),
            person: format!("psn_{n}"),
            request: format!("dsr_{n}"),
            at: "2026-01-31T00:00:00Z".to_owned(),
        }
    }

    fn erasures(path: &Path) -> Vec<Erasure> {
        read_whole(path).expect("readable")
    }

    #[test]
    fn a_damaged_line_is_told_of_and_keeps_no_other_from_being_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(ERASURES_FILE);
        append(dir.path(), &erasure(1)).expect("written");
        let good = std::fs::read_to_string(&path).expect("a file");
        let long = "x".repeat(3 * LINE_BYTES_MAX as usize);
        let exact = "y".repeat(LINE_BYTES_MAX as usize - 1);
        for bad in
            [b"{\"account\":1}".as_slice(), b"\xff\xfe", b"", long.as_bytes(), exact.as_bytes()]
        {
            let text = [good.as_bytes(), bad, b"\n", good.as_bytes()].concat();
            std::fs::write(&path, text).expect("damaged");
            let journal = read(&path).expect("readable");
            assert_eq!(journal.erasures, vec![erasure(1), erasure(1)]);
            assert_eq!((journal.bad.len(), journal.bad_total, journal.bad[0].number), (1, 1, 2));
            assert!(read_whole(&path).expect_err("damaged").to_string().starts_with("line 2: "));
            append(dir.path(), &erasure(2)).expect("written");
            assert_eq!(read(&path).expect("readable").erasures.len(), 3);
            add(dir.path(), &[erasure(2), erasure(3)]).expect("added");
            assert_eq!(read(&path).expect("readable").erasures.len(), 4);
        }
        // an end that is none of a line, and longer than any
        std::fs::write(&path, [good.as_bytes(), long.as_bytes()].concat()).expect("damaged");
        assert_eq!(read(&path).expect("readable").bad_total, 1);
        append(dir.path(), &erasure(2)).expect("written");
        let journal = read(&path).expect("readable");
        assert_eq!(journal.erasures, vec![erasure(1), erasure(2)]);
        assert_eq!(journal.bad_total, 1);
        let many = "x\n".repeat(BAD_MAX + 5);
        std::fs::write(&path, many).expect("damaged");
        let journal = read(&path).expect("readable");
        assert_eq!((journal.bad.len(), journal.bad_total), (BAD_MAX, BAD_MAX as u64 + 5));
    }

    #[test]
    fn a_line_cut_by_a_crash_is_left_out_and_spoils_none_after_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(ERASURES_FILE);
        append(dir.path(), &erasure(1)).expect("written");
        append(dir.path(), &erasure(2)).expect("written");
        let text = std::fs::read_to_string(&path).expect("a file");
        let second = text.find('\n').expect("a line") + 1;
        // wherever the second was cut: the first stays, and a third can be read
        for cut in second..text.len() {
            std::fs::write(&path, &text[..cut]).expect("cut");
            assert_eq!(erasures(&path), vec![erasure(1)], "cut at {cut}");
            append(dir.path(), &erasure(3)).expect("written");
            assert_eq!(erasures(&path), vec![erasure(1), erasure(3)], "{cut}");
        }
        // a first line that was cut leaves an empty file to go on with
        std::fs::write(&path, &text[..10]).expect("cut");
        append(dir.path(), &erasure(4)).expect("written");
        assert_eq!(erasures(&path), vec![erasure(4)]);
        add(dir.path(), &[erasure(4), erasure(5)]).expect("added");
        assert_eq!(erasures(&path), vec![erasure(4), erasure(5)]);
    }

    #[test]
    fn many_at_a_time_are_all_there() {
        let dir = tempfile::tempdir().expect("a directory");
        std::thread::scope(|scope| {
            for n in 0..16 {
                let dir = dir.path();
                scope.spawn(move || append(dir, &erasure(n)).expect("written"));
            }
        });
        let mut found = erasures(&dir.path().join(ERASURES_FILE));
        found.sort_by_key(|e| e.person.trim_start_matches("psn_").parse::<u32>().ok());
        assert_eq!(found, (0..16).map(erasure).collect::<Vec<_>>());
    }
}
