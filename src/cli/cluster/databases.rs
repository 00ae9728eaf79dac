//! PostgreSQL and Redis of a cluster on one machine.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt, fchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::super::exit::CliError;
use super::super::files::named;
use super::children::{Children, Id};
use super::folder::Folder;
use super::private;
use super::programs::{Programs, User};
use super::up::shell_word;

/// Time to make PostgreSQL's files.
const INIT: Duration = Duration::from_secs(120);
/// Time until they serve, after a crash too.
const START: Duration = Duration::from_secs(60);
/// Bytes of the longest path of a socket, with its end.
const SOCKET_PATH_MAX: usize = 107;

/// A database that runs, as nodes reach it.
pub struct Postgres {
    pub id: Id,
    pub url: Zeroizing<String>,
    /// Where its password is.
    pub password_file: PathBuf,
    /// The words of a shell that start it once more.
    pub again: String,
}

/// Starts PostgreSQL in the folder; its files are made where there are none.
///
/// # Errors
/// It does not start: the error has what it said.
pub async fn postgres(
    children: &mut Children,
    folder: &Folder,
    programs: &Programs,
    port: u16,
) -> Result<Postgres, CliError> {
    let own = folder.within("postgres")?;
    let user = programs.postgres_user;
    let password_file = own.join("password");
    give(&own, OFlags::DIRECTORY, user)?;
    let password = private::secret(&password_file)?;
    give(&password_file, OFlags::empty(), user)?;
    let (data, log) = (own.join("db"), folder.join("postgres.log"));
    let run_as = |program: &Path| {
        let mut command = bare(program);
        command.current_dir(&own).env("LC_ALL", "C");
        if let Some(User { uid, gid }) = user {
            // The groups of root are given up with it.
            command.uid(uid).gid(gid);
        }
        command
    };
    if !data.exists() {
        // Moved to its place when it is whole: what was cut short is made anew.
        let draft = own.join("db.draft");
        if draft.exists() {
            fs::remove_dir_all(&draft).map_err(|error| named(&draft, error))?;
        }
        let mut command = run_as(&programs.initdb);
        command.arg("-D").arg(&draft).args(["-U", "kiki", "-A", "scram-sha-256"]);
        command.arg("--pwfile").arg(&password_file).args(["-E", "UTF8", "--locale=C"]);
        let id = children.start("initdb", command, &log)?;
        let made = tokio::time::timeout(INIT, children.finished(id)).await;
        made.map_err(|_| {
            CliError::failed(format!("initdb takes longer than {} s", INIT.as_secs()))
        })??;
        fs::rename(&draft, &data).map_err(|error| named(&data, error))?;
    }
    let mut command = run_as(&programs.postgres);
    command.arg("-D").arg(&data).arg("-p").arg(port.to_string()).arg("-k").arg(sockets(&own));
    for setting in [
        "listen_addresses=127.0.0.1",
        "max_connections=200",
        "shared_buffers=64MB",
        "logging_collector=off",
    ] {
        command.args(["-c", setting]);
    }
    let again = again(&command, user);
    let id = children.start("postgres", command, &log)?;
    let (pid, status) = (children.pid(id), data.join("postmaster.pid"));
    let serves = || {
        let said = fs::read_to_string(&status).is_ok_and(|text| is_ready(&text, pid));
        std::future::ready(said)
    };
    children.until(id, START, serves).await?;
    let url = format!("postgres://kiki:{}@127.0.0.1:{port}/postgres", password.as_str());
    Ok(Postgres { id, url: Zeroizing::new(url), password_file, again })
}

/// Where the socket is: in the folder, unless the path would be too long for one; then there is none.
fn sockets(folder: &Path) -> &OsStr {
    let name = "/.s.PGSQL.65535.lock".len();
    match folder.as_os_str().len() + name < SOCKET_PATH_MAX {
        true => folder.as_os_str(),
        false => OsStr::new(""),
    }
}

/// Whether `postmaster.pid` says that this process takes connections: its id is in the first line, its state
/// in the eighth.
fn is_ready(text: &str, pid: u32) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}

/// Gives a file or folder to who runs PostgreSQL, where that is somebody else. Who owns the folder by then could put a link
/// in its place: what is given is what was opened and looked at, and never where a link leads.
///
/// # Errors
/// It is a link, another kind of file, has another name too, or is neither of who runs this nor of that user.
fn give(path: &Path, kind: OFlags, user: Option<User>) -> Result<(), CliError> {
    let Some(User { uid, gid }) = user else { return Ok(()) };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | kind;
    let open = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        Errno::LOOP | Errno::NOTDIR => {
            named(path, "is a link, or no folder: nothing is given away through it")
        }
        error => named(path, error),
    });
    let open = File::from(open?);
    let it = open.metadata().map_err(|error| named(path, error))?;
    if ![rustix::process::geteuid().as_raw(), uid].contains(&it.uid()) {
        return Err(named(path, "is somebody else's: it is not given away"));
    }
    if !(it.is_dir() || it.is_file() && it.nlink() == 1) {
        return Err(named(path, "is no file of its own: it is not given away"));
    }
    fchown(&open, Some(uid), Some(gid)).map_err(|error| named(path, error))
}

