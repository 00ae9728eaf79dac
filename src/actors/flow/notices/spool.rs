//! The file in which bookings wait that the store did not take, and wins whose billing has not come. A line
//! is on disk before its notice is answered; at a start everything that is not done is done.
//!
//! What a write leaves behind that fails in its middle is taken off before the next one, and so is what was
//! written and could not be made durable: a line is in the file whole, or it is not.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::owed::{Owed, hex};
use crate::actors::shield::audit::{add_lines, sync_dir};
use crate::models::shield::entry::Op;

/// The file, and the one that takes its place when it is tidied.
pub const FILE: &str = "flow_notices.jsonl";
const TIDY: &str = "flow_notices-tidy.jsonl";
pub const BAD: &str = "flow_notices-bad.jsonl";
/// Lines after which the file is tidied, where most of them are done.
const TIDY_LINES: u64 = 100_000;
/// Bytes of a line at most.
const LINE_BYTES_MAX: u64 = 16 << 10;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    Owed(Arc<Owed>),
    /// The hold's id.
    Done(#[serde(with = "hex")] Op),
}

/// The file, through all lives of the actor that writes it. Work that a life has left behind has no hand in it
/// once the next one has read it.
#[derive(Default)]
pub struct Kept(Mutex<(u64, Option<Spool>)>);

impl Kept {
    /// Opens it for a new life, when what is being written is done; the life, and what is owed.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(&self, dir: &Path) -> io::Result<(u64, Owing)> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (life, spool) = &mut *kept;
        *life += 1;
        *spool = None;
        let (opened, owed) = Spool::open(dir)?;
        *spool = Some(opened);
        Ok((*life, owed))
    }

    /// Does something to it for this life.
    ///
    /// # Errors
    /// Another life has it, or the work's own.
    pub fn with<T>(
        &self,
        life: u64,
        work: impl FnOnce(&mut Spool) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *kept {
            (now, Some(spool)) if *now == life => work(spool),
            _ => Err(io::Error::other("it belongs to another life")),
        }
    }
}

/// What is owed, by hold.
pub type Owing = HashMap<u128, Arc<Owed>>;

pub struct Spool {
    dir: PathBuf,
    file: File,
    /// Bytes of it that are whole lines.
    good: u64,
    /// What follows them is to be taken off first.
    broken: bool,
    lines: u64,
}

/// What a file says.
#[derive(Default)]
struct Read {
    owed: Owing,
    /// Lines that are none.
    bad: Vec<u8>,
    lines: u64,
    /// Up to the end of the last line that has one.
    good: u64,
}

fn read(path: &Path) -> io::Result<Read> {
    let mut found = Read::default();
    let mut reader = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    let (mut line, mut at) = (Vec::new(), 0);
    loop {
        line.clear();
        let read = io::Read::take(&mut reader, LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(found);
        }
        at += read as u64;
        let whole = line.last() == Some(&b'\n');
        if whole {
            found.good = at;
            found.lines += 1;
        }
        match serde_json::from_slice(&line) {
            Ok(Line::Owed(it)) if whole => {
                found.owed.insert(it.hold.0, it);
            }
            Ok(Line::Done(hold)) if whole => {
                found.owed.remove(&hold.0);
            }
            // A line that was being written when the process ended was never answered for.
            Ok(_) | Err(_) => found.bad.extend(&line),
        }
    }
}

impl Spool {
    /// Opens the file, tidied, with what is owed. A line that is none goes to a file of its own. Where the
    /// disk takes nothing new, the file is used as it is.
    pub fn open(dir: &Path) -> io::Result<(Spool, Owing)> {
        fs::create_dir_all(dir)?;
        let path = dir.join(FILE);
        let found = read(&path)?;
        match put_bad_aside(dir, &found.bad).and_then(|()| tidy(dir, found.owed.values())) {
            Ok((file, good, lines)) => {
                let spool = Spool { dir: dir.to_owned(), file, good, broken: false, lines };
                Ok((spool, found.owed))
            }
            Err(error) => {
                tracing::error!(%error, "{FILE} cannot be written anew, and is used as it is");
                let file = OpenOptions::new().create(true).append(true).open(&path)?;
                sync_dir(dir)?;
                let Read { owed, lines, good, .. } = found;
                Ok((Spool { dir: dir.to_owned(), file, good, broken: true, lines }, owed))
            }
        }
    }

