//! Ownership of shards: every write names its epoch, and a writer with an old one is refused (OW-1).

use std::collections::BTreeMap;

use sqlx::Connection;
use sqlx::{AssertSqlSafe, Row};

use super::error::{Result, StoreError};
use super::record::Kind;
use super::rows::ShardRow;
use super::sql::Template;
use super::{Store, batch};

/// Shards of an installation.
pub const SHARDS: i64 = 256;

const ACQUIRE: Template = Template {
    name: "acquire_shards",
    sql: "WITH v(s, n_owner) AS (VALUES {values}) \
          UPDATE shard SET epoch = epoch + 1, owner = v.n_owner FROM v WHERE shard.shard = v.s \
          RETURNING shard.shard, shard.epoch",
    kinds: &[Kind::Int, Kind::Text],
};

impl Store {
    /// Takes these shards for `owner`: their epochs grow by one, so that whoever had them before
    /// cannot write any more. Returns the new epochs by shard.
    pub async fn acquire(&self, shards: &[i64], owner: &str) -> Result<BTreeMap<i64, i64>> {
        const WHAT: &str = "taking shards";
        let mut shards = shards.to_vec();
        shards.sort_unstable();
        shards.dedup();
        let dialect = self.dialect();
        self.write_limited(WHAT, async |conn| {
            let mut tx = conn.begin_with(AssertSqlSafe(dialect.begin_write())).await?;
            // in this order, so that two owners that take the same shards cannot block each other
            batch::fence_shards(&mut tx, dialect, &shards).await?;
            let done = ACQUIRE
                .run(&mut tx, dialect, &shards, |shard, args| {
                    args.int(*shard)?;
                    args.text(owner)
                })
                .await?;
            let epochs = done
                .rows
                .iter()
                .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
                .collect::<sqlx::Result<BTreeMap<i64, i64>>>()?;
            tx.commit().await?;
            Ok(epochs)
        })
        .await
        .and_then(|epochs| {
            match shards.iter().find(|shard| !epochs.contains_key(shard)) {
                None => Ok(epochs),
                Some(shard) => Err(StoreError::Config(format!("there is no shard {shard}"))),
            }
        })
    }

    /// Waits until no earlier batch of this shard can still commit (its transaction holds the
    /// shard's row), and returns whether `epoch` still owns it. What is read after it is final.
    pub async fn fence(&self, shard: i64, epoch: i64) -> Result<bool> {
        let dialect = self.dialect();
        self.write_limited("the fence", async |conn| {
            let mut tx = conn.begin_with(AssertSqlSafe(dialect.begin_write())).await?;
            let epochs = batch::fence_shards(&mut tx, dialect, &[shard]).await?;
            tx.rollback().await?;
            Ok(epochs.get(&shard) == Some(&epoch))
        })
        .await
    }

    /// Waits until no earlier batch of these shards (ascending) can still commit.
    pub(crate) async fn pass(&self, shards: &[i64]) -> Result<()> {
        let dialect = self.dialect();
        self.write_limited("the fence", async |conn| {
            let mut tx = conn.begin_with(AssertSqlSafe(dialect.begin_write())).await?;
            batch::fence_shards(&mut tx, dialect, shards).await?;
            tx.rollback().await
        })
        .await
    }

    /// All shards, in order.
    pub async fn shards(&self) -> Result<Vec<ShardRow>> {
        self.select("WHERE account = '*' ORDER BY shard", |_| Ok(())).await
    }
}
