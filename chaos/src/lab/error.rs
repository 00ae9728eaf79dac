//! What can go wrong with a lab, in words for whoever started it.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::net::NotPossible;

#[derive(Debug, Error)]
pub enum LabError {
    #[error("a lab needs what is not here: {0}")]
    Missing(String),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("`{command}` failed: {said}")]
    Tool { command: String, said: String },
    #[error("{name} {what}; the end of {}:\n{said}", log.display())]
    Start { name: String, what: String, log: PathBuf, said: String },
    #[error("{0}")]
    Bad(String),
    #[error(transparent)]
    NotPossible(#[from] NotPossible),
}

impl LabError {
    /// An error of the system about a file or a folder.
    pub fn file(path: &Path, source: io::Error) -> LabError {
        LabError::Io { what: path.display().to_string(), source }
    }

    pub fn io(what: impl Into<String>, source: io::Error) -> LabError {
        LabError::Io { what: what.into(), source }
    }
}

pub type LabResult<T> = Result<T, LabError>;
