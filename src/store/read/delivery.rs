//! Webhooks, and events on their way to them.

use sqlx::Row;

use super::page;
use crate::store::record::{Args, Kind};
use crate::store::rows::{DeliveryRow, WebhookRow};
use crate::store::sql::{Conflict, Template, insert};
use crate::store::{Result, Store};

/// Webhooks of one account that a look for what waits finds: more than an account may have, for there
/// may be deliveries of some that are deleted in this moment.
const OF_ACCOUNT: i64 = 64;

/// Steps from account to account, and within each from webhook to webhook, in the index of what waits:
/// it reads an entry for each of those and not the backlog behind it. The index's condition stands in
/// each part, so that it is used.
const WAITING: &str = "WITH RECURSIVE place(n, account) AS (\
     SELECT 1, (SELECT d.account FROM delivery AS d \
     WHERE d.status = 'waiting' AND d.account > $1 ORDER BY d.account LIMIT 1) \
     UNION ALL SELECT place.n + 1, (SELECT d.account FROM delivery AS d \
     WHERE d.status = 'waiting' AND d.account > place.account ORDER BY d.account LIMIT 1) \
     FROM place WHERE place.account IS NOT NULL AND place.n < $2), \
     hook(n, account, webhook) AS (\
     SELECT 1, place.account, (SELECT d.webhook FROM delivery AS d \
     WHERE d.status = 'waiting' AND d.account = place.account ORDER BY d.webhook LIMIT 1) \
     FROM place WHERE place.account IS NOT NULL \
     UNION ALL SELECT hook.n + 1, hook.account, (SELECT d.webhook FROM delivery AS d \
     WHERE d.status = 'waiting' AND d.account = hook.account AND d.webhook > hook.webhook \
     ORDER BY d.webhook LIMIT 1) \
     FROM hook WHERE hook.webhook IS NOT NULL AND hook.n < $3) \
     SELECT hook.account, hook.webhook, (SELECT d.next_at FROM delivery AS d \
     WHERE d.status = 'waiting' AND d.account = hook.account AND d.webhook = hook.webhook \
     ORDER BY d.next_at LIMIT 1) FROM hook WHERE hook.webhook IS NOT NULL";

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
    /// The webhooks of an account, of which it has few.
    pub async fn webhooks_of(&self, account: &str) -> Result<Vec<WebhookRow>> {
        self.select("WHERE account = $1 ORDER BY webhook", |args| args.text(account)).await
    }

    pub async fn webhook(&self, account: &str, webhook: &str) -> Result<Option<WebhookRow>> {
        self.select_one("WHERE account = $1 AND webhook = $2", |args| {
            args.text(account)?;
            args.text(webhook)
        })
        .await
    }

    /// The webhooks that deliveries wait for, by account and id, each with the time (wall) when the
    /// first of them is due: those of up to `accounts` accounts behind this one. It costs as much as
    /// there are webhooks, however much waits for each.
    pub async fn deliveries_waiting(
        &self,
        after: &str,
        accounts: u32,
    ) -> Result<Vec<((String, String), i64)>> {
        const WHAT: &str = "what waits for webhooks";
        let rows = self
            .read_limited(WHAT, async |conn| {
                let mut args = Args::default();
                args.text(after)?;
                args.int(page(accounts))?;
                args.int(OF_ACCOUNT)?;
                args.query(WAITING.into()).fetch_all(conn).await
            })
            .await?;
        let read = |row: &sqlx::any::AnyRow| -> sqlx::Result<((String, String), i64)> {
            Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))
        };
        rows.iter()
            .map(read)
            .collect::<sqlx::Result<_>>()
            .map_err(|e| crate::store::StoreError::sql(WHAT, &e))
    }

    /// Deliveries of a webhook that are due, the longest due first.
    pub async fn deliveries_due(
        &self,
        (account, webhook): (&str, &str),
        now: i64,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>> {
        let tail = "WHERE status = 'waiting' AND account = $1 AND webhook = $2 AND next_at <= $3 \
                    ORDER BY next_at, event LIMIT $4";
        self.select(tail, |args| {
            args.text(account)?;
            args.text(webhook)?;
            args.int(now)?;
            args.int(page(limit))
        })
        .await
    }

    /// A webhook's last delivery in the order of events, from this one on.
    pub async fn last_delivery_from(
        &self,
        (account, webhook): (&str, &str),
        event: &str,
    ) -> Result<Option<DeliveryRow>> {
        let tail =
            "WHERE account = $1 AND webhook = $2 AND event >= $3 ORDER BY event DESC LIMIT 1";
        self.select_one(tail, |args| {
            args.text(account)?;
            args.text(webhook)?;
            args.text(event)
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

    /// Notes how attempts ended, in one statement for many.
    pub async fn deliveries_tried(&self, rows: &[DeliveryRow]) -> Result<()> {
        let dialect = self.dialect();
        self.write_limited("deliveries", async |conn| {
            let bind = |row: &DeliveryRow, args: &mut Args| {
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
            TRIED.run(conn, dialect, rows, bind).await.map(|_| ())
        })
        .await
    }

    /// Gives up to `limit` deliveries up that wait since before `before` (wall); returns how many. Of
    /// a receiver that is asked seldom, most of a long backlog is never sent.
    pub async fn deliveries_expire(&self, before: i64, now: i64, limit: u32) -> Result<u64> {
        let sql = "UPDATE delivery SET status = 'dead', updated_at = $1, \
                   last_error = COALESCE(last_error, 'the receiver did not answer in all this time') \
                   WHERE (account, webhook, event) IN (SELECT account, webhook, event FROM delivery \
                   WHERE status = 'waiting' AND created_at < $2 LIMIT $3)";
        self.write_limited("deliveries that are given up", async |conn| {
            let mut args = Args::default();
            args.int(now)?;
            args.int(before)?;
            args.int(page(limit))?;
            Ok(args.query(sql.into()).execute(&mut *conn).await?.rows_affected())
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
