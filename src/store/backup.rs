//! Backups of a running store, from one snapshot, without stopping it.

use std::path::Path;
use std::time::Duration;

use super::error::{Result, StoreError};
use super::export::{ExportWriter, Manifest, Source};
use super::record::Args;
use super::sql::Dialect;
use super::{Store, export};
use crate::clock::wall_us;

/// A copy of the database may take this long.
const COPY_LIMIT: Duration = Duration::from_secs(3600);

impl Store {
    /// Writes every row to a new file: JSON lines, compressed, with a manifest. It can be restored
    /// into either database.
    pub async fn export(&self, path: &Path) -> Result<Manifest> {
        let at = wall_us();
        let mut writer = ExportWriter::create(path)?;
        Source::Store(self).each_row(|row| writer.row(&row)).await?;
        writer.finish(at, self.dialect().as_str())
    }

    /// Writes a compact copy of the SQLite database to a new file.
    ///
    /// # Errors
    /// Config on PostgreSQL, which has its own tools for it: use [`Store::export`].
    pub async fn copy(&self, path: &Path) -> Result<()> {
        const WHAT: &str = "a copy of the database";
        if self.dialect() != Dialect::Sqlite {
            let why = "only SQLite can be copied as a file: write an export";
            return Err(StoreError::Config(why.to_owned()));
        }
        if path.exists() {
            return Err(StoreError::Config(format!("{} exists already", path.display())));
        }
        let part = export::part_of(path);
        let io = |e: std::io::Error| StoreError::io(format!("cannot write {}", part.display()), &e);
        if part.exists() {
            // of a copy that was interrupted
            std::fs::remove_file(&part).map_err(io)?;
        }
        let name = part
            .to_str()
            .ok_or_else(|| StoreError::Config(format!("{} is not UTF-8", part.display())))?;
        let mut args = Args::default();
        args.text(name).map_err(|e| StoreError::sql(WHAT, &e))?;
        let mut conn = self.reader().await?;
        let copy = args.query("VACUUM INTO $1".into()).execute(&mut *conn);
        match tokio::time::timeout(COPY_LIMIT, copy).await {
            Ok(done) => done.map_err(|e| StoreError::sql(WHAT, &e))?,
            Err(_) => {
                conn.discard();
                return Err(StoreError::Timeout { what: WHAT, limit_ms: 3_600_000 });
            }
        };
        // SQLite does not wait for the disk here
        std::fs::File::open(&part).and_then(|file| file.sync_all()).map_err(io)?;
        export::publish(&part, path)
    }
}
