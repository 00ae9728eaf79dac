//! Records that a log did not take in time, in a file beside the copies until it does: an act that was
//! done has its record, also when the store was away. At least once: a crash in between may append
//! a record again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::tail::{add_lines, sync_dir};
use super::{Audit, blocking};
use crate::models::shield::audit::record::{LINE_BYTES_MAX, Record};

/// Records that wait for their log.
pub const UNWRITTEN_FILE: &str = "shield_audit_unwritten.jsonl";
/// Those that are on their way: what is put aside meanwhile begins a new file.
const SENDING_FILE: &str = "shield_audit_unwritten-sending.jsonl";
/// Lines that are no record: somebody wrote to the file.
const BAD_FILE: &str = "shield_audit_unwritten-bad.jsonl";
/// Bytes of a file at most.
const BYTES_MAX: u64 = 64 << 20;
/// Bytes of a line at most: a record in it has its quotes escaped.
const SPOOLED_BYTES_MAX: u64 = 8 * LINE_BYTES_MAX as u64;
/// Records appended in one go, and how long they may take.
const CHUNK: usize = 256;
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    account: String,
    /// The line of the record, as it will be hashed.
    record: String,
}

/// The files of one folder.
pub struct Spool {
    dir: PathBuf,
    /// One at a time adds to the file or renames it.
    writing: Mutex<()>,
    waiting: AtomicI64,
}

impl Spool {
    pub fn new(dir: &Path) -> Spool {
        Spool { dir: dir.to_owned(), writing: Mutex::default(), waiting: AtomicI64::new(0) }
    }

