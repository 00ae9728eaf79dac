//! Prices that were agreed: a win pays them, neither more nor less, and a bid is that or nothing. The dual of the
//! budget then says which impressions are bought at that price: where all are worth the same, all of them for a
//! moment and none for the next.

use std::collections::VecDeque;

use kiki_models::shield::money::Micros;

use super::{Event, Pacer, Period, Strategy, Terms};
use crate::traffic::DAY_US;

const AUCTIONS: i64 = 200_000;
/// What an impression costs, in micros.
const PRICE: i64 = 1_000;

/// A day of a campaign.
struct Day {
    strategy: Strategy,
    /// Impressions that the budget buys.
    buys: i64,
    /// Auctions after which it looks at what has happened, and after which a win is told.
    looks: i64,
    told: i64,
    /// By how much the value of an impression, 2,000 micros, differs.
    spread: f64,
}

/// Impressions by slot, and the values of all together.
fn plays(day: &Day) -> (Vec<i64>, f64) {
    let terms = Terms {
        strategy: day.strategy,
        mu_min: 1.0,
        value_prior: Some(2_000.0),
        ..Terms::default()
    };
    let budget = day.buys * PRICE;
    let period = Period { from_us: 0, to_us: DAY_US, budget: Micros(budget) };
    let mut pacer = Pacer::new(terms, period).expect("terms");
    let (mut slots, mut bought, mut left) = (vec![0; 96], 0.0, budget);
    let (mut events, mut flights) = (Vec::new(), VecDeque::new());
    let (mut priced, mut below, mut left_out, mut sum) = (0, 0, 0, 0.0);
    let mut seed = 1_u64;
    let mut drawn = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1_u64 << 53) as f64
    };
    for at in 0..AUCTIONS {
        let at_us = at * (DAY_US / AUCTIONS);
        while let Some((due, id)) = flights.front().copied()
            && due <= at
        {
            flights.pop_front();
            events.push(Event::Won { at_us, id, price: Micros(PRICE) });
        }
        let multipliers = pacer.multipliers();
        let value = 2_000.0 + day.spread * (drawn() - 0.5);
        let worth = value * multipliers.per_value();
        if drawn() >= multipliers.pass || !pacer.is_ready() {
            left_out += 1;
        } else if worth < PRICE as f64 {
            below += 1;
        } else {
            (priced, sum) = (priced + 1, sum + value);
            if left >= PRICE {
                (left, bought) = (left - PRICE, bought + value);
                slots[(at * 96 / AUCTIONS) as usize] += 1;
                let (id, hold, bid) = (at as u64, Micros(PRICE), PRICE as f64);
                events.push(Event::Bid { at_us, id, hold, value, worth, bid });
                flights.push_back((at + day.told, id));
            }
        }
        if (at + 1) % day.looks == 0 {
            let auctions = priced + below + left_out;
            let seen = Event::Seen { at_us, auctions, valued: priced, value: sum, left_out };
            let met = [seen, Event::Below { at_us, auctions: below }];
            let all = met.into_iter().chain(events.drain(..)).chain([Event::Tick { at_us }]);
            pacer.on_all(all);
            (priced, below, left_out, sum) = (0, 0, 0, 0.0);
        }
    }
    (slots, bought)
}

/// How far slots are off their mean, and what part of the budget is spent.
fn off(slots: &[i64], buys: i64) -> (f64, f64) {
    let many = slots.len() as f64;
    let mean = slots.iter().sum::<i64>() as f64 / many;
    let squares: f64 = slots.iter().map(|n| (*n as f64 - mean).powi(2)).sum();
    ((squares / many).sqrt() / mean, mean * many / buys as f64)
}

#[test]
fn a_budget_lasts_at_an_agreed_price_whether_impressions_are_worth_the_same_or_not() {
    for buys in [AUCTIONS / 4, AUCTIONS * 3 / 4] {
        for spread in [0.0, 1_500.0] {
            let day = Day { strategy: Strategy::Dual, buys, looks: 10, told: 100, spread };
            let (slots, _) = plays(&day);
            let (off, used) = off(&slots, buys);
            assert!(off < 0.1 && (0.999..=1.0).contains(&used), "{buys} {spread}: {off} {used}");
            assert!(slots.iter().all(|n| *n > 0), "{slots:?}");
        }
    }
}

#[test]
fn who_leaves_auctions_out_by_chance_pays_the_agreed_price_for_less_and_less_evenly() {
    let buys = AUCTIONS / 4;
    let day = |strategy| plays(&Day { strategy, buys, looks: 10, told: 100, spread: 1_500.0 });
    let ((dual, value), (chance, by_chance)) = (day(Strategy::Dual), day(Strategy::Throttle));
    assert!(value > 1.2 * by_chance, "{value} {by_chance}");
    assert!(off(&dual, buys).0 < off(&chance, buys).0 / 2.0);
}
