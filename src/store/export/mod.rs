//! Every row of a store, one after the other: from a database in one snapshot, or from a file.
//! Exports are written from it, restores and `kiki ledger verify` read it. Memory stays bounded.

mod file;
mod source;

use std::time::Duration;

use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};

pub(crate) use file::{ExportWriter, part_of, publish};
pub use file::{Manifest, TableSum, verify};
pub use source::Source;

use super::error::{Result, StoreError};
use super::record::Record;
use super::rows::{
    AccountRow, ApiKeyRow, AttributeRow, AuditBlockRow, AuditCursorRow, AuditHeadRow, AuditLogRow,
    AuditNodeRow, AuditPendingRow, AuditPersonRow, BudgetRow, ConsentRow, CorrectionRow,
    DeliveryRow, DsrPackageRow, DsrRow, EntryRow, FlowCampaignRow, FlowChangeRow, FlowCountRow,
    FlowDecisionRow, FlowPacerRow, FlowReachRow, HoldRow, KeyringRow, LtvCustomerRow, LtvDriftRow,
    LtvExperimentRow, LtvForecastRow, LtvImportRow, LtvModelPartRow, LtvModelRow, LtvPurchaseRow,
    LtvRegistryRow, MetaRow, OperationRow, OutboxRow, PersonRow, RateRow, ShardRow, SliceRow,
    WebhookRow,
};
use super::sql::{Conflict, Dialect, insert};

/// The longest wait for the next row: a large table may have to be sorted first.
const ROW_LIMIT: Duration = Duration::from_secs(120);

/// Rows that are handed over together.
const CHUNK: usize = 2048;

/// The same for tables whose rows are large.
const CHUNK_OF_LARGE: usize = 16;

/// How many rows of a table are handed over together.
fn chunk_of(table: &str) -> usize {
    match table {
        "audit_block" | "dsr_package" | "ltv_model_part" => CHUNK_OF_LARGE,
        _ => CHUNK,
    }
}

/// Where rows go. (A trait of our own: a generic async closure is not `Send` for the compiler.)
pub(crate) trait Sink: Send {
    /// Rows of one table.
    fn take(&mut self, rows: Vec<ExportRow>) -> impl Future<Output = Result<()>> + Send;
}

/// Rows that are only looked at.
pub(crate) struct Each<F>(pub F);

impl<F: FnMut(ExportRow) -> Result<()> + Send> Sink for Each<F> {
    async fn take(&mut self, rows: Vec<ExportRow>) -> Result<()> {
        rows.into_iter().try_for_each(&mut self.0)
    }
}

macro_rules! tables {
    ($( $variant:ident($row:ty) = $name:literal, )+) => {
        /// One row of any table.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ExportRow {
            $( $variant($row), )+
        }

        /// The tables in the order in which their rows come.
        pub const TABLES: &[&str] = &[$($name),+];

        impl ExportRow {
            pub fn table(&self) -> &'static str {
                match self {
                    $( Self::$variant(_) => $name, )+
                }
            }
        }

        async fn each_table(
            conn: &mut AnyConnection,
            sink: &mut impl Sink,
        ) -> Result<()> {
            $( each_record::<$row>(conn, ExportRow::$variant, sink).await?; )+
            Ok(())
        }

        /// Inserts rows of one table; returns how many were new.
        pub(crate) async fn insert_rows(
            conn: &mut AnyConnection,
            dialect: Dialect,
            rows: &[ExportRow],
        ) -> sqlx::Result<u64> {
            let mut new = 0;
            $(
                let these: Vec<&$row> = rows
                    .iter()
                    .filter_map(|row| match row {
                        ExportRow::$variant(row) => Some(row),
                        _ => None,
                    })
                    .collect();
                let conflict = Conflict {
                    name: concat!("restore_", $name),
                    sql: "ON CONFLICT DO NOTHING",
                };
                new += insert(conn, dialect, &these, conflict).await?;
            )+
            Ok(new)
        }
    };
}

