//! PostgreSQL of a lab: it writes through to its disk, as one that keeps money has to.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::super::error::{LabError, LabResult};
use super::super::host::HostName;
use super::super::process::Spec;
use super::super::processes::Processes;
use super::super::programs::{Programs, User};
use super::super::record;
use super::{folder, ready, secret};

pub const NAME: &str = "db";
const INIT: Duration = Duration::from_secs(120);
const START: Duration = Duration::from_secs(60);

/// A database that runs.
#[derive(Clone, Debug)]
pub struct Postgres {
    pub port: u16,
    pub password: String,
    /// Its files.
    pub data: PathBuf,
}

impl Postgres {
    /// Where it is found at this address.
    pub fn url(&self, at: std::net::SocketAddrV4) -> String {
        format!("postgres://kiki:{}@{at}/postgres", self.password)
    }
}

/// Makes PostgreSQL's files and starts it. `disk` is where its files go, in a folder that is there.
///
/// # Errors
/// It does not start: with the end of its log.
pub async fn start(
    processes: &Processes,
    programs: &Programs,
    own: &Path,
    disk: &Path,
    log: &Path,
    at: (Ipv4Addr, u16),
) -> LabResult<Postgres> {
    let own = folder(own)?;
    let (password, password_file) = (secret(), own.join("password"));
    record::put(&password_file, password.as_bytes())?;
    folder(disk)?;
    give(&[&own, &password_file, disk], programs.postgres_user)?;
    may_enter(&own, programs.postgres_user)?;
    let data = disk.join("data");
    let spec = |name: &str, program: &Path, args: Vec<std::ffi::OsString>| Spec {
        name: name.to_owned(),
        host: HostName::Database,
        program: program.to_owned(),
        args,
        env: vec![("LC_ALL".to_owned(), "C".into())],
        folder: own.clone(),
        log: log.to_owned(),
        user: programs.postgres_user,
        // The fast shutdown: clients are not waited for.
        stop: Signal::INT,
        grace: Duration::from_secs(20),
        clock: None,
    };
    let mut args: Vec<std::ffi::OsString> =
        vec!["-D".into(), data.clone().into(), "--pwfile".into()];
    args.push(password_file.into());
    args.extend(
        ["-U", "kiki", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]
            .map(Into::into),
    );
    // Of a small disk the log takes no more than it must.
    args.push("--wal-segsize=4".into());
    let init = "initdb";
    processes.spawn(spec(init, &programs.initdb, args)).await?;
    processes.expect_end(init)?;
    match processes.ended(init, INIT).await? {
        Some(status) if status.success() => {}
        Some(status) => return Err(processes.complaint(init, format!("ended: {status}"))),
        None => {
            return Err(
                processes.complaint(init, format!("takes longer than {} s", INIT.as_secs()))
            );
        }
    }
    let rules = data.join("pg_hba.conf");
    let network = if at.0.is_loopback() { "127.0.0.0/8" } else { "198.18.0.0/15" };
    fs::write(&rules, format!("host all all {network} scram-sha-256\n"))
        .map_err(|error| LabError::file(&rules, error))?;
    let mut args: Vec<std::ffi::OsString> = vec!["-D".into(), data.clone().into()];
    // No socket: everybody comes over the network, where faults are.
    args.extend(["-k", "", "-p", &at.1.to_string()].map(Into::into));
    for setting in [
        &format!("listen_addresses={}", at.0),
        "fsync=on",
        "synchronous_commit=on",
        "max_connections=200",
        "shared_buffers=64MB",
        "min_wal_size=32MB",
        "max_wal_size=256MB",
        "logging_collector=off",
        "log_line_prefix=%m [%p] ",
        // Whoever cannot be reached is given up in time, so that what it had locked is free.
        "tcp_keepalives_idle=5",
        "tcp_keepalives_interval=2",
        "tcp_keepalives_count=3",
    ] {
        args.extend(["-c", setting].map(Into::into));
    }
    let id = processes.spawn(spec(NAME, &programs.postgres, args)).await?;
    wait(processes, &data, id.pid).await?;
    Ok(Postgres { port: at.1, password, data })
}

/// Waits until PostgreSQL takes connections.
///
/// # Errors
/// It does not: with the end of its log.
pub async fn wait(processes: &Processes, data: &Path, pid: u32) -> LabResult<()> {
    let status = data.join("postmaster.pid");
    let serves =
        || std::future::ready(fs::read_to_string(&status).is_ok_and(|text| is_ready(&text, pid)));
    ready::until(processes, NAME, START, serves).await
}

/// Whether `postmaster.pid` says that this process takes connections: its id is in the first line, its state in the
/// eighth.
fn is_ready(text: &str, pid: u32) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}

/// Gives files to who runs PostgreSQL, where that is somebody else.
fn give(paths: &[&Path], user: Option<User>) -> LabResult<()> {
    let Some(User { uid, gid }) = user else { return Ok(()) };
    for path in paths {
        chown(path, Some(uid), Some(gid)).map_err(|error| LabError::file(path, error))?;
    }
    Ok(())
}

/// Every folder above its own has to let PostgreSQL's user pass.
fn may_enter(own: &Path, user: Option<User>) -> LabResult<()> {
    use std::os::unix::fs::MetadataExt;
    let Some(user) = user else { return Ok(()) };
    let whole = fs::canonicalize(own).map_err(|error| LabError::file(own, error))?;
    for above in whole.ancestors().skip(1) {
        let it = fs::metadata(above).map_err(|error| LabError::file(above, error))?;
        let open = match () {
            () if it.uid() == user.uid => 0o100,
            () if it.gid() == user.gid => 0o010,
            () => 0o001,
        };
        if it.mode() & open == 0 {
            return Err(LabError::Bad(format!(
                "{} is closed to the user who runs PostgreSQL (uid {}), so that the lab cannot be in {}: take a folder \
                 elsewhere, or chmod o+x it",
                above.display(),
                user.uid,
                whole.display()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_ready_when_its_own_file_says_so() {
        let file = |state: &str| format!("4711\n/data\n17\n5432\n\n127.0.0.1\n  5432 1\n{state}\n");
        assert!(is_ready(&file("ready   "), 4711));
        assert!(!is_ready(&file("starting"), 4711));
        assert!(!is_ready(&file("ready   "), 4712), "of a life before");
        assert!(!is_ready("4711\n", 4711));
    }

    #[test]
    fn a_folder_that_its_user_cannot_enter_is_named() {
        let closed = tempfile::tempdir().unwrap();
        fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let own = closed.path().join("db");
        fs::create_dir(&own).unwrap();
        let stranger = Some(User { uid: 65_533, gid: 65_533 });
        let refused = may_enter(&own, stranger).unwrap_err().to_string();
        assert!(refused.contains("is closed to the user who runs PostgreSQL"), "{refused}");
        assert!(refused.starts_with(&*closed.path().to_string_lossy()), "{refused}");
        fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o711)).unwrap();
        may_enter(&own, stranger).unwrap();
        may_enter(&own, None).unwrap();
    }
}
