//! Which customers are in memory, so that an erasure finds them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::shared::Shared;
use super::{customer, nodes, recorder};
use crate::actors::shield::Forgets;
use crate::actors::shield::person::PersonName;
use crate::clock;

/// How long an actor may take to let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Somebody whose erasure has begun.
#[derive(Clone)]
struct Erasing {
    name: PersonName,
    /// Monotonic.
    since_us: i64,
}

/// The keys of active customers by person.
#[derive(Default)]
pub struct Memory {
    active: Mutex<HashMap<Arc<str>, String>>,
    /// The last step of an erasure comes when nobody knows any more whom the person was.
    erasing: Mutex<HashMap<Arc<str>, Erasing>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    pub fn learn(&self, person: &Arc<str>, key: &str) {
        lock(&self.active).insert(Arc::clone(person), key.to_owned());
    }

    pub fn unlearn(&self, person: &str) {
        lock(&self.active).remove(person);
    }

    /// Whom to forget: by what is told, by what was told before, or by who is active.
    fn erasing(&self, account: &str, person: &Arc<str>, lookup: Option<&str>) -> Option<Erasing> {
        let told =
            lookup.map(|lookup| PersonName { account: account.into(), lookup: lookup.into() });
        let mut erasing = lock(&self.erasing);
        if let Some(known) = erasing.get(person) {
            return Some(known.clone());
        }
        let name =
            told.or_else(|| lock(&self.active).get(person).map(|key| PersonName::of_key(key)))?;
        let begun = Erasing { name, since_us: clock::mono_us() };
        erasing.insert(Arc::clone(person), begun.clone());
        Some(begun)
    }

    fn erased(&self, person: &str) {
        lock(&self.erasing).remove(person);
    }
}

/// Lets go of people who are erased.
pub struct Forgetting(pub Weak<Shared>);

/// The customer's actor first, so that nothing of before is cached after the cache let go.
async fn let_go(shared: &Shared, person: &Arc<str>, of: &Erasing) -> Result<(), String> {
    if let Some(customers) = shared.customers.get() {
        let make = |reply| customer::Msg::Forget { person: Arc::clone(person), reply };
        let done = customers.ask(&of.name.key(), PATIENCE, make).await;
        done.map_err(|error| format!("the customer's actor: {error}"))?;
    }
    shared.cache.forget(of.name.number(), clock::mono_us());
    nodes::forget::everywhere(shared, &of.name.lookup).await;
    match shared.far.erase(&of.name.lookup).await {
        Ok(()) => Ok(()),
        // what was shared before the erasure began is over by itself, and nothing was shared since
        Err(_) if ended(shared, of) => Ok(()),
        Err(why) => Err(format!("the shared answer: {why}")),
    }
}

fn ended(shared: &Shared, of: &Erasing) -> bool {
    let ttl_us = i64::try_from(shared.far.ttl().as_micros()).unwrap_or(i64::MAX);
    clock::mono_us().saturating_sub(of.since_us) > ttl_us
}

impl Forgets for Forgetting {
    fn forget<'a>(
        &'a self,
        account: &'a str,
        person: &'a str,
        lookup: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let Some(shared) = self.0.upgrade() else { return Ok(()) };
            let person: Arc<str> = person.into();
            let of = shared.memory.erasing(account, &person, lookup);
            if let Some(of) = &of {
                let_go(&shared, &person, of).await?;
            }
            if let Some(recorder) = shared.recorder.get() {
                let make = |reply| recorder::Msg::Forget { person: Arc::clone(&person), reply };
                let done = recorder.ask(PATIENCE, make).await;
                done.map_err(|error| format!("the recorder of forecasts: {error}"))?;
            }
            if lookup.is_none() {
                // the last step
                shared.memory.erased(&person);
            }
            Ok(())
        })
    }
}
