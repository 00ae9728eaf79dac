//! Where the ledger is kept.

use std::path::PathBuf;

use super::secret::DatabaseUrl;
use super::section::section;
use super::setting::Millis;

section! {
    /// Where the ledger is kept.
    Store "store" {
        /// Folder of the embedded store, of generated secrets and of spools.
        data_dir: PathBuf, "DATA_DIR";
        /// PostgreSQL; empty for the embedded SQLite.
        database_url: DatabaseUrl, "DATABASE_URL";
        /// Most connections kept.
        pool_max: u32 ["1" "1000"], "DB_POOL_MAX";
        /// Fewest connections kept.
        pool_min: u32 ["0" "1000"], "DB_POOL_MIN";
        /// Time that opening a connection may take.
        connect_timeout_ms: Millis ["10" "600000"];
        /// Time that a caller waits for a free connection.
        acquire_timeout_ms: Millis ["10" "600000"];
        /// Time that one statement may take.
        statement_timeout_ms: Millis ["10" "600000"];
        /// Bookings that wait for the next group commit; more are refused with a retry-after.
        queue_max: usize ["1" "10000000"];
        /// Most bookings in one group commit.
        batch_max: usize ["1" "4096"];
    }
}
