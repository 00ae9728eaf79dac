//! The files beside the store: the readable copy of the trail, and the signed heads. The store is the
//! truth; a file `….pos` says how far the copy is, so that a crash neither repeats nor loses a line.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::models::shield::audit::month::time_text;
use crate::models::shield::audit::record::{Outcome, Record};

/// The readable copy of the current month; those before have the month in their name.
pub const COPY_FILE: &str = "shield_audit_gdpr.csv";
/// Signed heads, one a line: keep a copy where nobody who can write the store can write.
pub const HEADS_FILE: &str = "shield_audit_heads.jsonl";
const POSITION_FILE: &str = "shield_audit_gdpr.pos";

const HEADER: [&str; 9] =
    ["timestamp", "account", "index", "event", "outcome", "actor", "subject", "person", "details"];

/// How far the files are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    /// Month of the current copy, `2026-11`.
    month: String,
    /// Its length in bytes.
    bytes: u64,
    /// By account, the index of the next record to copy.
    next: BTreeMap<String, i64>,
    /// By account, the size of the last head that was exported.
    heads: BTreeMap<String, i64>,
}

/// Lines of one block, from record `first` on.
pub struct ToCopy {
    pub account: String,
    pub month: String,
    pub first: i64,
    pub lines: Vec<String>,
}

/// The files of one folder.
#[derive(Clone, Debug)]
pub struct Files {
    dir: PathBuf,
    position: Position,
}

impl Files {
    /// Opens the folder. What the copy has beyond its position was not finished and is taken off.
    pub fn open(dir: &Path) -> io::Result<Files> {
        fs::create_dir_all(dir)?;
        let position = match fs::read(dir.join(POSITION_FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| io::Error::other(format!("{POSITION_FILE}: {e}")))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Position::default(),
            Err(error) => return Err(error),
        };
        let files = Files { dir: dir.to_owned(), position };
        let copy = files.dir.join(COPY_FILE);
        match fs::metadata(&copy) {
            Ok(found) if found.len() > files.position.bytes => {
                OpenOptions::new().write(true).open(&copy)?.set_len(files.position.bytes)?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(files)
    }

    /// The index of the next record of an account to copy.
    pub fn next(&self, account: &str) -> i64 {
        self.position.next.get(account).copied().unwrap_or(0)
    }

    /// The size of the last head of an account that was exported.
    pub fn head(&self, account: &str) -> i64 {
        self.position.heads.get(account).copied().unwrap_or(0)
    }

    /// Adds lines to the copy, durably; a later month begins a new file.
    pub fn copy(&mut self, blocks: &[ToCopy]) -> io::Result<()> {
        let mut position = self.position.clone();
        let mut rest = blocks;
        while let Some(block) = rest.first() {
            if block.month > position.month {
                self.rotate(&mut position, &block.month)?;
            }
            let until = rest.iter().take_while(|b| b.month <= position.month).count().max(1);
            let (now, later) = rest.split_at(until);
            rest = later;
            let mut file =
                OpenOptions::new().create(true).append(true).open(self.dir.join(COPY_FILE))?;
            if file.seek(SeekFrom::End(0))? != position.bytes {
                // somebody else wrote to it, or took it away: its length is what counts from here
                position.bytes = file.seek(SeekFrom::End(0))?;
            }
            let text = rows(now, position.bytes == 0)?;
            file.write_all(&text)?;
            file.sync_data()?;
            position.bytes += text.len() as u64;
            for block in now {
                let next = block.first + block.lines.len() as i64;
                position.next.insert(block.account.clone(), next);
            }
        }
        self.keep(position)
    }

    /// Adds signed heads to their file, durably. After a crash a head may be there twice.
    pub fn export(&mut self, heads: &[(String, i64, String)]) -> io::Result<()> {
        if heads.is_empty() {
            return Ok(());
        }
        let mut position = self.position.clone();
        let mut text = String::new();
        for (account, size, line) in heads {
            text.push_str(line);
            text.push('\n');
            position.heads.insert(account.clone(), *size);
        }
        let mut file =
            OpenOptions::new().create(true).append(true).open(self.dir.join(HEADS_FILE))?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        self.keep(position)
    }

    fn rotate(&self, position: &mut Position, month: &str) -> io::Result<()> {
        let copy = self.dir.join(COPY_FILE);
        if !position.month.is_empty() && copy.exists() {
            let mut name = format!("shield_audit_gdpr-{}.csv", position.month);
            // a month that comes again (a restored store) does not overwrite what is there
            let mut again = 1;
            while self.dir.join(&name).exists() {
                again += 1;
                name = format!("shield_audit_gdpr-{}-{again}.csv", position.month);
            }
            fs::rename(&copy, self.dir.join(name))?;
        }
        position.month = month.to_owned();
        position.bytes = 0;
        Ok(())
    }

    fn keep(&mut self, position: Position) -> io::Result<()> {
        let (path, draft) =
            (self.dir.join(POSITION_FILE), self.dir.join(format!("{POSITION_FILE}.draft")));
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec(&position)?)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        self.position = position;
        Ok(())
    }
}

fn rows(blocks: &[ToCopy], header: bool) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for (nth, block) in blocks.iter().enumerate() {
        let lines: Vec<(i64, &str)> =
            (block.first..).zip(block.lines.iter().map(String::as_str)).collect();
        text.extend(csv_lines(&block.account, &lines, header && nth == 0)?);
    }
    Ok(text)
}

