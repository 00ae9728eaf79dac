//! The memory of a keyed limit: one number for each caller, for so many callers and no more.
//!
//! Whoever comes when it is full shares one number with all others who do. So a flood of invented
//! addresses costs a fixed amount of memory and throttles itself, not those who were there before.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;

const SHARDS: usize = 16;

struct Shard<K> {
    slots: HashMap<K, u64>,
    /// The number that everybody beyond the limit shares.
    shared: Option<u64>,
}

/// Numbers by key, bounded.
pub struct Slots<K> {
    shards: Vec<Mutex<Shard<K>>>,
    keys_max: usize,
    hasher: RandomState,
}

impl<K: Hash + Eq + Clone> Slots<K> {
    /// Room for about `keys_max` keys (at least one in each of 16 parts).
    pub fn new(keys_max: usize) -> Slots<K> {
        let shard = || Mutex::new(Shard { slots: HashMap::new(), shared: None });
        let shards = (0..SHARDS).map(|_| shard()).collect();
        Slots { shards, keys_max: (keys_max / SHARDS).max(1), hasher: RandomState::new() }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K>> {
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        lock(&self.shards[at])
    }

    pub fn get(&self, key: &K) -> Option<u64> {
        let shard = self.shard(key);
        let full = shard.slots.len() >= self.keys_max;
        shard.slots.get(key).copied().or(if full { shard.shared } else { None })
    }

    /// Replaces the number of a key, if `change` succeeds.
    pub fn update<T, E>(
        &self,
        key: &K,
        change: impl FnOnce(Option<u64>) -> Result<(T, u64), E>,
    ) -> Result<T, E> {
        let mut shard = self.shard(key);
        if let Some(slot) = shard.slots.get_mut(key) {
            let (answer, value) = change(Some(*slot))?;
            *slot = value;
            return Ok(answer);
        }
        if shard.slots.len() >= self.keys_max {
            let (answer, value) = change(shard.shared)?;
            shard.shared = Some(value);
            return Ok(answer);
        }
        let (answer, value) = change(None)?;
        shard.slots.insert(key.clone(), value);
        Ok(answer)
    }

    /// Forgets what is below.
    pub fn retain(&self, drop_below: u64) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.slots.retain(|_, value| *value > drop_below);
            shard.shared = shard.shared.filter(|value| *value > drop_below);
            if shard.slots.capacity() > 4 * shard.slots.len().max(64) {
                shard.slots.shrink_to_fit();
            }
        }
    }

    pub fn count(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).slots.len()).sum()
    }
}

fn lock<K>(shard: &Mutex<Shard<K>>) -> MutexGuard<'_, Shard<K>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Hash + Eq + Clone> StateStore for Slots<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.update(key, |old| f(old.map(Nanos::from)).map(|(answer, new)| (answer, new.as_u64())))
    }
}

impl<K: Hash + Eq + Clone> ShrinkableKeyedStateStore<K> for Slots<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.retain(drop_below.as_u64());
    }

    fn len(&self) -> usize {
        self.count()
    }

    fn is_empty(&self) -> bool {
        self.count() == 0
    }
}
