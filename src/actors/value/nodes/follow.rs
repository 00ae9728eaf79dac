//! Who answers for an account: its registry says so where the account is at home; elsewhere it is read from the
//! store, once a second while it is asked for, and at once after a change that this node was told of.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::super::loaded::{Loaded, READ_EVERY_US, Serving, Source, Standing};
use super::super::registry::{self, Declined, load};
use super::super::service::{Result, ValueError};
use super::super::shared::{Shared, home_of};
use crate::actors::cluster::links::LinkError;
use crate::actors::kernel::Fault;
use crate::clock;
use crate::models::cluster::shard::Shard;
use crate::models::shield::money::Currency;
use crate::models::value::registry::state::Registry;
use crate::models::value::registry::version::{Version, VersionId};
use crate::store::LtvExperimentRow;

pub const KIND: &str = "value.promoted";
/// Who knows what was so a moment ago waits no longer for the store.
const PATIENCE: Duration = Duration::from_millis(500);
const IN_USE_US: i64 = 60_000_000;
/// After the store did not answer, what is known counts for so long before it is asked again.
const REST_US: i64 = 250_000;

/// What was read of an account.
struct Followed {
    currency: Currency,
    registry: Registry,
    experiment: Option<LtvExperimentRow>,
    /// Whether what serves is of this.
    served: bool,
}

type Reading = Arc<tokio::sync::Mutex<Option<Followed>>>;

/// What was read of accounts that are at home elsewhere. One reads, the others wait for it.
#[derive(Default)]
pub struct Following(Mutex<HashMap<Arc<str>, Reading>>);

impl Following {
    fn of(&self, account: &Arc<str>) -> Reading {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(Arc::clone(account)).or_default())
    }

    fn remove(&self, account: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(account);
    }
}

/// Something about who answers for an account has changed: other nodes read it at once.
pub fn tell(shared: &Shared, account: &str) {
    super::tell_others(shared, KIND, account);
}

/// The account's home says that something has changed.
pub async fn told(shared: Arc<Shared>, account: String) -> std::result::Result<(), LinkError> {
    shared.roster.outdate(&account);
    Ok(())
}

/// Makes sure that the account's own registry has said who answers.
pub async fn load(shared: &Shared, account: &str) -> Result<()> {
    let registries = shared.registries.get().ok_or(ValueError::Unavailable)?;
    let make = |reply| registry::Msg::Load { reply };
    Ok(registries.ask(account, shared.terms.call_patience, make).await??)
}

/// Who answers for an account, and where it is at home.
pub async fn serving(shared: &Arc<Shared>, account: &str) -> Result<(Arc<Serving>, Shard)> {
    let known = shared.roster.standing(account);
    if let Some((home, standing)) = &known
        && standing.is_current(shared.epoch(*home), clock::mono_us())
    {
        return Ok((Arc::clone(&standing.serving), *home));
    }
    let home = known.as_ref().map_or_else(|| home_of(account), |(home, _)| *home);
    if shared.is_here(home) {
        match load(shared, account).await {
            Ok(()) => {
                let serving = shared.roster.of(account).ok_or(ValueError::Unavailable)?;
                return Ok((serving, home));
            }
            // It went meanwhile.
            Err(_) if !shared.is_here(home) => {}
            Err(ValueError::UnknownAccount) => return Err(ValueError::UnknownAccount),
            // It has just come: what was read before it did is better than nothing.
            Err(error) => {
                let known = known.map(|(_, standing)| Arc::clone(&standing.serving));
                return known.map(|serving| (serving, home)).ok_or(error);
            }
        }
    }
    let known = known.map(|(_, standing)| standing);
    Ok((read(shared, account.into(), home, known).await?, home))
}

