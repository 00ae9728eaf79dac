//! Rows that are written whole and rows that go, beside what a budget's write has for itself.
//! As all statements of a batch they raise nothing: what does not fit is counted.

use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use super::Store;
use super::error::Result;
use super::record::{Args, Record};
use super::rows::{
    ApiKeyRow, AttributeRow, AuditBlockRow, AuditCursorRow, AuditHeadRow, AuditLogRow,
    AuditNodeRow, AuditPendingRow, AuditPersonRow, ConsentRow, CorrectionRow, DsrPackageRow,
    DsrRow, FlowCampaignRow, FlowChangeRow, FlowCountRow, FlowDecisionRow, FlowPacerRow,
    FlowReachRow, KeyringRow, LtvCustomerRow, LtvDriftRow, LtvExperimentRow, LtvForecastRow,
    LtvImportRow, LtvModelPartRow, LtvModelRow, LtvPurchaseRow, LtvRegistryRow, PersonRow,
    WebhookRow,
};
use super::sql::{self, Dialect};
use super::write::Write;

/// What happens where a row of the same key exists.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The write is stale.
    New,
    /// It is left as it is.
    Once,
    /// It is left as it is. Nothing is written about a person who was erased, whoever has it in memory still.
    OfTheLiving,
    /// It is overwritten.
    Over,
    /// It is overwritten where its version is the one before, else the write is stale.
    Versioned,
}

macro_rules! puts {
    ($( $variant:ident($row:ty) $mode:ident $statement:literal, )+) => {
        /// A row to be written whole.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Put {
            $( $variant(Box<$row>), )+
        }

        $(
            impl From<$row> for Put {
                fn from(row: $row) -> Put {
                    Put::$variant(Box::new(row))
                }
            }
        )+

        /// Writes all of it; false where a condition did not hold.
        pub(super) async fn put_all(
            conn: &mut AnyConnection,
            dialect: Dialect,
            writes: &[&Write],
        ) -> sqlx::Result<bool> {
            let mut exact = true;
            $(
                let rows: Vec<&$row> = writes
                    .iter()
                    .flat_map(|write| &write.puts)
                    .filter_map(|put| match put {
                        Put::$variant(row) => Some(&**row),
                        _ => None,
                    })
                    .collect();
                if !rows.is_empty() {
                    exact &= put(conn, dialect, &rows, Mode::$mode, $statement).await?;
                }
            )+
            Ok(exact)
        }
    };
}

puts! {
    Person(PersonRow) Versioned "put_person",
    Consent(ConsentRow) New "put_consent",
    Attribute(AttributeRow) Over "put_attribute",
    Dsr(DsrRow) Versioned "put_dsr",
    DsrPackage(DsrPackageRow) Over "put_dsr_package",
    AuditLog(AuditLogRow) Versioned "put_audit_log",
    AuditBlock(AuditBlockRow) New "put_audit_block",
    AuditNode(AuditNodeRow) New "put_audit_node",
    AuditHead(AuditHeadRow) Over "put_audit_head",
    AuditPerson(AuditPersonRow) Once "put_audit_person",
    AuditCursor(AuditCursorRow) Over "put_audit_cursor",
    AuditPending(AuditPendingRow) Once "put_audit_pending",
    ApiKey(ApiKeyRow) Versioned "put_api_key",
    Keyring(KeyringRow) New "put_keyring",
    Correction(CorrectionRow) Versioned "put_correction",
    Webhook(WebhookRow) Versioned "put_webhook",
    LtvCustomer(LtvCustomerRow) Versioned "put_ltv_customer",
    LtvPurchase(LtvPurchaseRow) Once "put_ltv_purchase",
    LtvImport(LtvImportRow) Once "put_ltv_import",
    LtvModel(LtvModelRow) New "put_ltv_model",
    LtvModelPart(LtvModelPartRow) Once "put_ltv_model_part",
    LtvRegistry(LtvRegistryRow) New "put_ltv_registry",
    LtvExperiment(LtvExperimentRow) Versioned "put_ltv_experiment",
    LtvForecast(LtvForecastRow) OfTheLiving "put_ltv_forecast",
    LtvDrift(LtvDriftRow) Over "put_ltv_drift",
    FlowCampaign(FlowCampaignRow) Versioned "put_flow_campaign",
    FlowChange(FlowChangeRow) New "put_flow_change",
    FlowPacer(FlowPacerRow) Over "put_flow_pacer",
    FlowDecision(FlowDecisionRow) Over "put_flow_decision",
    FlowReach(FlowReachRow) OfTheLiving "put_flow_reach",
    FlowCount(FlowCountRow) Over "put_flow_count",
}

