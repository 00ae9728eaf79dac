//! The campaigns that run, what auctions see of them, and when campaigns wake.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::owned::Owned;
use crate::models::cluster::shard::Shard;
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
    /// Campaigns of which something was said since the store is being read, if it is: that is newer.
    told: Option<HashSet<Arc<str>>>,
    /// Shards whose campaigns were taken out since this was asked last.
    left: Owned,
}

impl State {
    fn tells(&mut self, key: &str) {
        if let Some(told) = self.told.as_mut().filter(|told| !told.contains(key)) {
            told.insert(key.into());
        }
    }

    fn wake(&mut self, key: &str, at_us: Option<i64>) {
        if let Some((key, before)) = self.wake_of.remove_entry(key) {
            self.wakes.remove(&(before, key));
        }
        if let Some(at_us) = at_us {
            let key: Arc<str> = key.into();
            self.wakes.insert((at_us, Arc::clone(&key)));
            self.wake_of.insert(key, at_us);
        }
    }

    fn publish(&mut self, key: &str, campaign: Arc<Campaign>) {
        if self.running.get(key).is_some_and(|known| known.revision >= campaign.revision) {
            return;
        }
        self.running.insert(key.into(), campaign);
        self.changed = true;
    }
}

/// What the store says of campaigns, by the keys of their actors.
#[derive(Default)]
pub struct Stored {
    pub wakes: Vec<(String, Option<i64>)>,
    pub running: Vec<(String, Arc<Campaign>)>,
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
        state.tells(key);
        state.publish(key, campaign);
    }

    /// The store is about to be read: what is said of a campaign from here on is newer than what it says.
    pub fn reads(&self) {
        self.state().told = Some(HashSet::new());
    }

    /// What the store said, but for what is known better by now.
    pub fn read(&self, stored: Stored) {
        let mut state = self.state();
        let told = state.told.take().unwrap_or_default();
        for (key, at_us) in stored.wakes.iter().filter(|(key, _)| !told.contains(&**key)) {
            state.wake(key, *at_us);
        }
        for (key, campaign) in stored.running {
            if !told.contains(&*key) {
                state.publish(&key, campaign);
            }
        }
    }

    /// A shard has left: whether or not it is back by now, its campaigns are not here.
    pub fn leave_shard(&self, shard: Shard, whose: impl Fn(&str) -> bool) {
        self.leave(whose);
        self.state().left.add(shard);
    }

    /// Shards that have left since this was asked last.
    pub fn left(&self) -> Owned {
        std::mem::take(&mut self.state().left)
    }

    /// Campaigns that are another node's: auctions here see them no more from the next index on, and they do not
    /// wake here.
    pub fn leave(&self, whose: impl Fn(&str) -> bool) {
        let mut state = self.state();
        let running = state.running.len();
        state.running.retain(|key, _| !whose(key));
        state.changed |= state.running.len() < running;
        let gone: Vec<Arc<str>> = state.wake_of.keys().filter(|key| whose(key)).cloned().collect();
        gone.iter().for_each(|key| state.wake(key, None));
    }

    /// Auctions see it no more from the next index on.
    pub fn withdraw(&self, key: &str) {
        let mut state = self.state();
        state.tells(key);
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
        state.tells(key);
        state.wake(key, at_us);
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

    #[test]
    fn campaigns_that_leave_are_gone_and_what_the_store_said_before_is_not_believed() {
        let text = r#"{"id": "c", "account": "a", "name": "C", "advertiser_domain": "acme.example",
            "currency": "USD", "budget": {"amount": 10}, "strategy": {"max_cpm": {"cpm": 2}},
            "creatives": [{"id": "a", "format": {"banner": {"w": 300, "h": 250}}, "markup": "x"}]}"#;
        let definition = crate::models::flow::campaign::definition::Definition::read(text);
        let (campaign, _) = Campaign::create(definition.expect("a definition"), 0).expect("made");
        let campaign = Arc::new(campaign);
        let roster = Roster::new("kiki");
        for key in ["a", "b"] {
            roster.publish(key, Arc::clone(&campaign));
            roster.wake(key, Some(10));
        }
        roster.reads();
        roster.leave(|key| key == "a");
        assert_eq!(roster.counts(), (1, 1));
        roster.withdraw("b");
        let of = |key: &str| (key.to_owned(), Arc::clone(&campaign));
        let wakes = vec![("b".to_owned(), Some(1)), ("c".to_owned(), Some(5))];
        roster.read(Stored { wakes, running: vec![of("b"), of("c")] });
        assert!(roster.campaign("b").is_none() && roster.campaign("c").is_some());
        assert_eq!(roster.due(100, 10), [Arc::from("c"), Arc::from("b")]);
    }
}
