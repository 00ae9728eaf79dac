//! SyncFlow in this process, on a store of its own, with SyncShield and SyncValue beside it: its routes as a
//! router and on a socket, gRPC on another one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request};
use kiki::access::{Door, DoorTerms, Keys, NewKey};
use kiki::actors::flow::Flow;
use kiki::actors::kernel::{KernelConfig, Registry};
use kiki::actors::shield::Shield;
use kiki::actors::value::Value as SyncValue;
use kiki::api::flow::{App, router};
use kiki::api::grpc::{self, Calls, GrpcTerms};
use kiki::api::server::{self, Speaks};
use kiki::api::shield::{App as ShieldApp, Front, HttpTerms, TokenKeys};
use kiki::config::Loader;
use kiki::connectors::redis::Redis;
use kiki::models::access::Scopes;
use kiki::models::shield::seal::MasterKey;
use kiki::store::{Store, StoreConfig};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceExt;

pub struct Api {
    pub flow: Flow,
    pub shield: Arc<ShieldApp>,
    value: SyncValue,
    pub registry: Registry,
    router: Router,
    of_shield: Router,
    of_value: Router,
    pub dir: tempfile::TempDir,
    settings: Vec<(String, String)>,
    /// Where the routes are served.
    pub address: SocketAddr,
    pub channel: Channel,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// What an exchange gets.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Heard {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Its only bid.
    #[track_caller]
    pub fn bid(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        let answer: Value = serde_json::from_slice(&self.body).expect("json");
        answer["seatbid"][0]["bid"][0].clone()
    }
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub etag: String,
    pub text: String,
    pub json: Value,
}

impl Answer {
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json
    }

    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.json["code"], code, "{}", self.text);
        self.json
    }
}

pub async fn api() -> Api {
    api_with(&[]).await
}

/// With settings of its own.
pub async fn api_with(settings: &[(&str, &str)]) -> Api {
    let text = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    begin(tempfile::tempdir().expect("a folder"), settings.iter().map(text).collect()).await
}

async fn begin(dir: tempfile::TempDir, settings: Vec<(String, String)>) -> Api {
    let mut loader = Loader::new().flag("store.data_dir", dir.path().display(), "--set");
    for (key, value) in &settings {
        loader = loader.flag(key, value, "--set");
    }
    let config = loader.load().expect("a configuration").config;
    let store = Store::open(StoreConfig::sqlite(dir.path())).await.expect("the store opens");
    let keys = Keys::load(store.clone()).await.expect("keys");
    let door = match config.auth.required(config.server.bind) {
        false => Door::open(keys),
        true => {
            let limited = settings.iter().any(|(key, _)| key.starts_with("limits."));
            let limits = config.limits.terms().filter(|_| limited);
            Door::guarded(keys, DoorTerms { bearer: None, limits, shared: None })
        }
    };
    let registry = Registry::new(KernelConfig { chaos_enabled: true });
    let terms = kiki::cli::up::terms(&config);
    let master = MasterKey::new([7; 32]).expect("a key");
    let patience = config.server.request_timeout_ms.duration();
    let shield = Shield::start(&registry, store, terms, master, config.store.committer(), patience);
    let shield = shield.await.expect("syncshield starts");
    let tokens = TokenKeys::open(&shield, vec![7; 32]).await.expect("token keys");
    let shield = Arc::new(ShieldApp {
        shield,
        tokens,
        metrics: metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle(),
        redis: Redis::default(),
        registry: registry.clone(),
        door: Arc::new(door),
        body_max: 4 << 20,
        verifying: tokio::sync::Mutex::new(()),
        front: Front { tls: false, loopback_only: true },
    });
    let terms = kiki::cli::up::value_terms(&config);
    let value = SyncValue::start(&registry, shield.shield.clone(), terms, Redis::default()).await;
    let value = value.expect("syncvalue starts");
    let terms = kiki::cli::up::flow_terms(&config, &[7; 32]).expect("settings");
    let flow = Flow::start(&registry, shield.shield.clone(), value.clone(), terms).await;
    let flow = flow.expect("syncflow starts");
    let http = HttpTerms { running_max: 4_096, time_max: patience };
    let of_value = (512 * 1_024, 64 << 20);
    let of_value = Arc::new(kiki::api::value::App::new(value.clone(), &shield, of_value));
    let router = router(Arc::new(App::new(flow.clone(), &shield)), http);
    let terms = GrpcTerms {
        message_max: config.server.grpc_message_limit_bytes,
        running_max: 4_096,
        time_max: patience,
        in_flight: config.value.stream_in_flight,
    };
    let calls = Calls::new(flow.clone(), registry.clone());
    let calls = grpc::router(value.clone(), Some(calls), &shield.door, terms);
    let (calls, reporter) = calls.expect("services");
    let free: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let of_http = server::bind(free).await.expect("a port");
    let of_grpc = server::bind(free).await.expect("a port");
    let (address, endpoint) = (of_http.addr, format!("http://{}", of_grpc.addr));
    let (stop, stopped) = watch::channel(false);
    let (head, second) = (config.server.header_timeout_ms.duration(), Duration::from_secs(1));
    let tended = grpc::tend(reporter, value.clone(), stopped.clone());
    let spoken = (Speaks::Http1, router.clone());
    let of_http = server::serve(of_http, spoken, None, head, second, stopped.clone());
    let of_grpc = server::serve(of_grpc, (Speaks::Http2, calls), None, head, second, stopped);
    let serving = tokio::spawn(async move {
        tokio::join!(tended, of_http, of_grpc);
    });
    Api {
        router,
        address,
        channel: Endpoint::from_shared(endpoint).expect("an address").connect_lazy(),
        settings,
        stop,
        serving,
        of_shield: kiki::api::shield::router(Arc::clone(&shield), http),
        of_value: kiki::api::value::router(of_value, http, patience),
        flow,
        value,
        shield,
        registry,
        dir,
    }
}

