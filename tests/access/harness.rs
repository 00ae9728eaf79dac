//! All listeners of one process, with their guard, on a store of its own.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use axum::response::Response;
use futures_util::future::BoxFuture;
use kiki::access::{Act, Door, DoorTerms, Keys, NewKey, Witness};
use kiki::actors::flow::Flow;
use kiki::actors::kernel::{KernelConfig, Registry};
use kiki::actors::shield::Shield;
use kiki::actors::value::Value as SyncValue;
use kiki::api::access::Listener;
use kiki::api::peer::Peer;
use kiki::api::shield::{App, Front, HttpTerms, TokenKeys};
use kiki::api::{admin, health, shield};
use kiki::clock;
use kiki::config::Loader;
use kiki::connectors::redis::Redis;
use kiki::models::access::{KeyId, Role, Scopes};
use kiki::models::shield::seal::MasterKey;
use kiki::store::{Store, StoreConfig};
use serde_json::{Value, json};
use tower::ServiceExt;

/// Remembers what it saw.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Vec<Act>>>);

impl Witness for Memory {
    fn saw(&self, act: Act) -> BoxFuture<'static, ()> {
        self.0.lock().expect("not poisoned").push(act);
        Box::pin(std::future::ready(()))
    }
}

impl Memory {
    pub fn acts(&self) -> Vec<Act> {
        self.0.lock().expect("not poisoned").clone()
    }

    pub fn of(&self, event: &str) -> Vec<Act> {
        self.acts().into_iter().filter(|act| act.event == event).collect()
    }
}

pub struct World {
    pub app: Arc<App>,
    pub memory: Memory,
    /// By [`Listener`].
    routers: [Router; 5],
    _dir: tempfile::TempDir,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Answer {
    /// The code of a problem; empty for anything else.
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Answer {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        self
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

pub fn asking() -> DoorTerms {
    DoorTerms { bearer: None, limits: None, shared: None }
}

/// Everybody has to say who he is.
pub async fn guarded() -> World {
    world(Some(asking())).await
}

/// `None`: nobody is asked.
pub async fn world(terms: Option<DoorTerms>) -> World {
    let dir = tempfile::tempdir().expect("a folder");
    let loader = Loader::new().flag("store.data_dir", dir.path().display(), "--set");
    let config = loader.flag("shield.window_cap", "1000000", "--set").load();
    let config = config.expect("a configuration").config;
    let store = Store::open(StoreConfig::sqlite(dir.path())).await.expect("the store opens");
    let registry = Registry::new(KernelConfig { chaos_enabled: true });
    let keys = Keys::load(store.clone()).await.expect("keys");
    let memory = Memory::default();
    let door = match terms {
        Some(terms) => Door::guarded(keys, terms),
        None => Door::open(keys),
    };
    let door = door.with_witness(Arc::new(memory.clone()));
    let terms = kiki::cli::up::terms(&config);
    let master = MasterKey::new([7; 32]).expect("a key");
    let patience = config.server.request_timeout_ms.duration();
    let shield = Shield::start(&registry, store, terms, master, config.store.committer(), patience);
    let shield = shield.await.expect("syncshield starts");
    let tokens = TokenKeys::open(&shield, vec![7; 32]).await.expect("token keys");
    let app = Arc::new(App {
        shield,
        tokens,
        metrics: metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle(),
        redis: Redis::default(),
        registry: registry.clone(),
        door: Arc::new(door),
        body_max: 64 * 1_024,
        verifying: tokio::sync::Mutex::new(()),
        front: Front { tls: false, loopback_only: true },
    });
    let http = HttpTerms { running_max: 1_024, time_max: patience };
    let terms = kiki::cli::up::value_terms(&config);
    let value = SyncValue::start(&registry, app.shield.clone(), terms, Redis::default()).await;
    let value = value.expect("syncvalue starts");
    let bodies = (64 * 1_024, 1 << 20);
    let terms = kiki::cli::up::flow_terms(&config, &[7; 32]).expect("settings");
    let flow = Flow::start(&registry, app.shield.clone(), value.clone(), terms).await;
    let flows = kiki::api::flow::App::new(flow.expect("syncflow starts"), &app);
    let values = Arc::new(kiki::api::value::App::new(value, &app, bodies));
    let routers = [
        shield::router(Arc::clone(&app), http),
        health::router(Arc::clone(&app)),
        admin::listener(registry, true, &app),
        kiki::api::value::router(values, http, patience),
        kiki::api::flow::router(Arc::new(flows), http),
    ];
    World { app, memory, routers, _dir: dir }
}

impl World {
    /// A new key for everything of these scopes: its id and its text.
    pub async fn make(
        &self,
        role: Role,
        scopes: &[&str],
        expires_at: Option<i64>,
    ) -> (KeyId, String) {
        let scopes = Scopes::parse(scopes.iter().copied()).expect("scopes");
        let (name, created_by) = ("test".to_owned(), "test".to_owned());
        let new = NewKey { name, role, scopes, created_by, expires_at };
        let keys = self.app.door.keys();
        let (key, stored) = keys.create(new, clock::wall_us()).await.expect("made");
        (stored.id, key.text().to_string())
    }

    pub async fn key(&self, role: Role, scopes: &[&str]) -> String {
        self.make(role, scopes, None).await.1
    }

    /// The answer as it comes, its body not read.
    pub async fn raw(&self, listener: Listener, mut request: Request<Body>) -> Response {
        if request.extensions().get::<Peer>().is_none() {
            let peer = Peer::plain("192.0.2.1:4000".parse().expect("an address"));
            request.extensions_mut().insert(peer);
        }
        let router = self.routers[listener as usize].clone();
        router.oneshot(request).await.expect("infallible")
    }

    pub async fn send(&self, listener: Listener, request: Request<Body>) -> Answer {
        let response = self.raw(listener, request).await;
        let status = response.status().as_u16();
        let (head, body) = response.into_parts();
        let kind = head.headers.get(header::CONTENT_TYPE);
        let endless = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let text = match endless {
            true => String::new(),
            false => {
                let bytes = axum::body::to_bytes(body, 64 << 20).await.expect("a body");
                String::from_utf8_lossy(&bytes).into_owned()
            }
        };
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers: head.headers, text, json }
    }

    /// A call with a key (or none) and further headers.
    pub async fn call(
        &self,
        listener: Listener,
        (method, uri): (&str, &str),
        key: Option<&str>,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        request = request.header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(listener, request.body(body).expect("a request")).await
    }

    pub async fn get(&self, listener: Listener, uri: &str, key: Option<&str>) -> Answer {
        self.call(listener, ("GET", uri), key, &[], Value::Null).await
    }

    pub async fn post(&self, uri: &str, key: &str, body: Value) -> Answer {
        self.call(Listener::Shield, ("POST", uri), Some(key), &[], body).await
    }

    /// An account with a campaign `c` and an open hold on it: the hold's id and token.
    pub async fn account(&self, admin: &str, name: &str) -> (String, String) {
        self.post("/api/v1/accounts", admin, json!({"account": name})).await.is(201);
        let campaign = json!({"campaign_id": "c", "budget": 1_000, "account": name});
        self.post("/api/v1/allocate", admin, campaign).await.is(201);
        let bid = json!({"campaign_id": "c", "bid_amount": 1, "account": name});
        let held = self.post("/api/v1/check", admin, bid).await.is(200).json;
        let text = |field: &str| held[field].as_str().expect("a text").to_owned();
        (text("hold_id"), text("token"))
    }
}

/// Gives denials, which are told without being waited for, their moment.
pub async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
