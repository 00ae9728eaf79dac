//! Audit logs: all records, and whether their hashes hold.

use std::path::Path;

use serde::Deserialize;

use super::{CollectError, Out, Reader, unreadable};
use crate::history::{AuditAtEnd, AuditRow};
use crate::load::http::Request;
use crate::load::names::Names;

#[derive(Deserialize)]
struct Record {
    at: String,
    event: Box<str>,
    #[serde(default)]
    subject: Box<str>,
    outcome: Box<str>,
    #[serde(default)]
    data: serde_json::Value,
}

pub(super) async fn read(
    reader: &Reader<'_>,
    names: &Names,
    path: &Path,
) -> Result<u64, CollectError> {
    let mut out = Out::create(path).await?;
    let mut rows = 0;
    for account in &names.accounts {
        let request = Request::get("/api/v1/audit/export".to_owned()).of(&account.name);
        let body = reader.body(&request).await?;
        for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record: Record =
                serde_json::from_slice(line).map_err(|e| unreadable(&request, &e))?;
            let row = AuditRow {
                account: account.name.clone(),
                at: record.at,
                event: record.event,
                subject: record.subject,
                outcome: record.outcome,
                data: record.data,
            };
            out.line(&row).await?;
            rows += 1;
        }
    }
    out.finish().await?;
    Ok(rows)
}

#[derive(Deserialize)]
struct Verified {
    verified: bool,
    findings: Vec<serde_json::Value>,
}

pub(super) async fn verify(
    reader: &Reader<'_>,
    names: &Names,
) -> Result<Vec<AuditAtEnd>, CollectError> {
    let mut audits = Vec::new();
    for account in &names.accounts {
        let request = Request::get("/api/v1/audit/verify".to_owned()).of(&account.name);
        let Verified { verified, findings } = reader.json(&request).await?;
        let findings = findings.iter().map(ToString::to_string).collect();
        audits.push(AuditAtEnd { account: account.name.clone(), verified, findings });
    }
    Ok(audits)
}
