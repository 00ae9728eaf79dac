//! A store of a test's own, with the command line on it.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use kiki::store::{Store, StoreConfig};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

/// A place for one store, with the command line on it.
pub struct Site {
    pub config: StoreConfig,
    folder: tempfile::TempDir,
    /// Address and name of a schema of its own.
    pub schema: Option<(String, String)>,
}

impl Site {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = StoreConfig::sqlite(folder.path().join("data"));
        Self { config, folder, schema: None }
    }

    pub async fn postgres() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Ok(url) = std::env::var("KIKI_TEST_POSTGRES_URL") else {
            eprintln!("skipped on postgresql: KIKI_TEST_POSTGRES_URL is not set");
            return None;
        };
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let schema = format!("kiki_offline_{}_{n}", std::process::id());
        run_sql(&url, &format!("CREATE SCHEMA {schema}")).await;
        let folder = tempfile::tempdir().expect("a folder");
        let config = StoreConfig::postgres(in_schema(&url, &schema));
        Some(Self { config, folder, schema: Some((url, schema)) })
    }

    /// Another one of the same kind.
    pub async fn another(&self) -> Self {
        match self.schema {
            None => Self::sqlite(),
            Some(_) => Self::postgres().await.expect("there is a server"),
        }
    }

    pub async fn drop(self) {
        if let Some((url, schema)) = &self.schema {
            run_sql(url, &format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    pub async fn open(&self) -> Store {
        Store::open(self.config.clone()).await.expect("the store opens")
    }

    pub fn kiki(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiki"));
        command.args(args).arg("--data-dir").arg(self.data());
        command.current_dir(self.folder.path()).env_clear();
        if let Some((url, schema)) = &self.schema {
            command.env("DATABASE_URL", in_schema(url, schema));
        }
        Ran::of(command.output().expect("kiki runs"))
    }

    /// Changes rows behind the store's back.
    pub async fn tamper(&self, sql: &str) {
        let url = match &self.schema {
            Some((url, schema)) => in_schema(url, schema),
            None => format!("sqlite://{}", self.data().join("kiki.sqlite").display()),
        };
        run_sql(&url, sql).await;
    }
}

pub fn in_schema(url: &str, schema: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}options=-csearch_path%3D{schema}")
}

pub async fn run_sql(url: &str, sql: &str) {
    sqlx::any::install_default_drivers();
    let mut conn = AnyConnection::connect(url).await.expect("the database is reachable");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.expect("it obeys");
    conn.close().await.expect("closed");
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    pub fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }

    #[track_caller]
    pub fn refused(self, code: i32, says: &str) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(self.err.contains(says), "{says:?} in {self:#?}");
    }
}
