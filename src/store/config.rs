//! Where the store is and how long anything may take there.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Which database.
#[derive(Clone, PartialEq, Eq)]
pub enum Backend {
    /// `kiki.sqlite` in this directory, which is made when missing.
    Sqlite { dir: PathBuf },
    /// A `postgres://` address. `ssl` is the sslmode (disable, prefer) where the address names none.
    Postgres { url: String, ssl: Option<String> },
}

impl fmt::Debug for Backend {
    /// Without the address of a database: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { dir } => f.debug_struct("Sqlite").field("dir", dir).finish(),
            Self::Postgres { ssl, .. } => {
                f.debug_struct("Postgres").field("ssl", ssl).finish_non_exhaustive()
            }
        }
    }
}

/// Every wait has a limit; nothing in the store waits longer than the sum of those that it passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    pub backend: Backend,
    /// Connections that only read.
    pub readers_max: u32,
    /// Connections that write; SQLite always has one.
    pub writers_max: u32,
    /// To get a connection, from the pool or new.
    pub connect_limit: Duration,
    /// For one read.
    pub read_limit: Duration,
    /// For the statements of a transaction, before its commit: beyond it nothing was written.
    pub statements_limit: Duration,
    /// For the commit itself: beyond it the outcome is unknown.
    pub commit_limit: Duration,
    /// Pages of SQLite kept in memory by the writer, in KiB.
    pub cache_kib: u32,
}

impl StoreConfig {
    pub fn new(backend: Backend) -> Self {
        Self {
            backend,
            readers_max: 4,
            writers_max: 2,
            connect_limit: Duration::from_secs(2),
            read_limit: Duration::from_secs(3),
            statements_limit: Duration::from_secs(3),
            commit_limit: Duration::from_secs(3),
            cache_kib: 32 * 1024,
        }
    }

    /// The embedded store in a data directory.
    pub fn sqlite(dir: impl Into<PathBuf>) -> Self {
        Self::new(Backend::Sqlite { dir: dir.into() })
    }

    pub fn postgres(url: impl Into<String>) -> Self {
        Self::new(Backend::Postgres { url: url.into(), ssl: None })
    }
}