/// Lines of an account's log with their indexes, as rows for people.
pub fn csv_lines(account: &str, lines: &[(i64, &str)], header: bool) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    if header {
        csv.write_record(HEADER).map_err(io::Error::other)?;
    }
    for (index, line) in lines {
        let index = index.to_string();
        let row =
            match Record::parse(line) {
                Ok(record) => fields(&record),
                // tampered with: verification says so; the copy shows where
                Err(_) => std::array::from_fn(|n| {
                    if n == 1 { "unreadable".to_owned() } else { String::new() }
                }),
            };
        let [at, event, outcome, actor, subject, person, details] =
            row.each_ref().map(String::as_str);
        csv.write_record([at, account, &index, event, outcome, actor, subject, person, details])
            .map_err(io::Error::other)?;
    }
    csv.into_inner().map_err(|e| io::Error::other(e.to_string()))
}

/// Time, event, outcome, actor, subject, person and details of a record.
fn fields(record: &Record) -> [String; 7] {
    let outcome = match record.outcome {
        Outcome::Ok => "OK",
        Outcome::Denied => "DENIED",
        Outcome::Failed => "FAILED",
    };
    let mut details = record.data.clone().unwrap_or_default();
    if record.count > 1 {
        details.insert("count".to_owned(), record.count.into());
    }
    let details: Vec<String> = details
        .iter()
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect();
    [
        time_text(record.at_us).unwrap_or_default(),
        record.event.as_str().to_owned(),
        outcome.to_owned(),
        record.actor.clone(),
        record.subject.clone().unwrap_or_default(),
        record.person.clone().unwrap_or_default(),
        details.join(" "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(month: &str, first: i64, lines: usize) -> ToCopy {
        let line = |n| {
            format!(
                "{{\"at\":\"{month}-03T10:00:00.00000{n}Z\",\"event\":\"budget.denied\",\
                 \"actor\":\"system\",\"outcome\":\"denied\",\"data\":{{\"reason\":\"paused\"}}}}"
            )
        };
        let lines = (0..lines).map(line).collect();
        ToCopy { account: "a".to_owned(), month: month.to_owned(), first, lines }
    }

    #[test]
    fn a_copy_goes_on_where_it_was_and_a_new_month_begins_a_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        let mut files = Files::open(dir.path()).expect("files");
        files.copy(&[block("2026-10", 0, 2)]).expect("a copy");
        // a crash in the middle of the next copy
        let mut torn =
            OpenOptions::new().append(true).open(dir.path().join(COPY_FILE)).expect("the copy");
        torn.write_all(b"2026-10-03T10:00:0").expect("a torn line");
        drop((files, torn));
        let mut files = Files::open(dir.path()).expect("files");
        assert_eq!(files.next("a"), 2);
        files.copy(&[block("2026-10", 2, 1), block("2026-11", 3, 1)]).expect("a copy");
        let old = read("shield_audit_gdpr-2026-10.csv");
        let lines: Vec<&str> = old.lines().collect();
        assert_eq!(lines.len(), 4, "{old}");
        assert!(lines[0].starts_with("timestamp,account,index"));
        assert_eq!(
            lines[3],
            "2026-10-03T10:00:00.000000Z,a,2,budget.denied,DENIED,system,,,reason=paused"
        );
        let new = read(COPY_FILE);
        assert_eq!(new.lines().count(), 2);
        assert_eq!((files.next("a"), files.next("b")), (4, 0));
    }
}
