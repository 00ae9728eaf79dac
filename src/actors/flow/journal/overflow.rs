//! The file in which decisions wait for which memory has no room. It is bounded, is read back in order when
//! the store takes decisions again, and outlives the process.
//!
//! What is read is first taken aside under another name, so that a file is only ever added to or read. After
//! a crash in between it is read again from its beginning: a decision that is stored already is left as it
//! is, and what became of it is said once more.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::told::Told;
use crate::actors::shield::audit::{add_lines, sync_dir};
use crate::models::flow::decision::Decision;

/// What waits, what of it is being read, and lines that are none.
pub const FILE: &str = "flow_decisions.jsonl";
const READING: &str = "flow_decisions-reading.jsonl";
pub const BAD: &str = "flow_decisions-bad.jsonl";
/// Bytes of the two files together, at most.
pub const BYTES_MAX: u64 = 256 << 20;
/// Bytes of a line, at most.
const LINE_BYTES_MAX: u64 = 256 << 10;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    Made { id: u128, decision: Box<Decision> },
    Told(Box<Told>),
}

/// Lines that are to be stored.
#[derive(Default)]
pub struct Chunk {
    pub lines: Vec<Line>,
    /// As they were found.
    bad: Vec<u8>,
    /// Where the next one begins.
    next: u64,
}

pub struct Overflow {
    dir: PathBuf,
    most: u64,
    /// Bytes of the one that is added to, and of the one that is read.
    adding: u64,
    reading: u64,
    /// How far it is read.
    at: u64,
    waiting: Arc<AtomicU64>,
}

fn len(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(file) => Ok(file.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

impl Overflow {
    pub fn open(dir: &Path, most: u64) -> io::Result<Overflow> {
        fs::create_dir_all(dir)?;
        let (adding, reading) = (len(&dir.join(FILE))?, len(&dir.join(READING))?);
        let waiting = Arc::new(AtomicU64::new(adding + reading));
        Ok(Overflow { dir: dir.to_owned(), most, adding, reading, at: 0, waiting })
    }

    /// Bytes that wait, also for whoever does not have the file.
    pub fn waiting(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.waiting)
    }

    pub fn bytes(&self) -> u64 {
        self.adding + self.reading.saturating_sub(self.at)
    }

    fn counted<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        self.waiting.store(self.bytes(), Ordering::Release);
        done
    }

    /// Adds lines: they are on disk when this returns.
    ///
    /// # Errors
    /// The disk does not take them, or there is no room: then none of them is there.
    pub fn add(&mut self, lines: &[Line]) -> io::Result<()> {
        let added = self.append(lines);
        self.counted(added)
    }

    fn append(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        if self.adding + self.reading + text.len() as u64 > self.most {
            return Err(io::Error::new(io::ErrorKind::StorageFull, format!("{FILE} is full")));
        }
        self.adding = add_lines(&self.dir.join(FILE), &text)?;
        Ok(())
    }

    /// The next lines, at most `most`; empty where nothing waits. They come again until they are
    /// [done](Overflow::done).
    pub fn next(&mut self, most: usize) -> io::Result<Chunk> {
        let chunk = self.look(most);
        self.counted(chunk)
    }

    fn look(&mut self, most: usize) -> io::Result<Chunk> {
        let reading = self.dir.join(READING);
        loop {
            if self.reading == 0 {
                if self.adding == 0 {
                    return Ok(Chunk::default());
                }
                fs::rename(self.dir.join(FILE), &reading)?;
                (self.reading, self.adding, self.at) = (self.adding, 0, 0);
                sync_dir(&self.dir)?;
            }
            let chunk = read(&reading, self.at, most)?;
            if chunk.next > self.at {
                return Ok(chunk);
            }
            // Its end, or half a line, that nobody was told of.
            fs::remove_file(&reading)?;
            sync_dir(&self.dir)?;
            (self.reading, self.at) = (0, 0);
        }
    }

    /// What was given last is stored.
    pub fn done(&mut self, chunk: &Chunk) -> io::Result<()> {
        let done = self.leave_behind(chunk);
        self.counted(done)
    }

    fn leave_behind(&mut self, chunk: &Chunk) -> io::Result<()> {
        if !chunk.bad.is_empty() {
            tracing::error!(bytes = chunk.bad.len(), "lines of {FILE} are none, they are in {BAD}");
            let text = String::from_utf8_lossy(&chunk.bad);
            let end = if text.ends_with('\n') { "" } else { "\n" };
            add_lines(&self.dir.join(BAD), &format!("{text}{end}"))?;
        }
        self.at = chunk.next;
        if self.at >= self.reading {
            fs::remove_file(self.dir.join(READING))?;
            sync_dir(&self.dir)?;
            (self.reading, self.at) = (0, 0);
        }
        Ok(())
    }
}

