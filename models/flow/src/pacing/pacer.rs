//! The pacer of one campaign.

use serde::{Deserialize, Serialize};

use kiki_models::shield::money::Micros;

use super::Multipliers;
use super::costs::Costs;
use super::dual::Dual;
use super::event::Event;
use super::floor::Floor;
use super::ledger::{Ledger, Open, beyond};
use super::terms::{BadTerms, Period, Strategy, Terms};
use super::throttle::Throttle;
use crate::traffic::Forecast;

/// Auctions after which an old one weighs 1/e, as a share of those that the period has.
const MEMORY_SHARE: f64 = 1.0;
const MEMORY_MIN: f64 = 10_000.0;
/// The share of what is left that may be reserved. Beyond it nothing is bid: else bids that are small enough
/// for the rest would get it, which win least often, and those that are worth most would be refused.
const HELD_MAX: f64 = 0.95;
/// A clock that shows so much less than before was set back.
const BACK_US: i64 = 60_000_000;
/// Parts of a slot after which the forecast is asked anew.
const ASK_PARTS: i64 = 16;

/// Paces one campaign: takes [`Event`]s in, publishes [`Multipliers`].
///
/// ρ, what an auction may cost, is solved anew whenever something has happened: what is left of the budget,
/// less what bids in flight are expected to cost, over the auctions that the forecast still expects until the
/// period ends. So a notice that comes thousands of auctions later, or never, makes neither for spending twice
/// nor for waiting.
///
/// Bounded: [`Terms::open_max`] bids, 4,096 wins, eight numbers a slot. It can be stored at any time and goes on
/// as if it had not been.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "State", into = "State")]
pub struct Pacer(State);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    terms: Terms,
    period: Period,
    /// The latest time that was seen.
    now_us: i64,
    spent: Micros,
    ledger: Ledger,
    dual: Dual,
    floor: Option<Floor>,
    throttle: Throttle,
    traffic: Forecast,
    /// Auctions until the period's end, as of `asked_us` less what was seen since.
    remaining: f64,
    /// What a mean one of them counts for by its time of day.
    #[serde(default = "one")]
    each: f64,
    #[serde(default)]
    costs: Costs,
    asked_us: i64,
    /// Whether there is a forecast.
    forecast: bool,
    /// Auctions of the period so far.
    seen: f64,
    /// Auctions that could be bid on and bids, fading: what share of auctions has a bid.
    biddable: f64,
    bids: f64,
    multipliers: Published,
}

fn one() -> f64 {
    1.0
}

/// [`Multipliers`] as they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    mu: f64,
    lambda: f64,
    pass: f64,
}

/// Nothing is bid.
const SILENT: Published = Published { mu: 1.0, lambda: 0.0, pass: 0.0 };

/// What people and consoles see of a pacer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct View {
    pub budget: Micros,
    /// Wins of the period, at their prices.
    pub spent: Micros,
    /// What bids in flight are expected to cost, in micros.
    pub in_flight_micros: f64,
    pub open_bids: usize,
    /// Auctions seen in the period, and expected until its end.
    pub auctions_seen: f64,
    pub auctions_expected: f64,
    /// What an auction may cost from here on, in micros.
    pub rho_micros: f64,
    /// How many per cent more a per cent more of the bid spends.
    pub elasticity: f64,
    pub mu: f64,
    pub lambda: f64,
    pub pass: f64,
}

/// A state that no events lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPacer {
    #[error(transparent)]
    Terms(#[from] BadTerms),
    #[error("a sum is not finite, below 0 or not that of its parts")]
    State,
}

impl Pacer {
    pub fn new(terms: Terms, period: Period) -> Result<Pacer, BadTerms> {
        terms.check()?;
        let mut state = State {
            period,
            now_us: period.from_us,
            spent: Micros::ZERO,
            ledger: Ledger::default(),
            dual: Dual::new(terms.value_prior),
            floor: terms.roas_min.map(Floor::new),
            throttle: Throttle::default(),
            traffic: Forecast::new(terms.slots, terms.traffic),
            remaining: 0.0,
            each: 1.0,
            costs: Costs::default(),
            asked_us: period.from_us,
            forecast: false,
            seen: 0.0,
            biddable: 0.0,
            bids: 0.0,
            multipliers: SILENT,
            terms,
        };
        state.ask();
        state.publish();
        Ok(Pacer(state))
    }

