//! `fsync` that fails or takes its time: a tracer (strace) that answers in the kernel's place.
//!
//! A tracer stops its process at every call, so that all of the process is slower while it is traced. The tracer ends
//! by itself when the fault's time is over, whatever becomes of the suite.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rand::RngExt;
use rustix::process::Signal;
use tokio::process::Command;

use super::disk;
use super::error::{FaultError, FaultResult};
use super::family::{At, Doing, Family, Order, Prepared};
use super::left::Left;
use super::system::{self, MARK};
use crate::experiment::fault::Fault;
use crate::lab::programs::program;
use crate::lab::{HostName, ProcessId};

const CALLS: &str = "fsync,fdatasync";
const PATIENCE: Duration = Duration::from_secs(10);
/// Who is started while a tracer comes is found in the next round.
const ROUNDS: usize = 5;
const SAID_MAX: usize = 500;

pub struct Calls;

impl Family for Calls {
    fn kinds(&self) -> &'static [&'static str] {
        &["fsync_error", "disk_slow"]
    }

    fn prepare<'a>(&'a self, order: &'a Order) -> Doing<'a, Prepared> {
        Box::pin(async move {
            for (name, package) in [("strace", "strace"), ("timeout", "coreutils")] {
                if program(name).is_none() {
                    return Err(FaultError::NotPossible {
                        what: order.fault.kind().to_owned(),
                        missing: format!("{name} is not installed"),
                        package: Some(package),
                    });
                }
            }
            let (mut left, mut struck) = (Vec::new(), Vec::new());
            for (name, host) in disk::hosts(order)? {
                let process = order.ground.process(order.fault.kind(), &name)?;
                let mut of = vec![process.id];
                if host == HostName::Database {
                    left.push(Left::Dead { name: name.clone() });
                    of.extend(system::children(process.id));
                }
                let mark = format!("{:032x}", rand::rng().random::<u128>());
                let log = format!("logs/calls-{:03}-{name}.txt", order.number);
                left.push(Left::Tracer { mark, of, log: order.ground.folder.join(log) });
                struck.push(name);
            }
            Ok(Prepared {
                target: format!("the disk of {}", struck.join(", ")),
                way: "strace".into(),
                struck,
                left,
            })
        })
    }

    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async move {
            let order = &at.site.order;
            let lab = order.ground.lab(order.fault.kind())?;
            let inject = inject(&order.fault)?;
            for left in at.site.record().left {
                match left {
                    // It may end over it.
                    Left::Dead { name } => lab.processes().expect_end(&name)?,
                    Left::Tracer { mark, of, log } => {
                        attach(&inject, &mark, &of, &log, order.ttl).await?;
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }
}

fn inject(fault: &Fault) -> FaultResult<String> {
    match fault {
        // Counted by the tracer for each process of its own.
        Fault::FsyncError { every, .. } => Ok(format!("{CALLS}:error=EIO:when={every}+{every}")),
        Fault::DiskSlow { delay, .. } => Ok(format!("{CALLS}:delay_exit={}", delay.as_micros())),
        other => Err(FaultError::Bad(format!("{} is no fault of calls", other.kind()))),
    }
}

/// Traces these processes, and those that they start.
async fn attach(
    inject: &str,
    mark: &str,
    of: &[ProcessId],
    log: &Path,
    ttl: Duration,
) -> FaultResult<()> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).map_err(|error| FaultError::file(folder, error))?;
    }
    let mut missed = of.to_vec();
    for round in 0..ROUNDS {
        trace(inject, mark, &missed, &part(log, round), ttl)?;
        let held = || missed.iter().all(|id| system::is_traced(*id) || !id.is_alive());
        if !system::until(PATIENCE, held).await {
            let said = fs::read_to_string(part(log, round).with_extension("said"));
            let said: String = said.unwrap_or_default().chars().take(SAID_MAX).collect();
            return Err(FaultError::not_possible("tracing a process", said.trim()));
        }
        let children = of.iter().flat_map(|id| system::children(*id));
        missed = children.filter(|id| !system::is_traced(*id) && id.is_alive()).collect();
        if missed.is_empty() {
            return Ok(());
        }
    }
    Err(FaultError::Bad("processes are started faster than they can be traced".to_owned()))
}

