//! The folder of a cluster on one machine.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::super::exit::CliError;
use super::super::files::named;

/// Everything that a cluster has, for as long as this lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Removed at the end.
    passing: bool,
    /// Nobody else runs a cluster in it.
    _lock: File,
}

impl Folder {
    /// This folder, or a new one that is removed at the end. Where root makes it, others can go through it
    /// and not look into it: PostgreSQL runs as somebody else.
    ///
    /// # Errors
    /// It cannot be made, others could put something of theirs into it, or a cluster runs in it.
    pub fn open(given: Option<&Path>) -> Result<Folder, CliError> {
        let mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        let path = match given {
            // Without a slash at its end, behind which a link would be followed.
            Some(path) => {
                let path = std::path::absolute(path).map_err(|error| named(path, error))?;
                path.components().collect()
            }
            None => {
                let name = format!("kiki-cluster-{}", uuid::Uuid::now_v7().simple());
                std::env::temp_dir().join(name)
            }
        };
        let missing: Vec<&Path> = match given {
            Some(_) => path.ancestors().take_while(|it| !it.exists()).collect(),
            None => vec![&path],
        };
        for it in missing.into_iter().rev() {
            match DirBuilder::new().mode(0o700).create(it) {
                // Said again: what is made gets less than it was made with. The way there is as open as the folder.
                Ok(()) => fs::set_permissions(it, Permissions::from_mode(mode)),
                Err(_) if given.is_some() && it.is_dir() => Ok(()),
                Err(error) => Err(error),
            }
            .map_err(|error| named(it, error))?;
        }
        make_sure_of(&path)?;
        let mut opening = OpenOptions::new();
        opening.write(true).create(true).truncate(false).mode(0o600);
        let lock = opening.open(path.join("cluster.lock")).map_err(|error| named(&path, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Folder { path, passing: given.is_none(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(CliError::usage(format!("{}: a cluster runs in this folder", path.display())))
            }
            Err(TryLockError::Error(error)) => Err(named(&path, error)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// A folder in it, made where there is none, for its owner alone.
    pub fn within(&self, name: &str) -> Result<PathBuf, CliError> {
        let path = self.path.join(name);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| named(&path, error))?;
        Ok(path)
    }

    /// Whether it is removed at the end.
    pub fn is_passing(&self) -> bool {
        self.passing
    }
}

/// Nobody else can have put something in the place of what is in this folder: root writes in it, and gives it away.
fn make_sure_of(path: &Path) -> Result<(), CliError> {
    let it = fs::symlink_metadata(path).map_err(|error| named(path, error))?;
    let me = rustix::process::geteuid();
    let why = if it.is_symlink() {
        "is a link: name the folder itself"
    } else if !it.is_dir() {
        "is no folder"
    } else if it.uid() != me.as_raw() && it.uid() != 0 {
        "is somebody else's folder"
    } else if me.is_root() && it.mode() & 0o022 != 0 {
        "others may write in it: chmod go-w it, or name another one"
    } else {
        return Ok(());
    };
    Err(CliError::usage(format!("{}: {why}", path.display())))
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.passing
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            // Standard error is where it would be told that this cannot be told.
            let _ = writeln!(io::stderr(), "{}: cannot be removed: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_new_folder_is_as_open_as_the_folder_and_what_was_there_stays() {
        let given = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let before = mode(given.path());
        let deep = given.path().join("new/deep/c");
        drop(Folder::open(Some(&deep)).unwrap());
        // Behind ".." is what was there, and it keeps its mode.
        drop(Folder::open(Some(&given.path().join("other/../d"))).unwrap());
        let expected = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        for made in ["new", "new/deep", "new/deep/c", "other", "d"] {
            assert_eq!(mode(&given.path().join(made)), expected, "{made}");
        }
        assert_eq!(mode(given.path()), before);
    }

    #[test]
    fn a_folder_has_one_cluster_and_a_passing_one_is_removed() {
        let given = tempfile::tempdir().unwrap();
        let held = Folder::open(Some(given.path())).unwrap();
        assert_eq!(Folder::open(Some(given.path())).unwrap_err().code, 2);
        drop(held);
        drop(Folder::open(Some(given.path())).unwrap());
        assert!(given.path().exists());

        let link = given.path().join("link");
        std::os::unix::fs::symlink(given.path(), &link).unwrap();
        for link in [link.clone(), link.join("")] {
            let refused = Folder::open(Some(&link)).unwrap_err();
            assert!(
                refused.code == 2 && refused.message.contains("is a link"),
                "{}",
                refused.message
            );
        }

        let passing = Folder::open(None).unwrap();
        let path = passing.path().to_owned();
        passing.within("node-1").unwrap();
        drop(passing);
        assert!(!path.exists());
    }
}
