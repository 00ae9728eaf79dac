//! SyncValue in this process, on a store of its own, with all its listeners: REST as a router, gRPC on
//! a socket.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use kiki::access::{Door, DoorTerms, Keys, NewKey};
use kiki::actors::kernel::{FaultKind, FaultRule, KernelConfig, Registry};
use kiki::actors::shield::Shield;
use kiki::actors::value::Value as SyncValue;
use kiki::api::grpc::{self, GrpcTerms};
use kiki::api::server::{self, Speaks};
use kiki::api::shield::{App as ShieldApp, Front, HttpTerms, TokenKeys};
use kiki::api::value::{App, router};
use kiki::config::Loader;
use kiki::connectors::redis::Redis;
use kiki::models::access::Scopes;
use kiki::models::shield::seal::MasterKey;
use kiki::models::value::log::day::Day;
use kiki::models::value::log::format::Format;
use kiki::models::value::log::rows::Rows;
use kiki::store::{SQLITE_FILE, Store, StoreConfig};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceExt;

pub const SAMPLE: &[u8] = include_bytes!("../data/cdnow_sample.txt");

pub struct Api {
    pub value: SyncValue,
    pub shield: Arc<ShieldApp>,
    pub registry: Registry,
    router: Router,
    of_shield: Router,
    pub channel: Channel,
    dir: tempfile::TempDir,
    settings: Vec<(String, String)>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub kind: String,
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
        assert_eq!((self.status, &*self.kind), (status, "application/problem+json"), "{self:?}");
        assert_eq!(self.json["code"], code, "{}", self.text);
        self.json
    }
}

pub async fn api(settings: &[(&str, &str)]) -> Api {
    let dir = tempfile::tempdir().expect("a folder");
    let text = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    begin(dir, settings.iter().map(text).collect()).await
}

