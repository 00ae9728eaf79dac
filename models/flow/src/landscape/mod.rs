//! Logs of auctions that are made up by rule: for tests of the pacers, and for the simulated exchange. The
//! same landscape and seed give the same log, on every machine.

mod draw;
mod price;
mod shape;
mod value;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use kiki_models::shield::money::Micros;

pub use price::Prices;
pub use shape::{DAY_US, Day, Shock};
pub use value::Values;

/// One auction of a log, as it is known when all is over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sale {
    /// Wall-clock microseconds; `None`: the log has no times.
    pub at_us: Option<i64>,
    /// What the impression was sold for to the best of the others: the price of a second-price win, and the
    /// least that wins.
    pub market_price: Micros,
    /// What it is worth to the campaign, in any unit: a probability of a click, an LTV.
    pub value: f64,
    pub click: bool,
}

/// The most that one impression costs: a thousand units of money.
pub const PRICE_MAX: i64 = 1_000_000_000;

/// How a log is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Landscape {
    pub prices: Prices,
    pub values: Values,
    /// Correlation of the normal scores behind price and value (a Gaussian copula), −1 to 1.
    pub correlation: f64,
    /// Traffic and prices by time of day; `None`: the same at all times.
    pub day: Option<Day>,
    pub shocks: Vec<Shock>,
    /// Auctions in a mean second.
    pub per_s: f64,
    /// Clicks of an auction with the mean value; a click is as much likelier as the value is larger.
    pub click_rate: f64,
}

impl Landscape {
    /// The log, without an end, from midnight on.
    pub fn sales(&self, seed: u64) -> Sales<'_> {
        Sales { landscape: self, rng: ChaCha8Rng::seed_from_u64(seed), at_us: 0.0 }
    }

    /// The first `count` auctions of the log; `timed`: with their times.
    pub fn log(&self, seed: u64, count: usize, timed: bool) -> Vec<Sale> {
        let untimed = |sale: Sale| if timed { sale } else { Sale { at_us: None, ..sale } };
        self.sales(seed).take(count).map(untimed).collect()
    }
}

/// The auctions of a landscape, one after the other.
pub struct Sales<'a> {
    landscape: &'a Landscape,
    rng: ChaCha8Rng,
    at_us: f64,
}

impl Iterator for Sales<'_> {
    type Item = Sale;

    fn next(&mut self) -> Option<Sale> {
        let Landscape { prices, values, correlation, day, shocks, per_s, click_rate } =
            self.landscape;
        let at = self.at_us as i64;
        let (mut traffic, mut level) =
            day.as_ref().map_or((1.0, 1.0), |day| (day.traffic(at), day.price(at)));
        for shock in shocks.iter().filter(|shock| shock.holds(at)) {
            traffic *= shock.traffic;
            level *= shock.price;
        }
        let per_us = (per_s * traffic).clamp(1e-6, 1e6) / 1e6;
        self.at_us += draw::exponential(&mut self.rng) / per_us;

        let rng = &mut self.rng;
        let rho = correlation.clamp(-1.0, 1.0);
        let common = draw::normal(rng);
        let own = draw::normal(rng);
        let score = rho * common + (1.0 - rho * rho).sqrt() * own;
        let price = prices.draw(common, rng) * level;
        let value = values.draw(score, rng);
        let click = rng.random::<f64>() < (click_rate * value / values.mean()).clamp(0.0, 1.0);
        let market_price = Micros((price.round() as i64).clamp(0, PRICE_MAX));
        Some(Sale { at_us: Some(at), market_price, value, click })
    }
}

/// Whether something of this probability happens.
fn happens(probability: f64, rng: &mut impl Rng) -> bool {
    rng.random::<f64>() < probability
}

#[cfg(test)]
mod tests;
