//! The replay.

use std::collections::VecDeque;
use std::io::Read;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use kiki_models::shield::money::Micros;

use super::csv::{BadLog, Limits, Log};
use super::hindsight::{Optimum, uniform};
use super::report::{Point, Report};
use super::terms::{BadTerms, Terms};
use crate::landscape::Sale;
use crate::opportunity::PriceType;
use crate::pacing::{Event, Pacer, Period};
use crate::pricing::{Outcome, Quote, WinLearner, price};
use crate::traffic::DAY_US;

/// An auction a second, where the log has no times.
const SECOND_US: i64 = 1_000_000;
/// Auctions that the bid of strategies that do not change bids is set by.
const AHEAD: usize = 1_000;

/// Replays a log that is held in memory.
pub fn simulate(sales: &[Sale], terms: &Terms) -> Result<Report, BadTerms> {
    let mut simulation = Simulation::new(terms.clone())?;
    for episode in sales.chunks(terms.episode.unwrap_or(sales.len()).max(1)) {
        simulation.play(episode);
    }
    Ok(simulation.report())
}

/// Replays a log as it is read: one episode is held at a time. The outer error is of the log, the inner of the
/// terms.
pub fn simulate_log<R: Read>(
    log: Log<R>,
    terms: &Terms,
    limits: Limits,
) -> Result<Result<Report, BadTerms>, BadLog> {
    let mut simulation = match Simulation::new(terms.clone()) {
        Ok(simulation) => simulation,
        Err(bad) => return Ok(Err(bad)),
    };
    let mut episode = Vec::new();
    for sale in log {
        episode.push(sale?);
        if Some(episode.len()) == terms.episode {
            simulation.play(&episode);
            episode.clear();
        }
        if episode.len() > limits.auctions {
            return Err(BadLog::TooLong(limits.auctions));
        }
    }
    simulation.play(&episode);
    Ok(Ok(simulation.report()))
}

/// A bid whose outcome is not told yet.
#[derive(Clone)]
struct Flight {
    /// Number of the auction after which it is told.
    due: u64,
    id: u64,
    hold: i64,
    /// What it pays; `None`: it lost.
    pays: Option<i64>,
    bid: f64,
    value: f64,
    market_price: f64,
}

/// When auction `at` of an episode is in a log without times: an auction a second, or where there are episodes of
/// `of_day` auctions, each is a day.
fn steady(day: i64, at: usize, of_day: Option<usize>) -> i64 {
    let Some(whole) = of_day else { return (at as i64).saturating_mul(SECOND_US) };
    let within = at as i128 * i128::from(DAY_US) / whole.max(1) as i128;
    day.saturating_mul(DAY_US).saturating_add(i64::try_from(within).unwrap_or(i64::MAX))
}

/// A replay, episode by episode.
#[derive(Clone)]
pub struct Simulation {
    terms: Terms,
    pacer: Option<Pacer>,
    learner: WinLearner,
    rng: ChaCha8Rng,
    flights: VecDeque<Flight>,
    /// Auctions of all episodes so far.
    auction: u64,
    /// The episode's account, in micros.
    budget: i64,
    settled: i64,
    held: i64,
    slot_errors: f64,
    slot_wins: f64,
    report: Report,
}

impl Simulation {
    pub fn new(terms: Terms) -> Result<Simulation, BadTerms> {
        terms.check()?;
        let curve = vec![Point::default(); terms.slots];
        Ok(Simulation {
            pacer: None,
            learner: WinLearner::default(),
            rng: ChaCha8Rng::seed_from_u64(terms.seed),
            flights: VecDeque::new(),
            auction: 0,
            budget: 0,
            settled: 0,
            held: 0,
            slot_errors: 0.0,
            slot_wins: 0.0,
            report: Report { curve, ..Report::default() },
            terms,
        })
    }

