//! The way to corrections for adapters.

use std::sync::Arc;
use std::time::Duration;

use super::actor::{Decided, Msg, Proposed, Verdict};
use super::row::parse;
use crate::actors::kernel::{AskError, Handle};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::shield::correction::{Correction, NotDecided, Origins, Status};
use crate::models::shield::entry::Op;
use crate::models::shield::money::{Currency, Micros};
use crate::store::{OperationRow, StoreError};

/// Why a correction was not taken, found or decided.
#[derive(Debug, thiserror::Error)]
pub enum CorrectionError {
    #[error("there is no such correction")]
    Absent,
    #[error(transparent)]
    NotDecided(#[from] NotDecided),
    #[error("the key was used with another request")]
    Mismatch,
    #[error("the store is not available")]
    Unavailable,
    #[error("too many requests wait")]
    Overloaded { retry_after_ms: u64 },
    #[error("no answer in time")]
    Unanswered,
    #[error("a stored correction cannot be read")]
    Damaged,
}

impl From<AskError> for CorrectionError {
    fn from(error: AskError) -> CorrectionError {
        match error {
            AskError::Overloaded { retry_after_ms } => {
                CorrectionError::Overloaded { retry_after_ms }
            }
            AskError::Expired | AskError::Gone | AskError::Faulted => CorrectionError::Unanswered,
        }
    }
}

impl From<StoreError> for CorrectionError {
    fn from(error: StoreError) -> CorrectionError {
        tracing::warn!(%error, "the store did not answer");
        CorrectionError::Unavailable
    }
}

type Result<T> = std::result::Result<T, CorrectionError>;

/// What somebody proposes.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub name: BudgetName,
    pub amount: Micros,
    /// Of the budget.
    pub currency: Currency,
    pub reason: String,
    pub who: String,
    /// The operation and the fingerprint of the request, where it has a key.
    pub operation: Option<(Op, u64)>,
}

/// The corrections of an installation.
#[derive(Clone)]
pub struct Corrections {
    shared: Arc<Shared>,
    patience: Duration,
}

impl Corrections {
    pub(in crate::actors::shield) fn new(shared: Arc<Shared>, patience: Duration) -> Corrections {
        Corrections { shared, patience }
    }

    fn actor(&self, account: &str) -> Result<&Handle<Msg>> {
        if !self.shared.admits_account(account) {
            return Err(CorrectionError::Unavailable);
        }
        self.shared.corrections.actor.get().ok_or(CorrectionError::Unavailable)
    }

    /// Takes a proposal. With it: whether an earlier request with the same key made it.
    pub async fn propose(&self, proposal: Proposal) -> Result<(Correction, bool)> {
        let now = clock::wall_us();
        let Proposal { name, amount, currency, reason, who, operation } = proposal;
        let account = name.account.to_string();
        let correction = Correction {
            // ids are in the order of time
            id: uuid::Uuid::now_v7().simple().to_string(),
            account: account.clone(),
            budget: name.budget.to_string(),
            amount,
            currency,
            reason,
            status: Status::Proposed,
            proposed_by: who,
            proposed_at: now,
            decided_by: None,
            decided_at: None,
            refusal: None,
            seq: None,
            version: 1,
        };
        let fingerprint = operation.map(|(_, body)| format!("{body:016x}"));
        let operation = operation.map(|(op, body)| {
            Box::new(OperationRow {
                account: account.clone(),
                op: op.to_string(),
                budget: correction.budget.clone(),
                route: "api/v1/corrections".to_owned(),
                body_hash: format!("{body:016x}"),
                status: 201,
                // what it made: the answer is that correction as it is
                answer: correction.id.clone(),
                at: now,
            })
        });
        let asked = self.actor(&account)?.ask(self.patience, |reply| Msg::Propose {
            correction: Box::new(correction.clone()),
            operation,
            reply,
        });
        match asked.await? {
            Proposed::Saved => Ok((correction, false)),
            Proposed::Unavailable => Err(CorrectionError::Unavailable),
            Proposed::Replayed { body_hash, answer }
                if Some(&body_hash) == fingerprint.as_ref() =>
            {
                Ok((self.see(&account, &answer).await?, true))
            }
            Proposed::Replayed { .. } => Err(CorrectionError::Mismatch),
        }
    }

    /// A correction as it is now.
    pub async fn see(&self, account: &str, id: &str) -> Result<Correction> {
        let row = self.shared.store.correction(account, id).await?;
        parse(row.ok_or(CorrectionError::Absent)?).map_err(|_| CorrectionError::Damaged)
    }

    /// A page of an account's corrections, newest first; all statuses for `None`.
    pub async fn list(
        &self,
        account: &str,
        status: Option<Status>,
        before: &str,
        limit: u32,
    ) -> Result<Vec<Correction>> {
        let status = status.map_or("", Status::as_str);
        let rows = self.shared.store.corrections(account, (status, before), limit).await?;
        let parsed: std::result::Result<Vec<_>, _> = rows.into_iter().map(parse).collect();
        parsed.map_err(|_| CorrectionError::Damaged)
    }

    /// Approved by `who`, and booked. Approved and not booked: the store or the budget is busy, and it
    /// is booked soon. `origins` is how he and the proposer came to their keys.
    pub async fn approve(
        &self,
        account: &str,
        id: &str,
        who: Arc<str>,
        origins: Origins,
    ) -> Result<Correction> {
        self.decide(account, id, Verdict::Approve { origins }, who).await
    }

    pub async fn refuse(
        &self,
        account: &str,
        id: &str,
        reason: String,
        who: Arc<str>,
    ) -> Result<Correction> {
        self.decide(account, id, Verdict::Refuse { reason }, who).await
    }

    async fn decide(
        &self,
        account: &str,
        id: &str,
        verdict: Verdict,
        who: Arc<str>,
    ) -> Result<Correction> {
        let (actor, account, id) = (self.actor(account)?, account.to_owned(), id.to_owned());
        let make = |reply| Msg::Decide { account, id, verdict, who, reply };
        match actor.ask(self.patience, make).await? {
            Decided::Saved(correction) => Ok(*correction),
            Decided::NotDecided(why) => Err(why.into()),
            Decided::Absent => Err(CorrectionError::Absent),
            Decided::Damaged => Err(CorrectionError::Damaged),
            Decided::Unavailable => Err(CorrectionError::Unavailable),
        }
    }
}
