//! What a compliance report is made of: figures of one account, all counted from rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::audit::{VerifyError, verify};
use super::shared::Shared;
use crate::clock;
use crate::models::shield::audit::record::{Outcome, Record};
use crate::models::shield::audit::summary::Summary;
use crate::models::shield::compliance::facts::{
    AuditLog, ConsentLine, Contacts, Erasures, EventOutcome, Facts, Keys, Retention, Settings, Tcf,
    Verification,
};
use crate::models::shield::compliance::period::Period;
use crate::models::shield::compliance::requests::{RequestRow, Requests};
use crate::models::shield::dsr::kind::Status;
use crate::models::shield::dsr::request::Request;
use crate::store::{AuditBlockRow, DsrList, PAGE_MAX, StoreError};

/// Records beyond which a report does not verify the log itself: `kiki audit verify` does.
const VERIFIED_MAX: i64 = 5_000_000;
const DAY_US: i64 = 86_400_000_000;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a row cannot be read: {0}")]
    Unreadable(String),
}

fn unreadable(why: impl ToString) -> FactsError {
    FactsError::Unreadable(why.to_string())
}

/// What the log tells of a period.
#[derive(Default)]
struct Told {
    events: BTreeMap<(String, EventOutcome), u64>,
    denied: BTreeMap<String, u64>,
    consent: BTreeMap<String, ConsentLine>,
    tcf: Tcf,
    contacts: Contacts,
    erasures: Erasures,
    /// What of the log cannot be read, the first of it.
    unreadable: u64,
    first_unreadable: Option<String>,
}

/// Counts all of it.
pub async fn gather(
    shared: &Arc<Shared>,
    account: &str,
    period: &Period,
    settings: Settings,
) -> Result<Facts, FactsError> {
    let mut told = told(shared, account, period).await?;
    told.contacts.restricted_persons = restricted(shared, account).await?;
    Ok(Facts {
        account: account.to_owned(),
        events: told.events,
        consent: told.consent,
        tcf: told.tcf,
        requests: requests(shared, account, period).await?,
        erasures: told.erasures,
        denied: told.denied,
        contacts: told.contacts,
        audit: with_unreadable(
            audit(shared, account).await?,
            told.unreadable,
            told.first_unreadable,
        ),
        retention: Retention {
            days: u64::try_from(shared.audit.retention_us / DAY_US).unwrap_or(0),
            oldest_record_us: oldest(shared, account).await?,
        },
        keys: keys(shared).await?,
        settings,
    })
}

/// Whether the reports need more of these events than how many there were.
fn looked_into(event: &str) -> bool {
    event.starts_with("consent.") || event.starts_with("person.") || event.starts_with("contact.")
}

async fn told(shared: &Shared, account: &str, period: &Period) -> Result<Told, FactsError> {
    let mut told = Told::default();
    let mut after = -1;
    loop {
        let blocks = shared.store.audit_summaries(account, after, PAGE_MAX).await?;
        let Some(last) = blocks.last() else { return Ok(told) };
        after = last.block;
        let full = blocks.len() == PAGE_MAX as usize;
        for block in blocks {
            if block.at_to < period.from_us || block.at_from >= period.to_us {
                continue;
            }
            // a log that was changed must not hide the report that tells of it
            let summary: Summary = match serde_json::from_str(&block.summary) {
                Ok(summary) => summary,
                Err(error) => {
                    told.unreadable(format!("summary of block {}: {error}", block.block));
                    Summary::default()
                }
            };
            let whole = period.holds(block.at_from) && period.holds(block.at_to);
            let closer = summary.iter().any(|(event, outcome, _)| {
                outcome == Outcome::Denied || looked_into(event.as_str())
            });
            if whole && !closer && told.unreadable == 0 {
                for (event, outcome, count) in summary.iter() {
                    told.count(event.as_str(), outcome, count);
                }
                continue;
            }
            for row in shared.store.audit_blocks(account, block.block, 1).await? {
                told.lines(&row, period);
            }
        }
        if !full {
            return Ok(told);
        }
    }
}

