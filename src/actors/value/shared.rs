//! What all actors of SyncValue share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::cache::Cache;
use super::customer::CustomerActor;
use super::far::Far;
use super::loaded::Roster;
use super::memory::Memory;
use super::mlflow::Runs;
use super::nodes::Elsewhere;
use super::pool::Pool;
use super::registry::RegistryActor;
use super::{fit, recorder, watch};
use crate::actors::cluster::Placement;
use crate::actors::kernel::{Entities, Handle};
use crate::actors::shield::{BudgetName, Shield, Writes};
use crate::clock;
use crate::config;
use crate::models::cluster::shard::Shard;
use crate::models::value::log::day::Day;
use crate::models::value::registry::compare::Tolerance;

/// Settings of SyncValue.
#[derive(Clone, Debug)]
pub struct ValueTerms {
    pub default_account: String,
    /// The horizon of questions and fits that name none.
    pub horizon_days: u32,
    pub predictors: usize,
    /// Questions that are answered together at most.
    pub batch_max: usize,
    /// How long one may wait for others to be answered with.
    pub batch_wait: Duration,
    /// How long the pool may take before the rule of thumb answers.
    pub patience: Duration,
    /// Customers whose answers are kept.
    pub cache_max: usize,
    pub cache_ttl: Duration,
    /// Days that a forecast which is due waits for purchases that are told of late.
    pub outcome_grace_days: u32,
    /// How long an actor without work stays in memory.
    pub idle_after: Duration,
    /// Customers in memory: of more, those that are idle longest go.
    pub resident_max: usize,
    pub mailbox_max: u32,
    /// How long any other call may take.
    pub call_patience: Duration,
    /// How much worse a challenger may be and still be promoted.
    pub tolerance: Tolerance,
    /// Whom fits are told to.
    pub mlflow: config::Mlflow,
}

pub struct Shared {
    pub terms: ValueTerms,
    pub shield: Shield,
    pub writes: Writes,
    pub roster: Roster,
    pub cache: Cache,
    pub memory: Memory,
    pub far: Far,
    pub pool: Pool,
    pub runs: Runs,
    pub elsewhere: Elsewhere,
    pub customers: OnceLock<Entities<CustomerActor>>,
    pub registries: OnceLock<Entities<RegistryActor>>,
    pub fitter: OnceLock<Handle<fit::Msg>>,
    pub recorder: OnceLock<Handle<recorder::Msg>>,
    pub watch: OnceLock<Handle<watch::Msg>>,
    pub draining: AtomicBool,
}

/// The shard that everything of an account is in: customers, registry, forecasts, drift.
pub fn home_of(account: &str) -> Shard {
    BudgetName::account(account).place()
}

impl Shared {
    pub fn placement(&self) -> &Arc<Placement> {
        self.shield.placement()
    }

    /// The epoch of a shard that this node takes work in for.
    pub fn epoch(&self, home: Shard) -> Option<i64> {
        let placement = self.placement();
        placement.admits(home).then(|| placement.epoch(home))
    }

    pub fn is_here(&self, home: Shard) -> bool {
        self.placement().admits(home)
    }
}

const DAY_US: i64 = 86_400_000_000;

/// The day, in UTC.
pub fn today() -> Day {
    let days = clock::wall_us().div_euclid(DAY_US);
    let day = i32::try_from(days).ok().and_then(Day::new);
    // a clock beyond 2199 is no clock: the first day there is lets nothing be in the future
    day.or_else(|| Day::new(0)).unwrap_or_else(|| unreachable!("1970-01-01 is a day"))
}

/// A day as it is stored.
pub fn day_of(days: i64) -> Option<Day> {
    i32::try_from(days).ok().and_then(Day::new)
}
