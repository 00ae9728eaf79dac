//! The way to requests for adapters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::actor::{Decided, row};
use super::{DsrActor, Msg};
use crate::actors::kernel::{AskError, Entities};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::person::{Doing, Done, People, PersonError, Subject, WORDS};
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::shield::consent::kind::Kind as Purpose;
use crate::models::shield::dsr::command::{Command, Refusal};
use crate::models::shield::dsr::kind::Kind;
use crate::models::shield::dsr::request::{
    BadRequest, Details, Ground, Receipt, Request, check_corrections,
};
use crate::models::shield::dsr::words::Words;
use crate::models::shield::entry::Op;
use crate::models::shield::seal::Binding;
use crate::store::{Found, OperationRow, Outcome, StoreError, Write};

/// The account of fingerprints among keyed hashes: no account has this name.
const FINGERPRINTS: &str = "@dsr/create";
/// What is kept of a reason that nobody's key can seal.
const NOT_KEPT: &str = "not kept: the person was erased before";

/// Why a request was not taken, found or decided.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("there is no such request")]
    Absent,
    #[error("the request has no package, or its time is over")]
    NoPackage,
    #[error(transparent)]
    Bad(#[from] BadRequest),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the key was used with another request")]
    Mismatch,
    #[error(transparent)]
    Person(#[from] PersonError),
    #[error("the store is not available")]
    Unavailable,
    #[error("too many requests wait")]
    Overloaded { retry_after_ms: u64 },
    #[error("no answer in time")]
    Unanswered,
    #[error("{0}")]
    Failed(String),
}

impl From<AskError> for RequestError {
    fn from(error: AskError) -> RequestError {
        match error {
            AskError::Overloaded { retry_after_ms } => RequestError::Overloaded { retry_after_ms },
            AskError::Expired | AskError::Gone | AskError::Faulted => RequestError::Unanswered,
        }
    }
}

impl From<StoreError> for RequestError {
    fn from(error: StoreError) -> RequestError {
        tracing::warn!(%error, "the store did not answer");
        RequestError::Unavailable
    }
}

type Result<T> = std::result::Result<T, RequestError>;

/// What a customer asks for.
#[derive(Clone, Debug)]
pub struct Asking {
    pub account: String,
    pub customer: String,
    pub kind: Kind,
    pub corrections: BTreeMap<String, String>,
    pub purposes: BTreeSet<Purpose>,
    pub ground: Ground,
    /// Whether the caller has shown that the person is who asks.
    pub verified: bool,
    /// Who asks for it, as the audit names callers.
    pub who: String,
    /// Where the call has a key.
    pub keyed: Option<Keyed>,
}

/// The key of a call: the same with the same body makes one request.
#[derive(Clone, Debug)]
pub struct Keyed {
    pub op: Op,
    pub body: String,
}

/// What somebody decides about a request. Reasons are as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Verify,
    Reject { reason: String },
    Cancel { reason: String },
    Extend { reason: String },
    Lift { reason: String },
}

/// The requests of an installation.
#[derive(Clone)]
pub struct Requests {
    shared: Arc<Shared>,
    people: People,
    patience: Duration,
}

impl Requests {
    pub(in crate::actors::shield) fn new(
        shared: Arc<Shared>,
        people: People,
        patience: Duration,
    ) -> Requests {
        Requests { shared, people, patience }
    }

    fn entities(&self, account: &str) -> Result<&Entities<DsrActor>> {
        if !self.shared.admits_account(account) {
            return Err(RequestError::Unavailable);
        }
        self.shared.dsrs.entities.get().ok_or(RequestError::Unavailable)
    }

