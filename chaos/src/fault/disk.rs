//! Disks that are full, or cannot be written. Only disks of a lab that are a mount of their own: the machine's is not
//! touched.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::error::{FaultError, FaultResult};
use super::family::{At, Doing, Family, Order, Prepared};
use super::left::Left;
use super::repeat::Repeat;
use crate::experiment::fault::Fault;
use crate::experiment::pick::Disk;
use crate::experiment::strikes::Struck;
use crate::lab::{HostName, tool};

/// What others give back is taken at once.
const AGAIN: Duration = Duration::from_millis(100);
/// From large to small, until not even one page is left.
const PIECES: [usize; 3] = [1 << 20, 64 << 10, 4 << 10];

pub struct Disks;

impl Family for Disks {
    fn kinds(&self) -> &'static [&'static str] {
        &["disk_full", "disk_read_only"]
    }

    fn prepare<'a>(&'a self, order: &'a Order) -> Doing<'a, Prepared> {
        Box::pin(async move {
            let (mut left, mut struck) = (Vec::new(), Vec::new());
            let is_full = matches!(order.fault, Fault::DiskFull { .. });
            for (name, host) in hosts(order)? {
                let folder = folder(order, host)?;
                if host == HostName::Database {
                    left.push(Left::Dead { name: name.clone() });
                }
                left.push(match is_full {
                    true => {
                        Left::Fill { file: folder.join(format!("kiki-chaos-{}", order.number)) }
                    }
                    false => Left::ReadOnly { folder },
                });
                struck.push(name);
            }
            let way = if is_full { "a file" } else { "mount" };
            Ok(Prepared {
                target: format!("the disk of {}", struck.join(", ")),
                way: way.into(),
                struck,
                left,
            })
        })
    }

    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async move {
            let lab = at.ground().lab(at.site.order.fault.kind())?;
            for left in at.site.record().left {
                match left {
                    // It may end over it.
                    Left::Dead { name } => lab.processes().expect_end(&name)?,
                    Left::Fill { file } => {
                        fill(file.clone()).await?;
                        let again = at.clone();
                        at.site.repeat(Repeat::every(AGAIN, move || {
                            let (at, file) = (again.clone(), file.clone());
                            async move {
                                if let Err(error) = fill(file).await {
                                    at.trouble(error);
                                }
                            }
                        }));
                        at.site.struck(1);
                    }
                    Left::ReadOnly { folder } => {
                        remount(&folder, "remount,ro").await.map_err(|error| {
                            FaultError::not_possible(
                                format!("a disk at {} that cannot be written", folder.display()),
                                format!("a process has files open for writing there: {error}"),
                            )
                        })?;
                        at.site.struck(1);
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }
}

/// Whose disks a fault names, with their processes.
///
/// # Errors
/// No node was chosen, or there is none of this name.
pub fn hosts(order: &Order) -> FaultResult<Vec<(String, HostName)>> {
    let kind = order.fault.kind();
    match order.fault.struck() {
        Struck::Disk(Disk::Node(_)) => {
            let names = order.chosen.at("target.node")?.iter();
            names.map(|name| Ok((name.clone(), order.ground.host(kind, name)?))).collect()
        }
        _ => Ok(vec![(HostName::Database.to_string(), HostName::Database)]),
    }
}

fn folder(order: &Order, host: HostName) -> FaultResult<PathBuf> {
    let kind = order.fault.kind();
    let found = order.ground.lab(kind)?.disk(host);
    found.map(Path::to_path_buf).ok_or_else(|| {
        FaultError::not_possible(
            kind,
            format!(
                "{host} has no disk of its own in this lab, which needs root and network namespaces"
            ),
        )
    })
}

/// Takes all that is left of a disk.
async fn fill(file: PathBuf) -> FaultResult<()> {
    let shown = file.display().to_string();
    let filled = tokio::task::spawn_blocking(move || {
        let mut open = OpenOptions::new().append(true).create(true).open(&file)?;
        let zeros = vec![0; PIECES[0]];
        for piece in PIECES {
            loop {
                match open.write(&zeros[..piece]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    });
    let filled = filled.await.map_err(|error| FaultError::Bad(format!("{shown}: {error}")))?;
    filled.map_err(|error| FaultError::io(shown, error))
}

/// There is room again.
///
/// # Errors
/// The file is still there.
pub fn empty(file: &Path) -> FaultResult<()> {
    match fs::remove_file(file) {
        // Also with the whole disk, where the suite that mounted it is gone.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done.map_err(|error| FaultError::file(file, error)),
    }
}

/// The disk can be written again, and is seen to be.
///
/// # Errors
/// It cannot.
pub async fn writable(folder: &Path) -> FaultResult<()> {
    if !is_read_only(folder)? {
        return Ok(());
    }
    remount(folder, "remount,rw").await?;
    match is_read_only(folder)? {
        false => Ok(()),
        true => Err(FaultError::Bad(format!("{} cannot be written yet", folder.display()))),
    }
}

fn is_read_only(folder: &Path) -> FaultResult<bool> {
    match statvfs(folder) {
        Ok(said) => Ok(said.f_flag.contains(StatVfsMountFlags::RDONLY)),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(error) => Err(FaultError::file(folder, error)),
    }
}

async fn remount(folder: &Path, options: &str) -> FaultResult<()> {
    tool::run(["mount".as_ref(), "-o".as_ref(), options.as_ref(), folder.as_os_str()]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_there_has_room_and_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fill");
        empty(&file).unwrap();
        fs::write(&file, "x").unwrap();
        empty(&file).unwrap();
        assert!(!file.exists());
        writable(folder.path()).await.unwrap();
        writable(&folder.path().join("none")).await.unwrap();
        assert!(fill("/proc/nothing".into()).await.is_err());
    }
}