impl Put {
    /// Roughly the bytes that it occupies while it waits.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Put::AuditBlock(row) => 512 + row.lines.len() + row.summary.len(),
            Put::AuditPending(row) => 256 + row.record.len(),
            Put::DsrPackage(row) => 256 + row.sealed.len(),
            Put::Dsr(row) => 256 + row.state.len(),
            Put::LtvModelPart(row) => 256 + row.bytes.len(),
            Put::LtvImport(row) => 256 + row.answer.len(),
            Put::LtvModel(row) => 512 + row.report.len(),
            Put::LtvRegistry(row) => 256 + row.entry.len(),
            Put::FlowCampaign(row) => 512 + row.state.len(),
            Put::FlowChange(row) => 256 + row.definition.as_ref().map_or(0, String::len),
            Put::FlowPacer(row) => 256 + row.state.len(),
            Put::FlowDecision(row) => 384 + row.record.len() + row.proof.len(),
            Put::LtvDrift(row) => 256 + row.state.len() + row.report.len(),
            _ => 512,
        }
    }
}

async fn put<R: Record>(
    conn: &mut AnyConnection,
    dialect: Dialect,
    rows: &[&R],
    mode: Mode,
    statement: &'static str,
) -> sqlx::Result<bool> {
    let affected = put_some(conn, dialect, rows, mode, statement).await?;
    let all = usize::try_from(affected) == Ok(rows.len());
    Ok(all || matches!(mode, Mode::Once | Mode::OfTheLiving))
}

/// Writes forecasts of people who are not erased, of each the first: how many.
pub(super) async fn put_forecasts(
    conn: &mut AnyConnection,
    dialect: Dialect,
    rows: &[&LtvForecastRow],
) -> sqlx::Result<u64> {
    put_some(conn, dialect, rows, Mode::OfTheLiving, "put_ltv_forecast").await
}

/// How many were written.
async fn put_some<R: Record>(
    conn: &mut AnyConnection,
    dialect: Dialect,
    rows: &[&R],
    mode: Mode,
    statement: &'static str,
) -> sqlx::Result<u64> {
    // of two rows with one key PostgreSQL raises: the callers' writes are of different entities
    let kinds = R::COLUMNS.iter().map(|(_, kind)| *kind);
    let text = || {
        format!(
            "INSERT INTO {} ({}) SELECT * FROM (VALUES {{values}}) AS v WHERE v.column1 IS NOT NULL {}",
            R::TABLE,
            R::columns(""),
            conflict::<R>(mode),
        )
    };
    let bind = |row: &&R, args: &mut Args| row.bind(args);
    Ok(sql::run(conn, (dialect, statement), kinds, text, rows, bind).await?.affected)
}

/// That the person of a row, `v`, is not erased.
fn living<R: Record>() -> String {
    let place =
        |wanted| R::COLUMNS.iter().position(|(name, _)| *name == wanted).map_or(0, |at| at + 1);
    format!(
        "AND EXISTS (SELECT 1 FROM person p WHERE p.account = v.column{} AND p.person = v.column{} \
         AND p.erased_at IS NULL)",
        place("account"),
        place("person"),
    )
}

fn conflict<R: Record>(mode: Mode) -> String {
    if matches!(mode, Mode::New | Mode::Once) {
        return "ON CONFLICT DO NOTHING".to_owned();
    }
    if mode == Mode::OfTheLiving {
        return format!("{} ON CONFLICT DO NOTHING", living::<R>());
    }
    let sets: Vec<String> = R::COLUMNS
        .iter()
        .filter(|(name, _)| !R::KEY.contains(name))
        .map(|(name, _)| format!("{name} = excluded.{name}"))
        .collect();
    let update = format!("ON CONFLICT ({}) DO UPDATE SET {}", R::KEY.join(", "), sets.join(", "));
    match mode {
        Mode::Versioned => {
            format!("{update} WHERE {}.version = excluded.version - 1", R::TABLE)
        }
        _ => update,
    }
}

impl Store {
    /// Writes an API key as it now is together with the record of that, where its version is the one
    /// after the stored one (1 for a new key); false, and neither is written, where it is not. No shard
    /// owns keys: any process may write them, also beside a server.
    pub async fn put_api_key(&self, row: &ApiKeyRow, record: &AuditPendingRow) -> Result<bool> {
        let dialect = self.dialect();
        self.write_limited("an API key", async |conn| {
            let mut tx = conn.begin_with(AssertSqlSafe(dialect.begin_write())).await?;
            let next = put(&mut tx, dialect, &[row], Mode::Versioned, "put_api_key").await?;
            if next {
                put(&mut tx, dialect, &[record], Mode::Once, "put_audit_pending").await?;
                tx.commit().await?;
            } else {
                tx.rollback().await?;
            }
            Ok(next)
        })
        .await
    }
}

