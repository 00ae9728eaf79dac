//! The embedded migrations. They expand, then contract: a server of the version before must be able
//! to run on the schema of this one.

use std::time::Duration;

use sqlx::AnyConnection;
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::config::StoreConfig;
use super::error::{Result, StoreError};
use super::sql::Dialect;
use super::{Store, open};

/// Version, name and text, in order. Once released, a text is never changed.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "core", include_str!("../../migrations/0001_core.sql")),
    (2, "slices", include_str!("../../migrations/0002_slices.sql")),
    (3, "compliance", include_str!("../../migrations/0003_compliance.sql")),
    (4, "fair_deliveries", include_str!("../../migrations/0004_fair_deliveries.sql")),
    (5, "value", include_str!("../../migrations/0005_value.sql")),
    (6, "flow", include_str!("../../migrations/0006_flow.sql")),
    (7, "cluster", include_str!("../../migrations/0007_cluster.sql")),
    (8, "decisions", include_str!("../../migrations/0008_decisions.sql")),
];

/// A migration that failed is tried again this often: it may have met another process's.
const TRIES_MAX: u32 = 5;

/// What a migration run found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Versions applied before this run.
    pub before: Vec<i64>,
    /// Versions that this run applied.
    pub applied: Vec<i64>,
}

impl Store {
    /// Brings the schema up to date, alone; [`Store::open`] does it too. Safe to run from several
    /// processes at once.
    pub async fn migrate(config: &StoreConfig) -> Result<Migrated> {
        let (dialect, options) = open::options(config)?;
        let connect = tokio::time::timeout(config.connect_limit, options.connect());
        let mut conn = match connect.await {
            Ok(conn) => conn.map_err(|error| StoreError::sql("migration", &error))?,
            Err(_) => {
                let limit_ms = u64::try_from(config.connect_limit.as_millis()).unwrap_or(u64::MAX);
                return Err(StoreError::Timeout { what: "migration", limit_ms });
            }
        };
        open::prepare(&mut conn, dialect, config, open::Role::Migrator)
            .await
            .map_err(|error| StoreError::sql("migration", &error))?;
        let mut tries = 0;
        let done = loop {
            match run(&mut conn, dialect).await {
                // another process migrates: SQLite has no lock for it, but one of us comes first
                Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..))
                    if tries < TRIES_MAX =>
                {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                done => break done,
            }
        };
        done.map_err(|error| match error {
            MigrateError::VersionMissing(version) => StoreError::Migration(format!(
                "the store was made by a newer kiki (schema version {version})"
            )),
            other => StoreError::Migration(other.to_string()),
        })
    }
}

async fn run(conn: &mut AnyConnection, dialect: Dialect) -> Result<Migrated, MigrateError> {
    conn.lock().await?;
    let done = run_locked(conn, dialect).await;
    conn.unlock().await?;
    done
}

async fn run_locked(conn: &mut AnyConnection, dialect: Dialect) -> Result<Migrated, MigrateError> {
    let migrator = migrator(dialect);
    let table = migrator.table_name.clone();
    conn.ensure_migrations_table(&table).await?;
    let before = versions(conn, &table).await?;
    migrator.run_direct(None, conn, false).await?;
    let applied =
        versions(conn, &table).await?.into_iter().filter(|v| !before.contains(v)).collect();
    Ok(Migrated { before, applied })
}

async fn versions(conn: &mut AnyConnection, table: &str) -> Result<Vec<i64>, MigrateError> {
    Ok(conn.list_applied_migrations(table).await?.iter().map(|m| m.version).collect())
}

fn migrator(dialect: Dialect) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, text)| {
        let text = match dialect {
            Dialect::Sqlite => (*text).to_owned(),
            Dialect::Postgres => text.replace("TEXT /* key */", "TEXT COLLATE \"C\""),
        };
        let sql = AssertSqlSafe(text).into_sql_str();
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}
