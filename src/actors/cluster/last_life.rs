//! The lives of this node, as its data directory has them. Whoever holds the directory's lock knows that the
//! processes of all of them have ended, and need not wait for their leases.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::models::cluster::node::Incarnation;
use crate::store::LOCK_FILE;

const FILE: &str = "node.json";
/// The newest are kept. What an older one has left is over by its own time.
const LIVES_MAX: usize = 64;

#[derive(Serialize, Deserialize)]
struct Kept {
    /// The lock's file: a copy of the directory has another one, and proves nothing.
    lock: u64,
    /// Oldest first.
    lives: Vec<String>,
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

fn lock(dir: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(dir.join(LOCK_FILE))?.ino())
}

fn kept(dir: &Path) -> io::Result<Vec<Incarnation>> {
    let text = match std::fs::read_to_string(path(dir)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let kept: Kept = serde_json::from_str(&text)?;
    if kept.lock != lock(dir)? {
        return Ok(Vec::new());
    }
    let lives = kept.lives.iter().map(|life| life.parse().map_err(io::Error::other));
    lives.collect()
}

/// Oldest first; none where they cannot be known: then their leases are waited for.
pub fn read(dir: &Path) -> Vec<Incarnation> {
    kept(dir).unwrap_or_else(|error| {
        tracing::warn!(%error, file = FILE, "the last lives of this node are not known");
        Vec::new()
    })
}

/// Notes a life, after those before it.
pub fn note(dir: &Path, before: &[Incarnation], life: Incarnation) -> io::Result<()> {
    let from = (before.len() + 1).saturating_sub(LIVES_MAX);
    let lives = before.iter().skip(from).chain([&life]).map(ToString::to_string).collect();
    let text = serde_json::to_string(&Kept { lock: lock(dir)?, lives })?;
    let new = path(dir).with_extension("json-new");
    std::fs::write(&new, text)?;
    std::fs::rename(new, path(dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ServerLock;

    #[test]
    fn lives_are_known_to_the_next_in_their_own_directory_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let _lock = ServerLock::acquire(dir.path(), "here").expect("the lock");
        assert_eq!(read(dir.path()), []);
        let mut lives = Vec::new();
        for n in 1..=70 {
            note(dir.path(), &lives, Incarnation(n)).expect("noted");
            lives = read(dir.path());
            assert_eq!(lives.last(), Some(&Incarnation(n)));
        }
        assert_eq!(lives, (7..=70).map(Incarnation).collect::<Vec<_>>());

        let copy = tempfile::tempdir().expect("a folder");
        let _other = ServerLock::acquire(copy.path(), "there").expect("the lock");
        std::fs::copy(path(dir.path()), path(copy.path())).expect("copied");
        assert_eq!(read(copy.path()), [], "whoever copied it may live");

        std::fs::write(path(dir.path()), "{}").expect("written");
        assert_eq!(read(dir.path()), []);
    }
}
