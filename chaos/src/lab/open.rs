//! How a lab is opened and closed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use rand::RngExt;

use super::clock::{self, Clock};
use super::error::{LabError, LabResult};
use super::host::{HostName, NODES_MAX};
use super::net::Network;
use super::net::proxy::Proxies;
use super::net::relay::Relay;
use super::processes::Processes;
use super::programs::Programs;
use super::record::{self, Record};
use super::serve::balancer::Behind;
use super::serve::node::{Node, Told, Urls};
use super::serve::ports::{self, Ports};
use super::serve::{balancer, folder, node, postgres, redis, secret};
use super::{Lab, LabSpec, Wanted, disk, namespace};

/// Time of a question to a node.
const ASK: Duration = Duration::from_secs(5);

impl Lab {
    /// Makes a lab and waits until all of it serves. Where that fails, nothing of it is left.
    ///
    /// # Errors
    /// The specification is not good, something that is needed is not here, or a server does not start: with the end of
    /// its log.
    pub async fn open(spec: LabSpec) -> LabResult<Lab> {
        check(&spec)?;
        let programs = Programs::find()?;
        let root = folder_of(&spec.folder)?;
        let run = format!("{:06x}", rand::rng().random::<u32>() & 0xff_ffff);
        let record = Arc::new(Record::begin(&root, &run)?);
        let in_namespaces = match spec.network {
            Wanted::Loopback => false,
            Wanted::Best => namespace::is_inside(),
            Wanted::Namespaces => true,
        };
        let made = make(&spec, &programs, &root, &run, record, in_namespaces).await;
        if made.is_err() {
            // What was begun has gone with its owners; names and mounts are left.
            super::heal(&root).await?;
        }
        made
    }

    /// Ends every process in order, first what brings requests and last what keeps their results, and removes the rest.
    ///
    /// # Errors
    /// Something does not end, or cannot be removed.
    pub async fn close(self) -> LabResult<()> {
        let Lab { processes, network, nodes, folder, .. } = self;
        // A partition must not keep nodes from ending in order.
        network.clear_all();
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        let stopped = async {
            stop(&processes, &[balancer::NAME]).await?;
            stop(&processes, &names).await?;
            stop(&processes, &[redis::NAME]).await?;
            stop(&processes, &[postgres::NAME]).await
        };
        let stopped = stopped.await;
        drop(processes);
        drop(network);
        // What did not end in order is ended here.
        let healed = super::heal(&folder).await.map(drop);
        stopped.and(healed)
    }
}

async fn stop(processes: &Processes, names: &[&str]) -> LabResult<()> {
    let alive = names.iter().filter(|name| processes.is_alive(name));
    let all = futures_util::future::join_all(alive.map(|name| async {
        // Whoever is stopped hears nothing else.
        processes.signal(name, rustix::process::Signal::CONT)?;
        processes.stop(name).await
    }));
    all.await.into_iter().collect::<LabResult<Vec<_>>>().map(drop)
}

fn check(spec: &LabSpec) -> LabResult<()> {
    let bad = |what: String| Err(LabError::Bad(what));
    if !(1..=NODES_MAX).contains(&spec.nodes) {
        return bad(format!("{} nodes: allowed are 1 to {NODES_MAX}", spec.nodes));
    }
    if !["default", "fast"].contains(&spec.leases.as_str()) {
        return bad(format!("leases {:?}: allowed are \"default\" and \"fast\"", spec.leases));
    }
    for (key, value) in &spec.settings {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
        if key.is_empty() || key.len() > 80 || !key.chars().all(good) {
            return bad(format!("setting {key:?}: allowed are keys such as shield.window_cap"));
        }
        if value.len() > 1_000 || value.contains('\0') {
            return bad(format!(
                "setting {key}: its value is longer than 1000 bytes, or has a NUL"
            ));
        }
    }
    for host in spec.disks.keys() {
        let has_data = match host {
            HostName::Database => true,
            HostName::Node(n) => *n <= spec.nodes,
            HostName::Suite | HostName::Balancer | HostName::Redis => false,
        };
        if !has_data {
            return bad(format!("a disk for {host}: allowed are db and the nodes of the lab"));
        }
    }
    if !super::programs::is_program(&spec.binary) {
        return bad(format!("{} is no program that can be run", spec.binary.display()));
    }
    Ok(())
}

