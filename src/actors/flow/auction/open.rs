//! Bids that wait for what becomes of them, in memory: what a notice is held against. What was booked is in
//! the ledger; of a bid that is not here, the notice's own digest says enough.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
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
    /// Those of which nothing more is waited for, as they came to it: they make room first.
    over: VecDeque<u128>,
}

/// Only what is waited for counts against its bound. What is over is known for a while, as far as there is room.
pub struct Open {
    shards: Vec<Mutex<Shard>>,
    /// Bids that are waited for.
    waiting: AtomicUsize,
    most: usize,
}

/// How long after its end a bid is still known, so that what is told twice is known to be.
const KEPT_US: i64 = 60_000_000;

/// Whether something may still become of it by itself: it holds money, or will be booked.
fn waits(stage: Stage) -> bool {
    matches!(stage, Stage::Open | Stage::Won(_))
}

impl Shard {
    /// Bids that are known, together with those that are waited for, stay within this: the longest over go.
    fn make_room(&mut self, most: usize) {
        while self.bids.len() >= most
            && let Some(hold) = self.over.pop_front()
        {
            if self.bids.get(&hold).is_some_and(|pending| !waits(pending.stage)) {
                self.bids.remove(&hold);
            }
        }
        // What made room has left its time behind: swept before it outnumbers the rest.
        if self.due.len() > 4 * most + 64 {
            let bids = &self.bids;
            self.due.retain(|Reverse((_, hold))| bids.contains_key(hold));
        }
    }

    /// Changes where a bid stands; what it was before, and by how many more or fewer are waited for.
    fn turn(&mut self, hold: u128, stage: Stage) -> Option<(Pending, isize)> {
        let pending = self.bids.get_mut(&hold)?;
        let before = pending.clone();
        pending.stage = stage;
        let more = isize::from(waits(stage)) - isize::from(waits(before.stage));
        if more < 0 {
            self.over.push_back(hold);
        }
        Some((before, more))
    }
}

impl Open {
    pub fn new(most: usize) -> Open {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Open { shards, waiting: AtomicUsize::new(0), most }
    }

