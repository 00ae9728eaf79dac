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
use crate::actors::shield::person::{Doing, Done, People, PersonError};
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::shield::consent::kind::Kind as Purpose;
use crate::models::shield::dsr::command::{Command, Refusal};
use crate::models::shield::dsr::kind::Kind;
use crate::models::shield::dsr::request::{BadRequest, Details, Ground, Receipt, Request};
use crate::models::shield::seal::Binding;
use crate::store::{Outcome, StoreError, Write};

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

    fn entities(&self) -> Result<&Entities<DsrActor>> {
        self.shared.dsrs.entities.get().ok_or(RequestError::Unavailable)
    }

    /// Takes a request; it begins at once unless it has to be verified first.
    pub async fn create(&self, asking: Asking) -> Result<Request> {
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
        })?;
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
            puts: vec![row.into()],
            ..Write::default()
        };
        let outcome = self.shared.committer.submit(write);
        match outcome.map_err(|_| RequestError::Unavailable)?.await {
            Ok(Outcome::Committed) => {}
            Ok(Outcome::Failed(_)) => return Err(RequestError::Unavailable),
            _ => return Err(RequestError::Unanswered),
        }
        let key = format!("{}:{id}", asking.account);
        if let Err(refused) = self.entities()?.tell(&key, Msg::Wake) {
            tracing::debug!(request = id, ?refused, "the request is taken up within a minute");
        }
        Ok(request)
    }

    async fn details(&self, asking: &Asking, person: &str) -> Result<Details> {
        Ok(match asking.kind {
            Kind::Access | Kind::Portability | Kind::Deletion => Details::None,
            Kind::Restriction => Details::Restriction(asking.ground),
            Kind::Objection | Kind::OptOut => Details::Purposes(asking.purposes.clone()),
            Kind::Rectification => {
                let names = asking.corrections.keys().cloned().collect();
                let plain = serde_json::to_string(&asking.corrections)
                    .map_err(|e| RequestError::Failed(e.to_string()))?;
                let doing = Doing::Seal { purpose: "dsr.corrections", plain };
                match self.people.perform(&asking.account, person, doing).await? {
                    Some(Done::Sealed(sealed)) => Details::Corrections { names, sealed },
                    _ => return Err(PersonError::Erased.into()),
                }
            }
        })
    }

    /// A request as it is now.
    pub async fn see(&self, account: &str, id: &str) -> Result<Request> {
        let key = format!("{account}:{id}");
        let seen = self.entities()?.ask(&key, self.patience, Msg::See).await?;
        seen.ok_or(RequestError::Absent)
    }

    /// A request once nothing is left to do at once.
    pub async fn settled(&self, account: &str, id: &str) -> Result<Request> {
        let key = format!("{account}:{id}");
        let seen = self.entities()?.ask(&key, self.patience, Msg::Settled).await?;
        seen.ok_or(RequestError::Absent)
    }

    /// A decision about a request.
    pub async fn decide(
        &self,
        account: &str,
        id: &str,
        command: Command,
        actor: &str,
    ) -> Result<Request> {
        let (key, actor) = (format!("{account}:{id}"), actor.into());
        let decided = self
            .entities()?
            .ask(&key, self.patience, |reply| Msg::Decide { command, actor, reply })
            .await?;
        match decided {
            Decided::Saved(request) => Ok(*request),
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
