//! Verification of every log without anybody asking for it: once a day, beside the auditor.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::copy::HEADS_FILE;
use super::exported::heads_of;
use super::verify::{VerifyError, verify_kept};
use super::{Audit, pending};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::shield::audit::head::{Keys, SignedHead};
use crate::models::shield::audit::record::{Event, Outcome as Recorded, Record};
use crate::models::shield::audit::report::Report;
use crate::store::{OutboxRow, Outcome, Store, StoreError, Write};

/// The event about a log that does not verify.
pub const UNVERIFIED: &str = "audit.unverified";
/// Logs read at once, and the time between two logs: whoever wants the store goes first.
const PAGE: u32 = 64;
const BETWEEN: Duration = Duration::from_millis(20);

/// What one round has found.
#[derive(Debug, Default)]
pub struct Round {
    pub logs: u64,
    pub records: u64,
    /// Accounts whose log does not verify, with the first finding.
    pub bad: Vec<(String, String)>,
    /// Why the round did not end.
    pub error: Option<String>,
}

/// Verifies all logs against their own heads and those in the file outside, and tells of those that do
/// not verify: in the log, and as an event to whoever has subscribed to it.
pub async fn patrol(shared: &Shared) -> Round {
    let (mut round, mut after) = (Round::default(), String::new());
    loop {
        let rows = match shared.store.audit_logs(&after, PAGE).await {
            Ok(rows) => rows,
            Err(error) => {
                round.error = Some(error.to_string());
                return round;
            }
        };
        // Each log is verified by the node that writes it.
        let here = |account: &str| shared.placement.admits(BudgetName::account(account).place());
        for row in rows.iter().filter(|row| here(&row.account)) {
            if let Err(error) = one(shared, &row.account, &mut round).await {
                round.error = Some(format!("{}: {error}", row.account));
            }
            tokio::time::sleep(BETWEEN).await;
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE as usize => after.clone_from(&last.account),
            _ => return round,
        }
    }
}

async fn one(shared: &Shared, account: &str, round: &mut Round) -> Result<(), PatrolError> {
    let exported = outside(&shared.audit, account).await?;
    let keys = || shared.vault.public_keys();
    let since_us = clock::wall_us().saturating_sub(shared.audit.retention_us);
    let (findings, first) = match verified(&shared.store, account, exported, &keys, since_us).await
    {
        Ok(report) => {
            round.records += report.records;
            (report.findings_total, report.findings.first().map(ToString::to_string))
        }
        Err(VerifyError::Store(error)) => return Err(error.into()),
        Err(error @ VerifyError::Dropped) => return Err(PatrolError::Unanswered(error)),
        Err(error) => (1, Some(error.to_string())),
    };
    round.logs += 1;
    if let Some(first) = first {
        tracing::error!(account, findings, first, "the audit log does not verify");
        round.bad.push((account.to_owned(), first.clone()));
        tell(shared, account, findings, first).await?;
    }
    Ok(())
}

/// Once more when months were dropped meanwhile.
async fn verified(
    store: &Store,
    account: &str,
    exported: Vec<SignedHead>,
    keys: &impl Fn() -> Keys,
    since_us: i64,
) -> Result<Report, VerifyError> {
    match verify_kept(store, account, exported.clone(), keys(), Some(since_us)).await {
        Err(VerifyError::Dropped) => {
            verify_kept(store, account, exported, keys(), Some(since_us)).await
        }
        report => report,
    }
}

/// The heads in the file beside the copy. One that is not there yet has none.
async fn outside(audit: &Audit, account: &str) -> std::io::Result<Vec<SignedHead>> {
    let (path, account) = (audit.dir.join(HEADS_FILE), account.to_owned());
    let read = move |path: &Path| match heads_of(path, &account) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        heads => heads,
    };
    super::blocking(move || read(&path)).await
}

#[derive(Debug, thiserror::Error)]
enum PatrolError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the file of heads: {0}")]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Unanswered(VerifyError),
    #[error("the event is not written: {0}")]
    Untold(String),
}

async fn tell(
    shared: &Shared,
    account: &str,
    findings: u64,
    first: String,
) -> Result<(), PatrolError> {
    let untold = |why: String| PatrolError::Untold(why);
    let data = json!({ "findings": findings, "first": first });
    let Value::Object(data) = data else { return Err(untold("not an object".to_owned())) };
    let record = record(data).map_err(untold)?;
    let pending = pending(account, &record).map_err(|e| untold(e.to_string()))?;
    let kick = (pending.id.clone(), pending.record.clone());
    let event = OutboxRow {
        account: account.to_owned(),
        id: pending.id.clone(),
        kind: UNVERIFIED.to_owned(),
        subject: account.to_owned(),
        payload: Value::Object(record.data.unwrap_or_default()).to_string(),
        created_at: record.at_us,
        delivered_at: None,
    };
    let budget = "@audit".to_owned();
    let name = BudgetName { account: account.into(), budget: budget.as_str().into() };
    let shard = name.shard();
    let write = Write {
        account: account.to_owned(),
        budget,
        shard,
        epoch: shared.epoch(shard),
        puts: vec![pending.into()],
        outbox: vec![event],
        ..Write::default()
    };
    let submitted = shared.committer.submit(write);
    match submitted.map_err(|e| untold(format!("{e:?}")))?.await {
        Ok(Outcome::Committed) => {
            shared.audit.kick(account, vec![kick]);
            Ok(())
        }
        other => Err(untold(format!("{other:?}"))),
    }
}

fn record(data: Map<String, Value>) -> Result<Record, String> {
    Ok(Record {
        at_us: clock::wall_us(),
        event: Event::new(UNVERIFIED.to_owned()).map_err(|e| e.to_string())?,
        actor: "system".to_owned(),
        subject: None,
        person: None,
        outcome: Recorded::Failed,
        count: 1,
        data: Some(data),
        sealed: None,
    })
}
