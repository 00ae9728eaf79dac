//! The node as others use it: it joins before anything is served, and leaves when everything is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::last_life;
use super::links::{LinkSettings, Links, LinksError};
use super::member::{MemberActor, Msg};
use super::placement::Placement;
use crate::actors::kernel::{Handle, Registry, Service, SpawnError, Strategy, per_minute};
use crate::models::cluster::member::Identity;
use crate::models::cluster::node::Incarnation;
use crate::models::cluster::shard::Shard;
use crate::models::cluster::terms::ClusterTerms;
use crate::store::Store;

/// For the reading itself, and for what was sent right before it.
const SEEN_MARGIN: Duration = Duration::from_millis(500);
/// How long the shards of a node that has joined may be in coming.
const CLAIMS: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct ClusterSettings {
    pub terms: ClusterTerms,
    pub me: Identity,
    /// Where this node notes its life.
    pub data_dir: PathBuf,
    /// What it needs to speak with others; without, it is alone.
    pub links: Option<LinkSettings>,
}

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("links: {0}")]
    Links(#[from] LinksError),
    #[error("{0}")]
    Terms(&'static str),
    #[error(
        "another server of this database, at {0}, is there already, and its lease does not end"
    )]
    Taken(String),
    #[error(
        "another server of this database, at {0}, does not speak with this one: nodes of a cluster all need links \
         (cluster.ca_file, cluster.cert_file, cluster.key_file)"
    )]
    Stranger(String),
    #[error("the database does not answer in time to join")]
    Silent,
    #[error("the database does not answer in time to claim shards")]
    Slow,
    #[error("this node was ended by another one before it had begun")]
    Lost,
}

#[derive(Clone)]
pub struct Cluster {
    service: Arc<Service>,
    member: Handle<Msg>,
    placement: Arc<Placement>,
    me: Identity,
    /// Whether it has links to others.
    speaks: bool,
    lease: Duration,
    /// How often nodes read the register.
    look: Duration,
}

impl Cluster {
    /// Begins to join: whoever has opened a node leaves, whatever comes of it.
    ///
    /// ```text
    /// /cluster
    /// ├── links                  permanent: the ways to other nodes, where there are any
    /// └── member                 permanent: the lease, claims and hand-overs
    /// ```
    pub async fn open(
        registry: &Registry,
        store: Store,
        settings: ClusterSettings,
    ) -> Result<Cluster, ClusterError> {
        let ClusterSettings { terms, me, data_dir, links } = settings;
        if let Some(mistake) = terms.mistake() {
            return Err(ClusterError::Terms(mistake));
        }
        let look_us = terms.look_us;
        super::metrics::describe();
        let before = last_life::read(&data_dir);
        let incarnation = Incarnation(rand::random());
        let placement = Placement::new(incarnation, before, terms.drift_max_us);
        placement.leased_for(Duration::from_micros(terms.lease_us.unsigned_abs()));
        let service = registry.service("cluster").strategy(Strategy::OneForOne).start()?;
        // First: what is started first ends last, and a node that leaves is asked by others until it has.
        let speaks = links.is_some();
        match links {
            Some(links) => _ = Links::open(service.supervisor(), links, &placement).await?,
            None => placement.connect(Links::alone()),
        }
        let (own, identity, lease_us) = (Arc::clone(&placement), me.clone(), terms.lease_us);
        let member =
            service.supervisor().child("member").intensity(10, per_minute()).start(move || {
                let (store, terms, me) = (store.clone(), terms.clone(), identity.clone());
                MemberActor::new(store, terms, me, Arc::clone(&own), data_dir.clone())
            })?;
        placement.orders().carried_out_by(member.clone());
        Ok(Cluster {
            service: Arc::new(service),
            member,
            placement,
            me,
            speaks,
            lease: Duration::from_micros(lease_us.unsigned_abs()),
            look: Duration::from_micros(look_us.unsigned_abs()),
        })
    }

