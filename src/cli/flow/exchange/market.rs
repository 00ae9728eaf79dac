//! The traffic of the exchange, and what everybody else pays for it: the same seed gives the same, on every
//! machine.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::models::flow::landscape::{Day, Landscape, Prices, Sales, Shock, Values};
use crate::models::flow::openrtb::sample::{Drawn, Mix, Sampler, Wants};
use crate::models::shield::money::Micros;

const DAY_US: f64 = 86_400e6;

/// A request with what the others bid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lot {
    /// From 0.
    pub nth: u64,
    /// After the start of the run.
    pub due: Duration,
    pub drawn: Drawn,
    /// Micros for a thousand impressions of the request's currency, by offer: the best of the others.
    pub market: Vec<Micros>,
}

/// What a run's landscape is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    pub seed: u64,
    /// Mean requests a second.
    pub rate: f64,
    /// How long a day of the traffic takes.
    pub day: Duration,
    pub mix: Mix,
    pub people: u32,
    pub vendor: u16,
}

/// A day of an exchange: prices of a banner around a CPM of 0.80, one in seven at a soft floor; more traffic
/// and dearer in the evening; an hour of a match, and an hour in which the largest bidder is away.
pub fn landscape(terms: &Terms) -> Landscape {
    let hours = |from: i64, to: i64| (from * 3_600_000_000, to * 3_600_000_000);
    let shock = |(from_us, to_us), traffic, price| Shock { from_us, to_us, traffic, price };
    Landscape {
        prices: Prices::Floored {
            median: 800.0,
            sigma: 0.9,
            floor: 500.0,
            share: 0.15,
            most: 60_000.0,
        },
        // The exchange knows nothing of what an impression is worth to the bidder.
        values: Values::Constant { value: 1.0 },
        correlation: 0.0,
        day: Some(Day { traffic: 0.5, price: 0.25, price_peak: 0.85, growth: 0.0 }),
        shocks: vec![shock(hours(20, 21), 1.6, 1.5), shock(hours(11, 12), 1.0, 0.6)],
        // Its clock runs so that a day takes as long as was asked for.
        per_s: terms.rate / stretch(terms.day),
        click_rate: 0.0,
    }
}

/// Microseconds of the landscape in one of the run.
fn stretch(day: Duration) -> f64 {
    DAY_US / (day.as_micros() as f64).max(1.0)
}

/// Draws requests with their prices.
pub struct Market<'a> {
    sampler: Sampler,
    sales: Sales<'a>,
    rng: ChaCha8Rng,
    stretch: f64,
    drawn: u64,
}

impl<'a> Market<'a> {
    pub fn new(terms: &Terms, landscape: &'a Landscape) -> Market<'a> {
        let sampler = Sampler::new(terms.seed, terms.mix);
        Market {
            sampler: sampler.with_people(terms.people).with_vendor(terms.vendor),
            // Another seed: prices must not come from the numbers that requests come from.
            sales: landscape.sales(!terms.seed),
            rng: rng(terms.seed, 1),
            stretch: stretch(terms.day),
            drawn: 0,
        }
    }

    /// The next request: its body replaces what `body` has. `None`: the landscape is over, which none is.
    pub fn next(&mut self, body: &mut Vec<u8>) -> Option<Lot> {
        let sale = self.sales.next()?;
        let drawn = self.sampler.draw(body);
        let cpm = sale.market_price.0 as f64 * 1_000.0;
        let market = drawn
            .offers
            .iter()
            .map(|offer| {
                // The impressions of one page sell for like prices, and formats for unlike ones.
                let own = self.rng.random_range(0.75..1.35);
                Micros((cpm * level(offer.wants) * own).round() as i64)
            })
            .collect();
        let due = sale.at_us.unwrap_or_default().max(0) as f64 / self.stretch;
        let nth = self.drawn;
        self.drawn += 1;
        Some(Lot { nth, due: Duration::from_micros(due as u64), drawn, market })
    }
}

/// What a format costs, as a multiple of a banner's price.
fn level(wants: Wants) -> f64 {
    match wants {
        Wants::Banner { .. } => 1.0,
        Wants::Native => 1.6,
        Wants::Audio => 3.0,
        Wants::Video => 7.0,
    }
}

/// The chances of one auction, whatever the others do.
pub fn rng_of(seed: u64, nth: u64) -> ChaCha8Rng {
    rng(seed, nth.saturating_add(2))
}

/// Streams of their own, so that more draws of one kind do not move the others. Requests have stream 0.
fn rng(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        let day = Duration::from_secs(60);
        Terms { seed: 7, rate: 500.0, day, mix: Mix::default(), people: 1_000, vendor: 755 }
    }

    fn lots(count: usize) -> Vec<(Lot, Vec<u8>)> {
        let landscape = landscape(&terms());
        let mut market = Market::new(&terms(), &landscape);
        let mut next = || {
            let mut body = Vec::new();
            market.next(&mut body).map(|lot| (lot, body))
        };
        (0..count).map_while(|_| next()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_traffic_and_prices() {
        assert_eq!(lots(200), lots(200));
    }

    #[test]
    fn a_day_of_traffic_passes_in_the_time_that_was_asked_for_at_the_mean_rate() {
        let lots = lots(60_000);
        let within = lots.iter().filter(|(lot, _)| lot.due < Duration::from_secs(60)).count();
        // 30,000 and the match's 3%, with a traffic wave whose mean is 1.
        assert!((28_500..=33_000).contains(&within), "{within}");
        let hour = |from: f64| {
            let inside = |lot: &Lot| (from..from + 2.5).contains(&lot.due.as_secs_f64());
            lots.iter().filter(|(lot, _)| inside(lot)).count()
        };
        // Of the minute, 45 s is six in the evening (1.3 times the mean) and 15 s six in the morning (0.56).
        assert!(hour(45.0) > 2 * hour(15.0), "{} {}", hour(45.0), hour(15.0));
    }

    #[test]
    fn prices_are_those_of_a_market() {
        let lots = lots(5_000);
        let mut banners: Vec<i64> = lots
            .iter()
            .flat_map(|(lot, _)| lot.drawn.offers.iter().zip(&lot.market))
            .filter(|(offer, _)| matches!(offer.wants, Wants::Banner { .. }))
            .map(|(_, price)| price.0)
            .collect();
        banners.sort_unstable();
        let at = |share: f64| banners[(banners.len() as f64 * share) as usize];
        assert!((400_000..1_200_000).contains(&at(0.5)), "{}", at(0.5));
        assert!(at(0.99) > 5 * at(0.5) && at(0.01) > 0);
        assert!(lots.iter().all(|(lot, _)| lot.market.len() == lot.drawn.offers.len()));
    }
}
