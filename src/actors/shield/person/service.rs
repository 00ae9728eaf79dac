//! The way to people for adapters.

use std::sync::Arc;
use std::time::Duration;

use super::holdings::Subject;
use super::{Changed, Declined, Doing, Done, Msg, PersonName, Seen};
use crate::actors::cluster::links::LinkError;
use crate::actors::kernel::{AskError, Entities, Reply};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::person::PersonActor;
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::cluster::member::Route;
use crate::models::cluster::node::Incarnation;
use crate::models::shield::consent::cache::Answer;
use crate::models::shield::consent::change::{Change, Command, Refusal};
use crate::models::shield::consent::kind::{Kind, KindSet};
use crate::models::shield::consent::lease::{MARGIN_US, TTL_US};
use crate::planted::{self, Planted};

/// Why a question about a person got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PersonError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the person was erased")]
    Erased,
    #[error("the store is not available")]
    Unavailable,
    #[error("too many requests wait")]
    Overloaded { retry_after_ms: u64 },
    #[error("no answer in time")]
    Unanswered,
    #[error("{0}")]
    Failed(String),
}

impl From<AskError> for PersonError {
    fn from(error: AskError) -> PersonError {
        match error {
            AskError::Overloaded { retry_after_ms } => PersonError::Overloaded { retry_after_ms },
            AskError::Expired | AskError::Gone | AskError::Faulted => PersonError::Unanswered,
        }
    }
}

impl From<Declined> for PersonError {
    fn from(declined: Declined) -> PersonError {
        match declined {
            Declined::Refused(refusal) => PersonError::Refused(refusal),
            Declined::Unavailable => PersonError::Unavailable,
            Declined::Busy => PersonError::Overloaded { retry_after_ms: 2_000 },
            Declined::Erased => PersonError::Erased,
            Declined::Failed(why) => PersonError::Failed(why),
        }
    }
}

type Result<T> = std::result::Result<T, PersonError>;

/// What is allowed, of which generation, and whether it may be kept.
type Leased = (KindSet, u64, bool);

const LEASE: &str = "shield.lease";
/// How long a person that is between two nodes is waited for.
const BETWEEN: Duration = Duration::from_secs(1);

/// May something be done with this person?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub allowed: bool,
    /// Whether this node answered from what it was told within the last two seconds.
    pub cached: bool,
}

/// What a person allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    pub kinds: KindSet,
    /// Monotonic time from which on it has to be asked for again: the person is on another node, and whoever hears
    /// of changes here does not hear of this one's. Nothing: the person is here.
    pub until_us: Option<i64>,
}

/// Everybody of an installation.
#[derive(Clone)]
pub struct People {
    shared: Arc<Shared>,
    patience: Duration,
}

impl People {
    pub(in crate::actors::shield) fn new(shared: Arc<Shared>, patience: Duration) -> People {
        People { shared, patience }
    }

    /// The entity that stands for a customer.
    pub fn name(&self, account: &str, customer: &str) -> PersonName {
        let lookup = self.shared.vault.master().lookup(account, customer);
        PersonName { account: account.into(), lookup: lookup.into() }
    }

    fn entities(&self) -> Result<&Entities<PersonActor>> {
        self.shared.persons.entities.get().ok_or(PersonError::Unavailable)
    }

