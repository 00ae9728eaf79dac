//! A cluster of its own, for the suite to disturb: hosts, the network between them, processes, clocks and disks.
//!
//! Everything that is made is written to `lab.json` of the run's folder before it is made, and undone at the end;
//! [`heal`] undoes it after a suite that died.

pub mod clock;
pub mod disk;
pub mod error;
mod heal;
pub mod host;
pub mod namespace;
pub mod net;
mod open;
pub mod pid;
pub mod process;
pub mod processes;
pub mod programs;
pub mod record;
pub mod serve;
mod show;
mod spawner;
mod subnet;
pub mod tool;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

pub use self::error::{LabError, LabResult};
pub use self::heal::heal;
pub use self::host::{HostName, NODES_MAX};
pub use self::namespace::enter;
pub use self::net::{Bandwidth, Counts, Network, NotPossible, Rule};
pub use self::pid::ProcessId;
pub use self::process::{Died, Process};
use self::processes::Processes;
pub use self::serve::node::{Node, Urls};
use self::serve::postgres::Postgres;
use self::serve::redis::Redis;
use self::serve::{node, postgres, redis};
pub use self::show::show;

/// What a lab is to be.
#[derive(Clone, Debug)]
pub struct LabSpec {
    /// 1 to 9.
    pub nodes: u8,
    /// "default" or "fast".
    pub leases: String,
    /// Keys of the nodes' configuration with their values, as `kiki node --set` takes them.
    pub settings: BTreeMap<String, String>,
    /// Variables in the environment of the nodes.
    pub environment: BTreeMap<String, String>,
    /// The program `kiki`.
    pub binary: PathBuf,
    /// The run's folder.
    pub folder: PathBuf,
    /// What the network's chances come from.
    pub seed: u64,
    /// Whether each node has a wall clock of its own.
    pub clocks: bool,
    /// Hosts whose data is on a disk of so many bytes; those that are not named have the machine's.
    pub disks: BTreeMap<HostName, u64>,
    pub network: Wanted,
}

impl LabSpec {
    pub fn new(nodes: u8, binary: PathBuf, folder: PathBuf) -> LabSpec {
        LabSpec {
            nodes,
            leases: "default".to_owned(),
            settings: BTreeMap::new(),
            environment: BTreeMap::new(),
            binary,
            folder,
            seed: 0,
            clocks: false,
            disks: BTreeMap::new(),
            network: Wanted::Best,
        }
    }
}

/// Which network a lab is to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Namespaces where the suite is in one of its own (see [`enter`]), else loopback.
    #[default]
    Best,
    Namespaces,
    Loopback,
}

/// A lab that is open. Dropped without [`Lab::close`], its processes are killed.
pub struct Lab {
    run: String,
    folder: PathBuf,
    // Processes end before their network does.
    processes: Arc<Processes>,
    network: Network,
    nodes: Vec<Node>,
    balancer: Urls,
    postgres: Postgres,
    redis: Redis,
    disks: BTreeMap<HostName, PathBuf>,
    client: reqwest::Client,
}

/// What the admin API says of whose a campaign is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Owner {
    pub shard: u16,
    /// "held" and so on.
    pub state: String,
    /// A node's name; none while nobody has it.
    pub owner: Option<String>,
    pub epoch: i64,
}

impl Lab {
    /// The name of this run: of its namespaces, too.
    pub fn run(&self) -> &str {
        &self.run
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Where the balancer serves.
    pub fn balancer(&self) -> &Urls {
        &self.balancer
    }

    pub fn network(&self) -> &Network {
        &self.network
    }

    pub fn processes(&self) -> &Processes {
        &self.processes
    }

    /// A process by its name: node-1 and so on, db, redis, lb.
    pub fn process(&self, name: &str) -> Option<Process> {
        self.processes.get(name)
    }

    /// Ends of processes that nobody ordered.
    pub fn died(&self) -> Vec<Died> {
        self.processes.died()
    }

    /// The database as the suite reaches it, with its password.
    ///
    /// # Errors
    /// On loopback: there is no port left for a proxy.
    pub fn database(&self) -> LabResult<String> {
        let at = self.network.reach(HostName::Suite, HostName::Database, self.postgres.port)?;
        Ok(self.postgres.url(at))
    }

    /// Redis as the suite reaches it, as HOST:PORT, and its password.
    ///
    /// # Errors
    /// On loopback: there is no port left for a proxy.
    pub fn redis(&self) -> LabResult<(String, String)> {
        let at = self.network.reach(HostName::Suite, HostName::Redis, self.redis.port)?;
        Ok((at.to_string(), self.redis.password.clone()))
    }

    /// The disk of a size that a host has its data on.
    pub fn disk(&self, host: HostName) -> Option<&Path> {
        self.disks.get(&host).map(PathBuf::as_path)
    }

    /// The network namespace of a host, where it has one: `ip netns exec` takes it.
    pub fn namespace(&self, host: HostName) -> Option<String> {
        let is_one = self.network.what() == "relay" && host != HostName::Suite;
        is_one.then(|| namespace::name(&self.run, host))
    }

    /// Tells a process to end in order, and kills it where it does not.
    ///
    /// # Errors
    /// There is no such process, or it does not end.
    pub async fn stop(&self, name: &str) -> LabResult<()> {
        self.processes.stop(name).await.map(drop)
    }

    /// Starts a process again and waits until it serves; one that runs is stopped first.
    ///
    /// # Errors
    /// There is no such process, or it does not serve: with the end of its log.
    pub async fn restart(&self, name: &str) -> LabResult<()> {
        self.processes.restart(name).await?;
        self.wait_ready(name).await
    }

    /// Waits until a process serves.
    ///
    /// # Errors
    /// There is no such process, or it does not serve: with the end of its log.
    pub async fn wait_ready(&self, name: &str) -> LabResult<()> {
        if let Some(one) = self.nodes.iter().find(|node| node.name == name) {
            return node::wait(&self.processes, one, &self.client).await;
        }
        match name {
            postgres::NAME => {
                let pid = self.process(name).map(|it| it.id.pid).unwrap_or_default();
                postgres::wait(&self.processes, &self.postgres.data, pid).await
            }
            redis::NAME => {
                let at = self.network.reach(HostName::Suite, HostName::Redis, self.redis.port)?;
                redis::wait(&self.processes, at).await
            }
            serve::balancer::NAME => {
                let url = format!("{}/ready", self.balancer.health);
                serve::ready::http(&self.processes, name, node::START, &self.client, &url).await
            }
            other => Err(LabError::Bad(format!("{other:?} is no server of this lab"))),
        }
    }

    /// Whose a campaign is, as this node says.
    ///
    /// # Errors
    /// The node does not say.
    pub async fn owner_of(&self, asked: &Node, account: &str, campaign: &str) -> LabResult<Owner> {
        let failed =
            |error: reqwest::Error| LabError::Bad(format!("{} says no owner: {error}", asked.name));
        let url = format!("{}/api/admin/cluster/where", asked.urls.admin);
        let mut url =
            reqwest::Url::parse(&url).map_err(|error| LabError::Bad(format!("{url}: {error}")))?;
        url.query_pairs_mut().append_pair("account", account).append_pair("campaign", campaign);
        let answer =
            self.client.get(url).send().await.and_then(reqwest::Response::error_for_status);
        answer.map_err(failed)?.json().await.map_err(failed)
    }
}

#[cfg(test)]
mod tests;
