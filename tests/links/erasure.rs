//! An erasure says that it is done when every node has let go of the person.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kiki::actors::cluster::links::LinkError;
use kiki::actors::flow::Flow;
use kiki::actors::shield::Shield;
use kiki::actors::shield::dsr::Asking;
use kiki::actors::value::Value as SyncValue;
use kiki::config::Loader;
use kiki::connectors::redis::Redis;
use kiki::models::shield::dsr::kind::{Kind, Status};
use kiki::models::shield::dsr::request::{Ground, Request};
use kiki::models::shield::seal::MasterKey;
use kiki::store::{SHARDS, Store, StoreConfig};
use serde_json::{Value, json};

use crate::SOON;
use crate::support::{Node, Office, meet};

const ACCOUNT: &str = "default";
const FORGET: &str = "flow.forget";

/// A node with all services, and all shards.
struct Whole {
    node: Node,
    shield: Shield,
    value: SyncValue,
    flow: Flow,
    _dir: tempfile::TempDir,
}

impl Whole {
    async fn start(office: &Office) -> Whole {
        let dir = tempfile::tempdir().expect("a folder");
        let loader = Loader::new().flag("store.data_dir", dir.path().display(), "--set");
        let config = loader.load().expect("a configuration").config;
        let store = Store::open(StoreConfig::sqlite(dir.path())).await.expect("the store opens");
        let shards: Vec<i64> = (0..SHARDS).collect();
        let epochs = store.acquire(&shards, "of nobody in the register").await.expect("shards");
        let node = Node::owning(office.sign("a", "a"), 1, &epochs).await.expect("links");
        let shield = Shield::start_on(
            &node.registry,
            store,
            kiki::cli::up::terms(&config),
            MasterKey::new([7; 32]).expect("a key"),
            config.store.committer(),
            config.server.request_timeout_ms.duration(),
            Arc::clone(&node.placement),
        );
        let shield = shield.await.expect("syncshield starts");
        let terms = kiki::cli::up::value_terms(&config);
        let value = SyncValue::start(&node.registry, shield.clone(), terms, Redis::default()).await;
        let value = value.expect("syncvalue starts");
        let terms = kiki::cli::up::flow_terms(&config, &[7; 32]).expect("settings");
        let flow = Flow::start(&node.registry, shield.clone(), value.clone(), terms).await;
        Whole { node, shield, value, flow: flow.expect("syncflow starts"), _dir: dir }
    }

    async fn erase(&self, customer: &str) -> Request {
        let asking = Asking {
            account: ACCOUNT.to_owned(),
            customer: customer.to_owned(),
            kind: Kind::Deletion,
            corrections: BTreeMap::new(),
            purposes: BTreeSet::new(),
            ground: Ground::LegalClaims,
            verified: true,
            who: "test".to_owned(),
            keyed: None,
        };
        self.shield.requests().create(asking).await.expect("taken").0
    }

    async fn until(&self, request: &Request, wanted: impl Fn(&Request) -> bool) -> Request {
        let began = Instant::now();
        loop {
            let seen = self.shield.requests().see(ACCOUNT, &request.id).await.expect("there");
            if wanted(&seen) {
                return seen;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{seen:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn end(self) {
        self.flow.drain(SOON).await;
        self.value.drain(SOON).await;
        self.shield.drain(SOON).await;
        self.node.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_waits_until_every_other_node_has_let_go_of_the_person() {
    let office = Office::open();
    let (home, other) = (Whole::start(&office).await, Node::start(&office, "b", 2).await);
    other.links.answer_with("value.forget", |_, _: Vec<String>| async { Ok(()) });
    other.links.answer_with(FORGET, |_, _: Value| async {
        Err::<(), _>(LinkError::Refused("its journal is busy".to_owned()))
    });
    meet(&[&home.node, &other]).await;
    let request = home.erase("ann").await;
    let seen = home.until(&request, |seen| seen.trouble.failures > 0).await;
    let error = seen.trouble.last_error.as_deref().unwrap_or_default();
    assert!(error.contains("its journal is busy"), "{error}");
    assert_ne!(seen.status, Status::Completed);

    // Each step that erases tells it; the last one when nobody could find out any more who it was.
    let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
    let hears = Arc::clone(&heard);
    other.links.answer_with(FORGET, move |_, erased: Value| {
        hears.lock().expect("not poisoned").push(erased);
        async { Ok(()) }
    });
    home.until(&request, |seen| seen.status == Status::Completed).await;
    let heard = std::mem::take(&mut *heard.lock().expect("not poisoned"));
    assert!(heard.len() >= 3, "{heard:?}");
    assert!(heard.iter().all(|it| it["person"] == json!(request.person)), "{heard:?}");
    assert!(heard.iter().all(|it| it["number"].is_number() && *it == heard[0]), "{heard:?}");

    // The other way round.
    let erased = json!({"person": request.person, "number": 7});
    let asked = other.links.ask_for::<_, ()>(home.node.id(), FORGET, &erased, SOON).await;
    assert_eq!(asked, Ok(()));
    home.end().await;
    other.end().await;
}
