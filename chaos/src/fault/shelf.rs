//! Faults that are open, and what they know of each other.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use super::error::{FaultError, FaultResult};
use super::family::{Site, lock};
use super::left::Left;

/// What is told of trouble: enough to know what is wrong.
const TROUBLE_MAX: usize = 64;

#[derive(Default)]
pub struct Shelf {
    open: Mutex<BTreeMap<u32, Arc<Site>>>,
    /// What each fault that is over has struck.
    over: Mutex<BTreeMap<u32, u64>>,
    trouble: Mutex<Vec<String>>,
}

impl Shelf {
    /// # Errors
    /// Its number is known already, or another fault holds what it needs for itself.
    pub fn put(&self, site: Arc<Site>) -> FaultResult<()> {
        let mut open = self.open();
        let number = site.order.number;
        if open.contains_key(&number) || lock(&self.over).contains_key(&number) {
            return Err(FaultError::Bad(format!("there was a fault {number} already")));
        }
        let wants: Vec<String> = site.record().left.iter().filter_map(Left::alone).collect();
        for (by, other) in &*open {
            let has =
                other.record().left.iter().filter_map(Left::alone).find(|it| wants.contains(it));
            if let Some(what) = has {
                return Err(FaultError::Taken { what, by: *by });
            }
        }
        open.insert(number, site);
        Ok(())
    }

    pub fn open(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Site>>> {
        lock(&self.open)
    }

    pub fn get(&self, number: u32) -> Option<Arc<Site>> {
        self.open().get(&number).cloned()
    }

    /// It is over, and this is what it struck.
    pub fn close(&self, number: u32) {
        let mut open = self.open();
        if let Some(site) = open.remove(&number) {
            lock(&self.over).insert(number, site.count());
        }
    }

    /// It never began.
    pub fn forget(&self, number: u32) {
        self.open().remove(&number);
    }

    /// How many it struck; of one that is open, so far.
    pub fn count(&self, number: u32) -> Option<u64> {
        let open = self.get(number).map(|site| site.count());
        open.or_else(|| lock(&self.over).get(&number).copied())
    }

    /// What others go on holding when this fault ends. Of two that end at once, the later one is not told of the
    /// first: what both hold is let go by it.
    pub fn others(&self, number: u32) -> Vec<Left> {
        let open = self.open();
        if let Some(site) = open.get(&number) {
            site.ends.store(true, Ordering::Relaxed);
        }
        let stay = open.iter().filter(|(n, it)| **n != number && !it.ends.load(Ordering::Relaxed));
        stay.flat_map(|(_, it)| it.record().left).collect()
    }

    pub fn troubled(&self, what: String) {
        let mut trouble = lock(&self.trouble);
        if trouble.len() < TROUBLE_MAX && !trouble.contains(&what) {
            tracing::error!("{what}");
            trouble.push(what);
        }
    }

    pub fn trouble(&self) -> Vec<String> {
        lock(&self.trouble).clone()
    }
}
