//! The register of a cluster in SQL: each function is one transaction, and does what the function of the same name
//! in `models/cluster/register.rs` says. Times are the database's own.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

use super::error::Result;
use super::record::{Args, Kind};
use super::sql::{Dialect, Template};
use super::{Store, batch};
use crate::models::cluster::member::Release;
use crate::models::cluster::node::{Incarnation, NodeRow, Roles};
use crate::models::cluster::register::{Joined, Joining};
use crate::models::cluster::roster::{Roster, ShardRow};
use crate::models::cluster::shard::Shard;

/// Rows of nodes that ended are kept for so long after their lease.
const KEPT_US: i64 = 24 * 3_600 * 1_000_000;

/// The database's clock at this very moment, not at the transaction's begin.
fn clock(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        Dialect::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
    }
}

const CLAIM: [Template; 2] = [
    Template {
        name: "claim_shards",
        sql: "WITH v(s, e, me) AS (VALUES {values}) \
              UPDATE shard SET epoch = shard.epoch + 1, owner = v.me, heir = '', \
              since = CAST(unixepoch('subsec') * 1000000 AS INTEGER) FROM v \
              WHERE shard.shard = v.s AND shard.epoch = v.e AND NOT EXISTS \
              (SELECT 1 FROM node WHERE node.incarnation = shard.owner AND node.dead = 0) \
              RETURNING shard.shard, shard.epoch",
        kinds: &[Kind::Int, Kind::Int, Kind::Text],
    },
    Template {
        name: "claim_shards_postgres",
        sql: "WITH v(s, e, me) AS (VALUES {values}) \
              UPDATE shard SET epoch = shard.epoch + 1, owner = v.me, heir = '', \
              since = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) FROM v \
              WHERE shard.shard = v.s AND shard.epoch = v.e AND NOT EXISTS \
              (SELECT 1 FROM node WHERE node.incarnation = shard.owner AND node.dead = 0) \
              RETURNING shard.shard, shard.epoch",
        kinds: &[Kind::Int, Kind::Int, Kind::Text],
    },
];

const RELEASE: [Template; 2] = [
    Template {
        name: "release_shards",
        sql: "WITH v(s, e, me, h) AS (VALUES {values}) \
              UPDATE shard SET epoch = shard.epoch + 1, owner = '', heir = v.h, \
              since = CAST(unixepoch('subsec') * 1000000 AS INTEGER) FROM v \
              WHERE shard.shard = v.s AND shard.epoch = v.e AND shard.owner = v.me",
        kinds: &[Kind::Int, Kind::Int, Kind::Text, Kind::Text],
    },
    Template {
        name: "release_shards_postgres",
        sql: "WITH v(s, e, me, h) AS (VALUES {values}) \
              UPDATE shard SET epoch = shard.epoch + 1, owner = '', heir = v.h, \
              since = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) FROM v \
              WHERE shard.shard = v.s AND shard.epoch = v.e AND shard.owner = v.me",
        kinds: &[Kind::Int, Kind::Int, Kind::Text, Kind::Text],
    },
];

