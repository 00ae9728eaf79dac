//! The statements of a batch, inside its transaction. None of them raises for what the data says:
//! conflicts are counted, so that one write cannot abort the others on PostgreSQL.

use std::collections::{BTreeMap, HashMap};

use sqlx::AnyConnection;
use sqlx::Row;

use super::record::{Kind, Record};
use super::rows::{EntryRow, HoldRow, OperationRow, SliceRow};
use super::sql::{Conflict, Dialect, Template, insert};
use super::write::{Found, Write};

use Kind::{Int, Text};

/// Locks the shards of a batch until it ends, and tells their epochs. On PostgreSQL a batch whose
/// outcome is unknown still holds the lock while it may commit: whoever passes here sees its end.
/// There the rows are locked in the order of their numbers, so that two servers whose batches share
/// shards cannot wait for each other; an UPDATE promises no order.
const FENCE: Template = Template {
    name: "fence",
    sql: "SELECT shard, epoch FROM shard WHERE shard IN (VALUES {values}) ORDER BY shard FOR UPDATE",
    kinds: &[Int],
};

/// SQLite has one writer at a time: what has begun to write holds every lock.
const FENCE_SQLITE: Template = Template {
    name: "fence_sqlite",
    sql: "UPDATE shard SET epoch = epoch WHERE shard IN (VALUES {values}) RETURNING shard, epoch",
    kinds: &[Int],
};

/// Which of these operations are booked. CROSS JOIN keeps SQLite from reading the tables first.
const KNOWN_OPS: Template = Template {
    name: "known_ops",
    sql: "WITH v(a, o) AS (VALUES {values}) \
          SELECT v.a, v.o FROM v CROSS JOIN ledger l WHERE l.account = v.a AND l.op = v.o \
          UNION ALL \
          SELECT v.a, v.o FROM v CROSS JOIN operation p WHERE p.account = v.a AND p.op = v.o",
    kinds: &[Text, Text],
};

const PUT_BUDGET: Template = Template {
    name: "put_budget",
    sql: "WITH v(a, b, expected, n_terms, n_status, n_funded, n_refunded, n_settled, n_facts, n_late, \
          n_seq, n_state, n_updated_at) AS (VALUES {values}) \
          UPDATE budget SET version = v.expected + 1, terms = COALESCE(v.n_terms, terms), \
          status = v.n_status, funded = v.n_funded, refunded = v.n_refunded, \
          settled = v.n_settled, facts = v.n_facts, late = v.n_late, seq = v.n_seq, \
          state = v.n_state, updated_at = v.n_updated_at \
          FROM v WHERE budget.account = v.a AND budget.budget = v.b AND budget.version = v.expected",
    kinds: &[Text, Text, Int, Text, Text, Int, Int, Int, Int, Int, Int, Text, Int],
};

const SETTLE_SLICE: Template = Template {
    name: "settle_slice",
    sql: "WITH v(a, b, s, amount) AS (VALUES {values}) \
          UPDATE slice SET settled = slice.settled + v.amount FROM v \
          WHERE slice.account = v.a AND slice.budget = v.b AND slice.slice = v.s \
          AND slice.sealed = 0 AND slice.settled + v.amount <= slice.quota",
    kinds: &[Text, Text, Text, Int],
};

const DROP_SLICE: Template = Template {
    name: "drop_slice",
    // through a named list: SQLite reads the whole table for a bare one
    sql: "WITH v(a, b, s) AS (VALUES {values}) \
          DELETE FROM slice WHERE (account, budget, slice) IN (SELECT a, b, s FROM v)",
    kinds: &[Text, Text, Text],
};

pub(crate) const ENTRIES: Conflict =
    Conflict { name: "insert_ledger", sql: "ON CONFLICT DO NOTHING" };
const BUDGETS: Conflict = Conflict { name: "insert_budget", sql: "ON CONFLICT DO NOTHING" };
const OPERATIONS: Conflict = Conflict { name: "insert_operation", sql: "ON CONFLICT DO NOTHING" };
const OUTBOX: Conflict = Conflict { name: "insert_outbox", sql: "ON CONFLICT DO NOTHING" };
const ACCOUNTS: Conflict = Conflict { name: "insert_account", sql: "ON CONFLICT DO NOTHING" };
const SLICES: Conflict = Conflict {
    name: "put_slice",
    sql: "ON CONFLICT (account, budget, slice) DO UPDATE SET quota = excluded.quota, \
          sealed = excluded.sealed, taken_at = excluded.taken_at, mono_us = excluded.mono_us, \
          boot = excluded.boot, ttl_us = excluded.ttl_us \
          WHERE slice.sealed <= excluded.sealed AND slice.settled <= excluded.quota",
};
/// A hold that is over stays so, however late its beginning is told; a key that is granted once more after that is
/// another hold, with another end.
const HOLDS: Conflict = Conflict {
    name: "put_hold",
    sql: "ON CONFLICT (account, hold) DO UPDATE SET slice = excluded.slice, \
          window_slice = excluded.window_slice, amount = excluded.amount, day = excluded.day, \
          state = excluded.state, settled_amount = excluded.settled_amount, \
          expires_at = excluded.expires_at, body_hash = excluded.body_hash, memo = excluded.memo, \
          updated_at = excluded.updated_at \
          WHERE hold.state = 'open' OR excluded.state <> 'open' \
          OR (hold.state IN ('released', 'expired') AND hold.expires_at <> excluded.expires_at)",
};

