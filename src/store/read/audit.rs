//! The audit logs.

use sqlx::Row;

use super::page;
use crate::store::record::{Args, Record};
use crate::store::rows::{
    AuditBlockRow, AuditCursorRow, AuditHeadRow, AuditLogRow, AuditNodeRow, AuditPendingRow,
    AuditPersonRow,
};
use crate::store::{Result, Store};

/// A budget whose ledger is ahead of its account's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    pub account: String,
    pub budget: String,
    /// Newest row of the ledger.
    pub seq: i64,
}

/// What a block holds, without its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSummary {
    pub block: i64,
    pub at_from: i64,
    pub at_to: i64,
    pub summary: String,
}

impl Store {
    pub async fn audit_log(&self, account: &str) -> Result<Option<AuditLogRow>> {
        self.select_one("WHERE account = $1", |args| args.text(account)).await
    }

    /// A page of all logs, by account.
    pub async fn audit_logs(&self, after: &str, limit: u32) -> Result<Vec<AuditLogRow>> {
        self.select("WHERE account > $1 ORDER BY account LIMIT $2", |args| {
            args.text(after)?;
            args.int(page(limit))
        })
        .await
    }

    /// A page of the accounts that have anything of a log, also where its own row is gone.
    pub async fn audit_accounts(&self, after: &str, limit: u32) -> Result<Vec<String>> {
        let sql = "SELECT account FROM audit_log WHERE account > $1 \
                   UNION SELECT account FROM audit_block WHERE account > $2 \
                   UNION SELECT account FROM audit_head WHERE account > $3 \
                   ORDER BY 1 LIMIT $4";
        self.texts("the audited accounts", sql, |args| {
            args.text(after)?;
            args.text(after)?;
            args.text(after)?;
            args.int(page(limit))
        })
        .await
    }

    /// The first column of what a statement finds.
    async fn texts(
        &self,
        what: &'static str,
        sql: &'static str,
        bind: impl FnOnce(&mut Args) -> sqlx::Result<()>,
    ) -> Result<Vec<String>> {
        let rows = self
            .read_limited(what, async |conn| {
                let mut args = Args::default();
                bind(&mut args)?;
                args.query(sql.into()).fetch_all(conn).await
            })
            .await?;
        rows.iter()
            .map(|row| row.try_get(0))
            .collect::<sqlx::Result<_>>()
            .map_err(|e| crate::store::StoreError::sql(what, &e))
    }

    /// Up to which row a budget's ledger is in the log.
    pub async fn audit_cursor(&self, account: &str, budget: &str) -> Result<i64> {
        let row: Option<AuditCursorRow> = self
            .select_one("WHERE account = $1 AND budget = $2", |args| {
                args.text(account)?;
                args.text(budget)
            })
            .await?;
        Ok(row.map_or(0, |row| row.seq))
    }

    /// Budgets whose ledger is ahead of the log, by account and budget, after this one.
    pub async fn audit_behind(
        &self,
        (account, budget): (&str, &str),
        limit: u32,
    ) -> Result<Vec<Behind>> {
        let sql = "SELECT b.account, b.budget, b.seq FROM budget b \
                   LEFT JOIN audit_cursor c ON c.account = b.account AND c.budget = b.budget \
                   WHERE b.seq > COALESCE(c.seq, 0) \
                   AND (b.account > $1 OR (b.account = $2 AND b.budget > $3)) \
                   ORDER BY b.account, b.budget LIMIT $4";
        let rows = self
            .read_limited("the audit cursors", async |conn| {
                let mut args = Args::default();
                args.text(account)?;
                args.text(account)?;
                args.text(budget)?;
                args.int(page(limit))?;
                args.query(sql.into()).fetch_all(conn).await
            })
            .await?;
        let read = |row: &sqlx::any::AnyRow| {
            Ok(Behind { account: row.try_get(0)?, budget: row.try_get(1)?, seq: row.try_get(2)? })
        };
        rows.iter()
            .map(read)
            .collect::<sqlx::Result<_>>()
            .map_err(|e| crate::store::StoreError::sql("the audit cursors", &e))
    }