    /// Takes a request; it begins at once unless it has to be verified first. With it: whether an
    /// earlier call with the same key made it.
    pub async fn create(&self, asking: Asking) -> Result<(Request, bool)> {
        // first of all: a repeated call must not make somebody known again who was erased since
        if let Some(Keyed { op, body }) = &asking.keyed
            && let Some(row) = self.shared.store.operation(&asking.account, &op.to_string()).await?
        {
            return Ok((self.replayed(&asking.account, &row, body).await?, true));
        }
        let person = self.people.identify(&asking.account, &asking.customer).await?;
        let details = self.details(&asking, &person).await?;
        // ids are in the order of time
        let id = uuid::Uuid::now_v7().simple().to_string();
        let request = Request::new(Receipt {
            id: id.clone(),
            account: asking.account.clone(),
            person,
            kind: asking.kind,
            details,
            verified: asking.verified,
            received_at: clock::wall_us(),
            asked_by: asking.who.clone(),
        })?;
        let operation = asking.keyed.as_ref().map(|keyed| OperationRow {
            account: asking.account.clone(),
            op: keyed.op.to_string(),
            budget: format!("@dsr/{id}"),
            route: "dsr/create".to_owned(),
            body_hash: self.fingerprint(&keyed.body),
            status: 201,
            // what it made: the answer is that request as it is
            answer: id.clone(),
            at: request.received_at,
        });
        let budget = format!("@dsr/{id}");
        let name =
            BudgetName { account: asking.account.as_str().into(), budget: budget.as_str().into() };
        let shard = name.shard();
        let row = row(&request).map_err(|e| RequestError::Failed(e.to_string()))?;
        let write = Write {
            account: asking.account.clone(),
            budget,
            shard,
            epoch: self.shared.epoch(shard),
            check_ops: operation.is_some(),
            operations: operation.into_iter().collect(),
            puts: vec![row.into()],
            ..Write::default()
        };
        let outcome = self.shared.committer.submit(write);
        match outcome.map_err(|_| RequestError::Unavailable)?.await {
            Ok(Outcome::Committed) => {}
            Ok(Outcome::Failed(_)) => return Err(RequestError::Unavailable),
            // the same call was faster
            Ok(Outcome::Duplicate(found)) => match (found.first(), &asking.keyed) {
                (Some(Found::Operation(row)), Some(keyed)) => {
                    return Ok((self.replayed(&asking.account, row, &keyed.body).await?, true));
                }
                _ => return Err(RequestError::Mismatch),
            },
            _ => return Err(RequestError::Unanswered),
        }
        let key = format!("{}:{id}", asking.account);
        if let Err(refused) = self.entities(&asking.account)?.tell(&key, Msg::Wake) {
            tracing::debug!(request = id, ?refused, "the request is taken up within a minute");
        }
        Ok((request, false))
    }

    /// What an earlier call with the same key made.
    async fn replayed(&self, account: &str, row: &OperationRow, body: &str) -> Result<Request> {
        match row.body_hash == self.fingerprint(body) {
            true => self.see(account, &row.answer).await,
            false => Err(RequestError::Mismatch),
        }
    }

    /// Of a body that names a customer: nobody can try names against it without the master key.
    fn fingerprint(&self, body: &str) -> String {
        self.shared.vault.master().lookup(FINGERPRINTS, body)
    }

    async fn details(&self, asking: &Asking, person: &str) -> Result<Details> {
        Ok(match asking.kind {
            Kind::Access | Kind::Portability | Kind::Deletion => Details::None,
            Kind::Restriction => Details::Restriction(asking.ground),
            Kind::Objection | Kind::OptOut => Details::Purposes(asking.purposes.clone()),
            Kind::Rectification => {
                check_corrections(&asking.corrections)?;
                let plain = serde_json::to_string(&asking.corrections)
                    .map_err(|e| RequestError::Failed(e.to_string()))?;
                let doing = Doing::Seal { purpose: "dsr.corrections", plain };
                match self.people.perform(&asking.account, person, doing).await? {
                    Some(Done::Sealed(sealed)) => Details::Corrections { sealed },
                    _ => return Err(PersonError::Erased.into()),
                }
            }
        })
    }

    /// A request as it is now.
    pub async fn see(&self, account: &str, id: &str) -> Result<Request> {
        let key = format!("{account}:{id}");
        let seen = self.entities(account)?.ask(&key, self.patience, Msg::See).await?;
        Ok(self.opened(seen.ok_or(RequestError::Absent)?).await)
    }

    /// A request once nothing is left to do at once.
    pub async fn settled(&self, account: &str, id: &str) -> Result<Request> {
        let key = format!("{account}:{id}");
        let seen = self.entities(account)?.ask(&key, self.patience, Msg::Settled).await?;
        Ok(self.opened(seen.ok_or(RequestError::Absent)?).await)
    }

