//! Whom a fault, a probe or an order is about.

use super::checks::Expectation;
use super::fault::{Fault, Service};
use super::pick::{Actors, Disk, End, Link, Nodes, OfNodes, Process};
use super::probe::{At, Question};
use super::step::Order;

/// The target of a fault, whatever its kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Struck<'a> {
    Process(&'a Process),
    Link(&'a Link),
    Clock(&'a OfNodes),
    Disk(&'a Disk),
    Actors(&'a Actors),
    Postgres,
    Redis,
    Service(Service),
}

/// A choice of nodes, with where it stands below what it is part of.
pub type Placed<'a> = (&'static str, &'a mut Nodes);

impl Fault {
    pub fn struck(&self) -> Struck<'_> {
        match self {
            Fault::Kill { target }
            | Fault::Pause { target }
            | Fault::RestartLoop { target, .. }
            | Fault::MemoryLimit { target, .. }
            | Fault::DescriptorLimit { target, .. } => Struck::Process(target),
            Fault::Partition { target }
            | Fault::Loss { target, .. }
            | Fault::Latency { target, .. }
            | Fault::DuplicatePackets { target, .. }
            | Fault::Bandwidth { target, .. }
            | Fault::Reset { target, .. } => Struck::Link(target),
            Fault::Clock { target, .. } => Struck::Clock(target),
            Fault::DiskFull { target }
            | Fault::DiskReadOnly { target }
            | Fault::FsyncError { target, .. }
            | Fault::DiskSlow { target, .. } => Struck::Disk(target),
            Fault::PostgresStop {}
            | Fault::PostgresRestart {}
            | Fault::PostgresPause {}
            | Fault::PostgresSlow { .. }
            | Fault::PostgresKillConnections { .. } => Struck::Postgres,
            Fault::RedisStop {}
            | Fault::RedisRestart {}
            | Fault::RedisPause {}
            | Fault::RedisFlush {} => Struck::Redis,
            Fault::ServiceOutage { service }
            | Fault::ServiceSlow { service, .. }
            | Fault::ServiceThrottle { service, .. }
            | Fault::ServiceWrongAnswers { service, .. } => Struck::Service(*service),
            Fault::ActorPanic { target, .. }
            | Fault::ActorError { target, .. }
            | Fault::ActorHang { target, .. }
            | Fault::ActorDelay { target, .. }
            | Fault::ActorDrop { target, .. }
            | Fault::ActorDuplicate { target, .. }
            | Fault::ActorFlood { target, .. } => Struck::Actors(target),
        }
    }

    /// As it stands in a file: `restart_loop`.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Kill { .. } => "kill",
            Fault::Pause { .. } => "pause",
            Fault::RestartLoop { .. } => "restart_loop",
            Fault::MemoryLimit { .. } => "memory_limit",
            Fault::DescriptorLimit { .. } => "descriptor_limit",
            Fault::Partition { .. } => "partition",
            Fault::Loss { .. } => "loss",
            Fault::Latency { .. } => "latency",
            Fault::DuplicatePackets { .. } => "duplicate_packets",
            Fault::Bandwidth { .. } => "bandwidth",
            Fault::Reset { .. } => "reset",
            Fault::Clock { .. } => "clock",
            Fault::DiskFull { .. } => "disk_full",
            Fault::DiskReadOnly { .. } => "disk_read_only",
            Fault::FsyncError { .. } => "fsync_error",
            Fault::DiskSlow { .. } => "disk_slow",
            Fault::PostgresStop {} => "postgres_stop",
            Fault::PostgresRestart {} => "postgres_restart",
            Fault::PostgresPause {} => "postgres_pause",
            Fault::PostgresSlow { .. } => "postgres_slow",
            Fault::PostgresKillConnections { .. } => "postgres_kill_connections",
            Fault::RedisStop {} => "redis_stop",
            Fault::RedisRestart {} => "redis_restart",
            Fault::RedisPause {} => "redis_pause",
            Fault::RedisFlush {} => "redis_flush",
            Fault::ServiceOutage { .. } => "service_outage",
            Fault::ServiceSlow { .. } => "service_slow",
            Fault::ServiceThrottle { .. } => "service_throttle",
            Fault::ServiceWrongAnswers { .. } => "service_wrong_answers",
            Fault::ActorPanic { .. } => "actor_panic",
            Fault::ActorError { .. } => "actor_error",
            Fault::ActorHang { .. } => "actor_hang",
            Fault::ActorDelay { .. } => "actor_delay",
            Fault::ActorDrop { .. } => "actor_drop",
            Fault::ActorDuplicate { .. } => "actor_duplicate",
            Fault::ActorFlood { .. } => "actor_flood",
        }
    }

    /// Whether it cannot be done to a cluster that runs: there, nodes do their own faults, and the exchange is the load.
    pub fn needs_lab(&self) -> bool {
        let without = matches!(
            self.struck(),
            Struck::Actors(_) | Struck::Service(Service::Ltv | Service::Exchange)
        );
        !without
    }

    pub fn nodes_mut(&mut self) -> Vec<Placed<'_>> {
        match self {
            Fault::Kill { target }
            | Fault::Pause { target }
            | Fault::RestartLoop { target, .. }
            | Fault::MemoryLimit { target, .. }
            | Fault::DescriptorLimit { target, .. } => of_process(target),
            Fault::Partition { target }
            | Fault::Loss { target, .. }
            | Fault::Latency { target, .. }
            | Fault::DuplicatePackets { target, .. }
            | Fault::Bandwidth { target, .. }
            | Fault::Reset { target, .. } => of_link(target),
            Fault::Clock { target, .. } => vec![("target.node", &mut target.node)],
            Fault::DiskFull { target }
            | Fault::DiskReadOnly { target }
            | Fault::FsyncError { target, .. }
            | Fault::DiskSlow { target, .. } => match target {
                Disk::Node(nodes) => vec![("target.node", nodes)],
                Disk::Database => Vec::new(),
            },
            Fault::ActorPanic { target, .. }
            | Fault::ActorError { target, .. }
            | Fault::ActorHang { target, .. }
            | Fault::ActorDelay { target, .. }
            | Fault::ActorDrop { target, .. }
            | Fault::ActorDuplicate { target, .. }
            | Fault::ActorFlood { target, .. } => vec![("target.node", &mut target.node)],
            Fault::PostgresStop {}
            | Fault::PostgresRestart {}
            | Fault::PostgresPause {}
            | Fault::PostgresSlow { .. }
            | Fault::PostgresKillConnections { .. }
            | Fault::RedisStop {}
            | Fault::RedisRestart {}
            | Fault::RedisPause {}
            | Fault::RedisFlush {}
            | Fault::ServiceOutage { .. }
            | Fault::ServiceSlow { .. }
            | Fault::ServiceThrottle { .. }
            | Fault::ServiceWrongAnswers { .. } => Vec::new(),
        }
    }
}