/// The words of a shell that start a program once more, from any folder.
fn again(command: &Command, user: Option<User>) -> String {
    let word = |text: &OsStr| shell_word(&text.to_string_lossy());
    let mut words = Vec::new();
    if let Some(User { uid, gid }) = user {
        words.push(format!("setpriv --reuid={uid} --regid={gid} --clear-groups"));
    }
    if command.get_envs().any(|(name, value)| name == "LC_ALL" && value.is_some()) {
        words.push("env LC_ALL=C".to_owned());
    }
    words.push(word(command.get_program()));
    words.extend(command.get_args().map(word));
    let folder = command.get_current_dir().unwrap_or(Path::new("."));
    format!("(cd {} && {})", word(folder.as_os_str()), words.join(" "))
}

/// Redis that runs, as nodes reach it.
pub struct Redis {
    pub id: Id,
    pub port: u16,
    pub password: Zeroizing<String>,
    /// The words of a shell that start it once more.
    pub again: String,
}

/// Starts Redis, which keeps nothing over its end.
///
/// # Errors
/// It does not start: the error has what it said.
pub async fn redis(
    children: &mut Children,
    folder: &Folder,
    program: &Path,
    port: u16,
) -> Result<Redis, CliError> {
    let own = folder.within("redis")?;
    let password = private::secret(&own.join("password"))?;
    let file = own.join("redis.conf");
    private::put(&file, &Zeroizing::new(redis_conf(port, &password)))?;
    let mut command = bare(program);
    command.arg(&file).current_dir(&own);
    let again = again(&command, None);
    let id = children.start("redis", command, &folder.join("redis.log"))?;
    let serves = async || tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok();
    children.until(id, START, serves).await?;
    Ok(Redis { id, port, password, again })
}

/// Passwords are no words of a command line: everybody on the machine sees those.
fn redis_conf(port: u16, password: &str) -> String {
    format!(
        "port {port}\nbind 127.0.0.1\nprotected-mode yes\nrequirepass {password}\nsave \"\"\n\
         appendonly no\ndaemonize no\n"
    )
}

/// A program with nothing of this process's environment but where programs and people's files are.
pub fn bare(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in ["PATH", "HOME", "LANG", "TZ", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgres_is_ready_when_its_own_file_says_so() {
        let file = |state: &str| {
            format!("4711\n/data\n1700000000\n5432\n/sockets\n127.0.0.1\n  5432 1\n{state}\n")
        };
        assert!(is_ready(&file("ready   "), 4711));
        assert!(!is_ready(&file("starting"), 4711));
        assert!(!is_ready(&file("ready   "), 4712), "of a life before");
        assert!(!is_ready("4711\n", 4711));
    }

    #[test]
    fn nothing_is_given_away_that_is_a_link_or_somebody_else_s() {
        let folder = tempfile::tempdir().unwrap();
        let (me, group) = (rustix::process::geteuid(), rustix::process::getegid());
        let user = Some(User { uid: me.as_raw(), gid: group.as_raw() });
        let own = folder.path().join("postgres");
        fs::create_dir(&own).unwrap();
        give(&own, OFlags::DIRECTORY, user).unwrap();
        let file = own.join("password");
        fs::write(&file, "secret").unwrap();
        give(&file, OFlags::empty(), user).unwrap();

        let refused = |path: &Path, kind| give(path, kind, user).unwrap_err().message;
        let (link, link_of_file) = (folder.path().join("link"), own.join("link"));
        std::os::unix::fs::symlink(&own, &link).unwrap();
        std::os::unix::fs::symlink(&file, &link_of_file).unwrap();
        assert!(refused(&link, OFlags::DIRECTORY).contains("is a link"));
        assert!(refused(&link_of_file, OFlags::empty()).contains("is a link"));
        fs::hard_link(&file, own.join("other")).unwrap();
        assert!(refused(&file, OFlags::empty()).contains("no file of its own"));
        let nobody = Some(User { uid: 65_534, gid: 65_534 });
        let theirs = give(Path::new("/proc/1"), OFlags::DIRECTORY, nobody);
        if !me.is_root() {
            assert!(theirs.unwrap_err().message.contains("somebody else's"));
        }
    }

    #[test]
    fn what_is_started_again_is_a_command_of_a_shell() {
        let mut command = Command::new("/usr/bin/postgres");
        command.args(["-D", "/a b/db", "-k", ""]).current_dir("/a b").env("LC_ALL", "C");
        let user = Some(User { uid: 7, gid: 8 });
        assert_eq!(
            again(&command, user),
            "(cd '/a b' && setpriv --reuid=7 --regid=8 --clear-groups env LC_ALL=C /usr/bin/postgres -D '/a b/db' -k '')"
        );
        let mut command = Command::new("redis-server");
        command.arg("redis.conf").current_dir("/c/redis");
        assert_eq!(again(&command, None), "(cd /c/redis && redis-server redis.conf)");
    }

    #[test]
    fn a_path_too_long_for_a_socket_has_none() {
        assert_eq!(sockets(Path::new("/tmp/c/postgres")), "/tmp/c/postgres");
        assert_eq!(sockets(Path::new(&format!("/{}", "d".repeat(90)))), "");
    }

    #[test]
    fn redis_listens_on_this_machine_with_a_password() {
        let text = redis_conf(7001, "secret");
        for line in ["port 7001", "bind 127.0.0.1", "requirepass secret"] {
            assert!(text.lines().any(|it| it == line), "{text}");
        }
    }
}
