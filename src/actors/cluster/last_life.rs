//! The last life of this node, as its data directory has it. Whoever holds the directory's lock knows that the
//! process of that life has ended, and need not wait for its lease.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::models::cluster::node::Incarnation;

const FILE: &str = "node.json";

#[derive(Serialize, Deserialize)]
struct Kept {
    incarnation: String,
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// `None` where there was none, or its file cannot be understood: then its lease is waited for.
pub fn read(dir: &Path) -> Option<Incarnation> {
    let text = match std::fs::read_to_string(path(dir)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(%error, file = FILE, "the last life of this node cannot be read");
            return None;
        }
    };
    let kept: Option<Kept> = serde_json::from_str(&text).ok();
    let incarnation = kept.and_then(|kept| kept.incarnation.parse().ok());
    if incarnation.is_none() {
        tracing::warn!(file = FILE, "the last life of this node is not understood");
    }
    incarnation
}

pub fn write(dir: &Path, incarnation: Incarnation) -> io::Result<()> {
    let text = serde_json::to_string(&Kept { incarnation: incarnation.to_string() })?;
    let new = path(dir).with_extension("json-new");
    std::fs::write(&new, text)?;
    std::fs::rename(new, path(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_known_to_the_next_and_what_is_none_is_nobodys() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(read(dir.path()), None);
        for life in [Incarnation(7), Incarnation(u64::MAX)] {
            write(dir.path(), life).expect("written");
            assert_eq!(read(dir.path()), Some(life));
        }
        std::fs::write(path(dir.path()), "{\"incarnation\":\"x\"}").expect("written");
        assert_eq!(read(dir.path()), None);
    }
}