    /// Waits until this node has joined, and has the shards that nobody else has. Who gives up waiting leaves.
    pub async fn join(&self) -> Result<(), ClusterError> {
        let (placement, me, lease) = (&self.placement, &self.me, self.lease);
        let joined = |it: &Placement| it.serves() || it.is_lost();
        if tokio::time::timeout(lease * 2, placement.wait_for(joined)).await.is_err() {
            let roster = placement.roster();
            let other = roster.nodes.iter().find(|node| node.name == me.name);
            return Err(other
                .map_or(ClusterError::Silent, |other| ClusterError::Taken(bare(&other.address))));
        }
        self.make_sure_of_the_others(lease + lease / 5).await?;
        let settled = |it: &Placement| it.is_lost() || has_its_own(it, me);
        let waited = tokio::time::timeout(CLAIMS, placement.wait_for(settled)).await;
        if placement.is_lost() {
            return Err(ClusterError::Lost);
        }
        waited.map_err(|_| ClusterError::Slow)
    }

    /// Nodes that do not speak with each other must not share a database: each would own what the other cannot
    /// reach. One that is gone is waited for, but not so long that shards are handed over to balance.
    async fn make_sure_of_the_others(&self, patience: Duration) -> Result<(), ClusterError> {
        let speaks = self.speaks;
        let stranger = |placement: &Placement| {
            let (roster, me) = (placement.roster(), placement.incarnation());
            let others = roster.nodes.iter().filter(|node| !node.dead && node.incarnation != me);
            let mut strange = others.filter(|node| !speaks || node.address.contains("://"));
            strange.next().map(|node| node.address.clone())
        };
        let alone = |it: &Placement| it.is_lost() || stranger(it).is_none();
        if tokio::time::timeout(patience, self.placement.wait_for(alone)).await.is_ok() {
            return Ok(());
        }
        let address = stranger(&self.placement).unwrap_or_default();
        Err(ClusterError::Stranger(bare(&address)))
    }

    pub fn placement(&self) -> &Arc<Placement> {
        &self.placement
    }

    /// How long it may take until all nodes have read what has changed in the register.
    pub fn seen_within(&self) -> Duration {
        self.look + SEEN_MARGIN
    }

    /// Hands all shards over to other nodes, while what serves them is still there. This node is known to them until
    /// it leaves.
    pub async fn hand_over(&self, patience: Duration) {
        if self.placement.serves() && self.member.ask(patience, Msg::Empty).await.is_err() {
            tracing::warn!("not every shard could be handed over in time");
        }
    }

    /// Lets everything go, and leaves. Whatever served it has to have ended before.
    pub async fn leave(&self, patience: Duration) {
        // Who was ended by others has nothing to give back. Whether the register has one that has not joined, the member
        // knows: the answer may be on its way.
        if !self.placement.is_lost() {
            // Without the database nothing can be given back: the lease is over by itself.
            let has_joined = self.placement.roster().node(self.placement.incarnation()).is_some();
            let reaches = !has_joined || self.placement.serves();
            if !(reaches && self.member.ask(patience, Msg::Leave).await.is_ok()) {
                tracing::warn!("this node could not leave in time: its lease ends by itself");
            }
        }
        self.service.drain(patience).await;
    }
}

/// An address as people read it.
fn bare(address: &str) -> String {
    address.split_once("://").map_or(address, |(_, bare)| bare).to_owned()
}

/// Whether no shard is left that this node could claim.
fn has_its_own(placement: &Placement, me: &Identity) -> bool {
    let roster = placement.roster();
    let mut all = Shard::all(me.roles).peekable();
    all.peek().is_none()
        || all.all(|shard| {
            placement.epoch(shard) >= 0
                || roster
                    .shard(shard)
                    .is_some_and(|row| !roster.is_claimable(row, placement.incarnation()))
        })
}
