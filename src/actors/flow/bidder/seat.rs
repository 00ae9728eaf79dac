//! Where auctions and a bidder meet: its snapshot one way, counts and events the other. Nobody waits for the
//! other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::actors::shield::BudgetName;
use crate::models::cluster::shard::Shard;
use crate::models::flow::auction::{Bid, Learned, Snapshot};
use crate::models::flow::campaign::state::Campaign;
use crate::models::flow::pacing::{Event, Multipliers};
use crate::models::flow::pricing::WinCurve;
use crate::models::flow::reason::Reason;
use crate::models::shield::money::Micros;

const REASONS: usize = Reason::ALL.len();
/// Events that wait for the bidder: beyond it the oldest bid is not paced by, which its budget makes good.
const EVENTS_MAX: usize = 8_192;
/// Values are added up in thousandths of a micro.
const VALUE_PARTS: f64 = 1_000.0;
/// The most that one value adds: a sum of a thousand auctions between two looks does not overflow.
const VALUE_MAX: f64 = 1e15;

/// What became of a bid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Told {
    Pace(Event),
    /// For the win curve. Micros an impression.
    Outcome {
        bid: f64,
        value: f64,
        won: bool,
        price: Option<f64>,
    },
    /// SyncShield refused to authorise, for want of money or by order.
    Refused,
    /// What remains of the budget, as SyncShield said with a hold.
    Remaining(Micros),
}

/// What auctions have met since the bidder last looked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Auctions that it could have bid in.
    pub auctions: u64,
    pub valued: u64,
    /// Sum of the values, micros.
    pub value: f64,
    pub left_out: u64,
    /// Those in which its bid was below the floor.
    pub below: u64,
    /// SyncShield refused to authorise.
    pub refused: bool,
    /// What remains of the budget, as it said last.
    pub remaining: Option<Micros>,
}

/// What auctions add to, apart from what they read: else each would take the other's cache line away. It only
/// ever grows, so that one addition serves all who count by it.
#[repr(align(128))]
struct Tally {
    /// Auctions in which it had a price, and those of them in which it was worth nothing.
    priced: AtomicU64,
    worthless: AtomicU64,
    /// Of this the bidder takes what it has seen.
    value: AtomicU64,
    bids: AtomicU64,
    refused: [AtomicU32; REASONS],
    /// Prices that won, or stood before who won; those that have not were outbid.
    placed: AtomicU64,
    /// What kept a price that won from being bid.
    kept: [AtomicU32; REASONS],
}

/// A tally as one of its readers saw it last.
#[derive(Clone, Copy, PartialEq)]
struct Mark {
    priced: u64,
    worthless: u64,
    refused: [u32; REASONS],
}

/// What was counted for good.
#[derive(Clone, Copy)]
struct Counted {
    bids: u64,
    outbid: u64,
    refused: [u32; REASONS],
    kept: [u32; REASONS],
}

impl Counted {
    const NONE: Counted = Counted { bids: 0, outbid: 0, refused: [0; REASONS], kept: [0; REASONS] };
}

impl Mark {
    const NONE: Mark = Mark { priced: 0, worthless: 0, refused: [0; REASONS] };

    /// Refusals since `before`.
    fn since(&self, before: &Mark, reason: Reason) -> u32 {
        let of = |mark: &Mark| mark.refused.get(reason as usize).copied().unwrap_or(0);
        of(self).wrapping_sub(of(before))
    }
}

/// What SyncShield said since the bidder last looked.
#[repr(align(128))]
struct Heard {
    refused: AtomicBool,
    /// What remains, as it said last; [`UNSAID`]: nothing.
    remaining: AtomicI64,
    events: Mutex<VecDeque<Told>>,
}

const UNSAID: i64 = i64::MIN;

pub struct Seat {
    pub key: u64,
    pub name: BudgetName,
    /// Only the node that owns this may hold its money.
    pub shard: Shard,
    /// The key of its bidder's actor.
    pub actor: String,
    campaign: ArcSwap<Campaign>,
    snapshot: ArcSwap<Snapshot>,
    /// Whether its bidder is awake, or was told to wake.
    awake: AtomicBool,
    /// The time of the row that has all which its bidder knew as it fell asleep; [`UNSAID`]: none has.
    slept_us: AtomicI64,
    tally: Tally,
    heard: Heard,
    /// What its bidder has seen of the tally, and what was counted for good.
    looked: Mutex<Mark>,
    counted: Mutex<Counted>,
}

