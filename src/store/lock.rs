//! `kiki.lock`: one server per data directory. The operating system drops the lock with the process,
//! however it ends; the file's text tells commands where the running server listens.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::{Result, StoreError};

/// The lock's file in the data directory.
pub const LOCK_FILE: &str = "kiki.lock";

/// The server that holds a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    /// Where its admin API listens, `host:port`; empty until it does.
    pub address: String,
}

/// Held as long as the server runs.
#[derive(Debug)]
pub struct ServerLock {
    file: File,
}

impl ServerLock {
    /// Takes the data directory (made when missing) for this process.
    ///
    /// # Errors
    /// [`StoreError::Locked`] names the server that has it.
    pub fn acquire(dir: &Path, address: &str) -> Result<Self> {
        std::fs::create_dir_all(dir)
            .map_err(|e| StoreError::io(format!("cannot make {}", dir.display()), &e))?;
        let mut file = open(dir)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = read(&mut file)
                    .unwrap_or(Holder { pid: 0, address: "address unknown".to_owned() });
                return Err(StoreError::Locked { pid: holder.pid, address: holder.address });
            }
            Err(TryLockError::Error(e)) => return Err(StoreError::io("cannot lock", &e)),
        }
        let mut lock = Self { file };
        lock.publish(address)?;
        Ok(lock)
    }

    /// Tells commands where the server listens.
    pub fn publish(&mut self, address: &str) -> Result<()> {
        let holder = Holder { pid: std::process::id(), address: address.to_owned() };
        let text = serde_json::to_string(&holder)
            .map_err(|e| StoreError::Config(format!("cannot write {LOCK_FILE}: {e}")))?;
        let write = || -> std::io::Result<()> {
            let mut file = &self.file;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())?;
            file.set_len(text.len() as u64)?;
            file.sync_data()
        };
        write().map_err(|e| StoreError::io(format!("cannot write {LOCK_FILE}"), &e))
    }

    /// The server that holds the directory now, if one does.
    pub fn holder(dir: &Path) -> Result<Option<Holder>> {
        if !dir.join(LOCK_FILE).exists() {
            return Ok(None);
        }
        let mut file = open(dir)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => {
                Ok(Some(read(&mut file).unwrap_or(Holder { pid: 0, address: String::new() })))
            }
            Err(TryLockError::Error(e)) => Err(StoreError::io("cannot lock", &e)),
        }
    }
}

fn open(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK_FILE);
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| StoreError::io(format!("cannot open {}", path.display()), &e))
}

/// The text may be missing or half written for a moment while a server starts.
fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}