    /// Takes in what happened. Nothing that comes in can break it: amounts that are none count as 0, notices
    /// of unknown bids only for what they cost.
    pub fn on(&mut self, event: Event) {
        self.on_all([event]);
    }

    /// Takes in what happened since the last time, in its order, and solves once: auctions were priced by what
    /// was published before, all of them.
    pub fn on_all(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.0.take(event);
        }
        self.0.settle();
    }

    /// Goes on at `at_us` after a time in which it was told nothing, such as a restart. What it has learned
    /// stands; bids that were open are not waited for, since nothing will be told of them here; the time
    /// between says nothing of traffic. What was spent meanwhile comes with the next [`Event::Budget`].
    ///
    /// This is also the form to store it in: without bids and wins it is some ten kilobytes.
    pub fn resume(&mut self, at_us: i64) {
        let state = &mut self.0;
        state.now_us = state.now_us.max(at_us);
        state.ledger = Ledger::default();
        state.throttle.resume(state.now_us);
        state.traffic.resume(state.now_us);
        state.ask();
        state.publish();
    }

    /// Goes on at `at_us` after a time of which it is known that no auction was for it: one that had slept, and
    /// that the first auction woke. To it this is traffic of 0, as to one that was awake: else a campaign that
    /// meets auctions in the morning only would wait for those of the afternoon every day. Bids that were open
    /// are not waited for.
    pub fn wake(&mut self, at_us: i64) {
        self.0.ledger = Ledger::default();
        self.on(Event::Tick { at_us });
    }

    /// What to price by, as of the last event.
    pub fn multipliers(&self) -> Multipliers {
        let Published { mu, lambda, pass } = self.0.multipliers;
        Multipliers { mu, lambda, pass }
    }

    /// Whether enough was met to know what to bid.
    pub fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    pub fn terms(&self) -> &Terms {
        &self.0.terms
    }

    pub fn period(&self) -> Period {
        self.0.period
    }

    /// The forecast of traffic that it has learned.
    pub fn traffic(&self) -> &Forecast {
        &self.0.traffic
    }

    pub fn view(&self) -> View {
        let state = &self.0;
        let Published { mu, lambda, pass } = state.multipliers;
        View {
            budget: state.period.budget,
            spent: state.spent,
            in_flight_micros: state.ledger.expected(),
            open_bids: state.ledger.len(),
            auctions_seen: state.seen,
            auctions_expected: state.remaining,
            rho_micros: state.rho(),
            elasticity: state.dual.elasticity(),
            mu,
            lambda,
            pass,
        }
    }
}

impl State {
    fn take(&mut self, event: Event) {
        let before_us = self.now_us.saturating_sub(BACK_US);
        // Tidings come late; what says that time goes by does not.
        if let Event::Seen { at_us, .. } | Event::Tick { at_us } = event
            && at_us < before_us
        {
            // Else all traffic would be that of one moment, until the clock gets there again.
            self.traffic.set_back(at_us);
            self.now_us = at_us;
            self.ask();
        }
        self.now_us = self.now_us.max(event.at_us());
        if self.costs.advance(self.now_us, self.terms.slots, self.dual.elasticity()) {
            self.ask();
        }
        match event {
            Event::Seen { auctions, valued, value, left_out, .. } => {
                self.traffic.seen(self.now_us, auctions);
                let auctions = auctions as f64;
                self.seen += auctions;
                self.remaining = (self.remaining - auctions).max(0.0);
                self.biddable += (auctions - left_out as f64).max(0.0);
                let valued = valued as f64;
                self.dual.values(valued, value / valued.max(1.0));
            }
            Event::Below { auctions, .. } => self.below(auctions as f64),
            Event::Bid { at_us, id, hold, value, worth, bid } => {
                self.bid(at_us, id, hold, value, worth, bid);
            }
            Event::Won { id, price, .. } => self.won(id, price.max(Micros::ZERO)),
            Event::Lost { id, .. } | Event::Expired { id, .. } => self.lost(id),
            Event::Budget { budget, spent, .. } => {
                self.period.budget = budget;
                self.spent = spent.unwrap_or(self.spent).max(Micros::ZERO);
            }
            Event::Period { at_us, period } => {
                // A clock that had leapt ahead is back: else nothing would happen until it gets there again.
                if at_us < self.now_us.saturating_sub(crate::traffic::DAY_US) {
                    (self.now_us, self.asked_us) = (at_us, at_us);
                }
                (self.period, self.spent, self.seen) = (period, Micros::ZERO, 0.0);
                self.ask();
            }
            Event::Tick { .. } => {
                self.traffic.advance(self.now_us);
                self.ask();
            }
        }
        let before_us = self.now_us.saturating_sub(self.terms.open_age_us);
        while let Some(id) = self.ledger.overdue(self.terms.open_max as usize, before_us) {
            self.lost(id);
        }
    }