/// Nothing is bid before the bidder has said how.
fn asleep() -> Snapshot {
    Snapshot {
        closed: Some(Reason::WarmingUp),
        multipliers: Multipliers { pass: 0.0, ..Multipliers::VALUE },
        curve: WinCurve::unknown(),
        learned: Learned::default(),
        left: None,
    }
}

impl Seat {
    pub fn new(key: u64, campaign: &Arc<Campaign>, default_account: &str) -> Seat {
        let it = &campaign.definition;
        let name = BudgetName::campaign(&it.account, &it.id);
        Seat {
            key,
            actor: name.key(default_account).into_owned(),
            shard: name.place(),
            name,
            campaign: ArcSwap::new(Arc::clone(campaign)),
            snapshot: ArcSwap::from_pointee(asleep()),
            awake: AtomicBool::new(false),
            slept_us: AtomicI64::new(UNSAID),
            tally: Tally::new(),
            heard: Heard {
                refused: AtomicBool::new(false),
                remaining: AtomicI64::new(UNSAID),
                events: Mutex::default(),
            },
            looked: Mutex::new(Mark::NONE),
            counted: Mutex::new(Counted::NONE),
        }
    }

    pub fn campaign(&self) -> Arc<Campaign> {
        self.campaign.load_full()
    }

    /// Takes another state of the campaign; whether it is another one.
    pub fn renew(&self, campaign: &Arc<Campaign>) -> bool {
        if Arc::ptr_eq(&self.campaign.load(), campaign) {
            return false;
        }
        self.campaign.store(Arc::clone(campaign));
        true
    }

    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    pub fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    /// An auction met it. `true`: its bidder is to be woken, which is said once for each time that it sleeps.
    pub fn met(&self, outcome: &Result<Bid, Reason>) -> bool {
        match outcome {
            Ok(bid) => {
                self.tally.priced.fetch_add(1, Relaxed);
                if bid.value > 0.0 {
                    // The conversion saturates, and NaN is 0.
                    let parts = (bid.value.min(VALUE_MAX) * VALUE_PARTS) as u64;
                    self.tally.value.fetch_add(parts, Relaxed);
                } else {
                    self.tally.worthless.fetch_add(1, Relaxed);
                }
            }
            Err(reason) => {
                if let Some(n) = self.tally.refused.get(*reason as usize) {
                    n.fetch_add(1, Relaxed);
                }
            }
        }
        !self.awake.load(Relaxed) && !self.awake.swap(true, Relaxed)
    }

    /// Its bidder could not be told, or is gone. The next auction wakes it.
    pub fn sleeps(&self) {
        self.snapshot.store(Arc::new(asleep()));
        self.awake.store(false, Relaxed);
    }

    /// Its bidder goes to sleep for want of auctions. The next one wakes it, and has a bid by what it said last:
    /// else who meets less than one between two sleeps would never bid. SyncShield knows what is left.
    pub fn rests(&self) {
        self.awake.store(false, Relaxed);
    }

    /// Its bidder has fallen asleep, and the row of this time has all that it knew. Whatever meets it wakes it:
    /// so from then on until it wakes there is no auction.
    pub fn slept(&self, stored_us: i64) {
        self.slept_us.store(stored_us, Relaxed);
    }

    /// The time of that row, said once: to the life that wakes. None in a process that did not see it sleep.
    pub fn wakes(&self) -> Option<i64> {
        let stored_us = self.slept_us.swap(UNSAID, Relaxed);
        (stored_us != UNSAID).then_some(stored_us)
    }

    /// Whether its bidder has seen all that met it, and was told all.
    pub fn is_seen(&self) -> bool {
        let events = self.heard.events.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        events && looked == self.tally.mark()
    }

    /// Whether its bidder is taken to be awake.
    pub fn is_awake(&self) -> bool {
        self.awake.load(Relaxed)
    }

    pub fn began(&self) {
        self.awake.store(true, Relaxed);
    }

    pub fn bid(&self) {
        self.tally.bids.fetch_add(1, Relaxed);
    }

    /// Its price won, or stood before who won: it was not outbid.
    pub fn placed(&self) {
        self.tally.placed.fetch_add(1, Relaxed);
    }

    /// Why a price that was placed is not bid.
    pub fn kept(&self, reason: Reason) {
        if let Some(n) = self.tally.kept.get(reason as usize) {
            n.fetch_add(1, Relaxed);
        }
    }

