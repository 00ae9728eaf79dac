//! Why a fault was not done, or not undone.

use std::path::Path;

use thiserror::Error;

use crate::lab::{LabError, NotPossible};

#[derive(Debug, Error)]
pub enum FaultError {
    /// It cannot be had here, and nothing like it was done in its place.
    #[error("{what} is not possible here: {missing}{}", package.map(|it| format!(" (apt-get install {it})")).unwrap_or_default())]
    NotPossible { what: String, missing: String, package: Option<&'static str> },
    /// Two of these at a time would undo each other.
    #[error("{what} is struck already, by fault {by}")]
    Taken { what: String, by: u32 },
    #[error("{0}")]
    Bad(String),
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error(transparent)]
    Lab(LabError),
}

pub type FaultResult<T> = Result<T, FaultError>;

impl FaultError {
    pub fn not_possible(what: impl Into<String>, missing: impl Into<String>) -> FaultError {
        FaultError::NotPossible { what: what.into(), missing: missing.into(), package: None }
    }

    pub fn io(what: impl Into<String>, source: impl Into<std::io::Error>) -> FaultError {
        FaultError::Io { what: what.into(), source: source.into() }
    }

    pub fn file(path: &Path, source: impl Into<std::io::Error>) -> FaultError {
        FaultError::io(path.display().to_string(), source)
    }

    /// Several at once, in words.
    pub fn all(mut errors: Vec<FaultError>) -> FaultResult<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => {
                let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
                Err(FaultError::Bad(said.join("; ")))
            }
        }
    }
}

impl From<LabError> for FaultError {
    fn from(error: LabError) -> FaultError {
        match error {
            LabError::NotPossible(why) => why.into(),
            LabError::Missing(what) => FaultError::not_possible("this fault", what),
            error => FaultError::Lab(error),
        }
    }
}

impl From<NotPossible> for FaultError {
    fn from(why: NotPossible) -> FaultError {
        FaultError::not_possible("this fault of the network", why.to_string())
    }
}
