//! What an experiment is done to, once it is there: a lab that was opened for it, or a cluster that runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::experiment::Experiment;
use crate::experiment::fault::Fault;
use crate::experiment::load::Through;
use crate::experiment::pick::{Disk, Nodes, Role};
use crate::experiment::plan::{Inventory, Member};
use crate::experiment::probe::Listener;
use crate::experiment::step::Step;
use crate::experiment::target::{Leases, Need, Target};
use crate::fault::Ground;
use crate::lab::{HostName, Lab, LabSpec, NODES_MAX};
use crate::load::{Http, Reply, Request, Urls, Venue};

use super::load;

/// Room of a disk that can be filled: some minutes of the load, and no more.
const DISK_BYTES: u64 = 768 << 20;
const NODE_DISK_BYTES: u64 = 64 << 20;
const CONNECT: Duration = Duration::from_secs(1);
const ASK: Duration = Duration::from_secs(5);

/// A cluster of somebody's, by its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Against {
    pub shield: Vec<String>,
    pub flow: Vec<String>,
    pub value: Vec<String>,
    pub admin: Vec<String>,
    pub token: Option<String>,
    /// The variable of the environment that the token is from.
    pub token_env: Option<String>,
}

impl Against {
    /// As it stands in commands that people are told: never the token itself.
    pub fn token_argument(&self) -> String {
        self.token_env.as_ref().map(|name| format!(" --token-env {name}")).unwrap_or_default()
    }
}

pub struct Cluster {
    pub lab: Option<Arc<Lab>>,
    pub inventory: Inventory,
    /// Where the load goes, and the admin API of each node.
    pub urls: Urls,
    /// The load's exchange, for faults of it.
    pub venue: Arc<Venue>,
    http: Http,
    /// The program's version and how many nodes, for people.
    pub platform: String,
}

impl Cluster {
    /// Opens a lab as the experiment wants it.
    ///
    /// # Errors
    /// It cannot be had: in words.
    pub async fn lab(
        experiment: &Experiment,
        seed: u64,
        binary: &Path,
        folder: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Result<Cluster, String> {
        let Target::Lab(wanted) = &experiment.target else {
            return Err("the experiment is for a cluster that runs, by its addresses".to_owned());
        };
        let mut spec = LabSpec::new(wanted.nodes, binary.to_owned(), folder.to_owned());
        spec.leases = match wanted.leases {
            Leases::Fast => "fast".to_owned(),
            Leases::Default => "default".to_owned(),
        };
        spec.settings =
            wanted.settings.iter().map(|(key, value)| (key.clone(), value.to_string())).collect();
        spec.seed = seed;
        spec.clocks = experiment.needs().contains(&Need::Faketime);
        spec.disks = disks(experiment, wanted.nodes);
        spec.environment = environment.clone();
        let lab = Lab::open(spec).await.map_err(|error| error.to_string())?;
        let nodes: Vec<crate::lab::Urls> = lab.nodes().iter().map(|it| it.urls.clone()).collect();
        let mut urls = load::urls(experiment.load.through, &nodes, lab.balancer());
        urls.nodes =
            lab.nodes().iter().map(|it| (it.name.clone(), it.urls.admin.clone())).collect();
        let roles = vec![Role::Shield, Role::Flow, Role::Value];
        let member = |name: &String| Member { name: name.clone(), roles: roles.clone() };
        let inventory =
            Inventory { nodes: urls.nodes.iter().map(|(name, _)| member(name)).collect() };
        let http = Http::new(&urls, CONNECT, ASK).map_err(|error| error.to_string())?;
        let mut cluster = Cluster {
            lab: Some(Arc::new(lab)),
            inventory,
            urls,
            venue: Arc::default(),
            http,
            platform: String::new(),
        };
        cluster.platform = cluster.about().await?;
        Ok(cluster)
    }

    /// A cluster that runs, with the names that its nodes give themselves.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn against(at: &Against, through: Through) -> Result<Cluster, String> {
        let trim = |list: &[String]| -> Vec<String> {
            list.iter().map(|url| url.trim_end_matches('/').to_owned()).collect()
        };
        let mut urls = Urls {
            shield: trim(&at.shield),
            // Where there is none, nothing is sent there: the generator wants an address all the same.
            flow: if at.flow.is_empty() { trim(&at.shield) } else { trim(&at.flow) },
            value: trim(&at.value),
            admin: trim(&at.admin),
            spread: through == Through::Nodes,
            nodes: Vec::new(),
            key: at.token.clone(),
        };
        let http = Http::new(&urls, CONNECT, ASK).map_err(|error| error.to_string())?;
        let mut cluster = Cluster {
            lab: None,
            inventory: Inventory::default(),
            urls: urls.clone(),
            venue: Arc::default(),
            http,
            platform: String::new(),
        };
        for url in &urls.admin.clone() {
            let view = cluster.json(url, &Request::get("/api/admin/cluster".to_owned())).await?;
            let name = view.get("node").and_then(Value::as_str);
            let name = name.ok_or_else(|| format!("{url} does not say which node it is"))?;
            urls.nodes.push((name.to_owned(), url.clone()));
            let all = view.get("nodes").and_then(Value::as_array).into_iter().flatten();
            let own = all.filter(|it| it.get("name").and_then(Value::as_str) == Some(name));
            let text = own.filter_map(|it| it.get("roles")?.as_str()).collect::<String>();
            let roles = [Role::Shield, Role::Flow, Role::Value];
            let roles = roles.into_iter().filter(|role| text.contains(role.name())).collect();
            cluster.inventory.nodes.push(Member { name: name.to_owned(), roles });
        }
        cluster.urls = urls;
        cluster.platform = cluster.about().await?;
        Ok(cluster)
    }

