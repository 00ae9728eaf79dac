//! Models in memory, and who of them answers. What serves is one pointer per account: a change of
//! the champion swaps it, and requests that began with the one before end with it. Of an account whose shard
//! another node has, it is what was read from the store a moment ago: see `nodes/follow.rs`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use serde::Serialize;

use crate::models::cluster::shard::Shard;
use crate::models::shield::money::Currency;
use crate::models::value::forecast::model::ValueModel;
use crate::models::value::split::{Arm, Experiment};

/// What is read of an account that is at home elsewhere is believed for so long; a change is seen in twice
/// that at most.
pub const READ_EVERY_US: i64 = 1_000_000;

/// What a version has answered since it was loaded.
#[derive(Debug, Default)]
pub struct Online {
    answered: AtomicU64,
    cached: AtomicU64,
    took_us: AtomicU64,
}

/// The same, as it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct OnlineCounts {
    /// Questions that it answered since it was loaded.
    pub answered: u64,
    /// Of those from memory.
    pub cached: u64,
    /// Mean time of an answer.
    pub mean_us: f64,
}

impl Online {
    pub fn answered(&self, cached: bool, took_us: i64) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.cached.fetch_add(u64::from(cached), Ordering::Relaxed);
        self.took_us.fetch_add(u64::try_from(took_us).unwrap_or(0), Ordering::Relaxed);
    }

    pub fn counts(&self) -> OnlineCounts {
        let answered = self.answered.load(Ordering::Relaxed);
        OnlineCounts {
            answered,
            cached: self.cached.load(Ordering::Relaxed),
            mean_us: self.took_us.load(Ordering::Relaxed) as f64 / answered.max(1) as f64,
        }
    }
}

/// A version in memory.
#[derive(Debug)]
pub struct Loaded {
    pub account: Arc<str>,
    pub id: Arc<str>,
    pub model: ValueModel,
    pub online: Online,
}

/// An experiment that runs.
#[derive(Clone, Debug)]
pub struct Running {
    pub split: Experiment,
    /// The challenger forecasts for the others too, and nobody is told.
    pub shadow: bool,
}

/// Who answers for an account.
#[derive(Debug)]
pub struct Serving {
    /// Of all purchases of the account.
    pub currency: Currency,
    pub champion: Option<Arc<Loaded>>,
    pub challenger: Option<Arc<Loaded>>,
    pub running: Option<Running>,
}

impl Serving {
    /// The version of this name, if it answers or challenges.
    pub fn find(&self, id: &str) -> Option<&Arc<Loaded>> {
        [&self.champion, &self.challenger].into_iter().flatten().find(|loaded| *loaded.id == *id)
    }

    /// Who answers this customer, and whether a shadow of it is wanted.
    pub fn choose(&self, customer: &str) -> (Option<&Arc<Loaded>>, Arm, Option<&Arc<Loaded>>) {
        let (Some(challenger), Some(running)) = (&self.challenger, &self.running) else {
            return (self.champion.as_ref(), Arm::Champion, None);
        };
        match running.split.arm(customer) {
            Arm::Challenger => (Some(challenger), Arm::Challenger, None),
            Arm::Champion => {
                let shadow = running.shadow.then_some(challenger);
                (self.champion.as_ref(), Arm::Champion, shadow)
            }
        }
    }
}

/// Where it comes from who answers for an account, and for how long that is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The account's registry said so, on this node, in this epoch of its shard.
    Registry(i64),
    /// It was read from the store, for the account is at home elsewhere: until then (monotonic).
    Store { until_us: i64 },
}

/// Who answers for an account, and how that is known.
#[derive(Debug)]
pub struct Standing {
    pub serving: Arc<Serving>,
    pub source: Source,
}

impl Standing {
    /// Whether it can be gone by. `epoch`: that of the account's shard, where this node has it.
    pub fn is_current(&self, epoch: Option<i64>, now_us: i64) -> bool {
        match (self.source, epoch) {
            (Source::Registry(of), Some(epoch)) => of == epoch,
            (Source::Store { until_us }, None) => now_us < until_us,
            // it came, or it went: somebody else knows better
            (Source::Registry(_), None) | (Source::Store { .. }, Some(_)) => false,
        }
    }

