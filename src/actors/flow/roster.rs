//! The campaigns that run, what auctions see of them, and when campaigns wake.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use crate::models::flow::campaign::state::Campaign;
use crate::models::flow::targeting::Index;

/// What auctions see.
pub struct Live {
    pub index: Index,
    /// Counts the indexes of this process, from 0.
    pub generation: u64,
}

#[derive(Default)]
struct State {
    /// By the keys of their actors.
    running: BTreeMap<Arc<str>, Arc<Campaign>>,
    wakes: BTreeSet<(i64, Arc<str>)>,
    wake_of: HashMap<Arc<str>, i64>,
    changed: bool,
    generation: u64,
}

pub struct Roster {
    state: Mutex<State>,
    live: ArcSwap<Live>,
    generation: watch::Sender<u64>,
}

impl Roster {
    pub fn new(seat: &str) -> Roster {
        let live = Live { index: Index::new([], seat), generation: 0 };
        Roster {
            state: Mutex::default(),
            live: ArcSwap::from_pointee(live),
            generation: watch::Sender::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What auctions see now.
    pub fn live(&self) -> Guard<Arc<Live>> {
        self.live.load()
    }

    /// Tells of every new index by its generation.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// The campaign as auctions see it, or will with the next index.
    pub fn campaign(&self, key: &str) -> Option<Arc<Campaign>> {
        self.state().running.get(key).cloned()
    }

    /// The campaigns that run, by the keys of their actors.
    pub fn running(&self) -> Vec<(Arc<str>, Arc<Campaign>)> {
        let of =
            |(key, campaign): (&Arc<str>, &Arc<Campaign>)| (Arc::clone(key), Arc::clone(campaign));
        self.state().running.iter().map(of).collect()
    }

    /// How many run, and how many wait for a time.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.running.len(), state.wakes.len())
    }

    /// Auctions see this from the next index on. Of two revisions the later one stays.
    pub fn publish(&self, key: &str, campaign: Arc<Campaign>) {
        let mut state = self.state();
        if state.running.get(key).is_some_and(|known| known.revision >= campaign.revision) {
            return;
        }
        state.running.insert(key.into(), campaign);
        state.changed = true;
    }

    /// Auctions see it no more from the next index on.
    pub fn withdraw(&self, key: &str) {
        let mut state = self.state();
        state.changed |= state.running.remove(key).is_some();
    }

    /// It never comes back.
    pub fn forget(&self, key: &str) {
        self.withdraw(key);
        self.wake(key, None);
    }

    /// Wakes the campaign's actor at a time; the last one counts.
    pub fn wake(&self, key: &str, at_us: Option<i64>) {
        let mut state = self.state();
        if let Some((key, before)) = state.wake_of.remove_entry(key) {
            state.wakes.remove(&(before, key));
        }
        if let Some(at_us) = at_us {
            let key: Arc<str> = key.into();
            state.wakes.insert((at_us, Arc::clone(&key)));
            state.wake_of.insert(key, at_us);
        }
    }

    /// Takes those whose time has come, at most `limit`.
    pub fn due(&self, now_us: i64, limit: usize) -> Vec<Arc<str>> {
        let mut state = self.state();
        let mut due = Vec::new();
        while due.len() < limit
            && state.wakes.first().is_some_and(|(at, _)| *at <= now_us)
            && let Some((_, key)) = state.wakes.pop_first()
        {
            state.wake_of.remove(&key);
            due.push(key);
        }
        due
    }

    /// What the next index is made of; nothing where nothing has changed since the last.
    pub fn changed(&self) -> Option<Vec<Arc<Campaign>>> {
        let mut state = self.state();
        if !std::mem::take(&mut state.changed) {
            return None;
        }
        Some(state.running.values().map(Arc::clone).collect())
    }

    /// The next index is to be made though nothing has changed: the last one could not be.
    pub fn again(&self) {
        self.state().changed = true;
    }

    /// Auctions see this now.
    pub fn show(&self, index: Index) {
        let generation = {
            let mut state = self.state();
            state.generation += 1;
            state.generation
        };
        self.live.store(Arc::new(Live { index, generation }));
        self.generation.send_replace(generation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_wakes_once_and_at_its_last_time() {
        let roster = Roster::new("kiki");
        roster.wake("a", Some(10));
        roster.wake("b", Some(20));
        roster.wake("a", Some(30));
        assert!(roster.due(15, 10).is_empty());
        assert_eq!(roster.due(30, 1), [Arc::from("b")]);
        assert_eq!(roster.due(30, 10), [Arc::from("a")]);
        roster.wake("a", Some(1));
        roster.wake("a", None);
        assert!(roster.due(i64::MAX, 10).is_empty());
        assert_eq!(roster.counts(), (0, 0));
    }
}
