//! `kiki-chaos lab`: a lab for people, until they have seen enough.

use std::io::{self, Write};
use std::time::Instant;

use super::error::{LabError, LabResult};
use super::{Lab, LabSpec};

/// Opens a lab, prints where everything is, and closes it at Ctrl-C or SIGTERM. Ends that nobody ordered are told.
///
/// # Errors
/// The lab cannot be opened or closed.
pub async fn show(spec: LabSpec) -> LabResult<()> {
    let failed = |error| LabError::io("waiting for signals", error);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(failed)?;
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
        .map_err(failed)?;
    let began = Instant::now();
    let folder = spec.folder.clone();
    let opened = tokio::select! {
        opened = Lab::open(spec) => Some(opened?),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    let Some(lab) = opened else {
        return super::heal(&folder).await.map(drop);
    };
    let mut out = io::stdout();
    let told = about(&lab).and_then(|text| {
        let seconds = began.elapsed().as_secs_f64();
        let written = writeln!(out, "{text}ready in {seconds:.1} s; stop with Ctrl-C");
        written.map_err(|error| LabError::io("standard output", error))
    });
    let mut known = 0;
    while told.is_ok() {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
        }
        let died = lab.died();
        for one in &died[known..] {
            // Nobody may read any more, and the lab is closed just the same.
            let _ = writeln!(
                out,
                "{} (pid {}) ended: {}\n{}",
                one.name, one.id.pid, one.status, one.said
            );
        }
        known = died.len();
    }
    let closed = lab.close().await;
    told.and(closed)
}

/// Where everything is.
fn about(lab: &Lab) -> LabResult<String> {
    let front = lab.balancer();
    let mut out = format!(
        "run {}: network by {}, folder {}\n\n{:<8} {:<8} {:<28} {:<28} {:<28} {:<22} {:<28} ADMIN\n",
        lab.run(),
        lab.network().what(),
        lab.folder().display(),
        "NAME",
        "PID",
        "SHIELD",
        "VALUE",
        "FLOW",
        "GRPC",
        "HEALTH"
    );
    let rows =
        lab.nodes().iter().map(|node| (node.name.as_str(), &node.urls)).chain([("lb", front)]);
    for (name, urls) in rows {
        let pid = lab.process(name).map(|it| it.id.pid).unwrap_or_default();
        out += &format!(
            "{name:<8} {pid:<8} {:<28} {:<28} {:<28} {:<22} {:<28} {}\n",
            urls.shield, urls.value, urls.flow, urls.grpc, urls.health, urls.admin
        );
    }
    let (redis, password) = lab.redis()?;
    out += &format!("\ndatabase: {}\nredis: {redis}, password {password}\n", lab.database()?);
    if lab.network().what() == "relay" {
        let suite = std::process::id();
        out += &format!(
            "reach these addresses from the suite's namespace: nsenter --net --mount -t {suite} COMMAND\n"
        );
    }
    Ok(out)
}