    pub fn tell(&self, told: Told) {
        match told {
            Told::Remaining(remaining) => {
                self.heard.remaining.store(remaining.0.max(0), Relaxed);
            }
            Told::Refused => {
                if !self.heard.refused.swap(true, Relaxed) {
                    self.pause();
                }
            }
            told => {
                let mut events = self.heard.events.lock().unwrap_or_else(PoisonError::into_inner);
                if events.len() >= EVENTS_MAX {
                    events.pop_front();
                }
                events.push_back(told);
            }
        }
    }

    /// Auctions need not ask in vain until its bidder looks, which then says for how long.
    fn pause(&self) {
        let now = self.snapshot.load();
        if now.closed.is_none() {
            let paused = Snapshot { closed: Some(Reason::Budget), ..Snapshot::clone(&now) };
            // What the bidder says meanwhile stands: it hears of this the next time that it looks.
            drop(self.snapshot.compare_and_swap(&now, Arc::new(paused)));
        }
    }

    /// What is to be told to the bidder, and leaves.
    pub fn take(&self, into: &mut VecDeque<Told>) -> Seen {
        {
            let mut events = self.heard.events.lock().unwrap_or_else(PoisonError::into_inner);
            match into.is_empty() {
                true => std::mem::swap(into, &mut *events),
                false => into.append(&mut events),
            }
        }
        let value = self.tally.value.swap(0, Relaxed) as f64 / VALUE_PARTS;
        let now = self.tally.mark();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *looked, now);
        let refused = |reason| u64::from(now.since(&before, reason));
        let priced = now.priced.wrapping_sub(before.priced);
        let left_out = [Reason::Throttled, Reason::Budget, Reason::WarmingUp].map(refused);
        let left_out: u64 = left_out.iter().sum();
        let below = refused(Reason::BelowFloor);
        let remaining = self.heard.remaining.swap(UNSAID, Relaxed);
        Seen {
            auctions: priced + left_out + below + refused(Reason::PriceBounds),
            valued: priced.saturating_sub(now.worthless.wrapping_sub(before.worthless)),
            value,
            left_out,
            below,
            refused: self.heard.refused.swap(false, Relaxed),
            remaining: (remaining != UNSAID).then_some(Micros(remaining)),
        }
    }

    /// Bids and refusals by reason since this was last asked: for the exact counters. A price is counted once
    /// what became of it is known: that of an auction which is under way may count as outbid until then, and
    /// is made good by the next ones.
    pub fn counts(&self) -> (u64, Vec<(Reason, u32)>) {
        // First: what is placed later was priced before.
        let placed = self.tally.placed.load(Relaxed);
        let outbid = self.tally.priced.load(Relaxed).saturating_sub(placed);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *counted;
        *counted = Counted {
            bids: self.tally.bids.load(Relaxed),
            outbid: outbid.max(before.outbid),
            refused: all(&self.tally.refused),
            kept: all(&self.tally.kept),
        };
        let now = *counted;
        let since = |now: &[u32; REASONS], before: &[u32; REASONS], at: usize| {
            let of = |of: &[u32; REASONS]| of.get(at).copied().unwrap_or(0);
            of(now).wrapping_sub(of(before))
        };
        let of = |reason: &Reason| {
            let at = *reason as usize;
            let mut n = since(&now.refused, &before.refused, at);
            n = n.saturating_add(since(&now.kept, &before.kept, at));
            if *reason == Reason::Outbid {
                let outbid = u32::try_from(now.outbid - before.outbid).unwrap_or(u32::MAX);
                n = n.saturating_add(outbid);
            }
            (n > 0).then_some((*reason, n))
        };
        let bids = now.bids.wrapping_sub(before.bids);
        (bids, Reason::ALL.iter().filter_map(of).collect())
    }
}

fn all(of: &[AtomicU32; REASONS]) -> [u32; REASONS] {
    std::array::from_fn(|at| of.get(at).map_or(0, |n| n.load(Relaxed)))
}

