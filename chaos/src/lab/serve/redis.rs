//! Redis of a lab, which keeps nothing over its end.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use super::super::error::LabResult;
use super::super::host::HostName;
use super::super::process::Spec;
use super::super::processes::Processes;
use super::super::programs::Programs;
use super::super::record;
use super::{folder, ready, secret};

pub const NAME: &str = "redis";
const START: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub struct Redis {
    pub port: u16,
    pub password: String,
}

/// Starts Redis; `reach` is where the suite finds it.
///
/// # Errors
/// It does not start: with the end of its log.
pub async fn start(
    processes: &Processes,
    programs: &Programs,
    own: &Path,
    log: &Path,
    at: (Ipv4Addr, u16),
    reach: SocketAddrV4,
) -> LabResult<Redis> {
    let own = folder(own)?;
    let password = secret();
    let file = own.join("redis.conf");
    record::put(&file, text(at, &password).as_bytes())?;
    let spec = Spec {
        name: NAME.to_owned(),
        host: HostName::Redis,
        program: programs.redis.clone(),
        args: vec![file.into()],
        env: Vec::new(),
        folder: own,
        log: log.to_owned(),
        user: None,
        stop: Signal::TERM,
        grace: Duration::from_secs(5),
        clock: None,
    };
    processes.spawn(spec).await?;
    wait(processes, reach).await?;
    Ok(Redis { port: at.1, password })
}

/// Waits until Redis answers. A proxy in between takes connections also where nobody is behind it.
///
/// # Errors
/// It does not answer: with the end of its log.
pub async fn wait(processes: &Processes, reach: SocketAddrV4) -> LabResult<()> {
    ready::until(processes, NAME, START, || async move { answers(reach).await.unwrap_or(false) })
        .await
}

async fn answers(at: SocketAddrV4) -> std::io::Result<bool> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(at).await?;
    stream.write_all(b"PING\r\n").await?;
    // It wants a password first, and says so: it is there.
    Ok(stream.read(&mut [0; 16]).await? > 0)
}

/// Passwords are no words of a command line: everybody on the machine sees those.
fn text(at: (Ipv4Addr, u16), password: &str) -> String {
    format!(
        "bind {}\nport {}\nprotected-mode yes\nrequirepass {password}\nsave \"\"\nappendonly no\ndaemonize no\n",
        at.0, at.1
    )
}
