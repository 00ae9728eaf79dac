//! The trials. What changes the system's network or mounts does so in namespaces of its own, which end with the trial.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Capability;
use crate::lab::clock::{self, Clock};
use crate::lab::programs::{faketime, postgres_program, program};
use crate::lab::{LabError, LabResult, tool};

/// Longest time of one trial.
const PATIENCE: Duration = Duration::from_secs(15);

/// A trial by a shell script; `$1` is a folder of its own.
struct Script {
    name: &'static str,
    /// A program that it needs, with the package that has it.
    needs: &'static str,
    package: Option<&'static str>,
    /// In a network and a mount namespace of its own.
    inside: bool,
    text: &'static str,
    instead: &'static str,
}

const LOOPBACK: &str = "loopback, with proxies of TCP between hosts";
const RELAY: &str =
    "the relay of the suite, which does it to every packet by seed and does not use this";
const NO_FAULT: &str = "none: experiments that want it are refused";

const SCRIPTS: [Script; 12] = [
    Script {
        name: "network namespaces",
        needs: "ip",
        package: Some("iproute2"),
        inside: true,
        text: "ip link set lo up && mkdir -p /run/netns && mount -t tmpfs kc /run/netns && ip netns add kc-probe && ip netns exec kc-probe true",
        instead: LOOPBACK,
    },
    Script {
        name: "TUN",
        needs: "ip",
        package: Some("iproute2"),
        inside: true,
        text: "ip tuntap add dev kcprobe mode tun && ip link set kcprobe up",
        instead: LOOPBACK,
    },
    Script {
        name: "veth",
        needs: "ip",
        package: Some("iproute2"),
        inside: true,
        text: "ip link add kcprobe0 type veth peer name kcprobe1",
        instead: RELAY,
    },
    Script {
        name: "tc netem",
        needs: "tc",
        package: Some("iproute2"),
        inside: true,
        text: "tc qdisc add dev lo root netem delay 1ms",
        instead: RELAY,
    },
    Script {
        name: "tc tbf",
        needs: "tc",
        package: Some("iproute2"),
        inside: true,
        text: "tc qdisc add dev lo root tbf rate 1mbit burst 32kbit latency 50ms",
        instead: RELAY,
    },
    Script {
        name: "nft",
        needs: "nft",
        package: Some("nftables"),
        inside: true,
        text: "nft add table inet kc && nft 'add chain inet kc c { type filter hook input priority 0; }' && nft add rule inet kc c drop",
        instead: RELAY,
    },
    Script {
        name: "tmpfs",
        needs: "mount",
        package: Some("mount"),
        inside: true,
        text: "mount -t tmpfs -o size=1m kc \"$1\" && ! head -c 2m /dev/zero 2>/dev/null > \"$1/full\"",
        instead: "none: disks cannot be full",
    },
    Script {
        name: "remount read-only",
        needs: "mount",
        package: Some("mount"),
        inside: true,
        text: "mount -t tmpfs kc \"$1\" && mount -o remount,ro \"$1\" && ! touch \"$1/f\" 2>/dev/null",
        instead: "none: disks cannot become read-only",
    },
    Script {
        name: "strace with faults",
        needs: "strace",
        package: Some("strace"),
        inside: false,
        // The process writes until that fails, or so often.
        text: "sh -c 'n=0; while [ $n -lt 300000 ]; do echo > \"$0/f\" || exit 7; n=$((n+1)); done' \"$1\" 2>/dev/null & p=$!; \
               timeout 5 strace -f -q -p $p -o \"$1/trace\" -e trace=openat -e inject=openat:error=ENOSPC 2>\"$1/said\" & \
               wait $p; r=$?; wait; test $r = 7 || { cat \"$1/said\" >&2; exit 1; }",
        instead: "none: calls of the system cannot fail on order",
    },
    Script {
        name: "prlimit",
        needs: "prlimit",
        package: Some("util-linux"),
        inside: false,
        text: "timeout 5 sleep 5 & p=$!; prlimit --pid $p --nofile=64:64 && grep -q 'open files  *64 ' /proc/$p/limits; r=$?; kill $p; exit $r",
        instead: NO_FAULT,
    },
    Script {
        name: "cgroup v2",
        needs: "sh",
        package: None,
        inside: false,
        text: "d=/sys/fs/cgroup/kiki-chaos-probe-$$; test -e /sys/fs/cgroup/cgroup.controllers || { echo no cgroup v2 at /sys/fs/cgroup >&2; exit 1; }; \
               mkdir $d || exit 1; timeout 5 sleep 5 & p=$!; echo $p > $d/cgroup.procs; r=$?; \
               kill $p; wait $p; rmdir $d && exit $r",
        instead: "SIGSTOP and SIGCONT in turns for less processor time, prlimit for less memory",
    },
    Script {
        name: "end with the suite",
        needs: "setpriv",
        package: Some("util-linux"),
        inside: false,
        text: "setpriv --pdeathsig KILL -- true",
        instead: "none: a lab cannot be opened",
    },
];

