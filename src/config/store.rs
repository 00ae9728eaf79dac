//! Where the ledger is kept.

use std::path::PathBuf;

use super::secret::DatabaseUrl;
use super::section::section;
use super::setting::Millis;
use crate::store::{Backend, CommitterTerms, StoreConfig};

section! {
    /// Where the ledger is kept, and how long anything may take there.
    Store "store" {
        /// Folder of the embedded store, of generated secrets and of spools.
        data_dir: PathBuf, "DATA_DIR";
        /// PostgreSQL; empty for the embedded SQLite.
        database_url: DatabaseUrl, "DATABASE_URL";
        /// Connections that only read.
        readers_max: u32 ["1" "1000"], "DB_READERS_MAX";
        /// Connections that write; SQLite always has one.
        writers_max: u32 ["1" "1000"], "DB_WRITERS_MAX";
        /// Time to get a connection.
        connect_limit_ms: Millis ["10" "600000"];
        /// Time of one read.
        read_limit_ms: Millis ["10" "600000"];
        /// Time of a transaction's statements, before its commit.
        statements_limit_ms: Millis ["10" "600000"];
        /// Time of the commit itself; beyond it the outcome is unknown.
        commit_limit_ms: Millis ["10" "600000"];
        /// Memory of SQLite's page cache, in KiB.
        cache_kib: u32 ["1024" "16777216"];
        /// Bookings that wait for the next group commit; more are refused with a retry-after.
        queue_max: usize ["1" "10000000"];
        /// Most rows in one group commit.
        batch_max: usize ["16" "4096"];
        /// Longest time that a booking waits for its commit's turn.
        wait_max_ms: Millis ["10" "600000"];
    }
}

impl Store {
    /// What the store is opened with.
    pub fn opening(&self) -> StoreConfig {
        let backend = match self.database_url.is_empty() {
            true => Backend::Sqlite { dir: self.data_dir.clone() },
            false => Backend::Postgres { url: self.database_url.expose().to_owned(), ssl: None },
        };
        StoreConfig {
            backend,
            readers_max: self.readers_max,
            writers_max: self.writers_max,
            connect_limit: self.connect_limit_ms.duration(),
            read_limit: self.read_limit_ms.duration(),
            statements_limit: self.statements_limit_ms.duration(),
            commit_limit: self.commit_limit_ms.duration(),
            cache_kib: self.cache_kib,
        }
    }

    /// What group commits are bounded by; what no key sets has the store's own default.
    pub fn committer(&self) -> CommitterTerms {
        CommitterTerms {
            queue_max: self.queue_max,
            batch_max: self.batch_max,
            wait_max: self.wait_max_ms.duration(),
            ..CommitterTerms::default()
        }
    }
}
