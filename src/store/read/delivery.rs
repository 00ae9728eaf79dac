//! Webhooks, and events on their way to them.

use super::page;
use crate::store::record::{Args, Kind};
use crate::store::rows::{DeliveryRow, WebhookRow};
use crate::store::sql::{Conflict, Template, insert};
use crate::store::{Result, Store};

/// Deliveries of one webhook that a look for due ones finds: a receiver that is slow does not take
/// the turns of the others.
const OF_ONE: u32 = 4;

/// One that was deleted meanwhile stays so.
const TRIED: Template = Template {
    name: "delivery_tried",
    sql: "WITH v(a, w, e, n_status, n_attempts, n_next, n_error, n_at) AS (VALUES {values}) \
          UPDATE delivery SET status = v.n_status, attempts = v.n_attempts, next_at = v.n_next, \
          last_error = v.n_error, updated_at = v.n_at FROM v \
          WHERE delivery.account = v.a AND delivery.webhook = v.w AND delivery.event = v.e",
    kinds: &[
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Int,
    ],
};

impl Store {
    /// All webhooks of all accounts. At most 10,000.
    pub async fn webhooks(&self) -> Result<Vec<WebhookRow>> {
        self.select("ORDER BY account, webhook LIMIT 10000", |_| Ok(())).await
    }

    pub async fn webhook(&self, account: &str, webhook: &str) -> Result<Option<WebhookRow>> {
        self.select_one("WHERE account = $1 AND webhook = $2", |args| {
            args.text(account)?;
            args.text(webhook)
        })
        .await
    }

    /// Deliveries that are due, the longest due first, few of each webhook.
    pub async fn deliveries_due(&self, now: i64, limit: u32) -> Result<Vec<DeliveryRow>> {
        let tail = "WHERE (account, webhook, event) IN (SELECT account, webhook, event FROM \
                    (SELECT account, webhook, event, ROW_NUMBER() OVER \
                    (PARTITION BY account, webhook ORDER BY next_at, event) AS turn \
                    FROM delivery WHERE status = 'waiting' AND next_at <= $1) AS due \
                    WHERE turn <= $2) ORDER BY next_at, event LIMIT $3";
        self.select(tail, |args| {
            args.int(now)?;
            args.int(i64::from(OF_ONE))?;
            args.int(page(limit))
        })
        .await
    }

    /// A webhook's newest deliveries.
    pub async fn deliveries(
        &self,
        account: &str,
        webhook: &str,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>> {
        let tail = "WHERE account = $1 AND webhook = $2 ORDER BY created_at DESC, event LIMIT $3";
        self.select(tail, |args| {
            args.text(account)?;
            args.text(webhook)?;
            args.int(page(limit))
        })
        .await
    }

    /// Adds deliveries. One of the same webhook and event is left as it is: an event that comes twice
    /// is sent once.
    pub async fn deliveries_put(&self, rows: &[DeliveryRow]) -> Result<u64> {
        let dialect = self.dialect();
        let conflict = Conflict { name: "delivery_once", sql: "ON CONFLICT DO NOTHING" };
        let rows: Vec<&DeliveryRow> = rows.iter().collect();
        self.write_limited("deliveries", async |conn| insert(conn, dialect, &rows, conflict).await)
            .await
    }

    /// Notes how an attempt ended.
    pub async fn delivery_tried(&self, row: &DeliveryRow) -> Result<()> {
        let dialect = self.dialect();
        self.write_limited("a delivery", async |conn| {
            let bind = |row: &&DeliveryRow, args: &mut Args| {
                for text in [&row.account, &row.webhook, &row.event, &row.status] {
                    args.text(text)?;
                }
                args.int(row.attempts)?;
                args.int(row.next_at)?;
                match &row.last_error {
                    Some(error) => args.text(error)?,
                    None => args.null(Kind::Text)?,
                }
                args.int(row.updated_at)
            };
            TRIED.run(conn, dialect, &[row], bind).await.map(|_| ())
        })
        .await
    }

    /// Deletes up to `limit` deliveries that were over before `before` (wall); returns how many.
    pub async fn deliveries_prune(&self, before: i64, limit: u32) -> Result<u64> {
        let sql = "DELETE FROM delivery WHERE (account, webhook, event) IN \
                   (SELECT account, webhook, event FROM delivery \
                   WHERE status <> 'waiting' AND updated_at < $1 LIMIT $2)";
        self.prune(sql, before, limit).await
    }
}
