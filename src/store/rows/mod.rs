//! The rows of all tables, column by column as in `migrations/`.

mod access;
mod audit;
mod flow;
mod money;
mod person;
mod value;

pub use access::{ApiKeyRow, CorrectionRow, DeliveryRow, KeyringRow, WebhookRow};
pub use audit::{
    AuditBlockRow, AuditCursorRow, AuditHeadRow, AuditLogRow, AuditNodeRow, AuditPendingRow,
    AuditPersonRow,
};
pub use flow::{
    FlowCampaignRow, FlowChangeRow, FlowCountRow, FlowDecisionRow, FlowPacerRow, FlowReachRow,
};
pub use money::{
    AccountRow, BudgetRow, EntryRow, HoldRow, MetaRow, OperationRow, OutboxRow, RateRow, ShardRow,
    SliceRow,
};
pub use person::{AttributeRow, ConsentRow, DsrPackageRow, DsrRow, PersonRow};
pub use value::{
    LtvCustomerRow, LtvDriftRow, LtvExperimentRow, LtvForecastRow, LtvImportRow, LtvModelPartRow,
    LtvModelRow, LtvPurchaseRow, LtvRegistryRow,
};