/// A condition of a batch did not hold: it has to be undone.
pub(crate) struct Mismatch;

/// The current epochs of these shards, which stay locked until the transaction ends.
pub(crate) async fn fence(
    conn: &mut AnyConnection,
    dialect: Dialect,
    writes: &[&Write],
) -> sqlx::Result<HashMap<i64, i64>> {
    let mut shards: Vec<i64> = writes.iter().map(|w| w.shard).collect();
    shards.sort_unstable();
    shards.dedup();
    fence_shards(conn, dialect, &shards).await
}

/// The same; `shards` in ascending order, on whichever path they come.
pub(crate) async fn fence_shards(
    conn: &mut AnyConnection,
    dialect: Dialect,
    shards: &[i64],
) -> sqlx::Result<HashMap<i64, i64>> {
    let fence = match dialect {
        Dialect::Sqlite => &FENCE_SQLITE,
        Dialect::Postgres => &FENCE,
    };
    let done = fence.run(conn, dialect, shards, |shard, args| args.int(*shard)).await?;
    done.rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// The booked rows of the operations of writes that ask for the check, by write.
pub(crate) async fn duplicates(
    conn: &mut AnyConnection,
    dialect: Dialect,
    writes: &[&Write],
) -> sqlx::Result<Vec<Vec<Found>>> {
    let mut found: Vec<Vec<Found>> = writes.iter().map(|_| Vec::new()).collect();
    let mut owners: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for (index, write) in writes.iter().enumerate().filter(|(_, w)| w.check_ops) {
        let entries = write.entries.iter().map(|e| (e.account.as_str(), e.op.as_str()));
        let operations = write.operations.iter().map(|o| (o.account.as_str(), o.op.as_str()));
        for key in entries.chain(operations) {
            owners.entry(key).or_default().push(index);
        }
    }
    let ops: Vec<(&str, &str)> = owners.keys().copied().collect();
    let known = KNOWN_OPS
        .run(conn, dialect, &ops, |(account, op), args| {
            args.text(account)?;
            args.text(op)
        })
        .await?;
    for row in known.rows {
        let (account, op): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let rows = found_rows(conn, &account, &op).await?;
        for index in owners.get(&(account.as_str(), op.as_str())).into_iter().flatten() {
            for row in &rows {
                if !found[*index].contains(row) {
                    found[*index].push(row.clone());
                }
            }
        }
    }
    Ok(found)
}

/// The ledger row and the stored answer of one operation: at most one of each.
pub(crate) async fn found_rows(
    conn: &mut AnyConnection,
    account: &str,
    op: &str,
) -> sqlx::Result<Vec<Found>> {
    let mut found = Vec::new();
    if let Some(row) = by_op::<EntryRow>(conn, account, op).await? {
        found.push(Found::Entry(row));
    }
    if let Some(row) = by_op::<OperationRow>(conn, account, op).await? {
        found.push(Found::Operation(row));
    }
    Ok(found)
}

async fn by_op<R: Record>(
    conn: &mut AnyConnection,
    account: &str,
    op: &str,
) -> sqlx::Result<Option<R>> {
    let sql = format!("SELECT {} FROM {} WHERE account = $1 AND op = $2", R::columns(""), R::TABLE);
    let mut args = super::record::Args::default();
    args.text(account)?;
    args.text(op)?;
    args.query(sql.into()).fetch_optional(conn).await?.map(|row| R::read(&row, 0)).transpose()
}

/// Writes all of it, or tells that a condition did not hold.
pub(crate) async fn apply(
    conn: &mut AnyConnection,
    dialect: Dialect,
    writes: &[&Write],
) -> sqlx::Result<Result<(), Mismatch>> {
    let mut exact = Exact(true);

    let accounts: Vec<_> = writes.iter().filter_map(|w| w.account_row.as_ref()).collect();
    exact.rows(accounts.len(), insert(conn, dialect, &accounts, ACCOUNTS).await?);
    let entries: Vec<&EntryRow> = writes.iter().flat_map(|w| &w.entries).collect();
    exact.rows(entries.len(), insert(conn, dialect, &entries, ENTRIES).await?);
    let operations: Vec<&OperationRow> = writes.iter().flat_map(|w| &w.operations).collect();
    exact.rows(operations.len(), insert(conn, dialect, &operations, OPERATIONS).await?);

    let (inserts, updates): (Vec<_>, Vec<_>) =
        writes.iter().filter_map(|w| w.budget_row.as_ref()).partition(|b| b.expected_version == 0);
    let first: Vec<_> =
        inserts.iter().map(|b| super::BudgetRow { version: 1, ..b.row.clone() }).collect();
    let first: Vec<_> = first.iter().collect();
    exact.rows(first.len(), insert(conn, dialect, &first, BUDGETS).await?);
    let put = PUT_BUDGET.run(conn, dialect, &updates, |put, args| {
        let row = &put.row;
        args.text(&row.account)?;
        args.text(&row.budget)?;
        args.int(put.expected_version)?;
        if put.keep_terms {
            args.null(Text)?
        } else {
            args.text(&row.terms)?
        }
        args.text(&row.status)?;
        for n in [row.funded, row.refunded, row.settled, row.facts, row.late, row.seq] {
            args.int(n)?;
        }
        args.text(&row.state)?;
        args.int(row.updated_at)
    });
    exact.rows(updates.len(), put.await?.affected);

    exact.slices(conn, dialect, writes, 0).await?;
    let mut settles: BTreeMap<(&str, &str, &str), i64> = BTreeMap::new();
    for write in writes {
        for (slice, amount) in &write.slice_settles {
            let sum = settles.entry((&write.account, &write.budget, slice)).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }
    let settles: Vec<_> = settles.into_iter().collect();
    let settled =
        SETTLE_SLICE.run(conn, dialect, &settles, |((account, budget, slice), sum), args| {
            args.text(account)?;
            args.text(budget)?;
            args.text(slice)?;
            args.int(*sum)
        });
    exact.rows(settles.len(), settled.await?.affected);
    exact.slices(conn, dialect, writes, 1).await?;

    let gone: Vec<_> =
        writes.iter().flat_map(|w| w.slices_gone.iter().map(move |slice| (w, slice))).collect();
    DROP_SLICE
        .run(conn, dialect, &gone, |(write, slice), args| {
            args.text(&write.account)?;
            args.text(&write.budget)?;
            args.text(slice)
        })
        .await?;

    exact.0 &= super::put::put_all(conn, dialect, writes).await?;
    super::put::drop_all(conn, writes).await?;

    if exact.0 {
        unconditional(conn, dialect, writes).await?;
    }
    Ok(if exact.0 { Ok(()) } else { Err(Mismatch) })
}

/// Rows without a condition: of two with one key the later is written.
async fn unconditional(
    conn: &mut AnyConnection,
    dialect: Dialect,
    writes: &[&Write],
) -> sqlx::Result<()> {
    let outbox: Vec<_> = writes.iter().flat_map(|w| &w.outbox).collect();
    insert(conn, dialect, &outbox, OUTBOX).await?;
    let holds: BTreeMap<(&str, &str), &HoldRow> = writes
        .iter()
        .flat_map(|w| &w.holds)
        .map(|h| ((h.account.as_str(), h.hold.as_str()), h))
        .collect();
    let holds: Vec<_> = holds.into_values().collect();
    insert(conn, dialect, &holds, HOLDS).await?;
    Ok(())
}

/// Whether every condition held so far.
struct Exact(bool);

impl Exact {
    fn rows(&mut self, expected: usize, affected: u64) {
        self.0 &= u64::try_from(expected) == Ok(affected);
    }

    async fn slices(
        &mut self,
        conn: &mut AnyConnection,
        dialect: Dialect,
        writes: &[&Write],
        sealed: i64,
    ) -> sqlx::Result<()> {
        let slices: BTreeMap<(&str, &str, &str), &SliceRow> = writes
            .iter()
            .flat_map(|w| &w.slices_put)
            .filter(|s| i64::from(s.sealed != 0) == sealed)
            .map(|s| ((s.account.as_str(), s.budget.as_str(), s.slice.as_str()), s))
            .collect();
        let slices: Vec<_> = slices.into_values().collect();
        self.rows(slices.len(), insert(conn, dialect, &slices, SLICES).await?);
        Ok(())
    }
}
