//! The outbox: events that left the rules with their state and are delivered at least once.

use super::page;
use crate::store::record::{Args, Kind};
use crate::store::rows::OutboxRow;
use crate::store::sql::Template;
use crate::store::{Result, Store};

const DELIVERED: Template = Template {
    name: "outbox_delivered",
    sql: "WITH v(k, n_at) AS (VALUES {values}) \
          UPDATE outbox SET delivered_at = v.n_at FROM v \
          WHERE outbox.id = v.k AND outbox.delivered_at IS NULL",
    kinds: &[Kind::Text, Kind::Int],
};

impl Store {
    /// The oldest events that are not delivered, by id.
    pub async fn outbox_pending(&self, limit: u32) -> Result<Vec<OutboxRow>> {
        self.select("WHERE delivered_at IS NULL ORDER BY id LIMIT $1", |args| args.int(page(limit)))
            .await
    }

    /// Marks events as delivered at `at` (wall); returns how many were not yet.
    pub async fn outbox_delivered(&self, ids: &[String], at: i64) -> Result<u64> {
        let dialect = self.dialect();
        self.write_limited("the outbox", async |conn| {
            let done = DELIVERED
                .run(conn, dialect, ids, |id, args| {
                    args.text(id)?;
                    args.int(at)
                })
                .await?;
            Ok(done.affected)
        })
        .await
    }

    /// Deletes up to `limit` events that were delivered before `before` (wall); returns how many.
    pub async fn outbox_prune(&self, before: i64, limit: u32) -> Result<u64> {
        let sql = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox \
                   WHERE delivered_at IS NOT NULL AND delivered_at < $1 LIMIT $2)";
        self.prune(sql, before, limit).await
    }

    /// Deletes up to `limit` holds that were over before `before` (wall), the oldest first; returns
    /// how many. One that is still open there is of a process that died. Their settles stay in the
    /// ledger under the same key.
    pub async fn holds_prune(&self, before: i64, limit: u32) -> Result<u64> {
        let sql = "DELETE FROM hold WHERE (account, hold) IN (SELECT account, hold FROM hold \
                   WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        self.prune(sql, before, limit).await
    }

    pub(super) async fn prune(&self, sql: &'static str, before: i64, limit: u32) -> Result<u64> {
        self.write_limited("pruning", async |conn| {
            let mut args = Args::default();
            args.int(before)?;
            args.int(page(limit))?;
            Ok(args.query(sql.into()).execute(&mut *conn).await?.rows_affected())
        })
        .await
    }
}
