//! Durable state: plain rows in SQLite (embedded) or PostgreSQL through one set of SQL. No rules and
//! no actors here: what may be written is decided above, what was written is decided here, once, by
//! the conditions that each [`Write`] carries.
//!
//! - [`Store::commit`] writes many changes in one transaction, each with its own [`Outcome`].
//! - [`Committer`] gathers waiting writes into such batches, bounded in number, bytes and time.
//! - Every read and write has a limit in time; a store that is down or slow gives an error, never a hang.

mod backup;
mod batch;
mod batcher;
mod cluster;
mod commit;
mod config;
mod error;
pub mod export;
mod faults;
mod lock;
mod migrate;
mod open;
mod put;
mod read;
mod record;
mod restore;
mod rows;
mod scrub;
mod shards;
mod sql;
mod write;

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Any, AnyConnection, Pool};

pub use batcher::{Committer, CommitterTerms, CommitterView, Driver, Full, QueueFull};
pub use config::{Backend, StoreConfig};
pub use error::{Result, StoreError};
pub use faults::{Fault, Faults};
pub use lock::{Holder, LOCK_FILE, ServerLock};
pub use migrate::Migrated;
pub use open::SQLITE_FILE;
pub use put::{Gone, PERSON_TABLES, Put};
pub use read::{
    API_KEYS_MAX, Behind, BlockSummary, Bought, BudgetList, CHANGES_MAX, DsrList, FlowActual,
    FlowCampaignList, FlowCounted, FlowDecisionList, ForecastCounts, Loaded, PAGE_MAX,
    PURCHASES_PAGE, Reloaded, WindowRows,
};
pub use restore::{PAUSED_BY_RESTORE, Restored};
pub use rows::*;
pub use shards::SHARDS;
pub use sql::Dialect;
pub use write::{BudgetPut, Found, Outcome, Write};

/// The store of an installation. Cheap to clone; all clones share the connections.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: StoreConfig,
    dialect: Dialect,
    writers: Pool<Any>,
    readers: Pool<Any>,
    faults: Faults,
}

impl Store {
    /// Connects, brings the schema up to date and returns the store.
    ///
    /// # Errors
    /// Unavailable or Timeout while the database cannot be reached; Migration when it was made by a
    /// newer version.
    pub async fn open(config: StoreConfig) -> Result<Self> {
        Self::migrate(&config).await?;
        let store = Self::connect(config)?;
        store.probe().await?;
        store.must_be_whole().await?;
        Ok(store)
    }

    async fn must_be_whole(&self) -> Result<()> {
        match self.meta("*", restore::RESTORING).await? {
            None => Ok(()),
            Some(_) => {
                let why = "a restore into this store did not end: empty it and restore again";
                Err(StoreError::Corrupt(why.to_owned()))
            }
        }
    }

    /// The store as it is, to read from: nothing is made or migrated.
    ///
    /// # Errors
    /// Config where there is no store, Corrupt after a restore that did not end, and what reads
    /// give.
    pub async fn open_existing(config: StoreConfig) -> Result<Self> {
        if let Backend::Sqlite { dir } = &config.backend
            && !dir.join(SQLITE_FILE).is_file()
        {
            return Err(StoreError::Config(format!("there is no store in {}", dir.display())));
        }
        let store = Self::connect(config)?;
        store.must_be_whole().await?;
        Ok(store)
    }

    /// The store, without a look at it.
    fn connect(config: StoreConfig) -> Result<Self> {
        let options = open::options(&config)?;
        let writers = open::pool(&config, &options, open::Role::Writer);
        let readers = open::pool(&config, &options, open::Role::Reader);
        let faults = Faults::default();
        let inner = Inner { config, dialect: options.0, writers, readers, faults };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub fn dialect(&self) -> Dialect {
        self.inner.dialect
    }

    pub fn config(&self) -> &StoreConfig {
        &self.inner.config
    }

    /// Faults to inject into commits, for tests and chaos runs.
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Whether the store can write now: a transaction that changes nothing.
    pub async fn probe(&self) -> Result<()> {
        self.fence(0, 0).await.map(|_| ())
    }

    /// Ends all connections; what is in flight ends first, for at most the limits of a commit.
    pub async fn close(&self) {
        let limit = self.inner.config.statements_limit + self.inner.config.commit_limit;
        let both = async {
            self.inner.readers.close().await;
            self.inner.writers.close().await;
        };
        // beyond the limit the connections are dropped with the process
        let _ = tokio::time::timeout(limit, both).await;
    }

    async fn writer(&self) -> Result<open::Lent> {
        let limit = self.inner.config.statements_limit;
        open::lend(&self.inner.writers, "a connection to write", limit).await
    }

    async fn reader(&self) -> Result<open::Lent> {
        let limit = self.inner.config.read_limit;
        open::lend(&self.inner.readers, "a connection to read", limit).await
    }

    /// One of the connections that read, kept from all others until it is dropped: without any, the store is away for
    /// whoever reads.
    #[cfg(test)]
    pub(crate) async fn hold_reader(&self) -> Result<open::Lent> {
        self.reader().await
    }

    /// Runs `work` on a connection that writes, within the limits of a transaction.
    async fn write_limited<T>(
        &self,
        what: &'static str,
        work: impl AsyncFnOnce(&mut AnyConnection) -> sqlx::Result<T>,
    ) -> Result<T> {
        let limit = self.inner.config.statements_limit + self.inner.config.commit_limit;
        limited(what, limit, self.writer().await?, work).await
    }

    /// Runs `work` on a connection that reads, within the limit of a read.
    async fn read_limited<T>(
        &self,
        what: &'static str,
        work: impl AsyncFnOnce(&mut AnyConnection) -> sqlx::Result<T>,
    ) -> Result<T> {
        limited(what, self.inner.config.read_limit, self.reader().await?, work).await
    }
}

async fn limited<T>(
    what: &'static str,
    limit: Duration,
    mut conn: open::Lent,
    work: impl AsyncFnOnce(&mut AnyConnection) -> sqlx::Result<T>,
) -> Result<T> {
    let error = match tokio::time::timeout(limit, work(&mut conn)).await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(error)) => StoreError::sql(what, &error),
        Err(_) => {
            let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            StoreError::Timeout { what, limit_ms }
        }
    };
    conn.discard();
    Err(error)
}
