//! Processes that end, or stand still.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::error::{FaultError, FaultResult};
use super::family::{At, Doing, Family, Order, Prepared};
use super::left::{Left, Undoing};
use super::repeat::Repeat;
use super::{postgres, system};
use crate::experiment::fault::Fault;
use crate::experiment::pick::Process;
use crate::experiment::strikes::Struck;
use crate::lab::{Lab, ProcessId};

/// A signal is heard at once, but for who waits for a disk.
const HEARD: Duration = Duration::from_secs(5);
/// Longest time until what was ended serves again.
const SERVES: Duration = Duration::from_secs(90);
/// One that ends so often when it is started is not well.
const STARTS: u32 = 3;
const LOOK: Duration = Duration::from_millis(100);
/// Who is HAProxy.
const BALANCER: &str = "lb";

pub struct Processes;

impl Family for Processes {
    fn kinds(&self) -> &'static [&'static str] {
        &["kill", "pause", "restart_loop"]
    }

    fn prepare<'a>(&'a self, order: &'a Order) -> Doing<'a, Prepared> {
        Box::pin(async move {
            let names = names(order)?;
            let left = match &order.fault {
                Fault::Pause { .. } => vec![Left::Stopped { ids: ids(order, &names)? }],
                _ => names.iter().map(|name| Left::Dead { name: name.clone() }).collect(),
            };
            Ok(Prepared { target: names.join(", "), way: "signal".into(), struck: names, left })
        })
    }

    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async move {
            let order = &at.site.order;
            let names = &at.site.injected.struck;
            let lab = order.ground.lab(order.fault.kind())?;
            match &order.fault {
                Fault::Pause { .. } => {
                    let ids = recorded(at);
                    stop(&ids).await?;
                    at.site.struck(ids.len() as u64);
                }
                Fault::RestartLoop { every, .. } => {
                    for name in names {
                        let (at, name) = (at.clone(), name.clone());
                        at.clone().site.repeat(Repeat::every((*every).into(), move || {
                            let (at, name) = (at.clone(), name.clone());
                            async move { again(&at, &name).await }
                        }));
                    }
                }
                _ => {
                    let killed = names.iter().map(|name| lab.processes().kill(name));
                    let killed = futures_util::future::try_join_all(killed).await?;
                    at.site.struck(killed.len() as u64);
                }
            }
            Ok(())
        })
    }
}

/// The processes that a fault of this family and of limits names.
///
/// # Errors
/// No node was chosen.
pub fn names(order: &Order) -> FaultResult<Vec<String>> {
    match order.fault.struck() {
        Struck::Process(Process::Balancer) => Ok(vec![BALANCER.to_owned()]),
        _ => Ok(order.chosen.at("target.node")?.to_vec()),
    }
}

/// Those that run, as they are now.
///
/// # Errors
/// One is over, or there is none of this name.
pub fn ids(order: &Order, names: &[String]) -> FaultResult<Vec<ProcessId>> {
    let one = |name: &String| {
        let process = order.ground.process(order.fault.kind(), name)?;
        match process.alive {
            true => Ok(process.id),
            false => Err(FaultError::Bad(format!("{name} does not run"))),
        }
    };
    names.iter().map(one).collect()
}

/// Those that are written down as what will stand still.
pub fn recorded(at: &At) -> Vec<ProcessId> {
    let stopped = at.site.record().left.into_iter().filter_map(|left| match left {
        Left::Stopped { ids } => Some(ids),
        _ => None,
    });
    stopped.flatten().collect()
}

/// They stand still, and are seen to.
///
/// # Errors
/// One does not.
pub async fn stop(ids: &[ProcessId]) -> FaultResult<()> {
    signal(ids, Signal::STOP)?;
    // One that is over stands still, too.
    let still = || ids.iter().all(|id| system::is_stopped(*id) || !id.is_alive());
    match system::until(HEARD, still).await {
        true => Ok(()),
        false => Err(FaultError::Bad("a process does not stand still at SIGSTOP".to_owned())),
    }
}

/// They go on, but for those that another fault holds.
///
/// # Errors
/// One does not.
pub async fn go_on(ids: &[ProcessId], others: &[Left]) -> FaultResult<()> {
    let held = |id: &ProcessId| {
        others.iter().any(|it| matches!(it, Left::Stopped { ids } if ids.contains(id)))
    };
    let ids: Vec<ProcessId> = ids.iter().copied().filter(|id| !held(id)).collect();
    signal(&ids, Signal::CONT)?;
    match system::until(HEARD, || !ids.iter().any(|id| system::is_stopped(*id))).await {
        true => Ok(()),
        false => Err(FaultError::Bad("a process stands still after SIGCONT".to_owned())),
    }
}

/// Sends a signal to these and to nobody who has one's number today.
///
/// # Errors
/// The system does not allow it.
pub fn signal(ids: &[ProcessId], signal: Signal) -> FaultResult<()> {
    for id in ids {
        id.signal(signal)
            .map_err(|error| FaultError::io(format!("a signal to process {}", id.pid), error))?;
    }
    Ok(())
}

/// Killed and started, without waiting until it serves.
async fn again(at: &At, name: &str) {
    let kind = at.site.order.fault.kind();
    let done = async {
        let lab = at.ground().lab(kind)?;
        if lab.processes().is_alive(name) {
            lab.processes().kill(name).await?;
            at.site.struck(1);
        }
        lab.processes().restart(name).await?;
        Ok::<(), FaultError>(())
    };
    if let Err(error) = done.await {
        at.trouble(error);
    }
}

/// It runs and serves again, unless another fault holds it. Without a lab it has gone with the lab.
///
/// # Errors
/// It does not serve: with the end of its log.
pub async fn start(name: &str, on: &Undoing<'_>) -> FaultResult<()> {
    let Some(lab) = on.at.and_then(|at| at.ground().lab.as_ref()) else { return Ok(()) };
    let held = |it: &Left| matches!(it, Left::Dead { name: other } if other == name);
    if on.others.iter().any(held) {
        return Ok(());
    }
    serve(lab, name).await
}

/// One that runs may be about to end, as PostgreSQL that cannot recover: then it is started after all.
async fn serve(lab: &Lab, name: &str) -> FaultResult<()> {
    let deadline = Instant::now() + SERVES;
    let mut starts = 0;
    loop {
        let ready = match lab.processes().is_alive(name) {
            true => lab.wait_ready(name).await,
            false => {
                starts += 1;
                lab.restart(name).await
            }
        };
        match ready {
            Ok(()) if name != postgres::NAME || postgres::answers(lab).await? => {
                // Who survived the fault is not to end by it any more.
                lab.processes().expect_life(name)?;
                return Ok(());
            }
            Err(error) if lab.processes().is_alive(name) || starts >= STARTS => {
                return Err(error.into());
            }
            Ok(()) => {}
            Err(error) => tracing::info!("{name} is started again: {error}"),
        }
        if Instant::now() > deadline {
            return Err(FaultError::Bad(format!(
                "{name} does not serve within {} s",
                SERVES.as_secs()
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}