    async fn ask<T: Send + 'static>(
        &self,
        name: &PersonName,
        make: impl FnOnce(Reply<std::result::Result<T, Declined>>) -> Msg,
    ) -> Result<T> {
        if !self.shared.admits_account(&name.account) {
            return Err(PersonError::Unavailable);
        }
        Ok(self.entities()?.ask(&name.key(), self.patience, make).await??)
    }

    /// The same of what only the person's one owner may answer: a node whose lease is over may be the last to
    /// hear of a revocation.
    async fn ask_owner<T: Send + 'static>(
        &self,
        name: &PersonName,
        make: impl FnOnce(Reply<std::result::Result<T, Declined>>) -> Msg,
    ) -> Result<T> {
        let answer = self.ask(name, make).await?;
        match self.shared.placement.serves() {
            true => Ok(answer),
            false => Err(PersonError::Unavailable),
        }
    }

    /// Where a customer stands.
    pub async fn look(&self, account: &str, customer: &str) -> Result<Seen> {
        self.ask_owner(&self.name(account, customer), |reply| Msg::Look { reply }).await
    }

    /// CO-1: asked before something is sent to, or targeted at, a customer. What is answered holds
    /// for two seconds at most after the person said otherwise.
    pub async fn allows(&self, account: &str, customer: &str, kind: Kind) -> Result<Asked> {
        let name = self.name(account, customer);
        let (number, asked_us) = (name.number(), clock::mono_us());
        let known = self.shared.persons.cache(|cache| cache.allows(number, kind, asked_us));
        let known =
            if Planted::ConsentForEver.is_made() { planted::kept(number, kind) } else { known };
        if let Some(allowed) = known {
            return Ok(Asked { allowed, cached: true });
        }
        let (allowed, generation, leased) = self.lease(&name).await?;
        if leased {
            let answer = Answer { allowed, generation, asked_us };
            let now = clock::mono_us();
            self.shared.persons.cache(|cache| cache.put(number, answer, now));
        }
        if Planted::ConsentForEver.is_made() {
            planted::keep(number, allowed);
        }
        Ok(Asked { allowed: allowed.contains(kind), cached: false })
    }

    /// All that a customer allows now, as the person's own actor says. Who keeps it for longer than two seconds
    /// is one of those that [hear](super::Hears) of changes.
    pub async fn allowed(&self, account: &str, customer: &str) -> Result<Granted> {
        let (placement, home) = (&self.shared.placement, BudgetName::account(account).place());
        let (asked_us, was_near) = (clock::mono_us(), placement.admits(home));
        let (kinds, _, leased) = self.lease(&self.name(account, customer)).await?;
        // What another node said before the person came here may have changed there: nobody here heard of that.
        let near = was_near && placement.admits(home);
        // What was not leased is of this moment.
        let until_us = asked_us.saturating_add(if leased { TTL_US - MARGIN_US } else { 0 });
        Ok(Granted { kinds, until_us: (!near).then_some(until_us) })
    }

    /// What a person allows, to be kept for a moment, from wherever the person is.
    async fn lease(&self, name: &PersonName) -> Result<Leased> {
        let placement = &self.shared.placement;
        let home = BudgetName::account(&name.account).place();
        match placement.whereabouts(home, BETWEEN.min(self.patience)).await {
            Route::Here(_) => {
                let holder = self.shared.incarnation;
                self.ask_owner(name, |reply| Msg::Lease { holder, reply }).await
            }
            Route::There(node) => {
                let key = name.key();
                let asked = placement.links().ask_for(node, LEASE, &key, self.patience);
                let answer: Result<(Vec<Kind>, u64, bool)> = asked.await.map_err(|error| {
                    tracing::debug!(%error, %node, "what a person allows is not known now");
                    PersonError::Unavailable
                });
                let (allowed, generation, leased) = answer?;
                Ok((allowed.into_iter().collect(), generation, leased))
            }
            Route::Nobody => Err(PersonError::Unavailable),
        }
    }

    /// Answers what other nodes ask of people here. A lease is counted from before it was asked for, on the asking
    /// node's clock, and here from its answer: what is on the way makes it shorter there.
    pub(in crate::actors::shield) fn serve(shared: &Arc<Shared>, patience: Duration) {
        let weak = Arc::downgrade(shared);
        shared.placement.links().answer_with(LEASE, move |from: Incarnation, key: String| {
            let shared = weak.upgrade();
            async move {
                let refused = |why: &str| LinkError::Refused(why.to_owned());
                let shared = shared.ok_or_else(|| refused("the service has ended"))?;
                let people = People::new(shared, patience);
                let (name, holder) = (PersonName::of_key(&key), from.0);
                let leased = people.ask_owner(&name, |reply| Msg::Lease { holder, reply }).await;
                let (allowed, generation, leased) =
                    leased.map_err(|error| refused(&error.to_string()))?;
                Ok((allowed.iter().collect::<Vec<Kind>>(), generation, leased))
            }
        });
    }

    /// Changes what a customer allows. A revocation is answered when no node goes by an older
    /// answer any more.
    pub async fn change(
        &self,
        account: &str,
        customer: &str,
        command: Command,
        shown: Option<String>,
        actor: &str,
    ) -> Result<Changed> {
        let (name, customer, actor) = (self.name(account, customer), customer.into(), actor.into());
        self.ask(&name, |reply| Msg::Change { customer, command, shown, actor, reply }).await
    }

    /// A person's changes, oldest first, with what was shown.
    pub async fn history(
        &self,
        account: &str,
        person: &str,
    ) -> Result<Vec<(Change, Option<String>)>> {
        let unavailable = |_| PersonError::Unavailable;
        let row = self.shared.store.person(account, person).await.map_err(unavailable)?;
        let Some(row) = row.filter(|row| row.erased_at.is_none()) else { return Ok(Vec::new()) };
        let failed = |e: &dyn std::fmt::Display| PersonError::Failed(e.to_string());
        let key = self.shared.vault.person(account, person, &row.wrapped_key);
        let key = Some(Arc::new(key.map_err(|e| failed(&e))?));
        let of = Subject { account: account.to_owned(), person: person.to_owned(), key };
        let rows = self.shared.store.consents(account, person).await.map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                let change = serde_json::from_str(&row.change).map_err(|e| failed(&e))?;
                Ok((change, row.sealed.as_deref().map(|text| of.opened(text, "consent.shown"))))
            })
            .collect()
    }

    /// The inner id of a customer; made where there is none.
    pub async fn identify(&self, account: &str, customer: &str) -> Result<String> {
        let (name, customer) = (self.name(account, customer), customer.into());
        self.ask(&name, |reply| Msg::Identify { customer, reply }).await
    }

    /// Performs a step of a request with this person. `None`: the person is gone.
    pub(in crate::actors::shield) async fn perform(
        &self,
        account: &str,
        person: &str,
        doing: Doing,
    ) -> Result<Option<Done>> {
        let row = self.shared.store.person(account, person).await;
        let row = row.map_err(|_| PersonError::Unavailable)?;
        let Some(row) = row.filter(|row| row.erased_at.is_none()) else { return Ok(None) };
        let name = PersonName { account: account.into(), lookup: row.lookup.as_str().into() };
        let (person, doing) = (person.to_owned(), Box::new(doing));
        self.ask(&name, |reply| Msg::Do { person, doing, reply }).await.map(Some)
    }
}
