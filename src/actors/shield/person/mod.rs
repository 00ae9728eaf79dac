//! People: one entity each, the only writer of what a person allows. Its name is a keyed hash of
//! the customer's id, so no path and no log says who it is.

mod actor;
mod holdings;
mod live;
mod perform;
mod service;
mod told;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub use actor::PersonActor;
pub use holdings::{Handler, ShieldHoldings, Subject, WORDS};
pub use live::{Doing, Done};
pub use service::{Asked, Granted, People, PersonError};

use crate::actors::kernel::{Entities, Reply};
use crate::models::shield::consent::cache::Cache;
use crate::models::shield::consent::change::{Change, Command, Refusal};
use crate::models::shield::consent::kind::KindSet;
use crate::models::shield::consent::state::Consents;

/// People whose answers this node keeps for a moment.
const CACHE_MAX: usize = 262_144;
/// Characters of a customer id.
pub const CUSTOMER_CHARS_MAX: usize = 256;

/// Somebody who keeps what people allow for longer than two seconds, in this process.
pub trait Hears: Send + Sync {
    /// What the person allows has changed, or may have: what is kept of it goes, and what was asked for
    /// before this and is answered after it is not kept. A revocation is answered when this is done: it must
    /// not wait. `number`: [`PersonName::number`].
    fn changed(&self, number: u128);
}

/// What the actors of people share.
pub struct Persons {
    pub entities: OnceLock<Entities<PersonActor>>,
    /// What this node was told of consents, for at most two seconds.
    cache: Mutex<Cache<u128>>,
    hearing: Mutex<Vec<Arc<dyn Hears>>>,
}

impl Default for Persons {
    fn default() -> Persons {
        let cache = Mutex::new(Cache::new(CACHE_MAX));
        Persons { entities: OnceLock::new(), cache, hearing: Mutex::default() }
    }
}

impl Persons {
    pub fn add(&self, who: Arc<dyn Hears>) {
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner).push(who);
    }

    /// Tells all who hear of it.
    pub fn changed(&self, number: u128) {
        let hearing = self.hearing.lock().unwrap_or_else(PoisonError::into_inner);
        hearing.iter().for_each(|who| who.changed(number));
    }

    pub fn cache<T>(&self, with: impl FnOnce(&mut Cache<u128>) -> T) -> T {
        with(&mut self.cache.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A person as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonName {
    pub account: Arc<str>,
    /// Keyed hash of the customer id, 32 hexadecimal digits.
    pub lookup: Arc<str>,
}

impl PersonName {
    /// The entity's key.
    pub fn key(&self) -> String {
        format!("{}:{}", self.account, self.lookup)
    }

    pub fn of_key(key: &str) -> PersonName {
        let (account, lookup) = key.rsplit_once(':').unwrap_or(("", key));
        PersonName { account: account.into(), lookup: lookup.into() }
    }

    /// As the cache knows it: the hash covers the account.
    pub fn number(&self) -> u128 {
        u128::from_str_radix(&self.lookup, 16).unwrap_or(0)
    }
}

/// Where a person stands.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The inner id; nothing for somebody of whom nothing is known.
    pub person: Option<String>,
    pub consents: Consents,
}

/// What became of a command.
#[derive(Clone, Debug)]
pub struct Changed {
    pub person: String,
    pub changes: Vec<Change>,
    pub consents: Consents,
}

/// Why a person's actor did not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the store is not available")]
    Unavailable,
    #[error("too many revocations wait")]
    Busy,
    /// The person was erased meanwhile.
    #[error("the person was erased")]
    Erased,
    #[error("{0}")]
    Failed(String),
}

/// What is asked of a person's actor.
pub enum Msg {
    Look {
        reply: Reply<Result<Seen, Declined>>,
    },
    /// What is allowed, to be kept by `holder` for a moment.
    Lease {
        holder: u64,
        reply: Reply<Result<(KindSet, u64, bool), Declined>>,
    },
    Change {
        /// The customer id in clear, for the first time that something is kept about it.
        customer: Arc<str>,
        command: Command,
        /// What was shown to the person.
        shown: Option<String>,
        actor: Arc<str>,
        reply: Reply<Result<Changed, Declined>>,
    },
    /// The inner id; made where there is none.
    Identify {
        customer: Arc<str>,
        reply: Reply<Result<String, Declined>>,
    },
    /// A step of a request.
    Do {
        person: String,
        doing: Box<Doing>,
        reply: Reply<Result<Done, Declined>>,
    },
    Tick,
}
