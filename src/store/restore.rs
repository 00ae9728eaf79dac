//! Restoring a backup. What was true when it was made is not true any more: every slice is closed,
//! every epoch grows, and spending stays paused until an operator has looked and says so.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sqlx::Connection;

use super::config::StoreConfig;
use super::error::{Result, StoreError};
use super::export::{ExportRow, Sink, Source, insert_rows};
use super::open::Lent;
use super::record::{Args, Kind};
use super::sql::{Dialect, Template};
use super::{Store, export};
use crate::clock::wall_us;

/// The named fact (account `*`) that keeps spending paused after a restore: JSON of [`Restored`].
pub const PAUSED_BY_RESTORE: &str = "paused_by_restore";

/// The named fact of a restore that has not ended: a store with it is not opened.
pub(crate) const RESTORING: &str = "restoring";

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// When it ended (wall).
    pub at: i64,
    pub rows: BTreeMap<String, u64>,
    pub slices_closed: u64,
}

const EPOCHS: Template = Template {
    name: "restore_epochs",
    sql: "WITH v(s, e) AS (VALUES {values}) UPDATE shard SET owner = '', \
          epoch = (CASE WHEN shard.epoch > v.e THEN shard.epoch ELSE v.e END) + 1 \
          FROM v WHERE shard.shard = v.s",
    kinds: &[Kind::Int, Kind::Int],
};

impl Store {
    /// Restores a backup (an export or a copy of a SQLite database) into an empty store, after the
    /// whole file was proved. If it is interrupted, the store refuses to open: empty it and restore
    /// again.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] before anything is written; [`StoreError::NotEmpty`].
    pub async fn restore(config: &StoreConfig, from: &Path) -> Result<Restored> {
        Source::File(from).prove().await?;
        Self::migrate(config).await?;
        let store = Self::connect(config.clone())?;
        store.must_be_empty().await?;
        store.put_meta("*", RESTORING, Some("1")).await?;
        let restored = store.load(from).await?;
        store.close().await;
        Ok(restored)
    }

    async fn must_be_empty(&self) -> Result<()> {
        for table in export::TABLES.iter().copied().filter(|table| *table != "shard") {
            let sql = format!("SELECT account FROM {table} LIMIT 1");
            let rows = self
                .read_limited(table, async |conn| {
                    Args::default().query(sql.into()).fetch_all(&mut *conn).await
                })
                .await?;
            if !rows.is_empty() {
                return Err(StoreError::NotEmpty { table });
            }
        }
        Ok(())
    }

    async fn load(&self, from: &Path) -> Result<Restored> {
        let conn = self.writer().await?;
        let (epochs, counts) = Default::default();
        let mut loader = Loader { dialect: self.dialect(), conn, epochs, counts };
        Source::File(from).each_chunk(&mut loader).await?;
        let Loader { conn, epochs, counts, .. } = loader;
        // SQLite has one connection that writes
        drop(conn);
        self.finish_restore(epochs, counts).await
    }

    async fn finish_restore(
        &self,
        epochs: BTreeMap<i64, i64>,
        rows: BTreeMap<String, u64>,
    ) -> Result<Restored> {
        let epochs: Vec<(i64, i64)> = epochs.into_iter().collect();
        let dialect = self.dialect();
        let slices_closed = self
            .write_limited("a restore", async |conn| {
                let mut tx = conn.begin().await?;
                let seal = "UPDATE slice SET sealed = 1 WHERE sealed = 0";
                let sealed = sqlx::query(seal).execute(&mut *tx).await?.rows_affected();
                EPOCHS
                    .run(&mut tx, dialect, &epochs, |(shard, epoch), args| {
                        args.int(*shard)?;
                        args.int(*epoch)
                    })
                    .await?;
                tx.commit().await?;
                Ok(sealed)
            })
            .await?;
        let restored = Restored { at: wall_us(), rows, slices_closed };
        let text = serde_json::to_string(&restored)
            .map_err(|e| StoreError::Config(format!("not writable as JSON: {e}")))?;
        // paused first: at no moment can the store be opened without it
        self.put_meta("*", PAUSED_BY_RESTORE, Some(&text)).await?;
        self.put_meta("*", RESTORING, None).await?;
        Ok(restored)
    }

    /// What the last restore did, while spending is paused because of it.
    pub async fn paused_by_restore(&self) -> Result<Option<Restored>> {
        let Some(text) = self.meta("*", PAUSED_BY_RESTORE).await? else { return Ok(None) };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|e| StoreError::Corrupt(format!("{PAUSED_BY_RESTORE}: {e}")))
    }

    /// An operator has looked: spending may start again.
    pub async fn resume_after_restore(&self) -> Result<()> {
        self.put_meta("*", PAUSED_BY_RESTORE, None).await
    }
}

/// Writes the rows of a backup, all but the shards': those keep their own and only learn epochs.
struct Loader {
    dialect: Dialect,
    conn: Lent,
    epochs: BTreeMap<i64, i64>,
    counts: BTreeMap<String, u64>,
}

impl Sink for Loader {
    async fn take(&mut self, rows: Vec<ExportRow>) -> Result<()> {
        let failed = |error| StoreError::sql("a restore", &error);
        for row in &rows {
            *self.counts.entry(row.table().to_owned()).or_default() += 1;
            if let ExportRow::Shard(row) = row {
                self.epochs.insert(row.shard, row.epoch);
            }
        }
        let rows: Vec<ExportRow> =
            rows.into_iter().filter(|row| !matches!(row, ExportRow::Shard(_))).collect();
        let mut tx = self.conn.begin().await.map_err(failed)?;
        let new = insert_rows(&mut tx, self.dialect, &rows).await.map_err(failed)?;
        if u64::try_from(rows.len()) != Ok(new) {
            return Err(StoreError::Corrupt("it has two rows with one key".to_owned()));
        }
        tx.commit().await.map_err(failed)
    }
}
