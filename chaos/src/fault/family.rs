//! A family of faults, and what it is given to work with.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Injected;
use super::admin::Admin;
use super::chosen::Chosen;
use super::error::FaultResult;
use super::ground::Ground;
use super::left::{self, Left};
use super::record::Record;
use super::repeat::Repeat;
use super::shelf::Shelf;
use super::{actor, calls, clock, disk, limits, network, postgres, process, redis, service};
use crate::experiment::fault::Fault;

/// Work that waits for something, of a trait that is used through pointers.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = FaultResult<T>> + Send + 'a>>;

/// One family of faults. It prepares without doing anything, so that what may be left of a fault is on disk before the
/// fault begins.
pub trait Family: Send + Sync {
    /// As [`Fault::kind`] names them.
    fn kinds(&self) -> &'static [&'static str];

    /// Whether it can be done to a lab only.
    fn needs_lab(&self) -> bool {
        true
    }

    /// Whom it will strike, and what may be left of it. Nothing is done yet.
    ///
    /// # Errors
    /// It cannot be done here: with what is missing.
    fn prepare<'a>(&'a self, order: &'a Order) -> Doing<'a, Prepared>;

    /// Does it.
    ///
    /// # Errors
    /// It was not done, or not as a whole; it is undone then.
    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()>;

    /// Takes away what is left of it, and sees that it is gone. It may be called again after an error.
    ///
    /// # Errors
    /// Something is left.
    fn undo<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(left::take_away(at))
    }
}

/// Every family. A service that comes later adds its own.
pub static FAMILIES: [&dyn Family; 10] = [
    &process::Processes,
    &limits::Limits,
    &network::Network,
    &clock::Clocks,
    &disk::Disks,
    &calls::Calls,
    &postgres::Postgres,
    &redis::Redis,
    &service::Services,
    &actor::Actors,
];

/// The family of this kind of fault.
pub fn of(kind: &str) -> Option<&'static dyn Family> {
    FAMILIES.iter().find(|it| it.kinds().contains(&kind)).copied()
}

/// A fault that is wanted.
pub struct Order {
    pub number: u32,
    pub fault: Fault,
    pub chosen: Chosen,
    pub ttl: Duration,
    pub ground: Arc<Ground>,
}

/// What will be done.
pub struct Prepared {
    pub target: String,
    /// By which means: "relay", "proxy", "signal", "admin api", "strace".
    pub way: String,
    /// Names of hosts, patterns of actors.
    pub struck: Vec<String>,
    pub left: Vec<Left>,
}

/// A fault that is open.
pub struct Site {
    pub family: &'static dyn Family,
    pub order: Order,
    pub injected: Injected,
    record: Mutex<Record>,
    repeats: Mutex<Vec<Repeat>>,
    /// What it has struck.
    count: AtomicU64,
    /// What the network had counted before it.
    pub before: AtomicU64,
    /// Between two blows: its rules of the network do not hold now.
    pub rests: AtomicBool,
    /// What it holds, it will not hold for long: others must not rely on it.
    pub ends: AtomicBool,
    /// It is done and undone one after the other.
    pub turn: tokio::sync::Mutex<()>,
}

impl Site {
    pub fn new(
        family: &'static dyn Family,
        order: Order,
        injected: Injected,
        record: Record,
    ) -> Site {
        Site {
            family,
            order,
            injected,
            record: Mutex::new(record),
            repeats: Mutex::default(),
            count: AtomicU64::new(0),
            before: AtomicU64::new(0),
            rests: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    pub fn record(&self) -> Record {
        lock(&self.record).clone()
    }

    /// More may be left than was known: it is written down before it is done.
    ///
    /// # Errors
    /// It cannot be written: then it must not be done.
    pub fn leaves(&self, change: impl FnOnce(&mut Vec<Left>)) -> FaultResult<()> {
        let mut record = lock(&self.record);
        change(&mut record.left);
        record.write(&self.order.ground.folder)
    }

    /// So many more were struck: processes, connections, packets, messages, calls.
    pub fn struck(&self, more: u64) {
        self.count.fetch_add(more, Ordering::Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub fn repeat(&self, repeat: Repeat) {
        lock(&self.repeats).push(repeat);
    }

    /// Ends what is repeated.
    ///
    /// # Errors
    /// Some of it broke.
    pub async fn settle(&self) -> FaultResult<()> {
        let repeats = std::mem::take(&mut *lock(&self.repeats));
        let ended = futures_util::future::join_all(repeats.into_iter().map(Repeat::end)).await;
        ended.into_iter().collect()
    }
}

/// A fault, and all that it needs.
#[derive(Clone)]
pub struct At {
    pub site: Arc<Site>,
    pub shelf: Arc<Shelf>,
    pub admin: Arc<Admin>,
}

impl At {
    pub fn ground(&self) -> &Ground {
        &self.site.order.ground
    }

    /// Something that is repeated did not go as it should: the fault goes on, and the run is told.
    pub fn trouble(&self, what: impl std::fmt::Display) {
        let Injected { number, kind, .. } = &self.site.injected;
        self.shelf.troubled(format!("fault {number} ({kind}): {what}"));
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_the_schema_has_one_family() {
        let schema = crate::experiment::schema::schema();
        let kinds = schema.pointer("/$defs/FaultStep/oneOf").and_then(serde_json::Value::as_array);
        let kinds: Vec<&str> = kinds
            .expect("the schema of faults")
            .iter()
            .filter_map(|it| it.pointer("/properties/kind/const")?.as_str())
            .collect();
        assert!(kinds.len() > 30, "{kinds:?}");
        for kind in &kinds {
            let families = FAMILIES.iter().filter(|it| it.kinds().contains(kind)).count();
            assert_eq!(families, 1, "{kind}");
        }
        let known: usize = FAMILIES.iter().map(|it| it.kinds().len()).sum();
        assert_eq!(known, kinds.len(), "a family names a kind that there is not");
    }
}