    /// Appends lines. `durable`: they are on disk when this returns.
    ///
    /// # Errors
    /// None of them will be found at a start.
    pub fn put(&mut self, lines: &[Line], durable: bool) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(lines.len() * 512);
        for line in lines {
            serde_json::to_writer(&mut bytes, line).map_err(io::Error::other)?;
            bytes.push(b'\n');
        }
        self.mend()?;
        // Until all of it is there, none of it counts.
        self.broken = true;
        self.file.write_all(&bytes)?;
        if durable {
            self.file.sync_data()?;
        }
        self.broken = false;
        self.good += bytes.len() as u64;
        self.lines += lines.len() as u64;
        Ok(())
    }

    /// Takes off what a write has left behind that failed.
    fn mend(&mut self) -> io::Result<()> {
        if self.broken {
            self.file.set_len(self.good)?;
            self.file.sync_all()?;
            self.broken = false;
        }
        Ok(())
    }

    /// Whether it has many lines that are done.
    pub fn is_untidy(&self, owed: usize) -> bool {
        self.lines > TIDY_LINES && self.lines > 4 * owed as u64
    }

    /// Writes the file anew with what is owed.
    ///
    /// # Errors
    /// What was written before this is in the file all the same.
    pub fn tidy<'a>(&mut self, owed: impl Iterator<Item = &'a Arc<Owed>>) -> io::Result<()> {
        match tidy(&self.dir, owed) {
            Ok((file, good, lines)) => {
                *self = Spool { dir: self.dir.clone(), file, good, broken: false, lines };
                Ok(())
            }
            Err(error) => {
                // The new file may have the name already: what is written next goes to the one that has.
                self.file = OpenOptions::new().append(true).open(self.dir.join(FILE))?;
                self.good = self.file.metadata()?.len();
                Err(error)
            }
        }
    }
}

fn put_bad_aside(dir: &Path, bad: &[u8]) -> io::Result<()> {
    if bad.is_empty() {
        return Ok(());
    }
    tracing::error!(bytes = bad.len(), "lines of {FILE} are none, they are in {BAD}");
    let text = String::from_utf8_lossy(bad);
    let end = if text.ends_with('\n') { "" } else { "\n" };
    add_lines(&dir.join(BAD), &format!("{text}{end}")).map(|_| ())
}

