//! Where rows are read from.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions, Connection};

use super::{Each, ExportRow, Sink, each_chunk, file};
use crate::store::Store;
use crate::store::error::{Result, StoreError};
use crate::store::open::sqlite_url;
use crate::store::sql::Dialect;

/// A store, or a file that `kiki backup` wrote: a copy of the SQLite database or an export.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    Store(&'a Store),
    File(&'a Path),
}

impl Source<'_> {
    /// Calls `each` for every row: by table (in the order of [`super::TABLES`]), then by primary key
    /// in the order of its bytes; of a store or a database all from one snapshot. A file is proved
    /// (manifest, or SQLite's own check) when this returns `Ok`, not before.
    ///
    /// `each` runs on the calling task and may block it.
    pub async fn each_row(self, each: impl FnMut(ExportRow) -> Result<()> + Send) -> Result<()> {
        self.each_chunk(&mut Each(each)).await
    }

    /// The same, in chunks of rows of one table.
    pub(crate) async fn each_chunk(self, sink: &mut impl Sink) -> Result<()> {
        match self {
            Self::Store(store) => {
                let mut conn = store.reader().await?;
                let done = each_chunk(&mut conn, store.dialect(), sink).await;
                if done.is_err() {
                    conn.discard();
                }
                done
            }
            Self::File(path) if is_sqlite(path)? => {
                let mut conn = open_copy(path).await?;
                each_chunk(&mut conn, Dialect::Sqlite, sink).await
            }
            Self::File(path) => file::each_chunk(path, sink).await.map(|_| ()),
        }
    }

    /// Whether the file is what it says: an export against its manifest, a database by SQLite's own
    /// check and its schema. A store is taken as it is.
    pub async fn prove(self) -> Result<()> {
        match self {
            Self::Store(_) => Ok(()),
            Self::File(path) if is_sqlite(path)? => {
                let mut conn = open_copy(path).await?;
                let corrupt = |e: sqlx::Error| StoreError::Corrupt(e.to_string());
                let (answer,): (String,) = sqlx::query_as("PRAGMA integrity_check(1)")
                    .fetch_one(&mut conn)
                    .await
                    .map_err(corrupt)?;
                if answer != "ok" {
                    return Err(StoreError::Corrupt(answer));
                }
                each_chunk(&mut conn, Dialect::Sqlite, &mut Each(|_| Ok(()))).await.map_err(
                    |error| StoreError::Corrupt(format!("not a store of this version: {error}")),
                )?;
                conn.close().await.map_err(corrupt)
            }
            Self::File(path) => file::verify(path).await.map(|_| ()),
        }
    }
}

fn is_sqlite(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut start));
    read.map_err(|e| StoreError::io(format!("cannot open {}", path.display()), &e))?;
    Ok(start == b"SQLite format 3\0")
}

/// A copy that nobody writes to: without locks, without a log beside it.
async fn open_copy(path: &Path) -> Result<AnyConnection> {
    sqlx::any::install_default_drivers();
    let path = path
        .canonicalize()
        .map_err(|e| StoreError::io(format!("cannot open {}", path.display()), &e))?;
    let url = format!("{}&immutable=1", sqlite_url(&path, "ro")?);
    let options = AnyConnectOptions::from_str(&url)
        .map_err(|_| StoreError::Config("not a database file".to_owned()))?
        .disable_statement_logging();
    options.connect().await.map_err(|e| StoreError::Corrupt(e.to_string()))
}