    /// Whether it still is within the bound for changes to be seen, while somebody reads it anew.
    pub fn may_be_read_later(&self, now_us: i64) -> bool {
        match self.source {
            Source::Registry(_) => false,
            Source::Store { until_us } => now_us < until_us.saturating_add(READ_EVERY_US),
        }
    }
}

struct Place {
    home: Shard,
    standing: ArcSwap<Standing>,
}

type ByAccount = HashMap<Arc<str>, Arc<Place>>;

/// All accounts that were asked for since the start.
#[derive(Default)]
pub struct Roster(RwLock<ByAccount>);

impl Roster {
    fn place(&self, account: &str) -> Option<Arc<Place>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(account).map(Arc::clone)
    }

    /// Who answers, as far as that was known last.
    pub fn of(&self, account: &str) -> Option<Arc<Serving>> {
        self.place(account).map(|place| Arc::clone(&place.standing.load().serving))
    }

    /// The same, with the account's home.
    pub fn standing(&self, account: &str) -> Option<(Shard, Arc<Standing>)> {
        self.place(account).map(|place| (place.home, place.standing.load_full()))
    }

    pub fn put(&self, account: &Arc<str>, home: Shard, serving: Arc<Serving>, source: Source) {
        let standing = Standing { serving, source };
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match all.get(account) {
            Some(place) => place.standing.store(Arc::new(standing)),
            None => {
                let place = Place { home, standing: ArcSwap::from_pointee(standing) };
                all.insert(Arc::clone(account), Arc::new(place));
            }
        }
    }

    /// What was read of the account is not believed any more.
    pub fn outdate(&self, account: &str) {
        let Some(place) = self.place(account) else { return };
        let known = place.standing.load_full();
        if let Source::Store { .. } = known.source {
            let (serving, source) =
                (Arc::clone(&known.serving), Source::Store { until_us: i64::MIN });
            let outdated = Arc::new(Standing { serving, source });
            // What somebody read meanwhile stays: it is over soon by itself.
            place.standing.compare_and_swap(&known, outdated);
        }
    }

    /// Everything that serves now.
    pub fn all(&self) -> Vec<(Arc<str>, Arc<Serving>)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let serving = |place: &Arc<Place>| Arc::clone(&place.standing.load().serving);
        all.iter().map(|(account, place)| (Arc::clone(account), serving(place))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(source: Source) -> Standing {
        let currency = "USD".parse().expect("a currency");
        let serving = Serving { currency, champion: None, challenger: None, running: None };
        Standing { serving: Arc::new(serving), source }
    }

    #[test]
    fn what_a_registry_said_counts_in_its_epoch_and_what_was_read_elsewhere_for_a_while() {
        let own = standing(Source::Registry(7));
        assert!(own.is_current(Some(7), i64::MAX));
        assert!(!own.is_current(Some(8), 0) && !own.is_current(None, 0));
        assert!(!own.may_be_read_later(0), "it went: nobody knows how old it is");
        let read = standing(Source::Store { until_us: 1_000 });
        assert!(read.is_current(None, 999) && !read.is_current(None, 1_000));
        assert!(!read.is_current(Some(7), 0), "the registry is here");
        assert!(read.may_be_read_later(READ_EVERY_US + 999));
        assert!(!read.may_be_read_later(READ_EVERY_US + 1_000));
    }

    #[test]
    fn who_is_told_of_a_change_believes_nothing_that_was_read_before() {
        let (roster, account) = (Roster::default(), Arc::from("acme"));
        let source = |roster: &Roster| roster.standing("acme").map(|(_, of)| of.source);
        let serving = || standing(Source::Registry(1)).serving;
        roster.put(&account, Shard(3), serving(), Source::Store { until_us: 9 });
        roster.outdate("acme");
        assert_eq!(source(&roster), Some(Source::Store { until_us: i64::MIN }));
        let known = roster.standing("acme").expect("known").1;
        assert!(!known.is_current(None, 0) && !known.may_be_read_later(0));
        roster.put(&account, Shard(3), serving(), Source::Registry(1));
        roster.outdate("acme");
        assert_eq!(source(&roster), Some(Source::Registry(1)), "its own registry knows better");
    }
}
