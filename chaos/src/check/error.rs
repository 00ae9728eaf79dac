//! Why a run could not be checked.

use std::io;

/// The files are not what they have to be. It says nothing about the platform.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("{file}: cannot be read: {source}")]
    Read { file: String, source: io::Error },
    #[error("{file}, line {line}: {why}")]
    Line { file: String, line: u64, why: String },
    #[error("{file}: {why}")]
    File { file: String, why: String },
}
