//! Nodes of one process, each with links of its own, and the register that they are told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kiki::actors::cluster::Placement;
use kiki::actors::cluster::links::{LinkSettings, LinkState, LinkView, Links, LinksError};
use kiki::actors::kernel::{KernelConfig, Registry, Service};
use kiki::models::cluster::node::{Incarnation, NodeRow, Roles};
use kiki::models::cluster::roster::Roster;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An authority of certificates, and a folder for what it signs.
pub struct Office {
    pub folder: Arc<TempDir>,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Office {
    pub fn open() -> Office {
        Office::beside(&Arc::new(tempfile::tempdir().expect("a folder")))
    }

    /// Another authority, whose files take the place of the first one's.
    pub fn beside(folder: &Arc<TempDir>) -> Office {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("signed");
        Office { folder: Arc::clone(folder), authority }
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        // As tools do it: a reader sees the old file or the new one.
        let (draft, file) = (self.folder.path().join("draft"), self.folder.path().join(name));
        std::fs::write(&draft, text).expect("written");
        std::fs::rename(&draft, &file).expect("moved");
        file
    }

    /// The files of a node, with a certificate for a name.
    pub fn sign(&self, node: &str, name: &str) -> LinkSettings {
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let key = KeyPair::generate().expect("a key");
        let own = params.signed_by(&key, &self.authority).expect("signed");
        LinkSettings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: "127.0.0.1:0".to_owned(),
            node: node.to_owned(),
            ca_file: self.put(&format!("{node}-ca.pem"), &self.authority.pem()),
            key_file: self.put(&format!("{node}.key"), &key.serialize_pem()),
            cert_file: self.put(&format!("{node}.pem"), &own.pem()),
            lease: Duration::from_secs(10),
        }
    }
}

/// One life of a node.
pub struct Node {
    pub links: Links,
    pub placement: Arc<Placement>,
    pub row: NodeRow,
    pub registry: Registry,
    service: Service,
}

impl Node {
    pub async fn start(office: &Office, name: &str, life: u64) -> Node {
        Node::with(office.sign(name, name), life).await.expect("links")
    }

    pub async fn with(settings: LinkSettings, life: u64) -> Result<Node, LinksError> {
        Node::owning(settings, life, &BTreeMap::new()).await
    }

    /// One that has these shards, with their epochs.
    pub async fn owning(
        settings: LinkSettings,
        life: u64,
        epochs: &BTreeMap<i64, i64>,
    ) -> Result<Node, LinksError> {
        let registry = Registry::new(KernelConfig::default());
        let service = registry.service("cluster").start().expect("a service");
        let name = settings.node.clone();
        let placement = Placement::fixed(Incarnation(life), epochs);
        let links = Links::open(service.supervisor(), settings, &placement).await?;
        let address = links.address().expect("it listens").to_string();
        let row = row(&name, life, &address);
        Ok(Node { links, placement, row, registry, service })
    }

    pub fn id(&self) -> Incarnation {
        self.row.incarnation
    }

    pub fn told(&self, nodes: &[&NodeRow]) {
        let nodes = nodes.iter().map(|&row| row.clone()).collect();
        self.placement.show(Roster { now_us: 1, nodes, shards: Vec::new() });
    }

    /// The way to another node.
    pub fn view(&self, of: &NodeRow) -> Option<LinkView> {
        let id = of.incarnation.to_string();
        self.links.seen().into_iter().find(|link| link.incarnation == id)
    }

    pub async fn until(&self, of: &NodeRow, wanted: LinkState) -> LinkView {
        let began = Instant::now();
        loop {
            let view = self.view(of);
            match view {
                Some(view) if view.state == wanted => return view,
                _ => assert!(began.elapsed() < Duration::from_secs(10), "{wanted:?}: {view:?}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn up(&self, of: &NodeRow) -> LinkView {
        self.until(of, LinkState::Up).await
    }

    pub async fn end(self) {
        self.service.drain(Duration::from_secs(2)).await;
        self.registry.shutdown(Duration::from_secs(2)).await;
    }
}

pub fn row(name: &str, life: u64, address: &str) -> NodeRow {
    NodeRow {
        incarnation: Incarnation(life),
        name: name.to_owned(),
        address: address.to_owned(),
        roles: Roles::ALL,
        version: "0.1.0".to_owned(),
        joined_us: 0,
        lease_until_us: i64::MAX,
        draining: false,
        dead: false,
    }
}

/// Tells all of them of each other, and waits until each has a link to each.
pub async fn meet(nodes: &[&Node]) {
    let rows: Vec<&NodeRow> = nodes.iter().map(|node| &node.row).collect();
    nodes.iter().for_each(|node| node.told(&rows));
    for node in nodes {
        for other in rows.iter().filter(|row| row.incarnation != node.id()) {
            node.up(other).await;
        }
    }
}

/// A way between two nodes that keeps what it carries, and carries nothing while it is cut.
#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<u8>>>,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    pub async fn to(target: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let proxy = Proxy { address, seen: Arc::default(), cut: Arc::default() };
        let (own, target) = (proxy.clone(), target.to_owned());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(&target).await else { continue };
                let ((a, b), (c, d)) = (near.into_split(), far.into_split());
                tokio::spawn(own.clone().carry(a, d));
                tokio::spawn(own.clone().carry(c, b));
            }
        });
        proxy
    }

    async fn carry(self, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(some @ 1..) = from.read(&mut bytes).await {
            while self.cut.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.seen.lock().expect("whole").extend_from_slice(&bytes[..some]);
            if to.write_all(&bytes[..some]).await.is_err() {
                return;
            }
        }
    }

    pub fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }
}
