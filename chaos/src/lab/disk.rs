//! Disks of a size: a tmpfs for the data of one host, which can be full or read-only without the machine's being so.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::{LabError, LabResult};
use super::net::NotPossible;
use super::record::Record;
use super::tool::run;
use super::{namespace, programs::User};

/// A database of a lab takes some 60 MiB before it holds anything.
pub const SIZE: std::ops::RangeInclusive<u64> = 1 << 20..=16 << 30;

/// Mounts a tmpfs of so many bytes at this folder, which is made.
///
/// # Errors
/// The size is not within its limits, or the system does not let it be mounted.
pub async fn mount(
    record: &Record,
    folder: &Path,
    bytes: u64,
    owner: Option<User>,
) -> LabResult<PathBuf> {
    if !SIZE.contains(&bytes) {
        return Err(LabError::Bad(format!(
            "a disk of {bytes} bytes: allowed are {} to {}",
            SIZE.start(),
            SIZE.end()
        )));
    }
    if !namespace::is_inside() {
        return Err(NotPossible::Disk.into());
    }
    fs::create_dir_all(folder).map_err(|error| LabError::file(folder, error))?;
    record.note(|made| made.mounts.push(folder.to_owned()))?;
    let User { uid, gid } = owner.unwrap_or(User { uid: 0, gid: 0 });
    let options = format!("size={bytes},mode=700,uid={uid},gid={gid}");
    let words = ["mount", "-t", "tmpfs", "-o", &options, "kiki-chaos"];
    run(words.iter().map(AsRef::as_ref).chain([folder.as_os_str()])).await?;
    Ok(folder.to_owned())
}
