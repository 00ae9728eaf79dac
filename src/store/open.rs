//! Connections: how they are made, prepared and lent.

use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::time::Duration;

use sqlx::AnyConnection;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AssertSqlSafe, ConnectOptions, Connection, Pool};

use super::config::{Backend, StoreConfig};
use super::error::{Result, StoreError};
use super::sql::Dialect;

/// The database file in the data directory.
pub const SQLITE_FILE: &str = "kiki.sqlite";

/// A connection that was not used for this long is tried before it is lent.
const RESTED: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    Reader,
    /// Without limits per statement.
    Migrator,
}

pub(crate) fn options(config: &StoreConfig) -> Result<(Dialect, AnyConnectOptions)> {
    sqlx::any::install_default_drivers();
    let (dialect, url) = match &config.backend {
        Backend::Sqlite { dir } => {
            std::fs::create_dir_all(dir)
                .map_err(|e| StoreError::io(format!("cannot make {}", dir.display()), &e))?;
            let dir = dir
                .canonicalize()
                .map_err(|e| StoreError::io(format!("cannot open {}", dir.display()), &e))?;
            (Dialect::Sqlite, sqlite_url(&dir.join(SQLITE_FILE), "rwc")?)
        }
        Backend::Postgres { url, ssl } => {
            let mut url = url.clone();
            let mut add = |name: &str, value: &str| {
                if !url.contains(&format!("{name}=")) {
                    url.push(if url.contains('?') { '&' } else { '?' });
                    url.push_str(&format!("{name}={value}"));
                }
            };
            if let Some(ssl) = ssl {
                add("sslmode", ssl);
            }
            add("statement-cache-capacity", "512");
            add("application_name", "kiki");
            (Dialect::Postgres, url)
        }
    };
    let options = AnyConnectOptions::from_str(&url)
        .map_err(|_| StoreError::Config("not a database address".to_owned()))?
        .disable_statement_logging();
    Ok((dialect, options))
}

/// The address of a SQLite file. Everything but letters, digits and `/._-` is percent-encoded.
pub(crate) fn sqlite_url(path: &std::path::Path, mode: &str) -> Result<String> {
    let path = path
        .to_str()
        .ok_or_else(|| StoreError::Config(format!("{} is not UTF-8", path.display())))?;
    let mut url = String::from("sqlite://");
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                url.push(char::from(byte));
            }
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    Ok(format!("{url}?mode={mode}"))
}

pub(crate) fn pool(
    config: &StoreConfig,
    (dialect, options): &(Dialect, AnyConnectOptions),
    role: Role,
) -> Pool<Any> {
    let connections = match (role, dialect) {
        (Role::Reader, _) => config.readers_max.max(1),
        (_, Dialect::Sqlite) => 1,
        (_, Dialect::Postgres) => config.writers_max.max(1),
    };
    let (dialect, config) = (*dialect, config.clone());
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(config.connect_limit)
        // no round trip for a connection that worked a moment ago: whoever finds it broken throws
        // it away. One that rested may be of a server that was restarted
        .test_before_acquire(false)
        .before_acquire(move |conn, meta| {
            let rested = dialect == Dialect::Postgres && meta.idle_for > RESTED;
            Box::pin(async move { Ok(!rested || conn.ping().await.is_ok()) })
        })
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(None)
        .after_connect(move |conn, _| {
            let config = config.clone();
            Box::pin(async move { prepare(conn, dialect, &config, role).await })
        })
        .connect_lazy_with(options.clone())
}

/// How long a writer may say nothing within a transaction: it sends statement after statement.
const WRITER_IDLE: Duration = Duration::from_secs(2);

/// What every new connection is told.
pub(crate) async fn prepare(
    conn: &mut AnyConnection,
    dialect: Dialect,
    config: &StoreConfig,
    role: Role,
) -> sqlx::Result<()> {
    let text = match dialect {
        Dialect::Sqlite => {
            let busy_ms = config.statements_limit.as_millis();
            // SQLite waits outside of our limits: let it give up before them
            let busy_ms = busy_ms.saturating_sub(busy_ms / 4);
            let cache_kib = match role {
                Role::Reader => 2048,
                _ => config.cache_kib.max(2048),
            };
            format!(
                "PRAGMA busy_timeout = {busy_ms}; PRAGMA journal_mode = WAL; \
                 PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; \
                 PRAGMA cache_size = -{cache_kib}; PRAGMA wal_autocheckpoint = 4000; \
                 PRAGMA secure_delete = FAST; \
                 PRAGMA journal_size_limit = 67108864;"
            )
        }
        Dialect::Postgres => {
            let limit = match role {
                Role::Reader => config.read_limit,
                Role::Writer => config.statements_limit,
                Role::Migrator => Duration::ZERO,
            };
            let ms = limit.as_millis();
            let idle_ms = match role {
                // A writer that stands still, or is not heard of any more, holds the rows of its shards: whoever
                // takes them over must not wait for it longer than for its lease.
                Role::Writer => WRITER_IDLE.as_millis(),
                _ => (config.statements_limit + config.commit_limit).as_millis() * 2,
            };
            format!(
                "SET statement_timeout = {ms}; SET lock_timeout = {ms}; \
                 SET idle_in_transaction_session_timeout = {idle_ms}; \
                 SET synchronous_commit = on; SET jit = off;"
            )
        }
    };
    sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).await?;
    Ok(())
}

/// A connection within the limit, or why not.
pub(crate) async fn lend(
    pool: &Pool<Any>,
    what: &'static str,
    return_limit: Duration,
) -> Result<Lent> {
    let conn = pool.acquire().await.map_err(|error| StoreError::sql(what, &error))?;
    Ok(Lent { conn: Some(conn), return_limit })
}

/// A connection on loan. It goes back to the pool when it is dropped; the pool tries it first, with a
/// round trip, and would wait for that answer without a limit: a server that falls silent just then
/// would keep the connection's place for as long as the kernel retries.
pub(crate) struct Lent {
    /// `None` once it is given back or thrown away.
    conn: Option<PoolConnection<Any>>,
    return_limit: Duration,
}

impl Lent {
    /// Drops a connection whose state is not known, instead of giving it back to the pool: the
    /// database undoes what it had not committed when it sees it close.
    pub fn discard(mut self) {
        if let Some(conn) = self.conn.take() {
            drop(conn.detach());
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else { return };
        let limit = self.return_limit;
        // without a runtime the connection ends with the process
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if tokio::time::timeout(limit, conn.return_to_pool()).await.is_err() {
                    tracing::warn!("a connection to the store was silent and is given up");
                }
            });
        }
    }
}

impl Deref for Lent {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        self.conn.as_ref().expect("it is on loan until it is dropped")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        self.conn.as_mut().expect("it is on loan until it is dropped")
    }
}
