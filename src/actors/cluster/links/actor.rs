//! `/cluster/links`: a link to every other node of the register, and the door for theirs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::dial::Dialler;
use super::peer::{LinkView, Peer};
use super::serve::serve;
use super::session::Reception;
use super::wire::Me;
use super::{Links, Table};
use crate::actors::cluster::placement::Placement;
use crate::actors::kernel::{Actor, Cx, Fault, SpawnError, Supervisor, per_minute};
use crate::api::tls::{self, ClientAuth, Tls, TlsError, TlsTerms};
use crate::models::cluster::node::Incarnation;
use crate::models::cluster::roster::Roster;

/// How often the register is looked at, as the member has read it.
const TICK: Duration = Duration::from_millis(100);

/// What a node needs to speak with others.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// Where links of other nodes are taken. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where other nodes reach that: `host:port`.
    pub advertise: String,
    /// This node's name, which its certificate has, too.
    pub node: String,
    /// PEM: the authority of all nodes' certificates.
    pub ca_file: PathBuf,
    /// PEM: this node's certificate, for both directions.
    pub cert_file: PathBuf,
    /// PEM: the private key of that certificate.
    pub key_file: PathBuf,
    /// How long leases of this node last, which other nodes are told.
    pub lease: Duration,
}

/// Why there are no links.
#[derive(Debug, thiserror::Error)]
pub enum LinksError {
    #[error("{0}: {1}")]
    Bind(SocketAddr, std::io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{}: the certificate does not name this node, {node}: others would not let it in", file.display())]
    Unnamed { file: PathBuf, node: String },
    #[error("the certificates could not be read: {0}")]
    Unread(#[from] tokio::task::JoinError),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

impl LinkSettings {
    /// Whether links could be opened with them: the certificates are good and name this node, and nobody else
    /// listens there.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), LinksError> {
        self.tls()?;
        let bound = std::net::TcpListener::bind(self.listen);
        bound.map(drop).map_err(|error| LinksError::Bind(self.listen, error))
    }

    fn tls(&self) -> Result<Tls, LinksError> {
        let tls = Tls::load(TlsTerms {
            cert_file: self.cert_file.clone(),
            key_file: self.key_file.clone(),
            client_ca_file: Some(self.ca_file.clone()),
            client_auth: ClientAuth::Required,
        })?;
        if !tls.is_named(&self.node) {
            let (file, node) = (self.cert_file.clone(), self.node.clone());
            return Err(LinksError::Unnamed { file, node });
        }
        Ok(tls)
    }
}

impl Links {
    /// Listens, and has a link to every other node of the register from then on, as `/cluster/links` below the
    /// cluster's supervisor. `placement.links()` are these.
    ///
    /// # Errors
    /// The address is taken, the certificates are not good, or do not name this node.
    pub async fn open(
        below: &Supervisor,
        settings: LinkSettings,
        placement: &Arc<Placement>,
    ) -> Result<Links, LinksError> {
        let own = settings.clone();
        let tls = tokio::task::spawn_blocking(move || own.tls()).await??;
        let LinkSettings { listen, advertise, node, lease, .. } = settings;
        let bind = async {
            let listener = TcpListener::bind(listen).await?;
            let address = listener.local_addr()?;
            Ok((Arc::new(listener), address))
        };
        let (listener, address) = bind.await.map_err(|error| LinksError::Bind(listen, error))?;
        let links = Links::at(address, tls.clone());
        placement.connect(links.clone());
        let lease_ms = u32::try_from(lease.as_millis()).unwrap_or(u32::MAX);
        let me = Me { node, incarnation: placement.incarnation(), lease_ms };
        let (own, placement) = (links.clone(), Arc::clone(placement));
        below.child("links").intensity(10, per_minute()).start(move || LinksActor {
            links: own.clone(),
            placement: Arc::clone(&placement),
            me: me.clone(),
            listener: Arc::clone(&listener),
            tls: tls.clone(),
            advertise: advertise.clone(),
            table: Table::default(),
            dialled: BTreeMap::new(),
            seen: None,
            tasks: JoinSet::new(),
            reading: watch::channel(false).0,
        })?;
        Ok(links)
    }
}

struct LinksActor {
    links: Links,
    placement: Arc<Placement>,
    me: Me,
    listener: Arc<TcpListener>,
    tls: Tls,
    advertise: String,
    /// The peers, as [`Links`] has them.
    table: Table,
    dialled: BTreeMap<Incarnation, AbortHandle>,
    seen: Option<Arc<Roster>>,
    /// Ends with this life of the actor, and whatever it carries with it.
    tasks: JoinSet<()>,
    /// Whoever looks at the certificates' files ends when this does.
    reading: watch::Sender<bool>,
}

enum Msg {
    Tick,
}

/// The links as operators see them.
#[derive(Clone, Debug, Serialize)]
struct LinksView {
    node: String,
    listens: Option<SocketAddr>,
    advertises: String,
    links: Vec<LinkView>,
}

impl LinksActor {
    fn follow(&mut self, roster: &Roster) {
        let me = self.placement.incarnation();
        // Whoever is not in the register is let in nowhere.
        let joined = roster.node(me).is_some();
        let living = roster.nodes.iter().filter(|node| !node.dead && node.incarnation != me);
        let mut table = Table::default();
        for row in living.filter(|_| joined) {
            let known = self.table.get(&row.incarnation).filter(|peer| peer.is(row));
            let peer = match known {
                Some(peer) => Arc::clone(peer),
                None => {
                    self.hang_up(row.incarnation);
                    let peer = Arc::new(Peer::new(row));
                    let dialler = Dialler { me: self.me.clone(), tls: self.tls.clone() };
                    let task = self.tasks.spawn(dialler.keep(Arc::clone(&peer)));
                    self.dialled.insert(row.incarnation, task);
                    peer
                }
            };
            peer.leaves(row.draining);
            table.insert(row.incarnation, peer);
        }
        let gone: Vec<Incarnation> =
            self.table.keys().filter(|it| !table.contains_key(it)).copied().collect();
        gone.into_iter().for_each(|it| self.hang_up(it));
        self.table = table.clone();
        self.links.show(table);
    }

    fn hang_up(&mut self, incarnation: Incarnation) {
        if let Some(task) = self.dialled.remove(&incarnation) {
            task.abort();
        }
    }
}

impl Actor for LinksActor {
    type Msg = Msg;
    type View = LinksView;
    const TYPE: &'static str = "links";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        self.links.show(Table::default());
        let reception = Reception {
            me: self.me.clone(),
            links: self.links.clone(),
            placement: Arc::clone(&self.placement),
            guests: Mutex::default(),
        };
        let (listener, tls) = (Arc::clone(&self.listener), self.tls.clone());
        self.tasks.spawn(serve(listener, tls, Arc::new(reception)));
        self.tasks.spawn(tls::watch_files(self.tls.clone(), self.reading.subscribe()));
        cx.send_after(Duration::ZERO, Msg::Tick);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let Msg::Tick = msg;
        while let Some(ended) = self.tasks.try_join_next() {
            match ended {
                Err(error) if error.is_cancelled() => {}
                Err(error) => return Err(error.into()),
                Ok(()) => return Err(Fault::new("a link's task has ended by itself")),
            }
        }
        let roster = self.placement.roster();
        if !self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &roster)) {
            self.follow(&roster);
            self.seen = Some(roster);
        }
        cx.send_after(TICK, Msg::Tick);
        Ok(())
    }

    async fn stopping(&mut self, _: &mut Cx<Self>) {
        self.links.show(Table::default());
        self.tasks.shutdown().await;
    }

    fn view(&self) -> LinksView {
        LinksView {
            node: self.me.node.clone(),
            listens: self.links.address(),
            advertises: self.advertise.clone(),
            links: self.links.seen(),
        }
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Tick => "tick",
        }
    }
}