fn folder_of(folder: &Path) -> LabResult<PathBuf> {
    let made = std::fs::create_dir_all(folder).and_then(|()| std::fs::canonicalize(folder));
    made.map_err(|error| LabError::file(folder, error))
}

async fn make(
    spec: &LabSpec,
    programs: &Programs,
    root: &Path,
    run: &str,
    record: Arc<Record>,
    in_namespaces: bool,
) -> LabResult<Lab> {
    let binary =
        std::fs::canonicalize(&spec.binary).map_err(|error| LabError::file(&spec.binary, error))?;
    let logs = root.join("logs");
    std::fs::create_dir_all(&logs).map_err(|error| LabError::file(&logs, error))?;
    let log = |name: &dyn std::fmt::Display| logs.join(format!("{name}.log"));
    // What a lab consists of is new each time.
    let lab = root.join(record::FILES);
    if lab.exists() {
        std::fs::remove_dir_all(&lab).map_err(|error| LabError::file(&lab, error))?;
    }
    std::fs::create_dir(&lab).map_err(|error| LabError::file(&lab, error))?;
    let hosts = HostName::all(spec.nodes);
    let node_hosts: Vec<HostName> = (1..=spec.nodes).map(HostName::Node).collect();
    let (network, processes) = network(spec, run, &record, &hosts, programs, in_namespaces).await?;

    let mut disks = BTreeMap::new();
    for (host, bytes) in &spec.disks {
        let owner = programs.postgres_user.filter(|_| *host == HostName::Database);
        let at =
            disk::mount(&record, &lab.join("disks").join(host.to_string()), *bytes, owner).await?;
        disks.insert(*host, at);
    }
    let pick = |documented: u16| if in_namespaces { Ok(documented) } else { ports::free() };
    let front = if in_namespaces { Ports::DOCUMENTED } else { Ports::free()? };
    let certs = folder(&lab.join("certs"))?;
    let own = lab.join("db");
    let db_disk = disks.get(&HostName::Database).cloned().unwrap_or_else(|| own.join("disk"));
    let (db_log, redis_log) = (log(&postgres::NAME), log(&redis::NAME));
    let (db_port, redis_port) = (pick(5432)?, pick(6379)?);
    let redis_reach = network.reach(HostName::Suite, HostName::Redis, redis_port)?;
    let db_at = (network.bind(HostName::Database), db_port);
    let redis_at = (network.bind(HostName::Redis), redis_port);
    let redis_own = lab.join("redis");
    let (postgres, redis, ()) = futures_util::try_join!(
        postgres::start(&processes, programs, &own, &db_disk, &db_log, db_at),
        redis::start(&processes, programs, &redis_own, &redis_log, redis_at, redis_reach),
        node::certificates(&binary, &certs, &node_hosts),
    )?;

    // The library wants a provider of cryptography before it says anything, be it in plain HTTP. One that is there
    // already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(ASK).no_proxy().build();
    let client = client.map_err(|error| LabError::Bad(format!("an HTTP client: {error}")))?;
    let flow = network.reach(HostName::Suite, HostName::Balancer, front.flow)?;
    let (token_secret, master_key, flow_url) = (secret(), secret(), format!("http://{flow}"));
    let clocks = match spec.clocks {
        true => Some(clock::library(&lab).await?),
        false => None,
    };
    let (mut nodes, mut behind) = (Vec::new(), Vec::new());
    for host in node_hosts {
        let ports = if in_namespaces { Ports::DOCUMENTED } else { Ports::free()? };
        let own = folder(&lab.join(host.to_string()))?;
        let data_dir = disks.get(&host).cloned().unwrap_or_else(|| own.join("data"));
        let database_at = network.reach(host, HostName::Database, postgres.port)?;
        let told = Told {
            host,
            ports,
            bind: network.bind(host),
            advertise: network.reach_by_all(host, ports.link)?,
            database_url: &postgres.url(database_at),
            redis: (network.reach(host, HostName::Redis, redis.port)?, &redis.password),
            flow_url: &flow_url,
            certs: &certs,
            data_dir: &data_dir,
            leases: &spec.leases,
            token_secret: &token_secret,
            master_key: &master_key,
        };
        let clock = match &clocks {
            Some(library) => Some(Clock::new(library.clone(), own.join("clock"))?),
            None => None,
        };
        let mut started = node::spec(&told, &binary, &own, &log(&host), &spec.settings, clock)?;
        let environment = spec.environment.iter();
        started.env.extend(environment.map(|(name, value)| (name.clone(), value.into())));
        let urls = Urls::new(reach_all(&network, HostName::Suite, host, &ports)?);
        let at = reach_all(&network, HostName::Balancer, host, &ports)?;
        let one = Node { name: host.to_string(), host, urls, data_dir };
        processes.spawn(started).await?;
        // The first one is alone until it has made the tables.
        if nodes.is_empty() {
            node::wait(&processes, &one, &client).await?;
        }
        behind.push(Behind { name: one.name.clone(), at });
        nodes.push(one);
    }
    let bind = network.bind(HostName::Balancer);
    balancer::start(
        &processes,
        programs,
        &lab.join("lb"),
        &log(&balancer::NAME),
        bind,
        &front,
        &behind,
    )
    .await?;
    let balancer = Urls::new(reach_all(&network, HostName::Suite, HostName::Balancer, &front)?);
    let opened = Lab {
        run: run.to_owned(),
        folder: root.to_owned(),
        processes,
        network,
        nodes,
        balancer,
        postgres,
        redis,
        disks,
        client,
    };
    for name in opened.nodes.iter().map(|node| node.name.as_str()).chain([balancer::NAME]) {
        opened.wait_ready(name).await?;
    }
    Ok(opened)
}

