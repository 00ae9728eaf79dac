//! The servers of a lab: what each is told, and when it serves.

pub mod balancer;
pub mod node;
pub mod ports;
pub mod postgres;
pub mod ready;
pub mod redis;

use std::path::{Path, PathBuf};

use super::error::{LabError, LabResult};

/// Makes a folder for its owner alone.
///
/// # Errors
/// It cannot be made.
pub fn folder(path: &Path) -> LabResult<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.map_err(|error| LabError::file(path, error))?;
    Ok(path.to_owned())
}

/// A password of 64 hexadecimal digits: a database URL, a TOML string and a Redis configuration take it as it is.
pub fn secret() -> String {
    use rand::RngExt;
    let mut rng = rand::rng();
    format!("{:032x}{:032x}", rng.random::<u128>(), rng.random::<u128>())
}