    /// How many records wait.
    pub fn waiting(&self) -> u64 {
        u64::try_from(self.waiting.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Adds records of one account, durably.
    ///
    /// # Errors
    /// The file cannot be written, or would be too large: then none of them is in it.
    pub fn put(&self, account: &str, records: &[String]) -> io::Result<()> {
        let mut text = String::new();
        for record in records {
            let line = Line { account: account.to_owned(), record: record.clone() };
            text.push_str(&serde_json::to_string(&line)?);
            text.push('\n');
        }
        fs::create_dir_all(&self.dir)?;
        let path = self.dir.join(UNWRITTEN_FILE);
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let there = fs::metadata(&path).map_or(0, |file| file.len());
        if there + text.len() as u64 > BYTES_MAX {
            return Err(io::Error::other(format!("{UNWRITTEN_FILE} has {there} bytes already")));
        }
        add_lines(&path, &text)?;
        self.waiting.fetch_add(records.len() as i64, Ordering::Relaxed);
        Ok(())
    }

    /// Counts what an earlier life has left.
    fn count(&self) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = |name: &str| Ok::<_, io::Error>(read(&self.dir.join(name))?.0.len() as i64);
        self.waiting.store(lines(UNWRITTEN_FILE)? + lines(SENDING_FILE)?, Ordering::Relaxed);
        Ok(())
    }

    /// Takes what waits aside, and reads it. What was taken before and not sent comes first.
    fn take(&self) -> io::Result<Vec<Line>> {
        let sending = self.dir.join(SENDING_FILE);
        if !sending.exists() {
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            match fs::rename(self.dir.join(UNWRITTEN_FILE), &sending) {
                Ok(()) => sync_dir(&self.dir)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        let (lines, bad) = read(&sending)?;
        if !bad.is_empty() {
            tracing::error!(
                lines = bad.len(),
                "lines of {UNWRITTEN_FILE} are no records, they are in {BAD_FILE}"
            );
            add_lines(&self.dir.join(BAD_FILE), &bad.concat())?;
            self.left(&lines)?;
        }
        Ok(lines)
    }

    /// These of what was taken are not in their logs.
    fn left(&self, lines: &[Line]) -> io::Result<()> {
        let sending = self.dir.join(SENDING_FILE);
        if lines.is_empty() {
            match fs::remove_file(sending) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => return sync_dir(&self.dir),
            }
        }
        let draft = self.dir.join(format!("{SENDING_FILE}.draft"));
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        let mut file = File::create(&draft)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(draft, sending)?;
        sync_dir(&self.dir)
    }
}

/// The records of a file, and its other lines as they are. A last line that was cut off is left out:
/// nobody was told that it is there.
fn read(path: &Path) -> io::Result<(Vec<Line>, Vec<String>)> {
    let (mut lines, mut bad) = (Vec::new(), Vec::new());
    let mut file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((lines, bad)),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = Read::take(&mut file, SPOOLED_BYTES_MAX).read_until(b'\n', &mut bytes)? as u64;
        let whole = bytes.last() == Some(&b'\n');
        if read == 0 || (!whole && read < SPOOLED_BYTES_MAX) {
            return Ok((lines, bad));
        }
        let line = serde_json::from_slice::<Line>(&bytes).ok();
        match line.filter(|line| whole && Record::parse(&line.record).is_ok()) {
            Some(line) => lines.push(line),
            None => bad.push(String::from_utf8_lossy(&bytes).trim_end().to_owned() + "\n"),
        }
    }
}

/// Counts what waits, once in the life of an auditor.
pub async fn count(audit: &Audit) -> io::Result<()> {
    let spool = Arc::clone(&audit.spool);
    blocking(move || spool.count()).await
}

/// Appends what waits to the logs. Gives how many records are in them now.
///
/// # Errors
/// A log did not take its records, or the files cannot be read or written: what is not known to be in
/// its log is sent again.
pub async fn send(audit: &Audit) -> io::Result<u64> {
    let spool = Arc::clone(&audit.spool);
    let lines = blocking(move || spool.take()).await?;
    if lines.is_empty() {
        return Ok(0);
    }
    let mut by_account: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Line { account, record } in lines {
        by_account.entry(account).or_default().push(record);
    }
    let (mut sent, mut left, mut failed) = (0_i64, Vec::new(), None);
    for (account, records) in by_account {
        let mut done = 0;
        for chunk in records.chunks(CHUNK) {
            match audit.append_lines(&account, chunk.to_vec(), PATIENCE).await {
                Ok(_) => done += chunk.len(),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        sent += done as i64;
        let rest = records.into_iter().skip(done);
        left.extend(rest.map(|record| Line { account: account.clone(), record }));
    }
    let spool = Arc::clone(&audit.spool);
    blocking(move || spool.left(&left)).await?;
    audit.spool.waiting.fetch_sub(sent, Ordering::Relaxed);
    match failed {
        None => Ok(sent.unsigned_abs()),
        Some(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::shield::audit::record::{Event, Outcome};

    fn record(n: i64) -> String {
        let record = Record {
            at_us: n,
            event: Event::fixed("key.created"),
            actor: "key:\"a\"".to_owned(),
            subject: None,
            person: None,
            outcome: Outcome::Ok,
            count: 1,
            data: None,
            sealed: None,
        };
        record.line().expect("a line")
    }

    fn records(lines: &[Line]) -> Vec<(&str, &str)> {
        lines.iter().map(|line| (line.account.as_str(), line.record.as_str())).collect()
    }

    #[test]
    fn what_was_put_is_taken_once_it_is_whole_and_stays_until_it_is_sent() {
        let dir = tempfile::tempdir().expect("a folder");
        let spool = Spool::new(&dir.path().join("below"));
        assert!(spool.take().expect("nothing").is_empty());
        let (one, two, three) = (record(1), record(2), record(3));
        spool.put("a", &[one.clone(), two.clone()]).expect("put");
        // a crash in the middle of the next
        let path = dir.path().join("below").join(UNWRITTEN_FILE);
        let whole = fs::read_to_string(&path).expect("text");
        fs::write(&path, format!("{whole}{}", &whole[..30])).expect("torn");
        let taken = spool.take().expect("taken");
        assert_eq!(records(&taken), [("a", one.as_str()), ("a", two.as_str())]);
        // what is put aside meanwhile waits for its turn
        spool.put("b", std::slice::from_ref(&three)).expect("put");
        let again = Spool::new(&dir.path().join("below"));
        again.count().expect("counted");
        assert_eq!((spool.waiting(), again.waiting()), (3, 3));
        assert_eq!(records(&again.take().expect("taken")).len(), 2);
        again.left(&taken[1..]).expect("written");
        assert_eq!(records(&again.take().expect("taken")), [("a", two.as_str())]);
        again.left(&[]).expect("removed");
        assert_eq!(records(&again.take().expect("taken")), [("b", three.as_str())]);
        again.left(&[]).expect("removed");
        assert!(again.take().expect("nothing").is_empty());
    }

    #[test]
    fn a_line_that_is_no_record_is_put_where_it_stops_nobody() {
        let dir = tempfile::tempdir().expect("a folder");
        let spool = Spool::new(dir.path());
        spool.put("a", &[record(1)]).expect("put");
        let path = dir.path().join(UNWRITTEN_FILE);
        add_lines(&path, "{\"account\":\"a\",\"record\":\"{}\"}\nnonsense\n").expect("added");
        spool.put("a", &[record(2)]).expect("put");
        assert_eq!(spool.take().expect("taken").len(), 2);
        assert_eq!(spool.take().expect("taken").len(), 2);
        let bad = fs::read_to_string(dir.path().join(BAD_FILE)).expect("text");
        assert_eq!(bad, "{\"account\":\"a\",\"record\":\"{}\"}\nnonsense\n");
    }

    #[test]
    fn a_file_that_is_full_takes_no_more() {
        let dir = tempfile::tempdir().expect("a folder");
        let spool = Spool::new(dir.path());
        let path = dir.path().join(UNWRITTEN_FILE);
        File::create(&path).expect("a file").set_len(BYTES_MAX).expect("large");
        assert!(spool.put("a", &[record(1)]).is_err());
        assert_eq!((spool.waiting(), fs::metadata(&path).expect("there").len()), (0, BYTES_MAX));
    }
}