    /// With the texts that the person's key opens: of an erased person they stay sealed.
    async fn opened(&self, mut request: Request) -> Request {
        if request.words_mut().all(|words| words.sealed().is_none()) {
            return request;
        }
        let (account, person) = (request.account.clone(), request.person.clone());
        let row = match self.shared.store.person(&account, &person).await {
            Ok(row) => row.filter(|row| row.erased_at.is_none()),
            Err(error) => {
                tracing::warn!(%error, "the texts of a request are shown sealed");
                None
            }
        };
        let key = row.map(|row| self.shared.vault.person(&account, &person, &row.wrapped_key));
        if let Some(Ok(key)) = key {
            let of = Subject { account, person, key: Some(Arc::new(key)) };
            request.words_mut().for_each(|words| *words = of.words(words.clone()));
        }
        request
    }

    /// What somebody wrote about a person, under the person's key.
    async fn words(&self, account: &str, id: &str, text: String) -> Result<Words> {
        if !Words::may_be(&text) {
            return Err(Refusal::Reason.into());
        }
        let key = format!("{account}:{id}");
        let seen = self.entities(account)?.ask(&key, self.patience, Msg::See).await?;
        let person = seen.ok_or(RequestError::Absent)?.person;
        let plain = serde_json::json!({ "reason": text }).to_string();
        let doing = Doing::Seal { purpose: WORDS, plain };
        match self.people.perform(account, &person, doing).await {
            Ok(Some(Done::Sealed(sealed))) => Ok(Words::Sealed { sealed }),
            // there is no key any more that could keep it, and nobody whom it could be about
            Ok(None) | Err(PersonError::Erased) => Ok(Words::plain(NOT_KEPT)),
            Ok(Some(_)) => Err(RequestError::Failed("a text was not sealed".to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    /// A decision about a request.
    pub async fn decide(
        &self,
        account: &str,
        id: &str,
        decision: Decision,
        actor: &str,
    ) -> Result<Request> {
        let command = match decision {
            Decision::Verify => Command::Verify,
            Decision::Reject { reason } => {
                Command::Reject { reason: self.words(account, id, reason).await? }
            }
            Decision::Cancel { reason } => {
                Command::Cancel { reason: self.words(account, id, reason).await? }
            }
            Decision::Extend { reason } => {
                Command::Extend { reason: self.words(account, id, reason).await? }
            }
            Decision::Lift { reason } => {
                Command::Lift { reason: self.words(account, id, reason).await? }
            }
        };
        let (key, actor) = (format!("{account}:{id}"), actor.into());
        let decided = self
            .entities(account)?
            .ask(&key, self.patience, |reply| Msg::Decide { command, actor, reply })
            .await?;
        match decided {
            Decided::Saved(request) => Ok(self.opened(*request).await),
            Decided::Refused(refusal) => Err(refusal.into()),
            Decided::Absent => Err(RequestError::Absent),
            Decided::Unavailable => Err(RequestError::Unavailable),
        }
    }

    /// The package that answers a request, as a zip archive.
    pub async fn package(&self, account: &str, id: &str) -> Result<Vec<u8>> {
        let request = self.see(account, id).await?;
        let parts = self.shared.store.dsr_package(account, id).await?;
        let row = self.shared.store.person(account, &request.person).await?;
        let row = row.filter(|row| row.erased_at.is_none() && !parts.is_empty());
        let row = row.ok_or(RequestError::NoPackage)?;
        let failed = |e: &dyn std::fmt::Display| RequestError::Failed(e.to_string());
        let mut sealed = Vec::new();
        for part in &parts {
            sealed.extend(STANDARD.decode(&part.sealed).map_err(|e| failed(&e))?);
        }
        let key = self.shared.vault.person(account, &row.person, &row.wrapped_key);
        let key = key.map_err(|e| failed(&e))?;
        let binding = Binding { account, person: &row.person, purpose: "dsr.package" };
        let zip = key.open_object(&sealed, binding).map_err(|e| failed(&e))?;
        Ok(zip.to_vec())
    }
}