fn of_process(process: &mut Process) -> Vec<Placed<'_>> {
    match process {
        Process::Node(nodes) => vec![("target.node", nodes)],
        Process::Balancer => Vec::new(),
    }
}

fn of_link(link: &mut Link) -> Vec<Placed<'_>> {
    let (paths, ends) = match link {
        Link::Link { from, to } => (["target.link.from.node", "target.link.to.node"], [from, to]),
        Link::Between { one, other } => {
            (["target.between.one.node", "target.between.other.node"], [one, other])
        }
    };
    let nodes = paths.into_iter().zip(ends).filter_map(|(path, end)| match end {
        End::Node(nodes) => Some((path, nodes)),
        _ => None,
    });
    nodes.collect()
}

impl Link {
    pub fn ends(&self) -> [&End; 2] {
        match self {
            Link::Link { from, to } => [from, to],
            Link::Between { one, other } => [one, other],
        }
    }
}

impl Question {
    pub fn nodes_mut(&mut self) -> Vec<Placed<'_>> {
        match self {
            Question::Http { at: At::Node(nodes), .. } => vec![("at.node", nodes)],
            Question::Metric { node, .. } => vec![("node", node)],
            Question::Process { target, .. } => of_process(target),
            Question::Http { .. } | Question::Ledger { .. } | Question::Load { .. } => Vec::new(),
        }
    }
}

impl Order {
    pub fn nodes_mut(&mut self) -> Vec<Placed<'_>> {
        match self {
            Order::RollingRestart { node, .. } | Order::Drain { node } => vec![("node", node)],
            Order::ClearFaults { node } => vec![("node", node)],
            Order::MoveShard { to, .. } => vec![("to", to)],
            Order::PauseBudget { .. }
            | Order::ResumeBudget { .. }
            | Order::Allocate { .. }
            | Order::ResetBreakers { .. } => Vec::new(),
        }
    }

    /// As it stands in a file: `rolling_restart`.
    pub fn kind(&self) -> &'static str {
        match self {
            Order::RollingRestart { .. } => "rolling_restart",
            Order::Drain { .. } => "drain",
            Order::MoveShard { .. } => "move_shard",
            Order::PauseBudget { .. } => "pause_budget",
            Order::ResumeBudget { .. } => "resume_budget",
            Order::Allocate { .. } => "allocate",
            Order::ResetBreakers { .. } => "reset_breakers",
            Order::ClearFaults { .. } => "clear_faults",
        }
    }
}

impl Expectation {
    pub fn nodes_mut(&mut self) -> Vec<Placed<'_>> {
        match self {
            Expectation::Ended { node, .. } | Expectation::Increase { node, .. } => {
                vec![("node", node)]
            }
            _ => Vec::new(),
        }
    }
}