    /// Solves for what was taken in.
    fn settle(&mut self) {
        let slot_us = crate::traffic::DAY_US / i64::from(self.terms.slots);
        let left_us = self.period.to_us.saturating_sub(self.now_us).max(0);
        if !self.forecast
            || self.now_us.saturating_sub(self.asked_us) >= slot_us.min(left_us) / ASK_PARTS
        {
            self.ask();
        }
        self.publish();
    }

    fn bid(&mut self, at_us: i64, id: u64, hold: Micros, value: f64, worth: f64, bid: f64) {
        let ln_per_value = worth.ln() - value.ln();
        if !ln_per_value.is_finite() || !bid.is_finite() || self.ledger.knows(id) {
            return;
        }
        let ln_per_value = ln_per_value.clamp(-100.0, 100.0);
        let open = Open::new(at_us.min(self.now_us), value, bid, ln_per_value);
        let mut open =
            open.costing(hold, self.dual.expects(ln_per_value) * self.costs.weight(open.at_us));
        if let Some(floor) = &mut self.floor {
            open.beyond = beyond(hold, floor.covers(value));
            floor.bid(open.beyond);
        }
        self.ledger.insert(id, open);
        self.count_bids(1.0);
    }

    /// Without it a campaign whose first bids are below every floor would never find out what it takes.
    fn below(&mut self, auctions: f64) {
        let Published { mu, lambda, .. } = self.multipliers;
        let ln_per_value = ((1.0 + lambda) / (mu + lambda)).ln();
        if auctions > 0.0 && ln_per_value.is_finite() {
            self.count_bids(auctions);
            let ln_per_value = ln_per_value.clamp(-100.0, 100.0);
            self.missed(auctions, self.now_us, ln_per_value);
            self.dual.met(ln_per_value);
        }
    }

    /// Auctions of `at_us` were bid on at `ln_per_value` and resolved; what they cost is told next.
    fn missed(&mut self, auctions: f64, at_us: i64, ln_per_value: f64) {
        self.costs.met(at_us, auctions, ln_per_value);
        let weight = self.costs.weight(at_us);
        self.dual.missed(auctions, (ln_per_value, weight), self.memory());
    }

    fn count_bids(&mut self, bids: f64) {
        self.bids += bids;
        if self.biddable > 2.0 * self.memory() {
            (self.biddable, self.bids) = (self.biddable / 2.0, self.bids / 2.0);
        }
    }

    fn won(&mut self, id: u64, price: Micros) {
        if !self.ledger.win(id) {
            return;
        }
        self.spent += price;
        let spend = price.0 as f64;
        let Some(open) = self.ledger.remove(id) else {
            // Its auction was resolved when it was taken to be lost.
            self.dual.spent(spend, None);
            if let Some(floor) = &mut self.floor {
                floor.won(0.0, spend);
            }
            return;
        };
        let near = Dual::near(spend, open.bid);
        self.missed(1.0, open.at_us, open.ln_per_value);
        self.costs.won(open.at_us, spend);
        let told =
            if near.is_some() { (spend.max(1.0) / open.value).ln() } else { open.ln_per_value };
        self.dual.met(if told.is_finite() {
            told.min(open.ln_per_value)
        } else {
            open.ln_per_value
        });
        self.dual.spent(spend, near);
        if let Some(floor) = &mut self.floor {
            floor.won(open.value, spend);
        }
    }

