//! The journal of erasures, outside the database: what a restore from a backup has to erase again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Beside the audit's copies. Keep it with the backups, and give it to a restore.
pub const ERASURES_FILE: &str = "shield_erasures.jsonl";
const LINE_BYTES_MAX: u64 = 4_096;

/// An erasure: random ids, nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    pub account: String,
    pub person: String,
    pub request: String,
    /// RFC 3339.
    pub at: String,
}

/// Writes an erasure down, durably. Once more is harmless.
pub fn append(dir: &Path, erasure: &Erasure) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join(ERASURES_FILE);
    let fresh = !path.exists();
    let mut line = serde_json::to_string(erasure).map_err(io::Error::other)?;
    line.push('\n');
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    if fresh {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// Every erasure of a file. A last line that was cut by a crash is left out: its key was not
/// destroyed.
///
/// # Errors
/// The file cannot be read, or a line in it is none.
pub fn read(path: &Path) -> io::Result<Vec<Erasure>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut erasures = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        let read = io::Read::take(&mut file, LINE_BYTES_MAX).read_line(&mut line)?;
        if read == 0 || !line.ends_with('\n') {
            return Ok(erasures);
        }
        let at = erasures.len() + 1;
        let erasure = serde_json::from_str(line.trim_end());
        erasures.push(erasure.map_err(|e| io::Error::other(format!("line {at}: {e}")))?);
    }
}