/// The network and the keeper of processes: each of the two knows the other, on loopback.
async fn network(
    spec: &LabSpec,
    run: &str,
    record: &Arc<Record>,
    hosts: &[HostName],
    programs: &Programs,
    in_namespaces: bool,
) -> LabResult<(Network, Arc<Processes>)> {
    let setpriv = programs.setpriv.clone();
    if in_namespaces {
        let made = namespace::make(record, run, rand::rng().random(), hosts).await?;
        let relay = Relay::start(spec.seed, made.subnet, made.devices).await?;
        let names = hosts.iter().filter(|host| **host != HostName::Suite);
        let names = names.map(|host| (*host, namespace::name(run, *host))).collect();
        let processes = Processes::new(record.clone(), setpriv, names)?;
        return Ok((Network::Relay(relay), Arc::new(processes)));
    }
    let known: Arc<OnceLock<Weak<Processes>>> = Arc::default();
    let asked = known.clone();
    let who = move || asked.get().and_then(Weak::upgrade).map(|it| it.pids()).unwrap_or_default();
    let proxies = Proxies::new(spec.seed, hosts.to_vec(), Box::new(who));
    let processes = Arc::new(Processes::new(record.clone(), setpriv, BTreeMap::new())?);
    known.get_or_init(|| Arc::downgrade(&processes));
    Ok((Network::Proxy(proxies), processes))
}

fn reach_all(
    network: &Network,
    from: HostName,
    to: HostName,
    ports: &Ports,
) -> LabResult<[std::net::SocketAddrV4; 6]> {
    let [a, b, c, d, e, f] = ports.served().map(|(_, port)| network.reach(from, to, port));
    Ok([a?, b?, c?, d?, e?, f?])
}