    /// Plays one episode. All its bids are told of before the next one.
    pub fn play(&mut self, sales: &[Sale]) {
        let (Some(first), Some(last)) = (sales.first(), sales.last()) else { return };
        let timed = first.at_us.is_some();
        let share = |whole: usize| Micros(sales.len() as i64).min(Micros(whole as i64));
        self.budget = match self.terms.episode {
            Some(whole) => {
                (i128::from(self.terms.budget.0) * i128::from(share(whole).0) / whole as i128)
                    as i64
            }
            None => self.terms.budget.0,
        };
        (self.settled, self.held) = (0, 0);
        let (day, of_day) = (self.report.episodes as i64, self.terms.episode);
        let clock = |at: usize, sale: &Sale| match sale.at_us {
            Some(at_us) if timed => at_us,
            _ => steady(day, at, of_day),
        };
        let from_us = clock(0, first);
        let to_us = if timed { clock(0, last) + 1 } else { clock(sales.len(), last) };
        let period = Period { from_us, to_us, budget: Micros(self.budget) };
        if let Err(bad) = self.begin(sales, period, timed) {
            // The terms were checked, so there is none.
            debug_assert!(false, "{bad}");
            return;
        }

        let slots = self.terms.slots;
        let length = to_us.saturating_sub(from_us).max(1) as f64;
        let slot = |at: usize, sale: &Sale| {
            let part = match timed {
                true => clock(at, sale).saturating_sub(from_us) as f64 / length,
                false => at as f64 / sales.len() as f64,
            };
            ((part * slots as f64) as usize).min(slots - 1)
        };
        let optimum = Optimum::of(sales, self.budget as f64);
        let mut spend = vec![(0.0, 0.0); slots];
        for (at, sale) in sales.iter().enumerate() {
            let at_us = clock(at, sale);
            let slot = slot(at, sale);
            let pays = self.auction(sale, at_us, slot);
            spend[slot].0 += pays as f64;
            spend[slot].1 += optimum.spends(sale);
        }
        self.tell(u64::MAX, clock(sales.len() - 1, last));
        self.settle(sales, &optimum, &spend);
    }

    fn begin(&mut self, sales: &[Sale], period: Period, timed: bool) -> Result<(), BadTerms> {
        if let Some(pacer) = &mut self.pacer {
            pacer.on(Event::Period { at_us: period.from_us, period });
            return Ok(());
        }
        let ahead = sales.iter().take(AHEAD).filter(|sale| sale.value > 0.0);
        let (price, value) = ahead.fold((0.0, 0.0), |(price, value), sale| {
            (price + sale.market_price.0 as f64, value + sale.value)
        });
        let mu = value / (2.0 * price);
        let mu = if mu.is_finite() && mu > 0.0 { mu.clamp(1e-12, 1e12) } else { 1.0 };
        self.pacer = Some(Pacer::new(self.terms.pacing(mu, timed), period)?);
        Ok(())
    }