/// Rows that go. One that is gone already is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// A record that has reached its log.
    AuditPending {
        id: String,
    },
    /// All rows about a person in one of [`PERSON_TABLES`].
    OfPerson {
        table: &'static str,
        person: String,
    },
    /// A request's package.
    DsrPackage {
        dsr: String,
    },
    /// Blocks before this one, with what speaks of them alone.
    AuditBlocksBefore {
        block: i64,
        first: i64,
    },
    Webhook {
        webhook: String,
    },
    /// A campaign that was never begun, with its history.
    FlowCampaign {
        campaign: String,
    },
}

/// Tables whose rows about a person can be deleted.
pub const PERSON_TABLES: &[&str] = &[
    "consent",
    "attribute",
    "dsr_package",
    "ltv_purchase",
    "ltv_customer",
    "ltv_forecast",
    "flow_reach",
];

pub(super) async fn drop_all(conn: &mut AnyConnection, writes: &[&Write]) -> sqlx::Result<()> {
    for write in writes {
        for gone in &write.gone {
            for (sql, parts) in statements(gone) {
                let mut args = Args::default();
                args.text(&write.account)?;
                for part in parts {
                    match part {
                        Part::Text(text) => args.text(text)?,
                        Part::Int(number) => args.int(number)?,
                    }
                }
                args.query(sql.into()).execute(&mut *conn).await?;
            }
        }
    }
    Ok(())
}

enum Part<'a> {
    Text(&'a str),
    Int(i64),
}

fn statements(gone: &Gone) -> Vec<(String, Vec<Part<'_>>)> {
    let one = |sql: &str, part| vec![(sql.to_owned(), vec![part])];
    match gone {
        Gone::AuditPending { id } => {
            one("DELETE FROM audit_pending WHERE account = $1 AND id = $2", Part::Text(id))
        }
        Gone::OfPerson { table, person } if PERSON_TABLES.contains(table) => {
            let sql = format!("DELETE FROM {table} WHERE account = $1 AND person = $2");
            one(&sql, Part::Text(person))
        }
        Gone::OfPerson { .. } => Vec::new(),
        Gone::DsrPackage { dsr } => {
            one("DELETE FROM dsr_package WHERE account = $1 AND dsr = $2", Part::Text(dsr))
        }
        Gone::AuditBlocksBefore { block, first } => vec![
            (
                "DELETE FROM audit_block WHERE account = $1 AND block < $2".to_owned(),
                vec![Part::Int(*block)],
            ),
            (
                "DELETE FROM audit_person WHERE account = $1 AND block < $2".to_owned(),
                vec![Part::Int(*block)],
            ),
            (
                "DELETE FROM audit_head WHERE account = $1 AND size < $2 AND kept = 0".to_owned(),
                vec![Part::Int(*first)],
            ),
        ],
        Gone::FlowCampaign { campaign } => ["flow_change", "flow_pacer", "flow_campaign"]
            .into_iter()
            .map(|table| {
                let sql = format!("DELETE FROM {table} WHERE account = $1 AND campaign = $2");
                (sql, vec![Part::Text(campaign)])
            })
            .collect(),
        Gone::Webhook { webhook } => vec![
            (
                "DELETE FROM delivery WHERE account = $1 AND webhook = $2".to_owned(),
                vec![Part::Text(webhook)],
            ),
            (
                "DELETE FROM webhook WHERE account = $1 AND webhook = $2".to_owned(),
                vec![Part::Text(webhook)],
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_versioned_row_replaces_only_the_version_before_it() {
        let sql = conflict::<PersonRow>(Mode::Versioned);
        assert!(sql.starts_with("ON CONFLICT (account, person) DO UPDATE SET lookup = excluded"));
        assert!(sql.ends_with("WHERE person.version = excluded.version - 1"));
        assert!(!sql.contains("account = excluded"));
    }

    #[test]
    fn every_table_whose_rows_go_has_a_person_column() {
        for table in PERSON_TABLES {
            let gone = Gone::OfPerson { table, person: "p".to_owned() };
            assert_eq!(statements(&gone).len(), 1, "{table}");
        }
        let gone = Gone::OfPerson { table: "ledger", person: "p".to_owned() };
        assert!(statements(&gone).is_empty());
    }
}