    /// Budgets of an account after this one whose ledger is ahead of the log, by name.
    pub async fn audit_behind_of(
        &self,
        account: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>> {
        let sql = "SELECT b.budget FROM budget b \
                   LEFT JOIN audit_cursor c ON c.account = b.account AND c.budget = b.budget \
                   WHERE b.account = $1 AND b.budget > $2 AND b.seq > COALESCE(c.seq, 0) \
                   ORDER BY b.budget LIMIT $3";
        self.texts("the audit cursors", sql, |args| {
            args.text(account)?;
            args.text(after)?;
            args.int(page(limit))
        })
        .await
    }

    /// Records on their way into an account's log, oldest first.
    pub async fn audit_pending(&self, account: &str, limit: u32) -> Result<Vec<AuditPendingRow>> {
        self.select("WHERE account = $1 ORDER BY id LIMIT $2", |args| {
            args.text(account)?;
            args.int(page(limit))
        })
        .await
    }

    /// A page of the accounts that have records from before `at` on their way into their log.
    pub async fn audit_pending_accounts(
        &self,
        at: i64,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT account FROM audit_pending WHERE account > $1 AND at < $2 \
                   ORDER BY account LIMIT $3";
        self.texts("the pending records", sql, |args| {
            args.text(after)?;
            args.int(at)?;
            args.int(page(limit))
        })
        .await
    }

    /// Blocks from number `from` on, in order.
    pub async fn audit_blocks(
        &self,
        account: &str,
        from: i64,
        limit: u32,
    ) -> Result<Vec<AuditBlockRow>> {
        self.select("WHERE account = $1 AND block >= $2 ORDER BY block LIMIT $3", |args| {
            args.text(account)?;
            args.int(from)?;
            args.int(page(limit))
        })
        .await
    }

    /// Blocks before number `before`, newest first.
    pub async fn audit_blocks_back(
        &self,
        account: &str,
        before: i64,
        limit: u32,
    ) -> Result<Vec<AuditBlockRow>> {
        self.select("WHERE account = $1 AND block < $2 ORDER BY block DESC LIMIT $3", |args| {
            args.text(account)?;
            args.int(before)?;
            args.int(page(limit))
        })
        .await
    }

    /// The block that holds the record of this index.
    pub async fn audit_block_of(&self, account: &str, index: i64) -> Result<Option<AuditBlockRow>> {
        let tail = "WHERE account = $1 AND first <= $2 ORDER BY first DESC LIMIT 1";
        let row: Option<AuditBlockRow> = self
            .select_one(tail, |args| {
                args.text(account)?;
                args.int(index)
            })
            .await?;
        Ok(row.filter(|row| index < row.first + row.count))
    }

    /// Summaries of the blocks after number `after`, in order.
    pub async fn audit_summaries(
        &self,
        account: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<BlockSummary>> {
        let sql = "SELECT block, at_from, at_to, summary FROM audit_block \
                   WHERE account = $1 AND block > $2 ORDER BY block LIMIT $3";
        let rows = self
            .read_limited("the audit's summaries", async |conn| {
                let mut args = Args::default();
                args.text(account)?;
                args.int(after)?;
                args.int(page(limit))?;
                args.query(sql.into()).fetch_all(conn).await
            })
            .await?;
        let read = |row: &sqlx::any::AnyRow| {
            Ok(BlockSummary {
                block: row.try_get(0)?,
                at_from: row.try_get(1)?,
                at_to: row.try_get(2)?,
                summary: row.try_get(3)?,
            })
        };
        rows.iter()
            .map(read)
            .collect::<sqlx::Result<_>>()
            .map_err(|e| crate::store::StoreError::sql("the audit's summaries", &e))
    }

    /// The stored hashes of these subtrees, in any order; those that are not there are left out.
    pub async fn audit_nodes(
        &self,
        account: &str,
        level: i64,
        (from, to): (i64, i64),
    ) -> Result<Vec<AuditNodeRow>> {
        let tail =
            "WHERE account = $1 AND level = $2 AND idx >= $3 AND idx < $4 ORDER BY idx LIMIT 4096";
        self.select(tail, |args| {
            args.text(account)?;
            args.int(level)?;
            args.int(from)?;
            args.int(to)
        })
        .await
    }

    /// Signed heads of more than `after` records, by size.
    pub async fn audit_heads(
        &self,
        account: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditHeadRow>> {
        self.select("WHERE account = $1 AND size > $2 ORDER BY size LIMIT $3", |args| {
            args.text(account)?;
            args.int(after)?;
            args.int(page(limit))
        })
        .await
    }

    /// Heads of more than `after` records up to which retention has dropped all, by size.
    pub async fn audit_cuts(
        &self,
        account: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditHeadRow>> {
        let tail = "WHERE account = $1 AND kept = 2 AND size > $2 ORDER BY size LIMIT $3";
        self.select(tail, |args| {
            args.text(account)?;
            args.int(after)?;
            args.int(page(limit))
        })
        .await
    }

    /// The newest signed head.
    pub async fn audit_newest_head(&self, account: &str) -> Result<Option<AuditHeadRow>> {
        self.select_one("WHERE account = $1 ORDER BY size DESC LIMIT 1", |args| args.text(account))
            .await
    }

    /// Blocks before number `before` that speak of a person, newest first.
    pub async fn audit_person_blocks(
        &self,
        account: &str,
        person: &str,
        before: i64,
        limit: u32,
    ) -> Result<Vec<i64>> {
        let tail = "WHERE account = $1 AND person = $2 AND block < $3 ORDER BY block DESC LIMIT $4";
        let rows: Vec<AuditPersonRow> = self
            .select(tail, |args| {
                args.text(account)?;
                args.text(person)?;
                args.int(before)?;
                args.int(page(limit))
            })
            .await?;
        Ok(rows.into_iter().map(|row| row.block).collect())
    }

    /// Who is spoken of in blocks `from..=to`, by block and person.
    pub async fn audit_persons(
        &self,
        account: &str,
        (from, to): (i64, i64),
    ) -> Result<Vec<AuditPersonRow>> {
        let tail = "WHERE account = $1 AND block >= $2 AND block <= $3 ORDER BY block, person";
        self.select(tail, |args| {
            args.text(account)?;
            args.int(from)?;
            args.int(to)
        })
        .await
    }

    /// The newest block of a month before `month` (`2026-11`).
    pub async fn audit_block_before_month(
        &self,
        account: &str,
        month: &str,
    ) -> Result<Option<AuditBlockRow>> {
        let tail = "WHERE account = $1 AND month < $2 ORDER BY block DESC LIMIT 1";
        self.select_one(tail, |args| {
            args.text(account)?;
            args.text(month)
        })
        .await
    }

    /// The oldest month of which any log has records.
    pub async fn audit_oldest_month(&self) -> Result<Option<String>> {
        let sql = "SELECT b.month FROM audit_block b JOIN \
                   (SELECT account, min(block) AS block FROM audit_block GROUP BY account) f \
                   ON f.account = b.account AND f.block = b.block ORDER BY b.month LIMIT 1";
        Ok(self.texts("the oldest audit records", sql, |_| Ok(())).await?.pop())
    }

    /// Tables with a column `person`, as the database has them.
    pub async fn person_tables(&self) -> Result<Vec<String>> {
        let sql = match self.dialect() {
            super::super::Dialect::Sqlite => {
                "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
                 WHERE m.type = 'table' AND c.name = 'person' ORDER BY m.name"
            }
            super::super::Dialect::Postgres => {
                "SELECT CAST(table_name AS TEXT) FROM information_schema.columns \
                 WHERE column_name = 'person' AND table_schema = current_schema() ORDER BY 1"
            }
        };
        let rows = self
            .read_limited("the tables", async |conn| {
                Args::default().query(sql.into()).fetch_all(conn).await
            })
            .await?;
        rows.iter()
            .map(|row| row.try_get(0))
            .collect::<sqlx::Result<_>>()
            .map_err(|e| crate::store::StoreError::sql(AuditPersonRow::TABLE, &e))
    }
}