impl Told {
    fn count(&mut self, event: &str, outcome: Outcome, count: u64) {
        let outcome = EventOutcome::read(outcome.as_str());
        let sum = self.events.entry((event.to_owned(), outcome)).or_default();
        *sum = sum.saturating_add(count);
    }

    fn lines(&mut self, row: &AuditBlockRow, period: &Period) {
        for (index, line) in (row.first..).zip(row.lines.split('\n')) {
            match Record::parse(line) {
                Ok(record) if period.holds(record.at_us) => self.record(&record),
                Ok(_) => {}
                Err(error) => self.unreadable(format!("record {index}: {error}")),
            }
        }
    }

    fn unreadable(&mut self, what: String) {
        self.unreadable += 1;
        self.first_unreadable.get_or_insert(what);
    }

    fn record(&mut self, record: &Record) {
        let (event, count) = (record.event.as_str(), record.count);
        self.count(event, record.outcome, count);
        let data = |name: &str| record.data.as_ref().and_then(|data| data.get(name)?.as_str());
        if record.outcome == Outcome::Denied {
            let reason = data("reason").unwrap_or("not told").to_owned();
            *self.denied.entry(reason).or_default() += count;
        }
        if event.starts_with("contact.") {
            // whoever tells of contacts would tell of those that should not have been
            self.contacts.breaches.get_or_insert(0);
            self.contacts.restricted_processed.get_or_insert(0);
        }
        let kind = record.subject.clone().unwrap_or_default();
        match event {
            "consent.granted" => {
                let line = self.consent.entry(kind).or_default();
                line.granted += 1;
                let by_consent = data("legal_basis").is_none_or(|basis| basis == "consent");
                line.granted_without_proof += u64::from(by_consent && data("proof").is_none());
            }
            "consent.revoked" | "consent.objected" | "consent.opted_out" => {
                self.consent.entry(kind).or_default().revoked += 1;
            }
            "consent.tcf_read" => {
                self.tcf.read += 1;
                let without = data("disclosed_vendors") == Some("no");
                self.tcf.without_disclosed_vendors += u64::from(without);
            }
            "consent.tcf_refused" => self.tcf.refused += 1,
            "consent.allowed" => self.contacts.with_consent += count,
            "consent.denied" => self.contacts.blocked += count,
            // sent or targeted all the same: CO-1 is broken
            "contact.breached" => *self.contacts.breaches.get_or_insert(0) += count,
            "contact.restricted" => *self.contacts.restricted_processed.get_or_insert(0) += count,
            "person.erased" => self.erasures.done += 1,
            "person.erased_again" => self.erasures.reapplied += 1,
            _ => {}
        }
    }
}

async fn requests(shared: &Shared, account: &str, period: &Period) -> Result<Requests, FactsError> {
    let now = clock::wall_us();
    let mut tally = Requests::default();
    for row in shared.store.dsrs_of_period(account, period.from_us, period.to_us).await? {
        let request: Request = serde_json::from_str(&row.state).map_err(unreadable)?;
        let extension = request.extension.as_ref();
        let of = RequestRow {
            kind: request.kind.as_str(),
            status: request.status.as_str(),
            received_us: request.received_at,
            due_us: request.due_at,
            closed_us: request.completed_at,
            completed: request.status == Status::Completed,
            extended_us: extension.map(|e| e.at),
            extension_reason: extension.is_some_and(|e| !e.reason.is_empty()),
        };
        tally.add(&of, period, now);
    }
    Ok(tally)
}

/// People whose processing is restricted now.
async fn restricted(shared: &Shared, account: &str) -> Result<u64, FactsError> {
    let mut people = BTreeSet::new();
    let mut before = String::new();
    loop {
        let list = DsrList {
            account: account.to_owned(),
            status: Status::Completed.as_str().to_owned(),
            kind: "RESTRICTION".to_owned(),
            before,
            limit: PAGE_MAX,
        };
        let rows = shared.store.dsrs(&list).await?;
        for row in &rows {
            let request: Request = serde_json::from_str(&row.state).map_err(unreadable)?;
            let lifted = request.lift.is_some_and(|lift| lift.done_at.is_some());
            if lifted || people.contains(&row.person) {
                continue;
            }
            // who was erased since is nobody whose processing could be restricted
            let person = shared.store.person(account, &row.person).await?;
            if person.is_some_and(|person| person.erased_at.is_none()) {
                people.insert(row.person.clone());
            }
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE_MAX as usize => before = last.dsr.clone(),
            _ => return Ok(people.len() as u64),
        }
    }
}

