//! The index with the seats of its campaigns' bidders: one pointer, so that the two never contradict each
//! other.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::Guard;

use super::account::Account;
use crate::actors::flow::bidder::Seat;
use crate::actors::flow::roster::Live;
use crate::models::flow::auction::{Bid, Snapshot, Snapshots};
use crate::models::flow::reason::Reason;
use crate::models::flow::targeting::Index;

pub struct Market {
    live: Arc<Live>,
    /// By place in [`Index::accounts`].
    pub accounts: Vec<Arc<Account>>,
    /// By place in the index.
    pub seats: Vec<Arc<Seat>>,
    /// Places by the campaigns' keys.
    places: HashMap<u64, u32>,
    /// Seats whose bidders are to be woken.
    waking: Mutex<Vec<u32>>,
    wakes: AtomicBool,
}

impl Market {
    pub fn empty(live: Arc<Live>) -> Market {
        Market {
            live,
            accounts: Vec::new(),
            seats: Vec::new(),
            places: HashMap::new(),
            waking: Mutex::default(),
            wakes: AtomicBool::new(false),
        }
    }

    /// Of a new index; campaigns and accounts that were in the one before keep their seats and rates. Gives those whose campaign
    /// changed beside it.
    pub fn next(&self, live: Arc<Live>, account: &str) -> (Market, Vec<Arc<Seat>>) {
        let index = &live.index;
        let (mut seats, mut changed) = (Vec::with_capacity(index.len()), Vec::new());
        let mut places = HashMap::with_capacity(index.len());
        for at in 0..u32::try_from(index.len()).unwrap_or(u32::MAX) {
            let Some(entry) = index.entry(at) else { continue };
            let seat = match self.by_key(entry.key) {
                Some(seat) => {
                    if seat.renew(&entry.campaign) {
                        changed.push(Arc::clone(seat));
                    }
                    Arc::clone(seat)
                }
                None => Arc::new(Seat::new(entry.key, &entry.campaign, account)),
            };
            places.insert(entry.key, at);
            seats.push(seat);
        }
        let known: HashMap<&str, &Arc<Account>> =
            self.accounts.iter().map(|account| (&*account.name, account)).collect();
        let account = |name: &Arc<str>| match known.get(&**name) {
            Some(account) => Arc::clone(account),
            None => Arc::new(Account::new(name)),
        };
        let accounts = index.accounts.iter().map(account).collect();
        (Market { accounts, seats, places, ..Market::empty(live) }, changed)
    }

    pub fn index(&self) -> &Index {
        &self.live.index
    }

    /// Counts the indexes.
    pub fn generation(&self) -> u64 {
        self.live.generation
    }

    pub fn seat(&self, at: u32) -> Option<&Arc<Seat>> {
        self.seats.get(at as usize)
    }

    /// Seats whose bidders are to be woken, each once.
    pub fn waking(&self) -> Vec<Arc<Seat>> {
        if !self.wakes.load(Relaxed) {
            return Vec::new();
        }
        self.wakes.store(false, Relaxed);
        let places =
            std::mem::take(&mut *self.waking.lock().unwrap_or_else(PoisonError::into_inner));
        places.into_iter().filter_map(|at| self.seat(at).cloned()).collect()
    }

    /// Seats that are taken to be awake, and whose bidders are not there: one that fails too often goes without
    /// a word, and what it said last would be bid by for good. They sleep from now on; what they were before.
    pub fn forsaken(&self, lives: impl Fn(&Seat) -> bool) -> Vec<(Arc<Seat>, Option<Reason>)> {
        let gone = self.seats.iter().filter(|seat| seat.is_awake() && !lives(seat));
        let sleeps = |seat: &Arc<Seat>| {
            let before = seat.snapshot().closed;
            seat.sleeps();
            (Arc::clone(seat), before)
        };
        gone.map(sleeps).collect()
    }

    pub fn by_key(&self, key: u64) -> Option<&Arc<Seat>> {
        self.seat(*self.places.get(&key)?)
    }
}

