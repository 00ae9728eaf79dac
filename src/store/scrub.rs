//! What rows that are gone leave behind in files.

use super::Store;
use super::error::Result;
use super::sql::Dialect;

impl Store {
    /// Overwrites what the files of an embedded store still have of rows that were changed or deleted:
    /// the database itself zeroes them (`secure_delete`), and this empties the write-ahead log, which
    /// keeps pages as they were. False: readers were in the way, so try again later. PostgreSQL
    /// does it by itself, some time after a row is gone (autovacuum, recycled WAL).
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn scrub(&self) -> Result<bool> {
        if self.dialect() == Dialect::Postgres {
            return Ok(true);
        }
        self.read_limited("the write-ahead log", async |conn| {
            let emptied = sqlx::query_as::<_, (i64, i64, i64)>("PRAGMA wal_checkpoint(TRUNCATE)");
            let (busy, _, _) = emptied.fetch_one(conn).await?;
            Ok(busy == 0)
        })
        .await
    }
}
