//! The files beside the store: the readable copy of the trail, and the signed heads. The store is the
//! truth; a file `….pos` says how far the copy is, so that a crash neither repeats nor loses a line.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::readable::rows;
use super::tail::{add_lines, sync_dir};
use crate::models::shield::audit::head::SignedHead;
use crate::models::shield::audit::month::Month;

/// The readable copy of the current month; those before have the month in their name.
pub const COPY_FILE: &str = "shield_audit_gdpr.csv";
/// Signed heads, one a line: keep a copy where nobody who can write the store can write.
pub const HEADS_FILE: &str = "shield_audit_heads.jsonl";
const POSITION_FILE: &str = "shield_audit_gdpr.pos";
/// Before the month in the names of older copies.
const COPY_PREFIX: &str = "shield_audit_gdpr-";
const RESTORE: &str = "-before-restore-";

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
    /// By account, the hash of that head: a store that has another one there was put back.
    #[serde(default)]
    hashes: BTreeMap<String, String>,
    /// By account, the size of the last cut that was exported.
    #[serde(default)]
    cuts: BTreeMap<String, i64>,
}

/// Lines of one block, from record `first` on.
pub struct ToCopy {
    pub account: String,
    pub month: String,
    pub first: i64,
    /// The whole block's lines, and how many of them are copied already.
    pub text: String,
    pub skip: usize,
}

impl ToCopy {
    /// The lines that are to be copied.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n').skip(self.skip)
    }
}

/// A head to be exported; `cut`: once more, with the word that all before it was dropped.
pub struct ToExport {
    pub account: String,
    pub size: i64,
    pub line: String,
    pub cut: bool,
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
            Err(error) if error.kind() == io::ErrorKind::NotFound => files.unrotate()?,
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

    /// The hash of that head.
    pub fn hash(&self, account: &str) -> Option<&str> {
        self.position.hashes.get(account).map(String::as_str)
    }

    /// The size of the last cut of an account that was exported.
    pub fn cut(&self, account: &str) -> i64 {
        self.position.cuts.get(account).copied().unwrap_or(0)
    }

    /// By account, the size of the last head that was exported.
    pub fn heads(&self) -> &BTreeMap<String, i64> {
        &self.position.heads
    }

    /// The accounts of which something was copied or exported.
    pub fn accounts(&self) -> Vec<String> {
        let mut accounts: Vec<String> =
            self.position.next.keys().chain(self.position.heads.keys()).cloned().collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }

    /// Adds lines to the copy, durably; a later month begins a new file.
    pub fn copy(&mut self, blocks: &[ToCopy]) -> io::Result<()> {
        let mut rest = blocks;
        while let Some(block) = rest.first() {
            if block.month > self.position.month {
                self.rotate(&block.month)?;
            }
            let month = &self.position.month;
            let until = rest.iter().take_while(|b| b.month <= *month).count().max(1);
            let (now, later) = rest.split_at(until);
            rest = later;
            let mut position = self.position.clone();
            let mut file =
                OpenOptions::new().create(true).append(true).open(self.dir.join(COPY_FILE))?;
            // somebody else may have written to it, or taken it away: its length is what counts
            position.bytes = file.seek(SeekFrom::End(0))?;
            let text = rows(now, position.bytes == 0)?;
            file.write_all(&text)?;
            file.sync_data()?;
            position.bytes += text.len() as u64;
            for block in now {
                let next = block.first + block.lines().count() as i64;
                position.next.insert(block.account.clone(), next);
            }
            self.keep(position)?;
        }
        Ok(())
    }

    /// Adds signed heads to their file, durably. After a crash a head may be there twice.
    pub fn export(&mut self, heads: &[ToExport]) -> io::Result<()> {
        if heads.is_empty() {
            return Ok(());
        }
        let mut position = self.position.clone();
        let mut text = String::new();
        for head in heads {
            text.push_str(&head.line);
            text.push('\n');
            let account = head.account.clone();
            if head.cut {
                position.cuts.insert(account, head.size);
                continue;
            }
            match SignedHead::parse(&head.line) {
                Ok(signed) => {
                    position.hashes.insert(account.clone(), signed.hash().to_string());
                }
                // tampered with: verification says so
                Err(_) => {
                    position.hashes.remove(&account);
                }
            }
            position.heads.insert(account, head.size);
        }
        add_lines(&self.dir.join(HEADS_FILE), &text)?;
        self.keep(position)
    }

