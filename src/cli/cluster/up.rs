//! `kiki cluster up`: PostgreSQL, Redis, nodes and a balancer on this machine, in one command.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::signal::unix::{Signal as Hearing, SignalKind, signal};

use super::super::exit::{CliError, CliResult};
use super::super::format::table;
use super::balancer;
use super::children::{Children, Id};
use super::databases::{self, Postgres, Redis};
use super::folder::Folder;
use super::nodes::{self, Common, Node};
use super::ports::Plan;
use super::programs::Programs;
use super::strays::{self, Part};
use crate::connectors::http;

/// Time of one question whether something is ready.
const ASK: Duration = Duration::from_secs(2);

/// Run a whole cluster on this machine: PostgreSQL, Redis, nodes and a load balancer
///
/// For development and to see what happens when something fails. Starts PostgreSQL and Redis on free
/// ports, nodes with certificates for the links between them, and HAProxy on the documented ports of
/// 127.0.0.1, which takes every request to a node that is ready. Needs the programs of the Debian
/// packages postgresql, haproxy and redis-server; without the last it goes on without Redis. Prints
/// where everything is. What it started and what ends, whoever ended it, is told with the command that
/// starts it again, and not started again by itself. Ctrl-C or SIGTERM ends all of it, also what was started again by hand. With --dir
/// everything is kept, and the next start there goes on with it: where this command was killed, it first
/// stops what is left of it.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki cluster up\n  kiki cluster up --nodes 5 --fast\n  kiki cluster up --dir /tmp/cluster --port-offset 1000"
)]
pub struct UpArgs {
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,

    /// The folder of databases, configuration and logs [default: a new one, removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Added to the documented ports, where the balancer listens; the nodes are above it
    #[arg(long, value_name = "N", default_value_t = 0)]
    port_offset: u16,

    /// Leases of 2 s in place of 10 s: a node that is gone is replaced sooner
    #[arg(long)]
    fast: bool,
}

/// What runs, in the order in which it was started.
#[derive(Debug, Default)]
struct Running {
    postgres: Option<Id>,
    redis: Option<Id>,
    balancer: Option<Id>,
}

/// Runs until it is told to stop.
pub async fn run(args: UpArgs) -> CliResult {
    // Nothing is made or stopped for a command that cannot be done.
    Plan::judge(args.nodes, args.port_offset)?;
    let programs = Programs::find()?;
    let mut signals = Signals::hear()?;
    let folder = Folder::open(args.dir.as_deref())?;
    // The folder is this one's: whatever runs in it was left by somebody who was killed, and has its ports.
    if args.dir.is_some() {
        stop_left(&folder).await?;
    }
    let plan = Plan::new(args.nodes, args.port_offset)?;
    let mut children = Children::new();
    let mut running = Running::default();
    let outcome = tokio::select! {
        outcome = play(&args, &programs, &plan, &folder, &mut children, &mut running) => outcome,
        () = signals.told() => Ok(()),
    };
    // Nobody may read any more what is printed, and all has to end just the same.
    let _ = writeln!(io::stdout(), "stopping");
    let stopped = stop(&mut children, &running, &folder).await;
    // What is left is killed before its folder goes.
    drop(children);
    drop(folder);
    outcome.and(stopped)
}

