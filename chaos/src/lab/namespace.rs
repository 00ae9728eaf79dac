//! Network namespaces: one for the suite, one for each host.
//!
//! The suite first moves into a network and a mount namespace of its own. The names of hosts' namespaces and all mounts
//! are then seen by the suite and its processes alone, and the system removes them with the last of these: also
//! after a kill -9 nothing of the lab is left on the machine.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use tun_rs::{DeviceBuilder, SyncDevice};

use super::error::{LabError, LabResult};
use super::host::HostName;
use super::programs::program;
use super::record::Record;
use super::subnet::Subnet;
use super::tool::run;

/// Says that this process is where it should be: the network namespace that it came from.
const INSIDE: &str = "CHAOS_LAB_INSIDE";
const OWN_NETWORK: &str = "/proc/self/ns/net";
/// Where `ip netns` has the names of namespaces.
const NAMES: &str = "/run/netns";
/// As on Ethernet, so that a packet is what it is on a network.
const MTU: u16 = 1500;
/// Packets that wait for the relay. It must not be the one that loses them: no rule says so.
const QUEUE: &str = "10000";

/// What namespaces need that is not here; empty where they can be had.
pub fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push("root".to_owned());
    }
    if std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_err() {
        missing.push("/dev/net/tun".to_owned());
    }
    for (name, package) in [("ip", "iproute2"), ("unshare", "util-linux"), ("mount", "mount")] {
        if program(name).is_none() {
            missing.push(format!("{name} (apt-get install {package})"));
        }
    }
    missing
}

/// Whether this process is in namespaces of its own.
pub fn is_inside() -> bool {
    let came_from = std::env::var(INSIDE).ok().and_then(|it| it.parse::<u64>().ok());
    let here = std::fs::metadata(OWN_NETWORK).ok().map(|it| it.ino());
    came_from.is_some() && here.is_some() && came_from != here
}

/// Starts this program again, with its arguments, in namespaces of its own; to be called first of all, before any
/// thread runs. It returns where the process is inside already, or where namespaces cannot be had: then with what is
/// missing, and the lab is on loopback.
///
/// # Errors
/// The program cannot be started again.
pub fn enter() -> LabResult<Vec<String>> {
    let missing = missing();
    if is_inside() || !missing.is_empty() {
        return Ok(missing);
    }
    let failed = |error| LabError::io("entering a network namespace", error);
    let came_from = std::fs::metadata(OWN_NETWORK).map_err(failed)?.ino();
    let itself = std::env::current_exe().map_err(failed)?;
    let mut command = outside_in(&itself);
    command.args(std::env::args_os().skip(1)).env(INSIDE, came_from.to_string());
    Err(failed(command.exec()))
}

/// A program in namespaces of its own.
fn outside_in(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--propagation", "private", "--"]).arg(program);
    command
}

/// Makes the namespace a place for hosts: its loopback is up, and names of namespaces are its own.
async fn settle() -> LabResult<()> {
    run(["ip", "link", "set", "lo", "up"]).await?;
    std::fs::create_dir_all(NAMES).map_err(|error| LabError::file(Path::new(NAMES), error))?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")
        .map_err(|error| LabError::io("/proc/self/mountinfo", error))?;
    if !mounts.lines().any(|line| line.contains(" - tmpfs kiki-chaos ") && line.contains(NAMES)) {
        run(["mount", "-t", "tmpfs", "-o", "mode=755,size=64k", "kiki-chaos", NAMES]).await?;
    }
    Ok(())
}

/// The hosts of a lab, as they are on the network.
pub struct Hosts {
    pub subnet: Subnet,
    pub devices: Vec<(HostName, SyncDevice)>,
}

/// The name of a host's namespace.
pub fn name(run: &str, host: HostName) -> String {
    format!("kc-{run}-{host}")
}

/// Makes a namespace with an interface for every host; the suite's is where the suite is.
///
/// # Errors
/// The system does not make one: with what it said.
pub async fn make(
    record: &Record,
    run_name: &str,
    first: u64,
    hosts: &[HostName],
) -> LabResult<Hosts> {
    if !is_inside() {
        return Err(LabError::Bad("hosts need a suite in a namespace of its own".to_owned()));
    }
    settle().await?;
    let in_use = run(["ip", "-o", "-4", "addr"]).await?;
    let subnet = Subnet::free(first, &in_use)
        .ok_or_else(|| LabError::Bad("198.18.0.0/15 is full of labs".to_owned()))?;
    let mut devices = Vec::new();
    for host in hosts {
        let (link, address) = (subnet.interface(*host), format!("{}/24", subnet.address(*host)));
        record.note(|made| made.links.push(link.clone()))?;
        let device = DeviceBuilder::new().name(&link).mtu(MTU).enable(false).build_sync();
        let device =
            device.map_err(|error| LabError::io(format!("the interface of {host}"), error))?;
        let within: Vec<&str> = match host {
            HostName::Suite => vec!["ip"],
            _ => vec!["ip", "-n"],
        };
        let namespace = name(run_name, *host);
        let mut within = within;
        if *host != HostName::Suite {
            record.note(|made| made.namespaces.push(namespace.clone()))?;
            run(["ip", "netns", "add", &namespace]).await?;
            run(["ip", "link", "set", &link, "netns", &namespace]).await?;
            within.push(&namespace);
            run(within.iter().copied().chain(["link", "set", "lo", "up"])).await?;
        }
        run(within.iter().copied().chain(["addr", "add", &address, "dev", &link])).await?;
        let up = ["link", "set", &link, "txqueuelen", QUEUE, "up"];
        run(within.iter().copied().chain(up)).await?;
        devices.push((*host, device));
    }
    Ok(Hosts { subnet, devices })
}
