//! A correction as it is stored, and as the audit tells of it.

use crate::actors::kernel::Fault;
use crate::models::shield::audit::record::{Event, Outcome, Record};
use crate::models::shield::correction::{Correction, SYSTEM, Status};
use crate::models::shield::money::Micros;
use crate::store::CorrectionRow;

/// Its row.
pub fn row(c: &Correction) -> CorrectionRow {
    CorrectionRow {
        account: c.account.clone(),
        correction: c.id.clone(),
        budget: c.budget.clone(),
        amount: c.amount.0,
        currency: c.currency.to_string(),
        reason: c.reason.clone(),
        status: c.status.as_str().to_owned(),
        proposed_by: c.proposed_by.clone(),
        proposed_at: c.proposed_at,
        decided_by: c.decided_by.clone(),
        decided_at: c.decided_at,
        refusal: c.refusal.clone(),
        seq: c.seq,
        version: c.version,
    }
}

/// The correction of a row.
///
/// # Errors
/// The row says what no correction can.
pub fn parse(row: CorrectionRow) -> Result<Correction, Fault> {
    let status = Status::parse(&row.status);
    Ok(Correction {
        status: status.ok_or_else(|| Fault::new("a correction has no known status"))?,
        currency: row.currency.parse().map_err(|_| Fault::new("a correction has no currency"))?,
        id: row.correction,
        account: row.account,
        budget: row.budget,
        amount: Micros(row.amount),
        reason: row.reason,
        proposed_by: row.proposed_by,
        proposed_at: row.proposed_at,
        decided_by: row.decided_by,
        decided_at: row.decided_at,
        refusal: row.refusal,
        seq: row.seq,
        version: row.version,
    })
}

/// The record of the state that it came to at `now`.
pub fn record(c: &Correction, now: i64) -> Result<Record, Fault> {
    let mut data = serde_json::Map::new();
    data.insert("budget".to_owned(), c.budget.as_str().into());
    data.insert("amount".to_owned(), c.amount.to_string().into());
    data.insert("currency".to_owned(), c.currency.to_string().into());
    data.insert("reason".to_owned(), c.reason.as_str().into());
    data.insert("proposed_by".to_owned(), c.proposed_by.as_str().into());
    if let Some(who) = &c.decided_by {
        data.insert("decided_by".to_owned(), who.as_str().into());
    }
    if let Some(why) = &c.refusal {
        data.insert("refusal".to_owned(), why.as_str().into());
    }
    if let Some(seq) = c.seq {
        data.insert("seq".to_owned(), seq.into());
    }
    let (event, actor) = match c.status {
        Status::Proposed => ("correction.proposed", c.proposed_by.as_str()),
        Status::Approved => ("correction.approved", c.decided_by.as_deref().unwrap_or(SYSTEM)),
        Status::Refused => ("correction.refused", c.decided_by.as_deref().unwrap_or(SYSTEM)),
        Status::Booked => ("correction.booked", SYSTEM),
    };
    Ok(Record {
        at_us: now,
        event: Event::new(event)?,
        actor: actor.to_owned(),
        subject: Some(c.id.clone()),
        person: None,
        outcome: Outcome::Ok,
        count: 1,
        data: Some(data),
        sealed: None,
    })
}