impl Tally {
    fn new() -> Tally {
        Tally {
            priced: AtomicU64::new(0),
            worthless: AtomicU64::new(0),
            value: AtomicU64::new(0),
            bids: AtomicU64::new(0),
            refused: std::array::from_fn(|_| AtomicU32::new(0)),
            placed: AtomicU64::new(0),
            kept: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    fn mark(&self) -> Mark {
        Mark {
            priced: self.priced.load(Relaxed),
            worthless: self.worthless.load(Relaxed),
            refused: all(&self.refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::flow::campaign::definition::Definition;

    fn seat() -> Seat {
        let text = r#"{"id": "c", "account": "a", "name": "C", "advertiser_domain": "acme.example",
            "currency": "USD", "budget": {"amount": 10}, "strategy": {"max_cpm": {"cpm": 2}},
            "creatives": [{"id": "a", "format": {"banner": {"w": 300, "h": 250}}, "markup": "x"}]}"#;
        let definition = Definition::read(text).expect("a definition");
        let (campaign, _) = Campaign::create(definition, 0).expect("a campaign");
        Seat::new(1, &Arc::new(campaign), "default")
    }

    #[test]
    fn what_auctions_met_is_seen_once_by_the_bidder_and_counted_once_for_good() {
        let seat = seat();
        let reasons = [
            Reason::Throttled,
            Reason::Budget,
            Reason::BelowFloor,
            Reason::PriceBounds,
            Reason::NoRate,
        ];
        seat.began();
        for reason in reasons {
            assert!(!seat.met(&Err(reason)));
        }
        seat.rests();
        assert!(seat.met(&Err(Reason::WarmingUp)), "its bidder is to be woken");
        assert!(!seat.met(&Err(Reason::WarmingUp)), "which is said once");
        seat.bid();
        let mut told = VecDeque::new();
        assert!(!seat.is_seen());
        let seen = seat.take(&mut told);
        assert_eq!((seen.auctions, seen.left_out, seen.below), (6, 4, 1));
        assert!(seat.is_seen());
        assert_eq!(seat.take(&mut told), Seen::default());
        let (bids, refused) = seat.counts();
        assert_eq!((bids, refused.iter().map(|(_, n)| n).sum::<u32>()), (1, 7));
        assert_eq!(seat.counts(), (0, Vec::new()));
    }

    #[test]
    fn every_price_counts_as_bid_or_by_what_kept_it_and_its_bidder_hears_of_it_once() {
        let seat = seat();
        let price = || seat.tally.priced.fetch_add(1, Relaxed);
        (0..5).for_each(|_| _ = price());
        seat.placed();
        seat.bid();
        for reason in [Reason::Budget, Reason::OnePerRequest] {
            seat.placed();
            seat.kept(reason);
        }
        let counted = [(Reason::Outbid, 2), (Reason::OnePerRequest, 1), (Reason::Budget, 1)];
        assert_eq!(seat.counts(), (1, counted.to_vec()));
        let mut told = VecDeque::new();
        let seen = seat.take(&mut told);
        assert_eq!((seen.auctions, seen.left_out), (5, 0));
        // One that was looked at before its auction was over is made good.
        price();
        assert_eq!(seat.counts(), (0, vec![(Reason::Outbid, 1)]));
        seat.placed();
        seat.bid();
        assert_eq!(seat.counts(), (1, Vec::new()));
        (0..2).for_each(|_| _ = price());
        assert_eq!(seat.counts(), (0, vec![(Reason::Outbid, 1)]));
    }

    #[test]
    fn of_too_many_events_the_oldest_go() {
        let (seat, mut told) = (seat(), VecDeque::new());
        for at_us in 0..EVENTS_MAX as i64 + 3 {
            seat.tell(Told::Pace(Event::Tick { at_us }));
        }
        assert!(!seat.is_seen());
        seat.take(&mut told);
        assert!(seat.is_seen());
        assert_eq!(told.len(), EVENTS_MAX);
        assert_eq!(told.front(), Some(&Told::Pace(Event::Tick { at_us: 3 })));
    }

    #[test]
    fn a_refusal_ends_bids_at_once_and_the_last_word_on_what_remains_counts() {
        let (seat, mut told) = (seat(), VecDeque::new());
        seat.publish(Snapshot { closed: None, multipliers: Multipliers::VALUE, ..asleep() });
        seat.tell(Told::Remaining(Micros(9)));
        seat.tell(Told::Remaining(Micros(-1)));
        seat.tell(Told::Refused);
        assert_eq!(seat.snapshot().closed, Some(Reason::Budget));
        assert_eq!(seat.snapshot().multipliers, Multipliers::VALUE);
        let seen = seat.take(&mut told);
        assert_eq!((seen.refused, seen.remaining), (true, Some(Micros(0))));
        let seen = seat.take(&mut told);
        assert_eq!((seen.refused, seen.remaining, told.len()), (false, None, 0));
    }
}