    fn lost(&mut self, id: u64) {
        if let Some(open) = self.ledger.remove(id) {
            self.missed(1.0, open.at_us, open.ln_per_value);
            self.dual.met(open.ln_per_value);
        }
    }

    /// Auctions that are remembered.
    fn memory(&self) -> f64 {
        (MEMORY_SHARE * (self.seen + self.remaining)).max(MEMORY_MIN)
    }

    /// Whether enough was met to know what to bid.
    fn is_ready(&self) -> bool {
        !matches!(self.terms.strategy, Strategy::Dual) || self.dual.is_ready()
    }

    /// Asks the forecast.
    fn ask(&mut self) {
        let from_us = self.now_us.max(self.period.from_us);
        let forecast = self.traffic.weighed(from_us, self.period.to_us, self.costs.weights());
        self.forecast = forecast.is_some();
        let (remaining, weighed) = forecast.unwrap_or_default();
        self.remaining = remaining;
        self.each = if remaining > 0.0 { weighed / remaining } else { 1.0 };
        self.asked_us = self.now_us;
    }

    /// What is left of the budget once open bids have cost what they are expected to, in micros.
    fn left(&self) -> f64 {
        ((self.period.budget - self.spent).0 as f64 - self.ledger.expected()).max(0.0)
    }

    /// What an auction may cost, in micros.
    fn rho(&self) -> f64 {
        self.left() / self.remaining.max(1.0)
    }

    /// The share of auctions that are bid on.
    fn share(&self) -> f64 {
        ((self.bids + 1.0) / (self.biddable + 1.0)).clamp(1e-9, 1.0)
    }

    fn publish(&mut self) {
        let spent = self.spent.0.max(0) as f64 + self.ledger.expected();
        let all = self.seen + self.remaining;
        let due =
            self.period.budget.0.max(0) as f64 * if all > 0.0 { self.seen / all } else { 0.0 };
        let mut per_value = 1.0 / self.terms.mu_fixed;
        let left = (self.period.budget - self.spent).0.max(0) as f64;
        let funds = left > 0.0 && self.ledger.held() <= HELD_MAX * left;
        let pass = match self.terms.strategy {
            Strategy::Dual => {
                if self.forecast {
                    self.dual.solve(self.rho() / (self.each * self.share()));
                }
                per_value = self.dual.per_value();
                f64::from(u8::from(self.dual.is_ready()))
            }
            Strategy::Throttle => {
                let period_us = self.period.to_us.saturating_sub(self.period.from_us);
                self.throttle.advance(self.now_us, period_us, spent, due);
                self.throttle.pass
            }
            Strategy::Linear => f64::from(u8::from(spent <= due)),
        };
        if self.terms.mu_min > 0.0 {
            per_value = per_value.min(1.0 / self.terms.mu_min);
        }
        let mut lambda = 0.0;
        if let Some(floor) = &self.floor {
            lambda = floor.lambda;
            per_value = per_value.min(floor.per_value_max(self.ledger.beyond()));
        }
        let mu = (1.0 + lambda) / per_value - lambda;
        let pass = if funds { pass } else { 0.0 };
        let sound = mu.is_finite() && mu + lambda > 0.0;
        self.multipliers = if sound { Published { mu, lambda, pass } } else { SILENT };
    }

    fn is_sound(&self) -> bool {
        let numbers = [self.remaining, self.seen, self.biddable, self.bids];
        let Published { mu, lambda, pass } = self.multipliers;
        self.ledger.is_sound(self.terms.open_max as usize)
            && self.dual.is_sound()
            && self.costs.is_sound()
            && (1e-6..1e6).contains(&self.each)
            && self.floor.as_ref().is_none_or(Floor::is_sound)
            && self.throttle.is_sound()
            && numbers.iter().all(|v| (0.0..1e30).contains(v))
            && mu + lambda > 0.0
            && (mu + lambda).is_finite()
            && (0.0..=1.0).contains(&pass)
    }
}

impl From<Pacer> for State {
    fn from(pacer: Pacer) -> State {
        pacer.0
    }
}

impl TryFrom<State> for Pacer {
    type Error = BadPacer;

    fn try_from(state: State) -> Result<Pacer, BadPacer> {
        state.terms.check()?;
        if state.is_sound() { Ok(Pacer(state)) } else { Err(BadPacer::State) }
    }
}
