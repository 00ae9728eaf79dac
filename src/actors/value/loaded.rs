//! Models in memory, and who of them answers. What serves is one pointer per account: a change of
//! the champion swaps it, and requests that began with the one before end with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use serde::Serialize;

use crate::models::shield::money::Currency;
use crate::models::value::forecast::model::ValueModel;
use crate::models::value::split::{Arm, Experiment};

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

type ByAccount = HashMap<Arc<str>, Arc<ArcSwap<Serving>>>;

/// All accounts that were asked for since the start.
#[derive(Default)]
pub struct Roster(RwLock<ByAccount>);

impl Roster {
    pub fn of(&self, account: &str) -> Option<Arc<Serving>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(account).map(|serving| serving.load_full())
    }

    pub fn put(&self, account: &Arc<str>, serving: Serving) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match all.get(account) {
            Some(place) => place.store(Arc::new(serving)),
            None => {
                all.insert(Arc::clone(account), Arc::new(ArcSwap::from_pointee(serving)));
            }
        }
    }

    /// Everything that serves now.
    pub fn all(&self) -> Vec<(Arc<str>, Arc<Serving>)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(account, serving)| (Arc::clone(account), serving.load_full())).collect()
    }
}