fn trace(inject: &str, mark: &str, of: &[ProcessId], log: &Path, ttl: Duration) -> FaultResult<()> {
    let said = log.with_extension("said");
    let said = File::create(&said).map_err(|error| FaultError::file(&said, error))?;
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", &format!("{:.3}", ttl.as_secs_f64().max(1.0))]);
    command.args(["strace", "-f", "-qq", "-e", "signal=none", "-e", &format!("trace={CALLS}")]);
    command.args(["-e", &format!("inject={inject}"), "-o"]).arg(log);
    for id in of {
        command.args(["-p", &id.pid.to_string()]);
    }
    command.env(MARK, mark).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
    let child = command.process_group(0).spawn();
    let mut child = child.map_err(|error| FaultError::io("strace", error))?;
    // Its end is seen by its mark; here it is only taken from the system's list.
    tokio::spawn(async move { child.wait().await });
    Ok(())
}

/// What each round writes.
fn part(log: &Path, round: usize) -> PathBuf {
    match round {
        0 => log.to_owned(),
        round => log.with_extension(format!("{round}.txt")),
    }
}

/// Tells tracers to end.
pub fn end(mark: &str, told: Signal) {
    for id in system::marked(mark) {
        // One that is over is what is wanted.
        _ = id.signal(told);
    }
}

/// Nobody is traced any more. How many calls failed or waited.
///
/// # Errors
/// A tracer stays.
pub async fn detach(mark: &str, of: &[ProcessId], log: &Path) -> FaultResult<u64> {
    for told in [Signal::TERM, Signal::KILL] {
        end(mark, told);
        let gone = || system::marked(mark).is_empty();
        if system::until(PATIENCE / 2, gone).await {
            let free = || !of.iter().any(|id| system::is_traced(*id));
            return match system::until(PATIENCE, free).await {
                true => Ok((0..ROUNDS).map(|round| struck(&part(log, round))).sum()),
                false => Err(FaultError::Bad("a process is still traced".to_owned())),
            };
        }
    }
    Err(FaultError::Bad("strace does not end".to_owned()))
}

/// Lines of a trace that tell of a call that was struck.
fn struck(log: &Path) -> u64 {
    let Ok(file) = File::open(log) else { return 0 };
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    let is_struck = |line: &Vec<u8>| line.ends_with(b"(INJECTED)") || line.ends_with(b"(DELAYED)");
    lines.filter(is_struck).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_fail_while_a_tracer_is_there_and_not_afterwards() {
        if program("strace").is_none() {
            return eprintln!("skipped: strace is not installed");
        }
        let folder = tempfile::tempdir().unwrap();
        let text = "while :; do if sync -d \"$0/f\" 2>/dev/null; then : > \"$0/good\"; else : > \"$0/bad\"; fi; sleep 0.02; done";
        fs::write(folder.path().join("f"), "x").unwrap();
        let mut child =
            std::process::Command::new("sh").args(["-c", text]).arg(folder.path()).spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        let (mark, log) = (format!("calls-{}", child.id()), folder.path().join("logs/calls.txt"));
        let seen = async |name: &str| {
            let file = folder.path().join(name);
            _ = fs::remove_file(&file);
            system::until(Duration::from_secs(10), || file.exists()).await
        };
        assert!(seen("good").await);
        attach(&format!("{CALLS}:error=EIO"), &mark, &[id], &log, Duration::from_secs(30))
            .await
            .unwrap();
        assert!(seen("bad").await && system::is_traced(id));
        assert!(detach(&mark, &[id], &log).await.unwrap() > 0);
        assert!(!system::is_traced(id) && seen("good").await);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(detach(&mark, &[id], &log).await.is_ok());
    }
}