fn read(path: &Path, from: u64, most: usize) -> io::Result<Chunk> {
    let mut file = OpenOptions::new().read(true).open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut reader: BufReader<File> = BufReader::new(file);
    let mut chunk = Chunk { next: from, ..Chunk::default() };
    let mut bytes = Vec::new();
    while chunk.lines.len() < most {
        bytes.clear();
        let read = Read::take(&mut reader, LINE_BYTES_MAX).read_until(b'\n', &mut bytes)? as u64;
        let whole = bytes.last() == Some(&b'\n');
        if read == 0 || (!whole && read < LINE_BYTES_MAX) {
            break;
        }
        chunk.next += read;
        match serde_json::from_slice(&bytes) {
            Ok(line) if whole => chunk.lines.push(line),
            Ok(_) | Err(_) => chunk.bad.extend(&bytes),
        }
        // A file of nothing but rubbish is put aside in pieces, too.
        if chunk.bad.len() as u64 >= LINE_BYTES_MAX {
            break;
        }
    }
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::flow::decision::{Kind, Outcome};

    fn made(id: u128) -> Line {
        Line::Made { id, decision: Box::new(Decision::new(Kind::Bid, "a", 7)) }
    }

    fn told(hold: u128) -> Line {
        Line::Told(Box::new(Told {
            account: "a".into(),
            campaign: "c".into(),
            hold,
            at_us: 7,
            outcome: Outcome::Expired { at_us: 8 },
            digest: None,
        }))
    }

    fn ids(chunk: &Chunk) -> Vec<u128> {
        let id = |line: &Line| match line {
            Line::Made { id, .. } => *id,
            Line::Told(told) => told.hold,
        };
        chunk.lines.iter().map(id).collect()
    }

    #[test]
    fn what_waits_comes_back_in_its_order_also_after_a_restart() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut file = Overflow::open(dir.path(), BYTES_MAX).expect("opens");
        assert!(file.next(9).expect("nothing").lines.is_empty());
        file.add(&[made(1), made(2), told(1)]).expect("added");
        let chunk = file.next(2).expect("read");
        assert_eq!(ids(&chunk), [1, 2]);
        file.add(&[made(3)]).expect("added");
        assert_eq!(ids(&file.next(2).expect("read")), [1, 2], "until they are done");
        file.done(&chunk).expect("done");
        assert!(file.bytes() > 0);
        // Killed here: what was begun is read again from its beginning, and nothing is lost.
        let mut file = Overflow::open(dir.path(), BYTES_MAX).expect("opens");
        let mut all = Vec::new();
        loop {
            let chunk = file.next(2).expect("read");
            if chunk.lines.is_empty() {
                break;
            }
            all.extend(ids(&chunk));
            file.done(&chunk).expect("done");
        }
        assert_eq!(all, [1, 2, 1, 3]);
        assert_eq!(file.bytes(), 0);
        assert!(!dir.path().join(FILE).exists() && !dir.path().join(READING).exists());
    }

    #[test]
    fn half_a_line_and_lines_that_are_none_stop_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut file = Overflow::open(dir.path(), BYTES_MAX).expect("opens");
        file.add(&[made(1)]).expect("added");
        add_lines(&dir.path().join(FILE), "nonsense\n{\"made\":{}}\n").expect("added");
        add_lines(&dir.path().join(FILE), &format!("{}\n", "x".repeat(600 << 10))).expect("added");
        let mut file = Overflow::open(dir.path(), BYTES_MAX).expect("opens");
        file.add(&[made(2)]).expect("added");
        let half = fs::read(dir.path().join(FILE)).expect("bytes");
        fs::write(dir.path().join(FILE), [&half[..], b"{\"made\":{\"id\""].concat()).expect("torn");
        let mut file = Overflow::open(dir.path(), BYTES_MAX).expect("opens");
        let mut all = Vec::new();
        while file.bytes() > 0 {
            let chunk = file.next(9).expect("read");
            all.extend(ids(&chunk));
            if chunk.next > 0 {
                file.done(&chunk).expect("done");
            }
        }
        assert_eq!(all, [1, 2]);
        let bad = fs::read_to_string(dir.path().join(BAD)).expect("text");
        assert!(bad.starts_with("nonsense\n{\"made\":{}}\n") && bad.len() > 600 << 10);
    }

    #[test]
    fn a_full_file_takes_no_more_and_keeps_what_it_has() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut file = Overflow::open(dir.path(), 1_000).expect("opens");
        let mut kept = 0;
        while file.add(&[made(kept)]).is_ok() {
            kept += 1;
        }
        assert!(kept > 0 && file.bytes() <= 1_000);
        assert_eq!(ids(&file.next(99).expect("read")), (0..kept).collect::<Vec<_>>());
    }
}
