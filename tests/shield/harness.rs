//! SyncShield in this process, on a store of its own: SQLite, and PostgreSQL too for the tests that
//! `on_every_store!` names, where `KIKI_TEST_POSTGRES_URL` says a server.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use kiki::access::{Door, DoorTerms, Keys, NewKey};
use kiki::actors::kernel::{KernelConfig, Registry};
use kiki::actors::shield::Shield;
use kiki::actors::shield::audit::AuditWitness;
use kiki::api::shield::{App, Front, HttpTerms, TokenKeys, router};
use kiki::config::Loader;
use kiki::connectors::redis::Redis;
use kiki::models::access::Scopes;
use kiki::models::shield::seal::MasterKey;
use kiki::store::export::{ExportRow, Source};
use kiki::store::{Backend, SQLITE_FILE, Store, StoreConfig};
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use tower::ServiceExt;

/// Room for everything that is not about the window.
pub const WIDE: (&str, &str) = ("shield.window_cap", "1000000");

/// Schemas that a test on PostgreSQL has made, on the server of this URL.
struct Schemas {
    url: String,
    made: Mutex<Vec<String>>,
}

tokio::task_local! {
    static POSTGRES: Arc<Schemas>;
}

/// Runs a test with its stores on PostgreSQL.
pub async fn on_postgres(test: impl Future<Output = ()>) {
    let Ok(url) = std::env::var("KIKI_TEST_POSTGRES_URL") else {
        eprintln!("skipped on postgresql: KIKI_TEST_POSTGRES_URL is not set");
        return;
    };
    let schemas = Arc::new(Schemas { url, made: Mutex::default() });
    POSTGRES.scope(Arc::clone(&schemas), test).await;
    let made = schemas.made.lock().expect("not poisoned").clone();
    for schema in made {
        drop_schema(&schemas.url, &schema).await;
    }
}

/// Services of the test may still run: what they begin from here on finds no tables, and what they are at has ended
/// before the tables go, or either could wait for the other.
async fn drop_schema(url: &str, schema: &str) {
    run(url, &format!("ALTER SCHEMA {schema} RENAME TO {schema}_over")).await;
    let busy = format!(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM pg_stat_activity \
         WHERE application_name = '{schema}' AND xact_start IS NOT NULL"
    );
    let mut conn = AnyConnection::connect(url).await.expect("the database opens");
    loop {
        let row = sqlx::query(AssertSqlSafe(busy.clone())).fetch_one(&mut conn).await;
        if row.expect("a count").get::<i64, _>(0) == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    run(url, &format!("DROP SCHEMA {schema}_over CASCADE")).await;
}

/// Declares each test once per store.
#[macro_export]
macro_rules! on_every_store {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name().await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                $crate::harness::on_postgres(super::$name()).await;
            })+
        }
    };
}

async fn run(url: &str, sql: &str) -> u64 {
    sqlx::any::install_default_drivers();
    let mut conn = AnyConnection::connect(url).await.expect("the database opens");
    let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await;
    done.expect("the statement runs").rows_affected()
}

/// A store that nobody has written to.
async fn fresh(dir: &std::path::Path) -> StoreConfig {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Ok(schemas) = POSTGRES.try_with(Arc::clone) else { return StoreConfig::sqlite(dir) };
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let schema = format!("kiki_shield_{}_{n}", std::process::id());
    run(&schemas.url, &format!("CREATE SCHEMA {schema}")).await;
    schemas.made.lock().expect("not poisoned").push(schema.clone());
    let sep = if schemas.url.contains('?') { '&' } else { '?' };
    let own = format!("options=-csearch_path%3D{schema}&application_name={schema}");
    StoreConfig::postgres(format!("{}{sep}{own}", schemas.url))
}

pub struct Api {
    pub app: Arc<App>,
    router: Router,
    dir: tempfile::TempDir,
    store: StoreConfig,
    settings: Vec<(String, String)>,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub kind: String,
    pub retry_after: Option<String>,
    pub text: String,
    pub json: Value,
}

impl Answer {
    /// Asserts the status and gives the body.
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json
    }

    /// Asserts a problem of this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) {
        assert_eq!((self.status, &*self.kind), (status, "application/problem+json"), "{self:?}");
        assert_eq!(self.json["code"], code, "{}", self.text);
    }
}

pub async fn api(settings: &[(&str, &str)]) -> Api {
    let dir = tempfile::tempdir().expect("a folder");
    let text = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let store = fresh(dir.path()).await;
    api_in(dir, store, settings.iter().map(text).collect()).await
}