tables! {
    Meta(MetaRow) = "meta",
    Shard(ShardRow) = "shard",
    Account(AccountRow) = "account",
    Rate(RateRow) = "rate",
    Budget(BudgetRow) = "budget",
    Slice(SliceRow) = "slice",
    Hold(HoldRow) = "hold",
    Ledger(EntryRow) = "ledger",
    Operation(OperationRow) = "operation",
    Outbox(OutboxRow) = "outbox",
    Person(PersonRow) = "person",
    Consent(ConsentRow) = "consent",
    Attribute(AttributeRow) = "attribute",
    Dsr(DsrRow) = "dsr",
    DsrPackage(DsrPackageRow) = "dsr_package",
    AuditLog(AuditLogRow) = "audit_log",
    AuditBlock(AuditBlockRow) = "audit_block",
    AuditNode(AuditNodeRow) = "audit_node",
    AuditHead(AuditHeadRow) = "audit_head",
    AuditPerson(AuditPersonRow) = "audit_person",
    AuditCursor(AuditCursorRow) = "audit_cursor",
    AuditPending(AuditPendingRow) = "audit_pending",
    ApiKey(ApiKeyRow) = "api_key",
    Keyring(KeyringRow) = "keyring",
    Correction(CorrectionRow) = "correction",
    Webhook(WebhookRow) = "webhook",
    Delivery(DeliveryRow) = "delivery",
    LtvCustomer(LtvCustomerRow) = "ltv_customer",
    LtvPurchase(LtvPurchaseRow) = "ltv_purchase",
    LtvImport(LtvImportRow) = "ltv_import",
    LtvModel(LtvModelRow) = "ltv_model",
    LtvModelPart(LtvModelPartRow) = "ltv_model_part",
    LtvRegistry(LtvRegistryRow) = "ltv_registry",
    LtvExperiment(LtvExperimentRow) = "ltv_experiment",
    LtvForecast(LtvForecastRow) = "ltv_forecast",
    LtvDrift(LtvDriftRow) = "ltv_drift",
    FlowCampaign(FlowCampaignRow) = "flow_campaign",
    FlowChange(FlowChangeRow) = "flow_change",
    FlowPacer(FlowPacerRow) = "flow_pacer",
    FlowDecision(FlowDecisionRow) = "flow_decision",
    FlowReach(FlowReachRow) = "flow_reach",
    FlowCount(FlowCountRow) = "flow_count",
}

/// Hands over every row, by table and primary key (bytes), all from one snapshot. A chunk holds
/// rows of one table.
pub(crate) async fn each_chunk(
    conn: &mut AnyConnection,
    dialect: Dialect,
    sink: &mut impl Sink,
) -> Result<()> {
    let failed = |error| StoreError::sql("an export", &error);
    let mut tx = conn.begin_with(AssertSqlSafe(dialect.begin_snapshot())).await.map_err(failed)?;
    if dialect == Dialect::Postgres {
        // a large table takes longer than a read may; the wait for each row is limited instead
        sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await.map_err(failed)?;
    }
    each_table(&mut tx, sink).await?;
    tx.rollback().await.map_err(failed)
}

async fn each_record<R: Record>(
    conn: &mut AnyConnection,
    wrap: fn(R) -> ExportRow,
    sink: &mut impl Sink,
) -> Result<()> {
    let failed = |error| StoreError::sql(R::TABLE, &error);
    let sql = format!("SELECT {} FROM {} ORDER BY {}", R::columns(""), R::TABLE, R::KEY.join(", "));
    let mut chunk = Vec::new();
    let mut rows = conn.fetch(sqlx::query(AssertSqlSafe(sql)));
    loop {
        let Ok(row) = tokio::time::timeout(ROW_LIMIT, rows.try_next()).await else {
            let limit_ms = u64::try_from(ROW_LIMIT.as_millis()).unwrap_or(u64::MAX);
            return Err(StoreError::Timeout { what: R::TABLE, limit_ms });
        };
        match row.map_err(failed)? {
            Some(row) => chunk.push(wrap(R::read(&row, 0).map_err(failed)?)),
            None if chunk.is_empty() => return Ok(()),
            None => return sink.take(chunk).await,
        }
        if chunk.len() == chunk_of(R::TABLE) {
            sink.take(std::mem::take(&mut chunk)).await?;
        }
    }
}