/// A snapshot as it was when it was looked at.
pub struct Held(Guard<Arc<Snapshot>>);

impl Deref for Held {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

impl Snapshots for Market {
    type Ref<'a> = Held;

    fn get(&self, at: u32) -> Option<Held> {
        self.seat(at).map(|seat| Held(seat.snapshot()))
    }

    fn met(&self, at: u32, outcome: &Result<Bid, Reason>) {
        if self.seat(at).is_some_and(|seat| seat.met(outcome)) {
            self.waking.lock().unwrap_or_else(PoisonError::into_inner).push(at);
            self.wakes.store(true, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::flow::auction::Rates;
    use crate::models::flow::campaign::definition::Definition;
    use crate::models::flow::campaign::state::Campaign;
    use crate::models::shield::money::{Currency, Rate};

    fn live(names: &[(&str, &str)], generation: u64) -> Arc<Live> {
        let campaign = |(account, id): &(&str, &str)| {
            let text = format!(
                r#"{{"id": "{id}", "account": "{account}", "name": "C", "advertiser_domain": "acme.example",
                "currency": "USD", "budget": {{"amount": 10}}, "strategy": {{"max_cpm": {{"cpm": 2}}}},
                "creatives": [{{"id": "a", "format": {{"banner": {{"w": 300, "h": 250}}}}, "markup": "x"}}]}}"#
            );
            let definition = Definition::read(&text).expect("a definition");
            Arc::new(Campaign::create(definition, 0).expect("a campaign").0)
        };
        let index = Index::new(names.iter().map(campaign), "house");
        Arc::new(Live { index, generation })
    }

    #[test]
    fn what_a_bidder_said_last_ends_with_it_and_the_next_auction_wakes_it() {
        let (market, _) = Market::empty(live(&[], 0)).next(live(&[("a", "1"), ("a", "2")], 1), "a");
        let open = Snapshot { closed: None, ..Snapshot::clone(&market.seats[0].snapshot()) };
        for seat in &market.seats {
            seat.began();
            seat.publish(open.clone());
        }
        assert!(market.forsaken(|_| true).is_empty());
        let gone = market.forsaken(|seat| &*seat.name.budget == "2");
        let gone: Vec<_> =
            gone.iter().map(|(seat, before)| (&*seat.name.budget, *before)).collect();
        assert_eq!(gone, [("1", None)]);
        let of = |id: &str| {
            let mut seats = market.seats.iter();
            seats.find(|seat| &*seat.name.budget == id).expect("a seat")
        };
        let lost = of("1");
        assert_eq!(lost.snapshot().closed, Some(Reason::WarmingUp));
        assert_eq!(of("2").snapshot().closed, None);
        assert!(lost.met(&Err(Reason::WarmingUp)), "its bidder is to be woken");
        assert!(market.forsaken(|_| false).len() == 2, "it was woken and is not there");
    }

    #[test]
    fn accounts_keep_their_rates_from_index_to_index_wherever_they_stand() {
        let market = Market::empty(live(&[], 0));
        let (market, _) = market.next(live(&[("a", "1"), ("b", "2")], 1), "default");
        let eur: Currency = "EUR".parse().expect("a code");
        let rates = |rate| Rates::new(20261121, Currency::USD, [(eur, Rate(rate))]).expect("rates");
        for (account, rate) in market.accounts.iter().zip([1, 2]) {
            account.set_rates(rates(rate));
        }
        let (market, changed) =
            market.next(live(&[("c", "0"), ("b", "2"), ("a", "1"), ("a", "9")], 2), "default");
        assert_eq!(changed.len(), 2, "other states of campaigns that have seats");
        let of = |at: u32| {
            let entry = market.index().entry(at).expect("an entry");
            let account = &market.accounts[entry.account as usize];
            (&*account.name, account.rates().rate(eur).map(|rate| rate.0), account.has_rates())
        };
        assert_eq!(of(0), ("c", None, false));
        assert_eq!(of(1), ("b", Some(2), true));
        assert_eq!((of(2), of(3)), (("a", Some(1), true), ("a", Some(1), true)));
    }
}
