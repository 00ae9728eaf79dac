//! The programs that a cluster on one machine consists of, beside this one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::super::exit::CliError;

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
    /// A cluster works without it.
    pub redis: Option<PathBuf>,
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
    /// Something is not: the error names each with its Debian package, with exit code 2.
    pub fn find() -> Result<Programs, CliError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        folders.extend(SERVERS.map(PathBuf::from));
        let user = match rustix::process::geteuid().is_root() {
            true => Some(fs::read_to_string("/etc/passwd").unwrap_or_default()),
            false => None,
        };
        find_in(&folders, Path::new(POSTGRES_VERSIONS), user.as_deref())
    }
}

/// Looks in these folders, and for PostgreSQL in those of its versions; `users` as in /etc/passwd where
/// another user has to run it.
fn find_in(
    folders: &[PathBuf],
    versions: &Path,
    users: Option<&str>,
) -> Result<Programs, CliError> {
    let of_postgres = folders.iter().cloned().chain(versions_in(versions));
    let postgres = of_postgres
        .map(|folder| (folder.join("initdb"), folder.join("postgres")))
        .find(|(initdb, postgres)| is_program(initdb) && is_program(postgres));
    let haproxy = one(folders, "haproxy");
    let user = users.map(postgres_user);
    let mut missing = String::new();
    if postgres.is_none() {
        missing += "\n  initdb and postgres: apt-get install postgresql";
    }
    if haproxy.is_none() {
        missing += "\n  haproxy: apt-get install haproxy";
    }
    if user == Some(None) {
        missing += "\n  a user postgres or nobody, who runs PostgreSQL, which does not run as root: apt-get install postgresql";
    }
    match (postgres, haproxy) {
        (Some((initdb, postgres)), Some(haproxy)) if missing.is_empty() => Ok(Programs {
            initdb,
            postgres,
            haproxy,
            redis: one(folders, "redis-server"),
            postgres_user: user.flatten(),
        }),
        _ => Err(CliError::usage(format!("a cluster needs what is not here:{missing}"))),
    }
}

fn one(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    folders.iter().map(|folder| folder.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
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

    fn program(folder: &Path, name: &str) {
        fs::create_dir_all(folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("none");
        let refused =
            find_in(std::slice::from_ref(&nowhere), &nowhere, Some("x:y:1:1::/:\n")).unwrap_err();
        assert_eq!(refused.code, 2);
        for package in ["install postgresql", "install haproxy", "user postgres or nobody"] {
            assert!(refused.message.contains(package), "{}", refused.message);
        }
        assert!(!refused.message.contains("redis"), "{}", refused.message);
    }

    #[test]
    fn the_newest_version_is_taken_where_the_path_names_none() {
        let folder = tempfile::tempdir().unwrap();
        let (bin, versions) = (folder.path().join("bin"), folder.path().join("postgresql"));
        program(&bin, "haproxy");
        // A client's folder has no server.
        program(&bin, "initdb");
        for version in ["9", "15", "17"] {
            program(&versions.join(version).join("bin"), "initdb");
            program(&versions.join(version).join("bin"), "postgres");
        }
        let found = find_in(std::slice::from_ref(&bin), &versions, None).unwrap();
        assert_eq!(found.postgres, versions.join("17/bin/postgres"));
        assert_eq!((found.redis, found.postgres_user), (None, None));
        program(&bin, "postgres");
        program(&bin, "redis-server");
        let found = find_in(std::slice::from_ref(&bin), &versions, None).unwrap();
        assert_eq!(found.initdb, bin.join("initdb"));
        assert_eq!(found.redis, Some(bin.join("redis-server")));
        fs::set_permissions(bin.join("haproxy"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(find_in(&[bin], &versions, None).is_err());
    }

    #[test]
    fn postgres_runs_as_its_own_user_or_as_nobody() {
        let users = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:\npostgres:x:110:118::/:\n";
        assert_eq!(postgres_user(users), Some(User { uid: 110, gid: 118 }));
        let nobody = Some(User { uid: 65534, gid: 65534 });
        assert_eq!(postgres_user("short\nnobody:x:65534:65534::/:\n"), nobody);
        assert_eq!(postgres_user("root:x:0:0::/:\n"), None);
    }
}