/// Reads it, unless somebody else does: then it is waited for, where what is known is too old.
async fn read(
    shared: &Arc<Shared>,
    account: Arc<str>,
    home: Shard,
    known: Option<Arc<Standing>>,
) -> Result<Arc<Serving>> {
    let in_use = known.as_ref().is_some_and(|known| is_in_use(known.source, clock::mono_us()));
    let patience = if in_use { PATIENCE } else { shared.terms.call_patience };
    let reading = shared.elsewhere.following.of(&account);
    let guard = match Arc::clone(&reading).try_lock_owned() {
        Ok(guard) => guard,
        Err(_) => {
            let later = |known: &&Arc<Standing>| known.may_be_read_later(clock::mono_us());
            if let Some(known) = known.as_ref().filter(later) {
                return Ok(Arc::clone(&known.serving));
            }
            match tokio::time::timeout(patience, reading.lock_owned()).await {
                Ok(guard) => guard,
                Err(_) => return or_known(known),
            }
        }
    };
    let now_us = clock::mono_us();
    let standing = shared.roster.standing(&account).map(|(_, standing)| standing);
    if let Some(current) = standing.filter(|it| it.is_current(None, now_us)) {
        return Ok(Arc::clone(&current.serving));
    }
    // Whoever asked may go: what was begun is of use to the next. A large model takes its time.
    let work = refresh(Arc::clone(shared), account, home, guard);
    match tokio::time::timeout(patience, tokio::spawn(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => {
            tracing::error!(%error, "who answers could not be read");
            or_known(known)
        }
        Err(_) => or_known(known),
    }
}

/// Whether it was read not long ago: what is older is worth a longer wait for what is so now.
fn is_in_use(source: Source, now_us: i64) -> bool {
    match source {
        Source::Registry(_) => false,
        Source::Store { until_us } => now_us < until_us.saturating_add(IN_USE_US),
    }
}

/// Without the store, what was known last.
fn or_known(known: Option<Arc<Standing>>) -> Result<Arc<Serving>> {
    known.map(|known| Arc::clone(&known.serving)).ok_or(ValueError::Unavailable)
}

async fn refresh(
    shared: Arc<Shared>,
    account: Arc<str>,
    home: Shard,
    mut guard: OwnedMutexGuard<Option<Followed>>,
) -> Result<Arc<Serving>> {
    let began_us = clock::mono_us();
    let known = shared.roster.of(&account);
    let until = |for_us: i64, from_us: i64| Source::Store { until_us: from_us + for_us };
    match look(&shared, &account, &mut guard, known.as_ref()).await {
        Ok(Some(serving)) => {
            let source = until(READ_EVERY_US, began_us);
            shared.roster.put(&account, home, Arc::clone(&serving), source);
            Ok(serving)
        }
        Ok(None) => {
            shared.elsewhere.following.remove(&account);
            Err(ValueError::UnknownAccount)
        }
        Err(fault) => {
            tracing::warn!(%account, %fault, "who answers for {account} could not be read: {fault}");
            // What was read in part is read anew.
            *guard = None;
            let Some(known) = known else {
                shared.elsewhere.following.remove(&account);
                return Err(ValueError::Unavailable);
            };
            let source = until(REST_US, clock::mono_us());
            shared.roster.put(&account, home, Arc::clone(&known), source);
            Ok(known)
        }
    }
}

/// Nothing where there is no such account.
async fn look(
    shared: &Shared,
    account: &Arc<str>,
    followed: &mut Option<Followed>,
    known: Option<&Arc<Serving>>,
) -> std::result::Result<Option<Arc<Serving>>, Fault> {
    let store = shared.writes.store();
    if followed.is_none() {
        let Some(row) = store.account(account).await? else { return Ok(None) };
        let (currency, registry) = (row.currency.parse()?, Registry::new());
        *followed = Some(Followed { currency, registry, experiment: None, served: false });
    }
    let Some(followed) = followed else { return Ok(None) };
    // The history after the experiment: it may be newer, and then knows that the experiment is over.
    let experiment = store.ltv_experiment_open(account).await?;
    let more = load::more(shared, account, &mut followed.registry).await?;
    if more || experiment != followed.experiment {
        (followed.experiment, followed.served) = (experiment, false);
    }
    if let Some(known) = known.filter(|_| followed.served) {
        return Ok(Some(Arc::clone(known)));
    }
    let of = |version: Option<&Version>| version.map(|version| version.id.clone());
    let (champion, challenger) =
        (of(followed.registry.champion()), of(followed.registry.challenger()));
    let running = load::running(followed.experiment.as_ref(), challenger.as_ref());
    let serving = Arc::new(Serving {
        currency: followed.currency,
        champion: version(shared, account, champion, known).await?,
        challenger: version(shared, account, challenger, known).await?,
        running,
    });
    followed.served = true;
    Ok(Some(serving))
}

/// A version in memory: one that is there already goes on, with what was counted of it.
async fn version(
    shared: &Shared,
    account: &Arc<str>,
    id: Option<VersionId>,
    known: Option<&Arc<Serving>>,
) -> std::result::Result<Option<Arc<Loaded>>, Fault> {
    let Some(id) = id else { return Ok(None) };
    if let Some(loaded) = known.and_then(|known| known.find(&id.to_string())) {
        return Ok(Some(Arc::clone(loaded)));
    }
    match load::model(shared, account, &id).await? {
        Ok(loaded) => Ok(Some(loaded)),
        // The rule of thumb answers, and says so, as it does at the account's home.
        Err(declined @ Declined::Unreadable(..)) => {
            tracing::error!(%account, "{declined}");
            Ok(None)
        }
        Err(declined) => Err(declined.into()),
    }
}