async fn audit(shared: &Shared, account: &str) -> Result<AuditLog, FactsError> {
    let store = &shared.store;
    let Some(log) = store.audit_log(account).await? else {
        let why = "nothing was recorded yet".to_owned();
        return Ok(AuditLog {
            records: 0,
            heads: 0,
            heads_exported: 0,
            head_exported_us: None,
            verification: Verification::NotDone { why },
        });
    };
    let outside = shared.audit.exported_size(account);
    let (mut heads, mut exported, mut exported_us, mut after) = (0, 0, None, -1);
    loop {
        let page = store.audit_heads(account, after, PAGE_MAX).await?;
        heads += page.len() as u64;
        for head in page.iter().filter(|head| head.size <= outside) {
            exported += 1;
            exported_us = Some(head.at);
        }
        match page.last() {
            Some(last) if page.len() == PAGE_MAX as usize => after = last.size,
            _ => break,
        }
    }
    Ok(AuditLog {
        records: u64::try_from(log.size).unwrap_or(0),
        heads,
        heads_exported: exported,
        head_exported_us: exported_us,
        verification: verification(shared, account, log.size).await?,
    })
}

/// What could not be read is a discrepancy too, and the verification may not have been done.
fn with_unreadable(mut log: AuditLog, unreadable: u64, what: Option<String>) -> AuditLog {
    if unreadable == 0 {
        return log;
    }
    log.verification = match log.verification {
        Verification::Done { at_us, records, heads, discrepancies, first } => Verification::Done {
            at_us,
            records,
            heads,
            discrepancies: discrepancies.max(unreadable),
            first: first.or(what),
        },
        Verification::NotDone { .. } => Verification::Done {
            at_us: clock::wall_us(),
            records: 0,
            heads: 0,
            discrepancies: unreadable,
            first: what,
        },
    };
    log
}

async fn verification(
    shared: &Shared,
    account: &str,
    size: i64,
) -> Result<Verification, FactsError> {
    if size > VERIFIED_MAX {
        let why = "the log is too long for a report: run kiki audit verify".to_owned();
        return Ok(Verification::NotDone { why });
    }
    let keys = shared.vault.public_keys();
    match verify(&shared.store, account, Vec::new(), keys).await {
        Ok(report) => Ok(Verification::Done {
            at_us: clock::wall_us(),
            records: report.records,
            heads: report.heads,
            discrepancies: report.findings_total,
            first: report.findings.first().map(ToString::to_string),
        }),
        Err(VerifyError::Store(error)) => Err(error.into()),
        Err(error @ VerifyError::Unreadable { .. }) => Ok(Verification::Done {
            at_us: clock::wall_us(),
            records: 0,
            heads: 0,
            discrepancies: 1,
            first: Some(error.to_string()),
        }),
        Err(error) => Ok(Verification::NotDone { why: error.to_string() }),
    }
}

async fn oldest(shared: &Shared, account: &str) -> Result<Option<i64>, FactsError> {
    let first = shared.store.audit_blocks(account, 0, 1).await?.pop();
    Ok(first.map(|block| block.at_from))
}

async fn keys(shared: &Shared) -> Result<Keys, FactsError> {
    let now = clock::wall_us();
    let mut keys = Keys::default();
    for row in shared.store.api_keys().await? {
        match (row.revoked_at, row.expires_at) {
            (Some(_), _) => keys.revoked += 1,
            (None, Some(at)) if at <= now => keys.expired += 1,
            (None, expires) => {
                keys.active += 1;
                keys.without_expiry += u64::from(expires.is_none());
            }
        }
    }
    Ok(keys)
}