fn of(dialect: Dialect, template: &'static [Template; 2]) -> &'static Template {
    match dialect {
        Dialect::Sqlite => &template[0],
        Dialect::Postgres => &template[1],
    }
}

impl Store {
    /// A life begins. With the roster right after.
    pub async fn join(&self, who: &Joining, lease_us: i64) -> Result<(Joined, Roster)> {
        let dialect = self.dialect();
        self.write_limited("joining the cluster", async |conn| {
            let mut tx = conn.begin_with(AssertSqlSafe(dialect.begin_write())).await?;
            let joined = join(&mut tx, dialect, who, lease_us).await?;
            let roster = roster(&mut tx, dialect).await?;
            tx.commit().await?;
            Ok((joined, roster))
        })
        .await
    }

    /// The roster, or `None`: this life is over.
    pub async fn renew(
        &self,
        me: Incarnation,
        draining: bool,
        lease_us: i64,
    ) -> Result<Option<Roster>> {
        let dialect = self.dialect();
        self.write_limited("renewing the lease", async |conn| {
            let mut tx = conn.begin_with(AssertSqlSafe(dialect.begin_write())).await?;
            let renewed = renew(&mut tx, dialect, me, draining, lease_us).await?;
            let roster = match renewed {
                true => Some(roster(&mut tx, dialect).await?),
                false => None,
            };
            tx.commit().await?;
            Ok(roster)
        })
        .await
    }

    pub async fn roster(&self) -> Result<Roster> {
        let dialect = self.dialect();
        self.read_limited("the roster", async |conn| roster(conn, dialect).await).await
    }

    /// Ends a life whose lease is over. `false`: it is not, or was before.
    pub async fn bury(&self, who: Incarnation) -> Result<bool> {
        let dialect = self.dialect();
        self.write_limited("ending a node's life", async |conn| {
            let sql = format!(
                "UPDATE node SET dead = 1 WHERE incarnation = $1 AND dead = 0 AND lease_until <= {}",
                clock(dialect)
            );
            let mut args = Args::default();
            args.text(&who.to_string())?;
            Ok(args.query(sql.into()).execute(conn).await?.rows_affected() == 1)
        })
        .await
    }

    /// Takes those of the shards that still have this epoch and no owner that lives, with their new epochs.
    pub async fn claim(
        &self,
        me: Incarnation,
        wanted: &[(Shard, i64)],
    ) -> Result<Vec<(Shard, i64)>> {
        let dialect = self.dialect();
        let me = me.to_string();
        self.write_limited("claiming shards", async |conn| {
            let mut tx = conn.begin_with(AssertSqlSafe(dialect.begin_write())).await?;
            if !lives(&mut tx, &me).await? {
                return Ok(Vec::new());
            }
            // In one order for all, so that two that claim the same shards cannot wait for each other.
            lock(&mut tx, dialect, wanted.iter().map(|(shard, _)| *shard)).await?;
            let done = of(dialect, &CLAIM)
                .run(&mut tx, dialect, wanted, |(shard, epoch), args| {
                    args.int(i64::from(shard.0))?;
                    args.int(*epoch)?;
                    args.text(&me)
                })
                .await?;
            let taken = done.rows.iter().map(|row| Ok((shard_of(row, 0)?, row.try_get(1)?)));
            let mut taken = taken.collect::<sqlx::Result<Vec<_>>>()?;
            tx.commit().await?;
            taken.sort_unstable();
            Ok(taken)
        })
        .await
    }

    /// Lets those of the shards go that are this life's, with these epochs.
    pub async fn release(&self, me: Incarnation, released: &[Release]) -> Result<()> {
        let dialect = self.dialect();
        let me = me.to_string();
        self.write_limited("letting shards go", async |conn| {
            let mut tx = conn.begin_with(AssertSqlSafe(dialect.begin_write())).await?;
            lock(&mut tx, dialect, released.iter().map(|it| it.shard)).await?;
            of(dialect, &RELEASE)
                .run(&mut tx, dialect, released, |it, args| {
                    args.int(i64::from(it.shard.0))?;
                    args.int(it.epoch)?;
                    args.text(&me)?;
                    args.text(&it.heir.map(|heir| heir.to_string()).unwrap_or_default())
                })
                .await?;
            tx.commit().await
        })
        .await
    }

    /// A life ends in order.
    pub async fn leave(&self, me: Incarnation) -> Result<()> {
        self.write_limited("leaving the cluster", async |conn| {
            let mut args = Args::default();
            args.text(&me.to_string())?;
            let sql = "UPDATE node SET dead = 1 WHERE incarnation = $1";
            args.query(sql.into()).execute(conn).await.map(|_| ())
        })
        .await
    }
}

async fn join(
    conn: &mut AnyConnection,
    dialect: Dialect,
    who: &Joining,
    lease_us: i64,
) -> sqlx::Result<Joined> {
    let mut args = Args::default();
    args.text(&who.incarnation.to_string())?;
    let sql = "SELECT dead FROM node WHERE incarnation = $1";
    if args.query(sql.into()).fetch_optional(&mut *conn).await?.is_some() {
        let renewed = renew(conn, dialect, who.incarnation, false, lease_us).await?;
        return Ok(if renewed { Joined::Done } else { Joined::Dead });
    }
    let clock = clock(dialect);
    let mut args = Args::default();
    args.text(&who.name)?;
    args.text(&who.before.map(|before| before.to_string()).unwrap_or_default())?;
    let sql = "UPDATE node SET dead = 1 WHERE name = $1 AND dead = 0 AND incarnation = $2";
    args.query(sql.into()).execute(&mut *conn).await?;
    let mut args = Args::default();
    for text in [&who.incarnation.to_string(), &who.name, &who.address] {
        args.text(text)?;
    }
    args.text(&who.roles.to_string())?;
    args.text(&who.version)?;
    args.int(lease_us)?;
    let sql = format!(
        "INSERT INTO node (account, incarnation, name, address, roles, version, joined_at, lease_until, \
         draining, dead) VALUES ('*', $1, $2, $3, $4, $5, {clock}, {clock} + $6, 0, 0) \
         ON CONFLICT DO NOTHING"
    );
    if args.query(sql.into()).execute(&mut *conn).await?.rows_affected() == 1 {
        forget(conn, clock).await?;
        return Ok(Joined::Done);
    }
    let mut args = Args::default();
    args.text(&who.name)?;
    let sql = "SELECT lease_until FROM node WHERE name = $1 AND dead = 0";
    let row = args.query(sql.into()).fetch_optional(conn).await?;
    // Gone since, or not to be seen yet: as good as a lease that is over now, which is tried again.
    let until_us = row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
    Ok(Joined::Taken { until_us })
}

/// Lives that have been over for a day leave no trace.
async fn forget(conn: &mut AnyConnection, clock: &str) -> sqlx::Result<()> {
    let sql = format!(
        "DELETE FROM node WHERE dead = 1 AND lease_until < {clock} - {KEPT_US} AND NOT EXISTS \
         (SELECT 1 FROM shard WHERE shard.owner = node.incarnation)"
    );
    Args::default().query(sql.into()).execute(conn).await.map(|_| ())
}

async fn renew(
    conn: &mut AnyConnection,
    dialect: Dialect,
    me: Incarnation,
    draining: bool,
    lease_us: i64,
) -> sqlx::Result<bool> {
    let clock = clock(dialect);
    let mut args = Args::default();
    args.text(&me.to_string())?;
    args.int(lease_us)?;
    args.int(i64::from(draining))?;
    // A database that took over from another may be behind it: no lease grows shorter.
    let sql = format!(
        "UPDATE node SET draining = $3, lease_until = \
         CASE WHEN lease_until > {clock} + $2 THEN lease_until ELSE {clock} + $2 END \
         WHERE incarnation = $1 AND dead = 0"
    );
    Ok(args.query(sql.into()).execute(conn).await?.rows_affected() == 1)
}

async fn lives(conn: &mut AnyConnection, me: &str) -> sqlx::Result<bool> {
    let mut args = Args::default();
    args.text(me)?;
    let sql = "SELECT 1 FROM node WHERE incarnation = $1 AND dead = 0";
    Ok(args.query(sql.into()).fetch_optional(conn).await?.is_some())
}

async fn lock(
    conn: &mut AnyConnection,
    dialect: Dialect,
    shards: impl Iterator<Item = Shard>,
) -> sqlx::Result<()> {
    let mut shards: Vec<i64> = shards.map(|shard| i64::from(shard.0)).collect();
    shards.sort_unstable();
    batch::fence_shards(conn, dialect, &shards).await.map(|_| ())
}

async fn roster(conn: &mut AnyConnection, dialect: Dialect) -> sqlx::Result<Roster> {
    let sql = format!(
        "SELECT incarnation, name, address, roles, version, joined_at, lease_until, draining, {} \
         FROM node WHERE dead = 0 ORDER BY incarnation",
        clock(dialect)
    );
    let rows = Args::default().query(sql.into()).fetch_all(&mut *conn).await?;
    let mut roster = Roster::default();
    for row in &rows {
        roster.now_us = row.try_get(8)?;
        roster.nodes.push(node_of(row)?);
    }
    let sql = "SELECT shard, epoch, owner, heir, since FROM shard ORDER BY shard";
    let rows = Args::default().query(sql.into()).fetch_all(conn).await?;
    for row in &rows {
        roster.shards.push(ShardRow {
            shard: shard_of(row, 0)?,
            epoch: row.try_get(1)?,
            owner: incarnation_of(row, 2)?,
            heir: incarnation_of(row, 3)?,
            since_us: row.try_get(4)?,
        });
    }
    Ok(roster)
}

fn node_of(row: &AnyRow) -> sqlx::Result<NodeRow> {
    let roles: String = row.try_get(3)?;
    let draining: i64 = row.try_get(7)?;
    Ok(NodeRow {
        incarnation: incarnation_of(row, 0)?.unwrap_or(Incarnation(0)),
        name: row.try_get(1)?,
        address: row.try_get(2)?,
        roles: Roles::read(&roles),
        version: row.try_get(4)?,
        joined_us: row.try_get(5)?,
        lease_until_us: row.try_get(6)?,
        draining: draining != 0,
        dead: false,
    })
}

/// What is none, as an owner that an earlier release wrote may be, is nobody that lives.
fn incarnation_of(row: &AnyRow, at: usize) -> sqlx::Result<Option<Incarnation>> {
    let text: String = row.try_get(at)?;
    Ok(text.parse().ok())
}

fn shard_of(row: &AnyRow, at: usize) -> sqlx::Result<Shard> {
    let shard: i64 = row.try_get(at)?;
    u16::try_from(shard).map(Shard).map_err(|error| sqlx::Error::Decode(error.into()))
}
