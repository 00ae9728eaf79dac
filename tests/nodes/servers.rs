//! Servers of PostgreSQL and Redis that one test has for itself, to stop and start them.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AnyConnection, Connection};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const STARTS_WITHIN: Duration = Duration::from_secs(30);
const STOPS_WITHIN: Duration = Duration::from_secs(20);

/// Where a program is: on the PATH, or in the folder of the newest PostgreSQL.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

/// A process that ends with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().expect("it starts"))
    }

    /// Tells it to stop; whether it did.
    fn stop(&mut self, signal: Signal) -> bool {
        let began = Instant::now();
        if matches!(self.0.try_wait(), Ok(None)) {
            // It may end by itself meanwhile.
            let _ = kill_process(Pid::from_child(&self.0), signal);
        }
        while matches!(self.0.try_wait(), Ok(None)) {
            if began.elapsed() > STOPS_WITHIN {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Postgres {
    running: Running,
    folder: TempDir,
    program: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
}

impl Postgres {
    /// Makes a server and starts it.
    ///
    /// # Errors
    /// Why there can be none here.
    pub async fn start() -> Result<Postgres, String> {
        let found = program("initdb").zip(program("postgres"));
        let (initdb, program) = found.ok_or("initdb and postgres are not installed")?;
        let user = match rustix::process::geteuid().is_root() {
            // It does not run as root.
            true => Some(user().ok_or("there is neither a user postgres nor nobody")?),
            false => None,
        };
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        if let Some((uid, gid)) = user {
            let open = std::fs::Permissions::from_mode(0o711);
            let opened = std::fs::set_permissions(folder.path(), open);
            let own = folder.path().join("own");
            let made = opened.and_then(|()| std::fs::create_dir(&own));
            made.and_then(|()| chown(&own, Some(uid), Some(gid))).map_err(|e| e.to_string())?;
        } else {
            std::fs::create_dir(folder.path().join("own")).map_err(|e| e.to_string())?;
        }
        let own = folder.path().join("own");
        let mut make = run_as(&initdb, user, &own);
        make.arg("-D").arg(own.join("db")).args(["-U", "kiki", "-A", "trust", "-E", "UTF8"]);
        let made = make.args(["--locale=C", "--no-sync"]).output().map_err(|e| e.to_string())?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned());
        }
        let port = free_port();
        let running = Postgres::run(&program, user, &own, port);
        let server = Postgres { running, folder, program, user, port };
        server.takes_connections().await;
        Ok(server)
    }

    fn run(program: &Path, user: Option<(u32, u32)>, own: &Path, port: u16) -> Running {
        let mut command = run_as(program, user, own);
        command.arg("-D").arg(own.join("db")).arg("-p").arg(port.to_string());
        command.args(["-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", "max_connections=200", "-c", "shared_buffers=64MB"]);
        Running::start(&mut command)
    }

    pub fn url(&self) -> String {
        format!("postgres://kiki@127.0.0.1:{}/postgres", self.port)
    }

    /// Waits until somebody can do something in it.
    pub async fn takes_connections(&self) {
        sqlx::any::install_default_drivers();
        let began = Instant::now();
        while AnyConnection::connect(&self.url()).await.is_err() {
            assert!(began.elapsed() < STARTS_WITHIN, "PostgreSQL does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The fast shutdown: connections are cut.
    pub fn stop(&mut self) {
        assert!(self.running.stop(Signal::INT), "PostgreSQL does not stop");
    }

    /// Starts it where it was.
    pub fn again(&mut self) {
        let own = self.folder.path().join("own");
        self.running = Postgres::run(&self.program, self.user, &own, self.port);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Not killed: its own processes would stay for a while.
        self.running.stop(Signal::INT);
    }
}

fn run_as(program: &Path, user: Option<(u32, u32)>, own: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").current_dir(own);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

fn user() -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let named = |name: &str| {
        let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let line = lines.find(|fields| fields.len() > 3 && fields[0] == name)?;
        Some((line[2].parse().ok()?, line[3].parse().ok()?))
    };
    named("postgres").or_else(|| named("nobody"))
}

pub struct Redis {
    running: Running,
    program: PathBuf,
    pub port: u16,
}

impl Redis {
    /// `None` where the tests have none.
    pub async fn start() -> Option<Redis> {
        let named = std::env::var_os("KIKI_TEST_REDIS_URL").and_then(|_| program("redis-server"));
        let Some(program) = named else {
            eprintln!("skipped: KIKI_TEST_REDIS_URL is not set, or there is no redis-server");
            return None;
        };
        let port = free_port();
        let redis = Redis { running: Redis::run(&program, port), program, port };
        redis.takes_connections().await;
        Some(redis)
    }

    fn run(program: &Path, port: u16) -> Running {
        let mut command = Command::new(program);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        Running::start(command.args(["--appendonly", "no", "--daemonize", "no"]))
    }

    pub async fn takes_connections(&self) {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            assert!(began.elapsed() < STARTS_WITHIN, "Redis does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Forgets all.
    pub async fn flush(&self) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("Redis");
        stream.write_all(b"FLUSHALL\r\n").await.expect("sent");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"+OK\r\n");
    }

    pub fn stop(&mut self) {
        assert!(self.running.stop(Signal::TERM), "Redis does not stop");
    }

    pub fn again(&mut self) {
        self.running = Redis::run(&self.program, self.port);
    }
}
