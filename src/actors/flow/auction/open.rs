//! Bids that wait for what becomes of them, in memory: what a notice is held against. What was booked is in
//! the ledger; of a bid that is not here, the notice's own digest says enough.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::actors::flow::bidder::Seat;
use crate::actors::flow::prehashed::Prehashed;
use crate::models::flow::frequency::PersonKey;
use crate::models::flow::notice::action::Stage;
use crate::models::shield::money::Micros;

const SHARDS: usize = 16;

/// A bid under way. Times are wall-clock micros.
#[derive(Clone)]
pub struct Pending {
    pub seat: Arc<Seat>,
    pub person: Option<PersonKey>,
    pub stage: Stage,
    /// What was authorised, in the campaign's currency.
    pub reserve: Micros,
    /// Micros of the campaign's currency an impression.
    pub value: f64,
    pub bid: f64,
    pub at_us: i64,
    /// The end of the hold, as the notices' addresses say it.
    pub expires_us: i64,
}

#[derive(Default)]
struct Shard {
    bids: HashMap<u128, Pending, Prehashed>,
    /// By when they are looked at next.
    due: BinaryHeap<Reverse<(i64, u128)>>,
}

pub struct Open {
    shards: Vec<Mutex<Shard>>,
    len: AtomicUsize,
    most: usize,
}

/// How long after its end a bid is still known, so that what is told twice is known to be.
const KEPT_US: i64 = 60_000_000;

impl Open {
    pub fn new(most: usize) -> Open {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Open { shards, len: AtomicUsize::new(0), most }
    }

    fn shard(&self, hold: u128) -> Option<MutexGuard<'_, Shard>> {
        let shard = self.shards.get((hold >> 64) as usize % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    pub fn put(&self, hold: u128, pending: Pending) {
        let Some(mut shard) = self.shard(hold) else { return };
        shard.due.push(Reverse((pending.expires_us, hold)));
        if shard.bids.insert(hold, pending).is_none() {
            self.len.fetch_add(1, Relaxed);
        }
    }

    pub fn get(&self, hold: u128) -> Option<Pending> {
        self.shard(hold)?.bids.get(&hold).cloned()
    }

    /// Changes where a bid stands; gives it as it was before.
    pub fn turn(&self, hold: u128, stage: Stage) -> Option<Pending> {
        let mut shard = self.shard(hold)?;
        let pending = shard.bids.get_mut(&hold)?;
        let before = pending.clone();
        pending.stage = stage;
        Some(before)
    }

    /// Bids whose hold has ended without a word, at most `most`; they are known as expired for a while.
    /// Those that have been over for that while go.
    pub fn expire(&self, now_us: i64, most: usize) -> Vec<(u128, Pending)> {
        let mut ended = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            while ended.len() < most
                && let Some(&Reverse((at, hold))) = shard.due.peek()
                && at <= now_us
            {
                shard.due.pop();
                let Some(pending) = shard.bids.get_mut(&hold) else { continue };
                if now_us >= pending.expires_us.saturating_add(KEPT_US) {
                    shard.bids.remove(&hold);
                    self.len.fetch_sub(1, Relaxed);
                    continue;
                }
                let again = pending.expires_us.saturating_add(KEPT_US);
                if pending.stage == Stage::Open {
                    let before = pending.clone();
                    pending.stage = Stage::Expired;
                    ended.push((hold, before));
                }
                shard.due.push(Reverse((again, hold)));
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::flow::campaign::definition::Definition;
    use crate::models::flow::campaign::state::Campaign;

    fn pending(expires_us: i64) -> Pending {
        let text = r#"{"id": "c", "account": "a", "name": "C", "advertiser_domain": "acme.example",
            "currency": "USD", "budget": {"amount": 10}, "strategy": {"max_cpm": {"cpm": 2}},
            "creatives": [{"id": "a", "format": {"banner": {"w": 300, "h": 250}}, "markup": "x"}]}"#;
        let definition = Definition::read(text).expect("a definition");
        let (campaign, _) = Campaign::create(definition, 0).expect("a campaign");
        Pending {
            seat: Arc::new(Seat::new(1, &Arc::new(campaign), "default")),
            person: None,
            stage: Stage::Open,
            reserve: Micros(1),
            value: 1.0,
            bid: 1.0,
            at_us: 0,
            expires_us,
        }
    }

    fn holds(ended: Vec<(u128, Pending)>) -> Vec<u128> {
        let mut holds: Vec<u128> = ended.into_iter().map(|(hold, _)| hold).collect();
        holds.sort_unstable();
        holds
    }

    #[test]
    fn bids_end_once_in_the_order_of_their_time_and_are_known_for_a_while() {
        let open = Open::new(10);
        // All of one shard, the last first; one is put twice, as a batch may.
        for (hold, expires_us) in [(3, 30), (1, 10), (2, 20), (1, 10)] {
            open.put(hold, pending(expires_us));
        }
        assert_eq!(open.len(), 3);
        assert!(holds(open.expire(9, 10)).is_empty());
        assert_eq!(holds(open.expire(25, 1)), [1]);
        assert_eq!(holds(open.expire(25, 10)), [2]);
        assert!(holds(open.expire(25, 10)).is_empty(), "each is told once");
        assert!(open.turn(3, Stage::Expired).is_some());
        assert!(holds(open.expire(35, 10)).is_empty(), "something was told of it before");
        assert_eq!(open.get(1).map(|it| it.stage), Some(Stage::Expired));
        open.expire(KEPT_US + 40, 10);
        assert!(open.is_empty() && open.get(1).is_none());
    }
}