    fn shard(&self, hold: u128) -> Option<MutexGuard<'_, Shard>> {
        let shard = self.shards.get((hold >> 64) as usize % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bids that are waited for.
    pub fn len(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    fn count(&self, more: isize) {
        if more >= 0 {
            self.waiting.fetch_add(more.unsigned_abs(), Relaxed);
        } else {
            self.waiting.fetch_sub(more.unsigned_abs(), Relaxed);
        }
    }

    pub fn put(&self, hold: u128, pending: Pending) {
        let Some(mut shard) = self.shard(hold) else { return };
        shard.make_room(self.most.div_ceil(SHARDS));
        shard.due.push(Reverse((pending.expires_us, hold)));
        let now = isize::from(waits(pending.stage));
        let before = shard.bids.insert(hold, pending).is_some_and(|before| waits(before.stage));
        self.count(now - isize::from(before));
    }

    pub fn get(&self, hold: u128) -> Option<Pending> {
        self.shard(hold)?.bids.get(&hold).cloned()
    }

    /// Changes where a bid stands; gives it as it was before.
    pub fn turn(&self, hold: u128, stage: Stage) -> Option<Pending> {
        let (before, more) = self.shard(hold)?.turn(hold, stage)?;
        self.count(more);
        Some(before)
    }

    /// Changes where a bid stands if it still stands at `from`, in one go: whatever has become of it meanwhile
    /// is not undone. Where it stood.
    pub fn turn_from(&self, hold: u128, from: Stage, to: Stage) -> Option<Stage> {
        let mut shard = self.shard(hold)?;
        let stood = shard.bids.get(&hold)?.stage;
        let more = match stood == from {
            true => shard.turn(hold, to)?.1,
            false => 0,
        };
        drop(shard);
        self.count(more);
        Some(stood)
    }

    /// Bids of campaigns that are another node's now: it hears what becomes of them.
    pub fn forget(&self, whose: impl Fn(&Seat) -> bool) {
        let mut fewer = 0;
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.bids.retain(|_, pending| {
                let goes = whose(&pending.seat);
                fewer += isize::from(goes && waits(pending.stage));
                !goes
            });
        }
        self.count(-fewer);
    }

    /// Bids whose hold has ended without a word, at most `most`; they are known as expired for a while.
    /// Those that have been over for that while go.
    pub fn expire(&self, now_us: i64, most: usize) -> Vec<(u128, Pending)> {
        let (mut ended, mut more) = (Vec::new(), 0);
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            while ended.len() < most
                && let Some(&Reverse((at, hold))) = shard.due.peek()
                && at <= now_us
            {
                shard.due.pop();
                // It may have made room.
                let Some(pending) = shard.bids.get(&hold) else { continue };
                let (stage, until_us) = (pending.stage, pending.expires_us.saturating_add(KEPT_US));
                if now_us >= until_us {
                    shard.bids.remove(&hold);
                    more -= isize::from(waits(stage));
                    continue;
                }
                if stage == Stage::Open
                    && let Some((before, fewer)) = shard.turn(hold, Stage::Expired)
                {
                    more += fewer;
                    ended.push((hold, before));
                }
                shard.due.push(Reverse((until_us, hold)));
            }
            // Those that went by their time have left their names behind.
            let Shard { bids, over, .. } = &mut *shard;
            while over.front().is_some_and(|hold| !bids.contains_key(hold)) {
                over.pop_front();
            }
        }
        self.count(more);
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

    #[test]
    fn what_became_of_a_bid_since_it_was_looked_at_is_not_undone() {
        let open = Open::new(10);
        (1..=3).for_each(|hold| open.put(hold, pending(10)));
        let won = Stage::Won(Micros(1));
        open.turn(2, won);
        let released = |hold: u128| open.turn_from(hold, Stage::Open, Stage::Released);
        assert_eq!((released(1), released(2)), (Some(Stage::Open), Some(won)));
        assert_eq!((released(1), released(4)), (Some(Stage::Released), None), "once");
        let stands = |hold: u128| open.get(hold).map(|it| it.stage);
        assert_eq!((stands(1), stands(2)), (Some(Stage::Released), Some(won)));
        assert_eq!((stands(3), open.len()), (Some(Stage::Open), 2));
        assert_eq!(holds(open.expire(10, 10)), [3]);
        assert_eq!(open.len(), 1, "what is won is waited for");
    }

    #[test]
    fn bids_that_another_node_hears_of_are_forgotten_whatever_has_become_of_them() {
        let open = Open::new(10);
        (1..=3).for_each(|hold| open.put(hold, pending(10)));
        open.turn(3, Stage::Released);
        open.forget(|seat| &*seat.name.budget == "another");
        assert_eq!(open.len(), 2);
        open.forget(|seat| &*seat.name.budget == "c");
        assert!(open.is_empty() && open.get(3).is_none());
        assert!(holds(open.expire(10, 10)).is_empty());
        open.expire(KEPT_US + 40, 10);
        assert_eq!(open.len(), 0);
    }

    #[test]
    fn only_bids_that_are_waited_for_are_too_many_and_those_longest_over_are_forgotten_first() {
        const MOST: usize = 4 * SHARDS;
        let open = Open::new(MOST);
        // One after the other in all shards.
        let hold = |n: usize| (n as u128) << 64;
        let ends = [Stage::Settled(Micros(1)), Stage::Released];
        for n in 0..20 * MOST {
            assert!(!open.is_full());
            open.put(hold(n), pending(1_000));
            open.turn(hold(n), ends[n % 2]);
        }
        assert!(open.is_empty());
        let known =
            |from: usize| (from..20 * MOST).filter(|n| open.get(hold(*n)).is_some()).count();
        assert_eq!((known(0), known(19 * MOST)), (MOST, MOST));
        (0..MOST).for_each(|n| open.put(hold(n), pending(1_000)));
        assert!(open.is_full() && open.len() == MOST);
        open.turn(hold(0), Stage::Won(Micros(1)));
        assert!(open.is_full(), "it is to be booked");
        open.turn(hold(0), Stage::Settled(Micros(1)));
        assert!(!open.is_full());
        assert_eq!(open.expire(1_000, usize::MAX).len(), MOST - 1);
        assert!(open.is_empty());
        open.expire(1_000 + KEPT_US, usize::MAX);
        let left = |shard: &Mutex<Shard>| {
            let shard = shard.lock().expect("not poisoned");
            (shard.bids.len(), shard.due.len(), shard.over.len())
        };
        assert!(open.shards.iter().all(|shard| left(shard) == (0, 0, 0)));
    }
}