async fn api_in(
    dir: tempfile::TempDir,
    config_of_store: StoreConfig,
    settings: Vec<(String, String)>,
) -> Api {
    let mut loader = Loader::new().flag("store.data_dir", dir.path().display(), "--set");
    for (key, value) in &settings {
        loader = loader.flag(key, value, "--set");
    }
    let config = loader.load().expect("a configuration").config;
    let store = Store::open(config_of_store.clone()).await.expect("the store opens");
    let witness = AuditWitness::default();
    let keys = Keys::load(store.clone()).await.expect("keys");
    let door = match config.auth.required(config.server.bind) {
        false => Door::open(keys),
        true => Door::guarded(keys, DoorTerms { bearer: None, limits: None, shared: None }),
    };
    let door = door.with_witness(Arc::new(witness.clone()));
    let registry = Registry::new(KernelConfig { chaos_enabled: config.chaos.enabled });
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
    witness.begin(app.shield.clone());
    let http = HttpTerms { running_max: config.server.concurrency_max, time_max: patience };
    Api { router: router(Arc::clone(&app), http), app, dir, store: config_of_store, settings }
}

impl Api {
    /// Where the data is.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Ends in order, and starts again on the same data.
    pub async fn again(self) -> Api {
        let Api { app, router, dir, store, settings } = self;
        drop(router);
        app.shield.drain(Duration::from_secs(5)).await;
        app.registry.shutdown(Duration::from_secs(5)).await;
        app.shield.store().close().await;
        api_in(dir, store, settings).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let status = response.status().as_u16();
        let (head, body) = response.into_parts();
        let named = |name| Some(head.headers.get(name)?.to_str().expect("text").to_owned());
        let kind = named(header::CONTENT_TYPE).unwrap_or_default();
        let retry_after = named(header::RETRY_AFTER);
        let bytes = axum::body::to_bytes(body, 64 << 20).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, kind, retry_after, text, json }
    }

    /// A body as it is.
    pub async fn bytes(&self, uri: &str) -> Vec<u8> {
        let request = Request::builder().uri(uri).body(Body::empty()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), 200, "{uri}");
        axum::body::to_bytes(response.into_body(), 64 << 20).await.expect("a body").to_vec()
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
        self.send(request.body(body.into()).expect("a request")).await
    }

    pub async fn get(&self, uri: &str) -> Answer {
        self.call(Method::GET, uri, &[], Body::empty()).await
    }

    pub async fn post(&self, uri: &str, body: Value) -> Answer {
        self.post_as(uri, &[], body).await
    }

    /// With further headers.
    pub async fn post_as(&self, uri: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let kind = [("content-type", "application/json")];
        self.call(Method::POST, uri, &[&kind, headers].concat(), body.to_string()).await
    }

    pub async fn allocate(&self, campaign: &str, budget: u64) {
        let body = serde_json::json!({"campaign_id": campaign, "budget": budget});
        self.post("/api/v1/allocate", body).await.is(201);
    }

    pub async fn check(&self, campaign: &str, amount: f64) -> Answer {
        let body = serde_json::json!({"campaign_id": campaign, "bid_amount": amount});
        self.post("/api/v1/check", body).await
    }

    /// An approved hold: its id and its token.
    #[track_caller]
    pub fn hold_of(answer: Answer) -> (String, String) {
        let body = answer.is(200);
        let text = |field: &str| body[field].as_str().expect("a text").to_owned();
        (text("hold_id"), text("token"))
    }

    pub async fn settle(&self, hold: &str, amount: f64) -> Answer {
        let body = serde_json::json!({"amount": amount});
        self.post(&format!("/api/v1/holds/{hold}/settle"), body).await
    }

    /// A new key of this role for everything.
    pub async fn key(&self, name: &str, role: &str) -> String {
        let new = NewKey {
            name: name.to_owned(),
            role: role.parse().expect("a role"),
            scopes: Scopes::all(),
            created_by: "test".to_owned(),
            expires_at: None,
        };
        let made = self.app.door.keys().create(new, kiki::clock::wall_us()).await;
        made.expect("a key").0.text().to_string()
    }

    /// Changes the database behind the server's back.
    pub async fn tamper(&self, sql: &str) {
        let url = match &self.store.backend {
            Backend::Sqlite { dir } => format!("sqlite://{}", dir.join(SQLITE_FILE).display()),
            Backend::Postgres { url, .. } => url.clone(),
        };
        assert!(run(&url, sql).await > 0, "{sql} changed nothing");
    }

    /// Every row of the store, as JSON, by table.
    pub async fn rows(&self) -> BTreeMap<&'static str, Vec<Value>> {
        let mut rows: BTreeMap<_, Vec<Value>> = BTreeMap::new();
        let each = |row: ExportRow| {
            let json = serde_json::to_value(&row).expect("json");
            rows.entry(row.table()).or_default().push(json);
            Ok(())
        };
        Source::Store(self.app.shield.store()).each_row(each).await.expect("read");
        rows
    }

    /// How many rows each table has, but for the audit's: an act that was refused is recorded.
    pub async fn counts(&self) -> BTreeMap<&'static str, usize> {
        let rows = self.rows().await.into_iter();
        let rows = rows.filter(|(table, _)| !table.starts_with("audit_"));
        rows.map(|(table, rows)| (table, rows.len())).collect()
    }
}

/// The reason of a refused authorisation.
#[track_caller]
pub fn reason(answer: Answer) -> String {
    let body = answer.is(403);
    assert_eq!(body["approved"], false);
    body["reason"].as_str().expect("a reason").to_owned()
}