    async fn about(&self) -> Result<String, String> {
        let (_, url) = self.urls.nodes.first().ok_or("there is no node")?;
        let view = self.json(url, &Request::get("/api/admin/cluster".to_owned())).await?;
        let version = view.pointer("/nodes/0/version").and_then(Value::as_str).unwrap_or("?");
        let nodes = match self.urls.nodes.len() {
            1 => "1 node".to_owned(),
            n => format!("{n} nodes"),
        };
        let network = self.lab.as_ref().map(|lab| format!(", network by {}", lab.network().what()));
        Ok(format!("kiki {version}, {nodes}{}", network.unwrap_or_default()))
    }

    /// What faults are done to.
    pub fn ground(&self, folder: PathBuf) -> Ground {
        let (admins, token) = (self.urls.nodes.clone(), self.urls.key.clone());
        let venue = Arc::clone(&self.venue);
        Ground { lab: self.lab.clone(), admins, token, folder, venue }
    }

    pub fn names(&self) -> Vec<String> {
        self.urls.nodes.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The nodes that a plan has named.
    pub fn named(&self, nodes: &Nodes) -> Vec<String> {
        // A plan leaves nothing open but owners, which neither probes nor orders of the catalogue's kinds ask for.
        nodes.at_the_moment("", &self.names(), 0).unwrap_or_else(|| self.names())
    }

    /// The admin API of a node.
    ///
    /// # Errors
    /// There is no such node.
    pub fn admin(&self, node: &str) -> Result<&str, String> {
        let found = self.urls.nodes.iter().find(|(name, _)| name == node);
        found.map(|(_, url)| url.as_str()).ok_or_else(|| format!("there is no node {node}"))
    }

    /// A listener of a node.
    ///
    /// # Errors
    /// There is no such node, or nobody said where it listens.
    pub fn listener(&self, node: &str, listener: Listener) -> Result<String, String> {
        if let Some(lab) = &self.lab {
            let found = lab.nodes().iter().find(|it| it.name == node);
            return found
                .map(|it| of(&it.urls, listener).clone())
                .ok_or_else(|| format!("there is no node {node}"));
        }
        let at = self.urls.nodes.iter().position(|(name, _)| name == node);
        let at = at.ok_or_else(|| format!("there is no node {node}"))?;
        let list = match listener {
            Listener::Shield => &self.urls.shield,
            Listener::Flow => &self.urls.flow,
            Listener::Value => &self.urls.value,
            Listener::Admin | Listener::Health => &self.urls.admin,
        };
        // One address for all is a balancer's: any node may answer.
        let found = list.get(at).or(list.first()).cloned();
        found.ok_or_else(|| format!("nobody said where {node} listens"))
    }

    /// A listener of the balancer.
    ///
    /// # Errors
    /// Only a lab has one that is known as such.
    pub fn balancer(&self, listener: Listener) -> Result<String, String> {
        let lab = self.lab.as_ref().ok_or("only a lab has a balancer that is known")?;
        Ok(of(lab.balancer(), listener).clone())
    }

    pub async fn send(&self, base: &str, request: &Request) -> Result<Reply, String> {
        self.http.send(base, request).await.map_err(|lost| format!("{base}: {lost:?}"))
    }

    /// The body of a good answer.
    ///
    /// # Errors
    /// There is none, with its status and beginning.
    pub async fn json(&self, base: &str, request: &Request) -> Result<Value, String> {
        let reply = self.send(base, request).await?;
        if !(200..300).contains(&reply.status) {
            let text: String = String::from_utf8_lossy(&reply.body).chars().take(200).collect();
            return Err(format!("{} {}: {} {text}", request.method, request.path, reply.status));
        }
        serde_json::from_slice(&reply.body)
            .map_err(|error| format!("{} {}: {error}", request.method, request.path))
    }

    /// Shard and owner of a budget, as the first node says that can.
    ///
    /// # Errors
    /// No node says.
    pub async fn owner(
        &self,
        account: &str,
        campaign: &str,
    ) -> Result<(u16, Option<String>), String> {
        let path = format!("/api/admin/cluster/where?account={account}&campaign={campaign}");
        let mut why = "there is no node".to_owned();
        for (_, url) in &self.urls.nodes {
            match self.json(url, &Request::get(path.clone())).await {
                Ok(told) => {
                    let shard = told.get("shard").and_then(Value::as_u64);
                    let shard = shard.and_then(|it| u16::try_from(it).ok());
                    let owner = told.get("owner").and_then(Value::as_str).map(str::to_owned);
                    return Ok((shard.ok_or("the answer names no shard")?, owner));
                }
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// Ends the lab, where there is one.
    ///
    /// # Errors
    /// Something of it is left.
    pub async fn close(self, folder: &Path) -> Result<(), String> {
        let Some(lab) = self.lab else { return Ok(()) };
        match Arc::try_unwrap(lab) {
            Ok(lab) => lab.close().await.map_err(|error| error.to_string()),
            Err(still) => {
                // Somebody that was cut off still has it: what it made is undone without it.
                still.network().clear_all();
                drop(still);
                crate::lab::heal(folder).await.map(drop).map_err(|error| error.to_string())
            }
        }
    }
}

fn of(urls: &crate::lab::Urls, listener: Listener) -> &String {
    match listener {
        Listener::Shield => &urls.shield,
        Listener::Flow => &urls.flow,
        Listener::Value => &urls.value,
        Listener::Health => &urls.health,
        Listener::Admin => &urls.admin,
    }
}

/// Hosts whose disk an experiment fills or makes read-only: they get one that can be.
fn disks(experiment: &Experiment, nodes: u8) -> BTreeMap<HostName, u64> {
    let mut disks = BTreeMap::new();
    for step in &experiment.method {
        let Step::Fault(it) = step else { continue };
        match &it.fault {
            Fault::DiskFull { target } | Fault::DiskReadOnly { target } => match target {
                Disk::Database => _ = disks.insert(HostName::Database, DISK_BYTES),
                Disk::Node(_) => {
                    let all = (1..=nodes.min(NODES_MAX)).map(HostName::Node);
                    disks.extend(all.map(|host| (host, NODE_DISK_BYTES)));
                }
            },
            _ => {}
        }
    }
    disks
}