fn tidy<'a>(dir: &Path, owed: impl Iterator<Item = &'a Arc<Owed>>) -> io::Result<(File, u64, u64)> {
    let (path, place) = (dir.join(TIDY), dir.join(FILE));
    let (mut lines, mut bytes) = (0, 0);
    let mut file = io::BufWriter::new(File::create(&path)?);
    for it in owed {
        let mut line = serde_json::to_vec(&Line::Owed(Arc::clone(it))).map_err(io::Error::other)?;
        line.push(b'\n');
        file.write_all(&line)?;
        bytes += line.len() as u64;
        lines += 1;
    }
    file.flush()?;
    file.get_ref().sync_all()?;
    drop(file);
    // The handle stays that of the file, whatever it is called.
    let file = OpenOptions::new().append(true).open(&path)?;
    fs::rename(&path, &place)?;
    sync_dir(dir)?;
    Ok((file, bytes, lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owed(n: u128) -> Arc<Owed> {
        Arc::new(super::super::owed::tests::owed(n))
    }

    fn left(dir: &Path) -> Vec<Arc<Owed>> {
        let (_, left) = Spool::open(dir).expect("opens");
        let mut left: Vec<Arc<Owed>> = left.into_values().collect();
        left.sort_by_key(|it| it.hold.0);
        left
    }

    #[test]
    fn what_is_not_done_is_owed_after_a_start_and_half_a_line_harms_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut spool, none) = Spool::open(dir.path()).expect("opens");
        assert!(none.is_empty());
        spool.put(&[Line::Owed(owed(1)), Line::Owed(owed(2))], true).expect("writes");
        spool.put(&[Line::Done(Op(1))], false).expect("writes");
        spool.file.write_all(b"{\"owed\":{\"ho").expect("writes");
        drop(spool);
        assert_eq!(left(dir.path()), [owed(2)]);
        assert_eq!(fs::read(dir.path().join(BAD)).expect("is there"), b"{\"owed\":{\"ho\n");
        assert_eq!(left(dir.path()), [owed(2)]);
    }

    #[test]
    fn a_write_that_fails_in_its_middle_costs_no_line_that_comes_after_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut spool, _) = Spool::open(dir.path()).expect("opens");
        spool.put(&[Line::Owed(owed(1))], true).expect("writes");
        // As a full disk leaves it: half of a line, and an error.
        spool.file.write_all(b"{\"owed\":{\"hold\":\"0").expect("writes");
        spool.broken = true;
        spool.put(&[Line::Owed(owed(2))], true).expect("writes");
        drop(spool);
        assert_eq!(left(dir.path()), [owed(1), owed(2)]);
        assert!(!dir.path().join(BAD).exists());
    }

    #[test]
    fn lines_that_were_refused_are_not_found_at_a_start() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut spool, _) = Spool::open(dir.path()).expect("opens");
        spool.put(&[Line::Owed(owed(1))], true).expect("writes");
        // A handle that cannot write: as a disk that has gone away.
        let real =
            std::mem::replace(&mut spool.file, File::open(dir.path().join(FILE)).expect("opens"));
        assert!(spool.put(&[Line::Owed(owed(2))], true).is_err());
        assert!(spool.put(&[Line::Owed(owed(3))], true).is_err());
        spool.file = real;
        spool.put(&[Line::Owed(owed(4))], true).expect("writes");
        drop(spool);
        assert_eq!(left(dir.path()), [owed(1), owed(4)]);
    }

    #[test]
    fn a_disk_that_takes_nothing_new_keeps_nobody_from_what_is_owed() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut spool, _) = Spool::open(dir.path()).expect("opens");
        spool.put(&[Line::Owed(owed(1))], true).expect("writes");
        spool.file.write_all(b"{\"ow").expect("writes");
        drop(spool);
        // The name of the new file is taken by a folder: it cannot be written.
        fs::create_dir(dir.path().join(TIDY)).expect("made");
        let (mut spool, owed_now) = Spool::open(dir.path()).expect("opens");
        assert_eq!(owed_now.len(), 1);
        spool.put(&[Line::Owed(owed(2))], true).expect("writes");
        assert!(spool.tidy([].into_iter()).is_err());
        spool.put(&[Line::Owed(owed(3))], true).expect("writes");
        drop(spool);
        fs::remove_dir(dir.path().join(TIDY)).expect("removed");
        assert_eq!(left(dir.path()), [owed(1), owed(2), owed(3)]);
    }

    #[test]
    fn a_tidied_file_has_what_is_owed_and_takes_what_comes() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut spool, _) = Spool::open(dir.path()).expect("opens");
        spool.put(&[Line::Owed(owed(1)), Line::Owed(owed(2))], true).expect("writes");
        spool.tidy([owed(2)].iter()).expect("tidied");
        spool.put(&[Line::Owed(owed(3))], true).expect("writes");
        drop(spool);
        assert_eq!(left(dir.path()), [owed(2), owed(3)]);
    }

    #[test]
    fn what_a_life_has_left_behind_replaces_nothing_of_the_next_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let kept = Kept::default();
        let (first, none) = kept.open(dir.path()).expect("opens");
        assert!(none.is_empty());
        kept.with(first, |spool| spool.put(&[Line::Owed(owed(1))], true)).expect("writes");
        let (second, left_over) = kept.open(dir.path()).expect("opens");
        assert_eq!(left_over.len(), 1);
        kept.with(second, |spool| spool.put(&[Line::Owed(owed(2))], true)).expect("writes");
        // Its work comes to its turn only now: it knows nothing of the second.
        assert!(kept.with(first, |spool| spool.tidy([owed(1)].iter())).is_err());
        assert!(kept.with(first, |spool| spool.put(&[Line::Done(Op(2))], false)).is_err());
        drop(kept);
        assert_eq!(left(dir.path()), [owed(1), owed(2)]);
    }
}