async fn begin(dir: tempfile::TempDir, settings: Vec<(String, String)>) -> Api {
    let mut loader = Loader::new().flag("store.data_dir", dir.path().display(), "--set");
    loader = loader.flag("chaos.enabled", "true", "--set");
    for (key, value) in &settings {
        loader = loader.flag(key, value, "--set");
    }
    let config = loader.load().expect("a configuration").config;
    let store = Store::open(StoreConfig::sqlite(dir.path())).await.expect("the store opens");
    let keys = Keys::load(store.clone()).await.expect("keys");
    let door = match config.auth.required(config.server.bind) {
        false => Door::open(keys),
        true => {
            // rates count where a test is about them
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
        body_max: 64 * 1_024,
        verifying: tokio::sync::Mutex::new(()),
        front: Front { tls: false, loopback_only: true },
    });
    let terms = kiki::cli::up::value_terms(&config);
    let redis = Redis::connect(&config.redis).expect("settings of redis");
    let value = SyncValue::start(&registry, shield.shield.clone(), terms, redis).await;
    let value = value.expect("syncvalue starts");
    let http = HttpTerms { running_max: 4_096, time_max: patience };
    let app = Arc::new(App::new(value.clone(), &shield, (512 * 1_024, 64 << 20)));
    let terms = GrpcTerms {
        message_max: config.server.grpc_message_limit_bytes,
        running_max: 4_096,
        time_max: patience,
        in_flight: config.value.stream_in_flight,
    };
    let (calls, reporter) =
        grpc::router(value.clone(), None, &shield.door, terms).expect("services");
    let listener = server::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
    let address = listener.addr;
    let (stop, stopped) = watch::channel(false);
    let second = Duration::from_secs(1);
    let tended = grpc::tend(reporter, value.clone(), stopped.clone());
    let served = server::serve(listener, (Speaks::Http2, calls), None, second, second, stopped);
    let serving = tokio::spawn(async move {
        tokio::join!(tended, served);
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    Api {
        router: router(app, http, patience),
        of_shield: kiki::api::shield::router(Arc::clone(&shield), http),
        channel: endpoint.connect_lazy(),
        value,
        shield,
        registry,
        dir,
        settings,
        stop,
        serving,
    }
}

impl Api {
    /// Ends in order, and starts again on the same data.
    pub async fn again(self) -> Api {
        let Api {
            value,
            shield,
            registry,
            router,
            of_shield,
            channel,
            dir,
            settings,
            stop,
            serving,
        } = self;
        drop((router, of_shield, channel));
        stop.send(true).expect("it listens");
        serving.await.expect("it ends");
        value.drain(Duration::from_secs(5)).await;
        shield.shield.drain(Duration::from_secs(5)).await;
        registry.shutdown(Duration::from_secs(5)).await;
        shield.shield.store().close().await;
        begin(dir, settings).await
    }

    async fn send_to(router: &Router, request: Request<Body>) -> Answer {
        let response = router.clone().oneshot(request).await.expect("infallible");
        let status = response.status().as_u16();
        let (head, body) = response.into_parts();
        let kind = head.headers.get(header::CONTENT_TYPE);
        let kind = kind.map_or(String::new(), |kind| kind.to_str().expect("text").to_owned());
        let bytes = axum::body::to_bytes(body, 64 << 20).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, kind, text, json }
    }

    pub async fn call(
        &self,
        method: Method,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Self::send_to(&self.router, request.body(body.into()).expect("a request")).await
    }

    pub async fn get(&self, uri: &str) -> Answer {
        self.call(Method::GET, uri, &[], Body::empty()).await
    }

    pub async fn delete(&self, uri: &str) -> Answer {
        self.call(Method::DELETE, uri, &[], Body::empty()).await
    }

    pub async fn post(&self, uri: &str, body: Value) -> Answer {
        self.post_as(uri, &[], body).await
    }

    pub async fn post_as(&self, uri: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let kind = [("content-type", "application/json")];
        self.call(Method::POST, uri, &[&kind, headers].concat(), body.to_string()).await
    }

    pub async fn put(&self, uri: &str, body: Value) -> Answer {
        let kind = [("content-type", "application/json")];
        self.call(Method::PUT, uri, &kind, body.to_string()).await
    }

    pub async fn csv(&self, uri: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let kind = [("content-type", "text/csv")];
        self.call(Method::POST, uri, &[&kind, headers].concat(), body).await
    }

    /// A call of SyncShield's.
    pub async fn shield(&self, method: Method, uri: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(uri);
        let request = request.header("content-type", "application/json");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        Self::send_to(&self.of_shield, request.body(body).expect("a request")).await
    }

    pub async fn predict(&self, customer: &str) -> Value {
        self.post("/api/v1/ltv/predict", json!({"customer_id": customer})).await.is(200)
    }

    /// Asks until this version answers, as it does when predictors may be asked again.
    pub async fn answers_again(&self, model: &str) {
        for _ in 0..200 {
            if self.predict("nobody").await["model_version"] == json!(model) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no predictor came back");
    }

    /// Purchases of CDNOW's sample of every `nth` customer: how many.
    pub async fn import_sample(&self, nth: u64) -> u64 {
        let file = sample(nth);
        let done = self.csv("/api/v1/ltv/transactions", &[], file).await.is(200);
        assert_eq!(done["rejected"], 0, "{done}");
        done["imported"].as_u64().expect("a count")
    }

    /// A fit from its order to its version.
    pub async fn fit(&self, body: Value) -> String {
        let fit = self.post("/api/v1/ltv/fits", body).await.is(202);
        let fit = self.ended(&fit).await;
        assert_eq!(fit["state"], "done", "{fit}");
        fit["model"].as_str().expect("a version").to_owned()
    }

    /// A fit at its end.
    pub async fn ended(&self, fit: &Value) -> Value {
        let uri = format!("/api/v1/ltv/fits/{}", fit["id"].as_str().expect("an id"));
        for _ in 0..1_200 {
            let fit = self.get(&uri).await.is(200);
            if fit["ended_at"].is_string() {
                return fit;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the fit did not end");
    }

    /// A champion, fitted on a part of the sample.
    pub async fn champion(&self, nth: u64) -> String {
        self.import_sample(nth).await;
        let model = self.fit(json!({"model": "bg-nbd", "horizon_days": 273})).await;
        let uri = format!("/api/v1/ltv/models/{model}/promote");
        self.post(&uri, json!({})).await.is(200);
        model
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

    /// Changes what is stored behind the back of everybody.
    pub async fn tamper(&self, sql: &str) {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}", self.dir.path().join(SQLITE_FILE).display());
        let mut conn = AnyConnection::connect(&url).await.expect("the database opens");
        let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await;
        done.expect("the statement runs");
    }

    /// A fault of the actors at these paths.
    pub fn fault(&self, pattern: &str, kind: FaultKind) -> u64 {
        let rule = FaultRule {
            pattern: pattern.to_owned(),
            kind,
            probability: 1.0,
            ttl_ms: 60_000,
            seed: 1,
        };
        self.registry.set_fault(rule).expect("a fault")
    }
}

/// The customers of a part of the sample.
pub fn customers(nth: u64) -> Vec<String> {
    let of = |line: &str| Some(line.split(',').next()?.to_owned());
    let mut all: Vec<String> = sample(nth).lines().skip(1).filter_map(of).collect();
    all.dedup();
    all
}

/// CDNOW's sample as CSV: every `nth` customer, its last day moved to yesterday.
pub fn sample(nth: u64) -> String {
    let today = kiki::actors::value::today();
    let last = Day::any("1998-06-30").expect("a day");
    let moved = today.number() - 1 - last.number();
    let mut file = "customer_id,date,amount\n".to_owned();
    for row in Rows::new(SAMPLE, Format::CdnowSample, today) {
        let row = row.expect("readable").expect("a purchase");
        if row.customer.parse::<u64>().expect("a number") % nth == 0 {
            let amount = kiki::models::shield::money::Micros(row.amount);
            let day = Day::new(row.day.number() + moved).expect("a day");
            file.push_str(&format!("{},{day},{}\n", row.customer, amount.display_2()));
        }
    }
    file
}