    /// The store is older than what was copied of these accounts: they begin anew, and what is there
    /// is kept under other names. Gives the number in these.
    pub fn begin_anew(&mut self, accounts: &[String]) -> io::Result<u32> {
        let mut position = Position { month: String::new(), bytes: 0, ..self.position.clone() };
        for account in accounts {
            position.next.remove(account);
            position.heads.remove(account);
            position.hashes.remove(account);
            position.cuts.remove(account);
        }
        let month = &self.position.month;
        let copies = if month.is_empty() { COPY_FILE.replace(".csv", "") } else { archive(month) };
        let names = |n: u32| {
            let heads = HEADS_FILE.replace(".jsonl", &format!("{RESTORE}{n}.jsonl"));
            [(COPY_FILE, format!("{copies}{RESTORE}{n}.csv")), (HEADS_FILE, heads)]
        };
        let free = |n: &u32| names(*n).iter().all(|(_, name)| !self.dir.join(name).exists());
        let n = (1..=u32::MAX).find(free).unwrap_or(u32::MAX);
        for (from, to) in names(n) {
            match fs::rename(self.dir.join(from), self.dir.join(to)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        sync_dir(&self.dir)?;
        self.keep(position)?;
        Ok(n)
    }

    /// Removes the copies of months before this one. Gives how many files these were.
    pub fn prune(&mut self, before: Month) -> io::Result<u64> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let month = entry.file_name().to_str().and_then(month_of);
            if month.is_some_and(|month| month < before) && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        let current = self.position.month.parse::<Month>();
        if current.is_ok_and(|month| month < before) && self.position.bytes > 0 {
            // a crash in between leaves a file that is emptied at the next start
            self.keep(Position { bytes: 0, ..self.position.clone() })?;
            match fs::remove_file(self.dir.join(COPY_FILE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => removed += 1,
            }
        }
        Ok(removed)
    }

    /// The current copy gets the name of its month, and another month begins. All that is in it has
    /// its position already, so a crash anywhere in here repeats nothing.
    fn rotate(&mut self, month: &str) -> io::Result<()> {
        let copy = self.dir.join(COPY_FILE);
        if !self.position.month.is_empty() && copy.exists() {
            // a month that comes again (a restored store) does not overwrite what is there
            let (_, free) = self.archives(&self.position.month);
            fs::rename(&copy, free)?;
            sync_dir(&self.dir)?;
        }
        self.keep(Position { month: month.to_owned(), bytes: 0, ..self.position.clone() })
    }

    /// A crash came after the copy got its month's name and before its position said so: it gets its
    /// name back, and the next rotation begins again.
    fn unrotate(&self) -> io::Result<()> {
        let Position { month, bytes, .. } = &self.position;
        if let (Some(last), _) = self.archives(month)
            && *bytes > 0
            && fs::metadata(&last)?.len() == *bytes
        {
            fs::rename(last, self.dir.join(COPY_FILE))?;
        }
        Ok(())
    }

    /// Of a month's names, the last that is taken and the first that is free.
    fn archives(&self, month: &str) -> (Option<PathBuf>, PathBuf) {
        let mut last = None;
        let mut next = self.dir.join(format!("{}.csv", archive(month)));
        let mut again = 1;
        while next.exists() {
            again += 1;
            let free = self.dir.join(format!("{}-{again}.csv", archive(month)));
            last = Some(std::mem::replace(&mut next, free));
        }
        (last, next)
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

/// The name of a month's copy, without what makes it the only one.
fn archive(month: &str) -> String {
    format!("{COPY_PREFIX}{month}")
}

/// The month in the name of an older copy, and in no other name.
fn month_of(name: &str) -> Option<Month> {
    let name = name.strip_prefix(COPY_PREFIX)?.strip_suffix(".csv")?;
    let (month, rest) = name.split_at_checked(7)?;
    let month = month.parse().ok()?;
    let number = match rest.strip_prefix(RESTORE).or_else(|| rest.strip_prefix('-')) {
        Some(number) => number,
        None => return rest.is_empty().then_some(month),
    };
    let digits = !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit());
    digits.then_some(month)
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