/// All trials, those that do not need each other at once.
pub async fn all(folder: &Path, binary: Option<&Path>) -> Vec<Capability> {
    let is_root = rustix::process::geteuid().is_root();
    let why = if is_root { "" } else { "the suite runs as another user" };
    let mut rows = vec![row("root", why.to_owned(), None, LOOPBACK)];
    let scripts = SCRIPTS.iter().enumerate().map(|(n, it)| script(it, folder.join(n.to_string())));
    rows.extend(futures_util::future::join_all(scripts).await);
    rows.push(own_clock(folder).await);
    rows.push(libfaketime(folder, binary).await);
    for (name, found, package) in [
        (
            "PostgreSQL",
            postgres_program("postgres").filter(|_| postgres_program("initdb").is_some()),
            "postgresql",
        ),
        ("Redis", program("redis-server"), "redis-server"),
        ("HAProxy", program("haproxy"), "haproxy"),
    ] {
        rows.push(server(name, found, package).await);
    }
    rows
}

fn row(
    name: &'static str,
    missing: String,
    package: Option<&'static str>,
    instead: &'static str,
) -> Capability {
    let package = package.filter(|_| !missing.is_empty());
    Capability { name, possible: missing.is_empty(), missing, package, instead }
}

async fn script(script: &Script, folder: PathBuf) -> Capability {
    if program(script.needs).is_none() {
        return row(
            script.name,
            format!("{} is not installed", script.needs),
            script.package,
            script.instead,
        );
    }
    let mut words: Vec<&OsStr> = Vec::new();
    if script.inside {
        words.extend(
            ["unshare", "--net", "--mount", "--propagation", "private", "--"].map(OsStr::new),
        );
    }
    words.extend(["sh", "-c", script.text, "sh"].map(OsStr::new));
    words.push(folder.as_os_str());
    let tried = match std::fs::create_dir(&folder) {
        Ok(()) => within(tool::run(words)).await,
        Err(error) => Err(LabError::file(&folder, error)),
    };
    row(script.name, why_not(tried), None, script.instead)
}

/// The result of a trial, which must not take for ever.
async fn within<T>(trial: impl Future<Output = LabResult<T>>) -> LabResult<()> {
    match tokio::time::timeout(PATIENCE, trial).await {
        Ok(tried) => tried.map(drop),
        Err(_) => Err(LabError::Bad(format!("it takes longer than {} s", PATIENCE.as_secs()))),
    }
}

/// The first line of what was said, without the script; empty where all is well.
fn why_not(tried: LabResult<()>) -> String {
    let said = match tried {
        Ok(()) => return String::new(),
        Err(LabError::Tool { said, .. }) => said,
        Err(error) => error.to_string(),
    };
    let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it failed");
    first.trim().chars().take(160).collect()
}

/// What date a program sees with a clock that is a day ahead.
async fn own_clock(folder: &Path) -> Capability {
    let trial = async {
        let library = clock::library(folder).await?;
        let clock = Clock::new(library, folder.join("clock"))?;
        let seconds = async || {
            let mut words = vec!["env".to_owned()];
            words.extend(
                clock
                    .variables()
                    .map(|(name, value)| format!("{name}={}", value.to_string_lossy())),
            );
            words.extend(["date".to_owned(), "+%s".to_owned()]);
            let said = tool::run(words).await?;
            said.trim()
                .parse::<i64>()
                .map_err(|error| LabError::Bad(format!("date says {said:?}: {error}")))
        };
        let right = seconds().await?;
        clock.offset(86_400_000)?;
        match seconds().await? - right {
            86_400..=86_415 => Ok(()),
            other => Err(LabError::Bad(format!("a day ahead is {other} s ahead"))),
        }
    };
    let tried = within(trial).await;
    let package = matches!(tried, Err(LabError::Missing(_))).then_some("gcc");
    row("clocks of processes", why_not(tried), package, "none: clocks cannot be wrong")
}

/// It is there for other programs; the platform's own allocator and it wait for each other for ever.
async fn libfaketime(folder: &Path, binary: Option<&Path>) -> Capability {
    const INSTEAD: &str = "a library of the suite's own (clocks of processes)";
    let Some(library) = faketime() else {
        return row("libfaketime", "it is not installed".to_owned(), Some("libfaketime"), INSTEAD);
    };
    let preload = format!("LD_PRELOAD={}", library.display());
    let file = format!("FAKETIME_TIMESTAMP_FILE={}", folder.join("faketime").display());
    let said = std::fs::write(folder.join("faketime"), "+1d\n");
    let trial = async {
        said.map_err(|error| LabError::file(folder, error))?;
        let words = ["timeout", "5", "env", &preload, &file].map(OsStr::new);
        match binary {
            Some(binary) => {
                let words = words.into_iter().chain([binary.as_os_str(), OsStr::new("--version")]);
                let started = tool::run(words).await;
                started.map_err(|_| {
                    LabError::Bad(format!("{} does not start with it", binary.display()))
                })
            }
            None => tool::run(words.into_iter().chain([OsStr::new("date")])).await,
        }
    };
    row("libfaketime", why_not(within(trial).await), None, INSTEAD)
}

async fn server(name: &'static str, found: Option<PathBuf>, package: &'static str) -> Capability {
    const INSTEAD: &str =
        "none: a lab cannot be opened, only a cluster that runs already can be disturbed";
    let Some(found) = found else {
        return row(name, "it is not installed".to_owned(), Some(package), INSTEAD);
    };
    let version = if name == "HAProxy" { "-v" } else { "--version" };
    let tried = within(tool::run([found.as_os_str(), OsStr::new(version)])).await;
    row(name, why_not(tried), None, INSTEAD)
}