    /// One auction: what the campaign pays in it, as is known when it is told.
    fn auction(&mut self, sale: &Sale, at_us: i64, slot: usize) -> i64 {
        self.tell(self.auction, at_us);
        let number = self.auction;
        self.auction += 1;
        self.report.auctions += 1;
        self.report.curve[slot].auctions += 1;
        let Some(pacer) = &mut self.pacer else { return 0 };
        let multipliers = pacer.multipliers();
        let free = self.budget - self.settled - self.held;
        let first_price = self.terms.price == PriceType::First;
        let quote =
            Quote { value: sale.value, first_price, floor: 0.0, max_bid: Some(free.max(0) as f64) };
        let priced = price(&quote, &multipliers, self.learner.curve()).ok();
        let passed = multipliers.pass >= 1.0 || self.rng.random::<f64>() < multipliers.pass;
        // What is booked is whole micros, and the prices of a log are: a part of one would win nothing more.
        let bid = priced.map(|priced| if first_price { priced.bid.floor() } else { priced.bid });
        let valued = u64::from(sale.value > 0.0);
        let hold = bid.map_or(0, |bid| bid.ceil() as i64);
        let left_out = u64::from(valued > 0 && (!passed || hold > free || free <= 0));
        let value = if valued > 0 { sale.value } else { 0.0 };
        pacer.on(Event::Seen { at_us, auctions: 1, valued, value, left_out });
        let (Some(priced), Some(bid), true) = (priced, bid, passed) else { return 0 };
        if hold > free || (first_price && bid <= 0.0) {
            return 0;
        }
        let point = &mut self.report.curve[slot];
        point.priced += 1;
        point.ln_per_value += multipliers.per_value().ln();
        self.report.bids += 1;
        let worth = priced.worth;
        let made = Event::Bid { at_us, id: number, hold: Micros(hold), value, worth, bid };
        pacer.on(made);
        self.held += hold;
        self.report.held_max_micros = self.report.held_max_micros.max(self.held);
        let market_price = sale.market_price.0 as f64;
        let wins = bid >= market_price;
        let pays = if first_price { hold } else { sale.market_price.0 };
        if wins {
            self.report.wins += 1;
            self.report.value += sale.value;
            self.report.clicks += u64::from(sale.click);
        }
        let due = number.saturating_add(self.terms.notice_delay as u64);
        let pays = wins.then_some(pays);
        self.flights.push_back(Flight { due, id: number, hold, pays, bid, value, market_price });
        if self.terms.notice_delay == 0 {
            self.tell(self.auction, at_us);
        }
        pays.unwrap_or(0)
    }

    /// Tells the outcomes that are due before auction `number`.
    fn tell(&mut self, number: u64, at_us: i64) {
        while let Some(flight) = self.flights.front()
            && (number == u64::MAX || flight.due < number)
            && let Some(flight) = self.flights.pop_front()
        {
            let Flight { id, hold, pays, bid, market_price, .. } = flight;
            self.held -= hold;
            self.settled += pays.unwrap_or(0);
            let second = self.terms.price == PriceType::Second;
            let (value, won) = (flight.value, pays.is_some());
            let told = self.terms.min_to_win || (won && second);
            let price = told.then_some(market_price);
            self.learner.observe(&Outcome { bid, value, won, price });
            let Some(pacer) = &mut self.pacer else { continue };
            pacer.on(match pays {
                Some(pays) => Event::Won { at_us, id, price: Micros(pays) },
                None => Event::Lost { at_us, id },
            });
        }
    }

    /// Closes an episode.
    fn settle(&mut self, sales: &[Sale], optimum: &Optimum, spend: &[(f64, f64)]) {
        let squares: f64 = spend.iter().map(|(ours, best)| (ours - best).powi(2)).sum();
        let slots = spend.len() as f64;
        if optimum.spend > 0.0 {
            self.slot_errors += slots / optimum.spend * (squares / slots).sqrt();
        }
        self.slot_wins += optimum.wins / slots;
        for (point, (ours, best)) in self.report.curve.iter_mut().zip(spend) {
            point.spend_micros += ours;
            point.hindsight_micros += best;
        }
        let report = &mut self.report;
        report.episodes += 1;
        report.budget_micros = report.budget_micros.saturating_add(self.budget);
        report.spend_micros = report.spend_micros.saturating_add(self.settled);
        report.overspend_micros += (self.settled - self.budget).max(0);
        report.hindsight_value += optimum.value;
        report.market_micros += optimum.market;
        if self.terms.price == PriceType::First {
            let uniform = uniform(sales, self.budget as f64);
            report.uniform_value = Some(report.uniform_value.unwrap_or(0.0) + uniform);
        }
    }

    /// The figures of the episodes so far.
    pub fn report(mut self) -> Report {
        let report = &mut self.report;
        let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 1.0 };
        report.value_ratio = ratio(report.value, report.hindsight_value);
        report.utilisation = ratio(report.spend_micros as f64, report.budget_micros as f64);
        let episodes = report.episodes.max(1) as f64;
        report.slot_error = self.slot_errors / episodes;
        report.slot_wins = self.slot_wins / episodes;
        for point in &mut report.curve {
            point.ln_per_value /= point.priced.max(1) as f64;
        }
        self.report
    }
}