/// Starts everything and tells what ends.
async fn play(
    args: &UpArgs,
    programs: &Programs,
    plan: &Plan,
    folder: &Folder,
    children: &mut Children,
    running: &mut Running,
) -> CliResult {
    let began = Instant::now();
    let mut out = io::stdout();
    let client = http::builder("http:").timeout(ASK).build().map_err(CliError::failed)?;
    writeln!(out, "starting a cluster in {}", folder.path().display())?;
    let postgres = databases::postgres(children, folder, programs, plan.postgres).await?;
    running.postgres = Some(postgres.id);
    let redis = match &programs.redis {
        Some(program) => Some(databases::redis(children, folder, program, plan.redis).await?),
        None => {
            writeln!(
                out,
                "without Redis: there is no redis-server here (apt-get install redis-server), so each node has rate \
                 limits of its own"
            )?;
            None
        }
    };
    running.redis = redis.as_ref().map(|redis| redis.id);
    let flow_url = format!("http://127.0.0.1:{}", plan.front.flow);
    let common = Common { postgres: &postgres, redis: redis.as_ref(), flow_url, fast: args.fast };
    let nodes = nodes::prepare(folder, &plan.nodes, &common)?;
    let started = nodes::start(children, folder, &nodes, &client).await?;
    let balancer = balancer::start(children, folder, programs, &plan.front, &nodes)?;
    running.balancer = Some(balancer);
    nodes::ready(children, balancer, plan.front.shield, &client).await?;
    write!(out, "{}", about(plan, &nodes, &started, &common, folder, (children, balancer)))?;
    writeln!(
        out,
        "ready in {:.1} s; the nodes share the shards within 15 s (kiki admin cluster); stop with Ctrl-C",
        began.elapsed().as_secs_f64()
    )?;
    loop {
        let (id, status) = children.next_end().await?;
        let (name, pid, log) = (children.name(id), children.pid(id), children.log(id).display());
        writeln!(out, "{name} (pid {pid}) ended: {status}; its log is {log}")?;
        let order = match started.iter().position(|one| *one == id) {
            Some(at) => Some(again(folder, &nodes[at])?),
            None if id == postgres.id => Some(postgres.again.clone()),
            None => redis.as_ref().filter(|redis| redis.id == id).map(|redis| redis.again.clone()),
        };
        if let Some(order) = order {
            writeln!(out, "  start it again: {order}")?;
        }
    }
}

/// The command that starts a node once more, from any folder.
fn again(folder: &Folder, node: &Node) -> Result<String, CliError> {
    let program = std::env::current_exe()?;
    let words = [program.display(), node.file.display()].map(|path| shell_word(&path.to_string()));
    // In the cluster's folder no .env of another project counts.
    let folder = shell_word(&folder.path().to_string_lossy());
    Ok(format!("(cd {folder} && {} node --config {})", words[0], words[1]))
}

/// A word that a shell takes as it is.
pub(super) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// Where everything is.
fn about(
    plan: &Plan,
    nodes: &[Node],
    started: &[Id],
    common: &Common,
    folder: &Folder,
    (children, balancer): (&Children, Id),
) -> String {
    let front = &plan.front;
    let mut out = String::from("\n");
    for (name, port, more) in [
        ("syncshield", front.shield, "   (docs at /docs)"),
        ("syncvalue", front.value, "   (docs at /docs)"),
        ("syncflow", front.flow, "   (docs at /docs)"),
        ("health", front.health, "/health"),
        ("admin", front.admin, "   (docs at /docs; of one node or another)"),
    ] {
        out += &format!("  {name:<10}  http://127.0.0.1:{port}{more}\n");
    }
    out += &format!("  {:<10}  127.0.0.1:{}\n", "grpc", front.grpc);
    out += &format!("  {:<10}  haproxy, pid {}\n\n", "balancer", children.pid(balancer));
    let mut head = vec!["NODE".to_owned(), "PID".to_owned()];
    head.extend(front.served().map(|(name, _)| name.to_uppercase()));
    head.push("LINK".to_owned());
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let rows: Vec<Vec<String>> = nodes
        .iter()
        .zip(started)
        .map(|(node, id)| {
            let mut row = vec![node.name.clone(), children.pid(*id).to_string()];
            row.extend(node.ports.served().map(|(_, port)| port.to_string()));
            row.push(node.ports.link.to_string());
            row
        })
        .collect();
    out += &table(&head, &rows);
    out += &format!("\n{}", databases_at(plan, common.postgres, common.redis, children));
    let kept = if folder.is_passing() { ", removed at the end" } else { "" };
    out += &format!("logs (NAME.log) and configuration: {}{kept}\n", folder.path().display());
    out
}