impl Api {
    /// Ends in order, and starts again on the same data.
    pub async fn again(self) -> Api {
        self.again_within(Duration::from_secs(5)).await
    }

    /// Each service has so long to end.
    pub async fn again_within(self, patience: Duration) -> Api {
        let Api { flow, shield, value, registry, router, dir, .. } = self;
        let Api { settings, channel, stop, serving, of_shield, of_value, .. } = self;
        drop((router, of_shield, of_value, channel));
        stop.send(true).expect("it listens");
        serving.await.expect("it ends");
        flow.drain(patience).await;
        value.drain(patience).await;
        shield.shield.drain(patience).await;
        registry.shutdown(patience).await;
        shield.shield.store().close().await;
        begin(dir, settings).await
    }

    async fn send(router: &Router, request: Request<Body>) -> Answer {
        let response = router.clone().oneshot(request).await.expect("infallible");
        let status = response.status().as_u16();
        let (head, body) = response.into_parts();
        let etag = head.headers.get("etag").map_or("", |tag| tag.to_str().expect("text"));
        let bytes = axum::body::to_bytes(body, 64 << 20).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, etag: etag.to_owned(), text, json }
    }

    pub async fn call(
        &self,
        method: Method,
        uri: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match body.is_null() {
            true => request.body(Body::empty()),
            false => {
                request.header("content-type", "application/json").body(body.to_string().into())
            }
        };
        Self::send(&self.router, request.expect("a request")).await
    }

    pub async fn get(&self, uri: &str) -> Answer {
        self.call(Method::GET, uri, &[], Value::Null).await
    }

    pub async fn post(&self, uri: &str, body: Value) -> Answer {
        self.call(Method::POST, uri, &[], body).await
    }

    pub async fn order(&self, campaign: &str, order: &str) -> Answer {
        self.post(&format!("/api/v1/campaigns/{campaign}/{order}"), Value::Null).await
    }

    /// A call of an exchange.
    pub async fn exchange(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> Heard {
        let mut request = Request::builder().method(Method::POST).uri("/openrtb2/bid");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.hear(request.body(body.into()).expect("a request")).await
    }

    /// A notice: all after the host of its address.
    pub async fn notice(&self, method: Method, path: &str) -> Heard {
        let request = Request::builder().method(method).uri(path);
        self.hear(request.body(Body::empty()).expect("a request")).await
    }

    async fn hear(&self, request: Request<Body>) -> Heard {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.expect("a body");
        Heard { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// Makes a campaign and starts it; when this ends, it bids.
    pub async fn bidding(&self, campaign: Value) {
        let id = campaign["id"].as_str().expect("an id").to_owned();
        self.post("/api/v1/campaigns", campaign).await.is(201);
        self.order(&id, "start").await.is(200);
        self.awake(&[]).await;
    }

    /// Waits until there is a bid on [`request`].
    pub async fn awake(&self, headers: &[(&str, &str)]) {
        let began = Instant::now();
        while self.exchange(headers, request("awake").to_string()).await.status != 200 {
            assert!(began.elapsed() < Duration::from_secs(20), "nothing is bid");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until SyncShield knows of so many open holds of a campaign.
    pub async fn holds(&self, campaign: &str, many: u64) {
        let began = Instant::now();
        loop {
            let budget = self.budget(campaign).await.is(200);
            if budget["open_holds"] == json!(many) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{budget} is not {many}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn key(&self, role: &str, scopes: &[&str]) -> String {
        let new = NewKey {
            name: "test".to_owned(),
            role: role.parse().expect("a role"),
            scopes: Scopes::parse(scopes.iter().copied()).expect("scopes"),
            created_by: "test".to_owned(),
            expires_at: None,
        };
        let made = self.shield.door.keys().create(new, kiki::clock::wall_us()).await;
        made.expect("a key").0.text().to_string()
    }

    /// What SyncShield says of a campaign's budget.
    pub async fn budget(&self, campaign: &str) -> Answer {
        self.of_shield(&format!("/api/v1/budget/{campaign}")).await
    }

    /// Asks SyncShield.
    pub async fn of_shield(&self, uri: &str) -> Answer {
        let request = Request::builder().uri(uri).body(Body::empty()).expect("a request");
        Self::send(&self.of_shield, request).await
    }

    async fn posted(router: &Router, uri: &str, body: &Value) -> Answer {
        let request = Request::builder().method(Method::POST).uri(uri);
        let request = request.header("content-type", "application/json");
        let request = request.body(Body::from(body.to_string())).expect("a request");
        Self::send(router, request).await
    }

    /// Tells SyncShield.
    pub async fn to_shield(&self, uri: &str, body: &Value) -> Answer {
        Self::posted(&self.of_shield, uri, body).await
    }

    /// Tells SyncValue what a customer has bought.
    pub async fn bought(&self, customer: &str, id: &str, date: &str, amount: f64) {
        let row =
            json!({"customer_id": customer, "date": date, "amount": amount, "transaction_id": id});
        let body = json!({"transactions": [row]});
        let uri = "/api/v1/ltv/transactions";
        let told = Self::posted(&self.of_value, uri, &body).await.is(200);
        assert_eq!(told["imported"], 1, "{told}");
    }

    /// Waits until auctions see this many campaigns.
    pub async fn running(&self, many: usize) -> Duration {
        let began = Instant::now();
        while self.flow.roster().live().index.len() != many {
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", self.flow.health());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }
}

/// A campaign that may be started, with money enough to bid at once on all that a test asks.
pub fn campaign(id: &str) -> Value {
    json!({
        "id": id, "name": "Winter boots", "advertiser_domain": "acme.example", "currency": "USD",
        "budget": {"amount": 1_000_000}, "strategy": {"max_cpm": {"cpm": 2}},
        "creatives": [{"id": "a", "format": {"banner": {"w": 300, "h": 250}}, "markup": "x"}],
    })
}

/// A campaign whose money is no matter, however many auctions it meets.
pub fn rich(id: &str, caps: Value) -> Value {
    let mut rich = campaign(id);
    rich["budget"] = json!({"amount": 1_000_000_000});
    rich["frequency"] = json!({"caps": caps, "unknown_person": true});
    rich
}

/// A request for a banner that [`campaign`] has, of an exchange that waits for seconds.
pub fn request(id: &str) -> Value {
    json!({
        "id": id, "at": 2, "tmax": 10_000, "cur": ["USD"], "regs": {"gdpr": 0},
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.01}],
        "site": {"id": "s", "domain": "news.example"}, "device": {"geo": {"country": "USA"}},
    })
}

/// The address of a notice as it is called: the price filled in, and all before its path left out.
pub fn told(address: &Value, price: &str) -> String {
    let address = address.as_str().expect("an address");
    let (_, rest) = address.split_once("://").expect("a scheme");
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    path.replace("${AUCTION_PRICE}", price)
        .replace("${AUCTION_CURRENCY}", "USD")
        .replace("${AUCTION_MIN_TO_WIN}", "")
        .replace("${AUCTION_LOSS}", "102")
}
