//! The store against SQLite, and against PostgreSQL when `KIKI_TEST_POSTGRES_URL` names a server
//! where schemas may be made: each test has its own, and drops it.

#[path = "store/backup.rs"]
mod backup;
#[path = "store/cluster.rs"]
mod cluster;
#[path = "store/commit.rs"]
mod commit;
#[path = "store/committer.rs"]
mod committer;
#[path = "store/erased.rs"]
mod erased;
#[path = "store/open.rs"]
mod open;
#[path = "store/outage.rs"]
mod outage;
#[path = "store/read.rs"]
mod read;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kiki::store::{
    AccountRow, Backend, BudgetPut, BudgetRow, EntryRow, HoldRow, OperationRow, OutboxRow,
    SQLITE_FILE, SliceRow, Store, StoreConfig, Write,
};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

/// A fresh database.
pub struct Db {
    pub config: StoreConfig,
    dir: tempfile::TempDir,
    schema: Option<(String, String)>,
}

impl Db {
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = StoreConfig::sqlite(dir.path().join("data"));
        Self { config, dir, schema: None }
    }

    /// `None` where no server is named.
    pub async fn postgres() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Ok(url) = std::env::var("KIKI_TEST_POSTGRES_URL") else {
            eprintln!("skipped on postgresql: KIKI_TEST_POSTGRES_URL is not set");
            return None;
        };
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let schema = format!("kiki_test_{}_{n}", std::process::id());
        admin(&url, &format!("CREATE SCHEMA {schema}")).await;
        let sep = if url.contains('?') { '&' } else { '?' };
        let config = StoreConfig::postgres(format!("{url}{sep}options=-csearch_path%3D{schema}"));
        let dir = tempfile::tempdir().expect("a temporary directory");
        Some(Self { config, dir, schema: Some((url, schema)) })
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Changes the database behind the store's back.
    pub async fn tamper(&self, sql: &str) {
        let url = match &self.config.backend {
            Backend::Sqlite { dir } => format!("sqlite://{}", dir.join(SQLITE_FILE).display()),
            Backend::Postgres { url, .. } => url.clone(),
        };
        admin(&url, sql).await;
    }

    pub async fn open(&self) -> Store {
        Store::open(self.config.clone()).await.expect("the store opens")
    }

    pub async fn drop(self) {
        if let Some((url, schema)) = &self.schema {
            admin(url, &format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }
}

async fn admin(url: &str, sql: &str) {
    sqlx::any::install_default_drivers();
    let mut conn = AnyConnection::connect(url).await.expect("the test server is reachable");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.expect("it obeys");
}

/// Declares each test once per database.
#[macro_export]
macro_rules! on_every_store {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let db = $crate::Db::sqlite();
                super::$name(&db).await;
                db.drop().await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(db) = $crate::Db::postgres().await {
                    super::$name(&db).await;
                    db.drop().await;
                }
            })+
        }
    };
}

pub const ACCOUNT: &str = "acme";

/// The owner of every shard, under the returned epoch.
pub async fn own(store: &Store) -> i64 {
    let shards: Vec<i64> = (0..256).collect();
    *store.acquire(&shards, "test").await.expect("shards").get(&7).expect("shard 7")
}

pub fn write(budget: &str, epoch: i64) -> Write {
    Write { account: ACCOUNT.into(), budget: budget.into(), shard: 7, epoch, ..Write::default() }
}

pub fn budget_row(budget: &str) -> BudgetRow {
    BudgetRow {
        account: ACCOUNT.into(),
        budget: budget.into(),
        shard: 7,
        terms: r#"{"cap":1000}"#.into(),
        status: "active".into(),
        funded: 1_000_000,
        refunded: 0,
        settled: 0,
        facts: 0,
        late: 0,
        seq: 0,
        state: "{}".into(),
        version: 0,
        created_at: 1,
        updated_at: 1,
    }
}

pub fn put(expected_version: i64, row: BudgetRow) -> Option<BudgetPut> {
    Some(BudgetPut { expected_version, row, keep_terms: expected_version > 0 })
}

pub fn slice_row(budget: &str, slice: &str, quota: i64) -> SliceRow {
    SliceRow {
        account: ACCOUNT.into(),
        budget: budget.into(),
        slice: slice.into(),
        holder: "node".into(),
        quota,
        settled: 0,
        day: "2026-01-01".into(),
        sealed: 0,
        taken_at: 10,
        mono_us: 10,
        boot: "boot".into(),
        ttl_us: 10_000_000,
        since_seq: 0,
    }
}

pub fn entry(budget: &str, seq: i64, op: &str, amount: i64) -> EntryRow {
    EntryRow {
        account: ACCOUNT.into(),
        budget: budget.into(),
        seq,
        op: op.into(),
        kind: "settle".into(),
        amount,
        currency: "USD".into(),
        at: 1_000 + seq,
        mono_us: 500 + seq,
        boot: "boot".into(),
        hold: Some(op.into()),
        slice: None,
        day: "2026-01-01".into(),
        window_amount: amount,
        body_hash: format!("hash of {op}"),
        memo: None,
        window_slice: None,
    }
}

pub fn operation(budget: &str, op: &str) -> OperationRow {
    OperationRow {
        account: ACCOUNT.into(),
        op: op.into(),
        budget: budget.into(),
        route: "POST /x".into(),
        body_hash: "h".into(),
        status: 201,
        answer: "{}".into(),
        at: 5,
    }
}

pub fn outbox(id: &str) -> OutboxRow {
    OutboxRow {
        account: ACCOUNT.into(),
        id: id.into(),
        kind: "threshold".into(),
        subject: "b".into(),
        payload: "{\"text\":\"zürich \\u0000 'quoted' \\\"x\\\"\"}".into(),
        created_at: 1,
        delivered_at: None,
    }
}

pub fn hold(budget: &str, hold: &str, state: &str) -> HoldRow {
    HoldRow {
        account: ACCOUNT.into(),
        hold: hold.into(),
        budget: budget.into(),
        slice: "s1".into(),
        window_slice: None,
        amount: 5,
        day: "2026-01-01".into(),
        state: state.into(),
        settled_amount: 0,
        expires_at: 99,
        body_hash: "h".into(),
        memo: None,
        created_at: 1,
        updated_at: 2,
    }
}

pub fn account_row() -> AccountRow {
    AccountRow {
        account: ACCOUNT.into(),
        currency: "USD".into(),
        stopped: 0,
        terms: "{}".into(),
        created_at: 1,
        updated_at: 1,
    }
}

/// Limits short enough for a test to wait for.
pub fn hurried(config: &StoreConfig) -> StoreConfig {
    let limit = Duration::from_millis(300);
    StoreConfig {
        // a new connection takes its time on a busy machine
        connect_limit: Duration::from_millis(1500),
        read_limit: limit,
        statements_limit: limit,
        commit_limit: limit,
        ..config.clone()
    }
}
