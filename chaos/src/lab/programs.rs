//! The programs that a lab consists of, and where Debian has them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::error::{LabError, LabResult};

/// Where Debian has PostgreSQL's server programs: in a folder for each version, outside of the PATH.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";
/// Where servers are, which the PATH of people does not always name.
const SERVERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Programs that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    pub initdb: PathBuf,
    pub postgres: PathBuf,
    pub haproxy: PathBuf,
    pub redis: PathBuf,
    pub setpriv: PathBuf,
    /// Who runs PostgreSQL, which refuses to run as root; `None` for whoever runs this.
    pub postgres_user: Option<User>,
}

/// A user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

impl Programs {
    /// What is there.
    ///
    /// # Errors
    /// Something is not: the error names each with its Debian package.
    pub fn find() -> LabResult<Programs> {
        let users = match rustix::process::geteuid().is_root() {
            true => Some(fs::read_to_string("/etc/passwd").unwrap_or_default()),
            false => None,
        };
        find_in(&folders(), Path::new(POSTGRES_VERSIONS), users.as_deref())
    }
}

/// A program of this name, in the PATH or where servers are.
pub fn program(name: &str) -> Option<PathBuf> {
    one(&folders(), name)
}

/// A server program of PostgreSQL.
pub fn postgres_program(name: &str) -> Option<PathBuf> {
    let mut all = folders();
    all.extend(versions_in(Path::new(POSTGRES_VERSIONS)));
    one(&all, name)
}

/// libfaketime, for programs of several threads.
pub fn faketime() -> Option<PathBuf> {
    let inside = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|it| it.path());
    let folders = ["/usr/lib", "/usr/local/lib"].into_iter().map(PathBuf::from).chain(inside);
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}

fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(SERVERS.map(PathBuf::from));
    folders
}

fn find_in(folders: &[PathBuf], versions: &Path, users: Option<&str>) -> LabResult<Programs> {
    let mut of_postgres = folders.iter().cloned().chain(versions_in(versions));
    let postgres = of_postgres
        .find(|folder| is_program(&folder.join("initdb")) && is_program(&folder.join("postgres")));
    let [haproxy, redis, setpriv] =
        ["haproxy", "redis-server", "setpriv"].map(|name| one(folders, name));
    let user = users.map(postgres_user);
    let mut missing: Vec<&str> = Vec::new();
    if postgres.is_none() {
        missing.push("initdb and postgres: apt-get install postgresql");
    }
    if haproxy.is_none() {
        missing.push("haproxy: apt-get install haproxy");
    }
    if redis.is_none() {
        missing.push("redis-server: apt-get install redis-server");
    }
    if setpriv.is_none() {
        missing.push("setpriv: apt-get install util-linux");
    }
    if user == Some(None) {
        missing.push(
            "a user postgres or nobody, who runs PostgreSQL, which does not run as root: apt-get install postgresql",
        );
    }
    match (postgres, haproxy, redis, setpriv) {
        (Some(postgres), Some(haproxy), Some(redis), Some(setpriv)) if missing.is_empty() => {
            Ok(Programs {
                initdb: postgres.join("initdb"),
                postgres: postgres.join("postgres"),
                haproxy,
                redis,
                setpriv,
                postgres_user: user.flatten(),
            })
        }
        _ => Err(LabError::Missing(missing.join("; "))),
    }
}

fn one(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    folders.iter().map(|folder| folder.join(name)).find(|path| is_program(path))
}

pub fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// The folders of PostgreSQL's versions, the newest first.
fn versions_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// The user postgres or nobody of /etc/passwd.
fn postgres_user(users: &str) -> Option<User> {
    let named = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let is_it = fields.next() == Some(name);
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            is_it.then_some(User { uid, gid })
        })
    };
    named("postgres").or_else(|| named("nobody"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, name: &str) {
        fs::create_dir_all(folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none");
        let refused = find_in(std::slice::from_ref(&none), &none, Some("x:y:1:1::/:\n"));
        let refused = refused.unwrap_err().to_string();
        for package in [
            "install postgresql",
            "install haproxy",
            "install redis-server",
            "install util-linux",
            "postgres or nobody",
        ] {
            assert!(refused.contains(package), "{refused}");
        }
    }

    #[test]
    fn the_newest_postgres_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let (bin, versions) = (folder.path().join("bin"), folder.path().join("pg"));
        for name in ["haproxy", "redis-server", "setpriv", "initdb"] {
            put(&bin, name);
        }
        for version in ["9", "15", "17"] {
            put(&versions.join(version).join("bin"), "initdb");
            put(&versions.join(version).join("bin"), "postgres");
        }
        let folders = [bin];
        let found = find_in(&folders, &versions, None).unwrap();
        assert_eq!(found.postgres, versions.join("17/bin/postgres"));
        assert_eq!(found.postgres_user, None);
        let users = "root:x:0:0::/:\nnobody:x:65534:65534::/:\npostgres:x:110:118::/:\n";
        let found = find_in(&folders, &versions, Some(users)).unwrap();
        assert_eq!(found.postgres_user, Some(User { uid: 110, gid: 118 }));
    }
}