fn databases_at(
    plan: &Plan,
    postgres: &Postgres,
    redis: Option<&Redis>,
    children: &Children,
) -> String {
    let (file, pid) = (postgres.password_file.display(), children.pid(postgres.id));
    let mut out = format!(
        "postgres: 127.0.0.1:{}, pid {pid}, user kiki, database postgres, password in {file}\n",
        plan.postgres
    );
    if let Some(redis) = redis {
        let (port, pid) = (redis.port, children.pid(redis.id));
        out += &format!("redis: 127.0.0.1:{port}, pid {pid}, password in redis/password\n");
    }
    // They are needed when the one is killed to see what happens.
    out += &format!("start postgres again: {}\n", postgres.again);
    if let Some(redis) = redis {
        out += &format!("start redis again: {}\n", redis.again);
    }
    out
}

/// Ends everything: first what brings requests, last what keeps their results.
async fn stop(children: &mut Children, running: &Running, folder: &Folder) -> CliResult {
    let only = |id: Option<Id>| id.into_iter().collect::<Vec<_>>();
    let (balancer, redis, postgres) =
        (only(running.balancer), only(running.redis), only(running.postgres));
    let named: Vec<Id> = [&balancer, &redis, &postgres].into_iter().flatten().copied().collect();
    // Whatever else was started: nodes, and what was under way when the start was cut short.
    let others: Vec<Id> = children.ids().filter(|id| !named.contains(id)).collect();
    let own: Vec<u32> = children.running().collect();
    let (strays, unseen) = match strays::find(folder, &own) {
        Ok(strays) => (strays, None),
        // Children end just the same.
        Err(error) => (Vec::new(), Some(error)),
    };
    for it in &strays {
        let _ = writeln!(io::stdout(), "stopping {} (pid {}), started by hand", it.name, it.pid);
    }
    let mut killed = Vec::new();
    for part in Part::ALL {
        let ids = match part {
            Part::Balancer => &balancer,
            Part::Node => &others,
            Part::Redis => &redis,
            Part::Postgres => &postgres,
        };
        let (own, by_hand) = tokio::join!(
            children.stop(ids, part.signal(), part.patience()),
            strays::stop(strays.iter().filter(|it| it.part == part)),
        );
        killed.extend(own?);
        killed.extend(by_hand?);
    }
    match (killed.is_empty(), unseen) {
        (true, None) => Ok(()),
        (true, Some(error)) => Err(error),
        (false, _) => Err(CliError::failed(format!("had to be killed: {}", killed.join(", ")))),
    }
}

/// Ends what was left of a cluster in this folder whose command was killed.
async fn stop_left(folder: &Folder) -> CliResult {
    let left = strays::find(folder, &[])?;
    for it in &left {
        writeln!(io::stdout(), "stopping {} (pid {}), left of an earlier run", it.name, it.pid)?;
    }
    for part in Part::ALL {
        let killed = strays::stop(left.iter().filter(|it| it.part == part)).await?;
        if !killed.is_empty() {
            writeln!(io::stdout(), "had to be killed: {}", killed.join(", "))?;
        }
    }
    Ok(())
}

/// Orders to stop. They are heard from the beginning: none ends this process and leaves the others.
struct Signals {
    terminate: Hearing,
    interrupt: Hearing,
    hangup: Hearing,
}

impl Signals {
    fn hear() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            // The terminal is gone.
            _ = self.hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn arguments_are_read_and_their_limits_hold() {
        let read = |more: &[&str]| {
            let words = ["kiki", "cluster", "up"].iter().chain(more).copied();
            Cli::try_parse_from(words).map(drop)
        };
        read(&[]).unwrap();
        read(&["--nodes", "5", "--dir", "x", "--port-offset", "1000", "--fast"]).unwrap();
        for bad in [&["--nodes", "0"][..], &["--nodes", "10"], &["--port-offset", "70000"]] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_command_to_repeat_survives_the_shell() {
        assert_eq!(shell_word("/usr/bin/kiki"), "/usr/bin/kiki");
        assert_eq!(shell_word("/a b/it's"), r"'/a b/it'\''s'");
    }
}
