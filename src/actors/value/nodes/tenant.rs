//! What becomes of customers, registries, watches and fits when the home of their account goes to another node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::actors::cluster::Tenant;
use crate::actors::shield::person::PersonName;
use crate::actors::value::shared::{Shared, home_of};
use crate::actors::value::{fit, watch};
use crate::models::cluster::node::Role;
use crate::models::cluster::shard::Shard;

/// How long the actors of a shard may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends what is here of a shard. Forecasts that wait to be kept are sent to its new home, as those of all
/// accounts are that are at home elsewhere; so are samples.
pub struct Leaving(pub Weak<Shared>);

/// Whether accounts are at home in this shard, each looked up once.
struct Of {
    shard: Shard,
    known: Mutex<HashMap<Arc<str>, bool>>,
}

impl Of {
    fn new(shard: Shard) -> Of {
        Of { shard, known: Mutex::default() }
    }

    fn has(&self, account: &str) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(has) = known.get(account) {
            return *has;
        }
        let has = home_of(account) == self.shard;
        known.insert(account.into(), has);
        has
    }
}

async fn end(shared: Arc<Shared>, shard: Shard, orderly: bool) {
    if shard.role() != Some(Role::Shield) {
        // No account is at home there.
        return;
    }
    if let Some(fitter) = shared.fitter.get() {
        // One that is ending has given all of them up.
        let make = |reply| fit::Msg::GiveUp { home: shard, reply };
        log(fitter.ask(PATIENCE, make).await, "fits");
    }
    let of = Of::new(shard);
    if let Some(customers) = shared.customers.get() {
        let which = |key: &str| of.has(&PersonName::of_key(key).account);
        customers.end_where(which, orderly, PATIENCE).await;
    }
    if let Some(registries) = shared.registries.get() {
        registries.end_where(|account| of.has(account), orderly, PATIENCE).await;
    }
    if let Some(watch) = shared.watch.get() {
        let make = |reply| watch::Msg::Leave { home: shard, save: orderly, reply };
        log(watch.ask(PATIENCE, make).await, "watches");
    }
}

fn log(ended: Result<(), crate::actors::kernel::AskError>, what: &str) {
    if let Err(error) = ended {
        tracing::debug!(%error, "the {what} of a shard that goes were not asked: {error}");
    }
}

impl Leaving {
    fn end(&self, shard: Shard, orderly: bool) -> BoxFuture<'static, ()> {
        let shared = self.0.upgrade();
        Box::pin(async move {
            if let Some(shared) = shared {
                end(shared, shard, orderly).await;
            }
        })
    }
}

impl Tenant for Leaving {
    fn leave(&self, shard: Shard) -> BoxFuture<'static, ()> {
        self.end(shard, true)
    }

    fn evict(&self, shard: Shard) -> BoxFuture<'static, ()> {
        self.end(shard, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_has_the_customers_and_the_registry_of_its_accounts_alone() {
        let of = Of::new(home_of("acme"));
        let customer = PersonName { account: "acme".into(), lookup: "0f".into() };
        assert!(of.has("acme") && of.has(&PersonName::of_key(&customer.key()).account));
        let other = (0..).map(|n| format!("other{n}")).find(|name| home_of(name) != of.shard);
        assert!(!of.has(&other.expect("another one")));
    }
}
