//! Made-up requests as exchanges send them, for a simulated exchange, for benches and tests: of 2 to 4 kB,
//! sites and apps, phones and televisions, all formats, several countries and their laws, the style of 2.5
//! and of 2.6. The same seed gives the same requests, on every machine.

mod body;
pub mod consent;
mod people;
mod places;
#[cfg(test)]
mod tests;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use kiki_models::shield::money::{Currency, Micros};

use crate::opportunity::PriceType;

/// What share of the requests is what: parts of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    pub first_price: f64,
    /// Several impressions (two or three) in one request.
    pub several: f64,
    pub deals: f64,
    pub coppa: f64,
    /// People who limit tracking.
    pub limited: f64,
    /// People who refuse consent, or opt out.
    pub refusing: f64,
    /// People whom the exchange knows by our id.
    pub known: f64,
    /// Fields where OpenRTB 2.5 had them.
    pub older: f64,
    /// Where the GDPR applies, requests that ask whom an ad is for (DSA).
    pub disclosed: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Mix {
            first_price: 0.7,
            several: 0.25,
            deals: 0.1,
            coppa: 0.01,
            limited: 0.15,
            refusing: 0.15,
            known: 0.35,
            older: 0.4,
            disclosed: 0.2,
        }
    }
}

/// What an impression takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    Banner { w: u16, h: u16 },
    Video,
    Audio,
    Native,
}

/// An impression, as the exchange needs to know it to run the auction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub id: String,
    pub wants: Wants,
    pub floor: Micros,
    /// A deal, with its floor.
    pub deal: Option<(String, Micros)>,
    /// Only bids on the deal are taken.
    pub private: bool,
}

/// A request, as the exchange needs to know it to run the auction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    pub id: String,
    pub price: PriceType,
    /// Of floors and bids.
    pub currency: Currency,
    pub tmax_ms: u32,
    pub test: bool,
    pub offers: Vec<Offer>,
    pub seat: Option<String>,
}

/// Draws requests.
#[derive(Clone, Debug)]
pub struct Sampler {
    rng: ChaCha8Rng,
    /// Of what was added to the traffic later: without it the requests of a seed are what they were.
    later: ChaCha8Rng,
    mix: Mix,
    drawn: u64,
    /// This installation's id in the Global Vendor List, which consent strings grant or refuse.
    vendor: u16,
    /// People there are.
    people: u32,
}

impl Sampler {
    pub fn new(seed: u64, mix: Mix) -> Sampler {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let mut later = rng.clone();
        later.set_stream(1);
        Sampler { rng, later, mix, drawn: 0, vendor: 755, people: 50_000 }
    }

    pub fn with_vendor(self, vendor: u16) -> Sampler {
        Sampler { vendor: vendor.max(1), ..self }
    }

    /// How many people the requests are about; ours are known as `cust_<number>`.
    pub fn with_people(self, people: u32) -> Sampler {
        Sampler { people: people.max(1), ..self }
    }

    /// The next request: its body replaces what `body` has.
    pub fn draw(&mut self, body: &mut Vec<u8>) -> Drawn {
        self.drawn += 1;
        body::draw(self, body)
    }

    fn chance(&mut self, part: f64) -> bool {
        self.rng.random::<f64>() < part
    }

    /// One of `from`, or the default of an empty list.
    fn one<T: Copy + Default>(&mut self, from: &[T]) -> T {
        let at = self.rng.random_range(0..from.len().max(1));
        from.get(at).copied().unwrap_or_default()
    }

    /// A number from `low` to `high`, both among them.
    fn between(&mut self, low: u32, high: u32) -> u32 {
        self.rng.random_range(low..=high)
    }

    /// As ids are written: 8-4-4-4-12 hexadecimal digits.
    fn uuid(&mut self) -> String {
        let n = self.rng.random::<u128>();
        let part = |from: u32, digits: u32| (n >> from) & ((1_u128 << (4 * digits)) - 1);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            part(96, 8),
            part(80, 4),
            part(64, 4),
            part(48, 4),
            part(0, 12)
        )
    }

    /// A price around a median, log-normal, in whole thousandths of the CPM.
    fn price(&mut self, median: f64) -> Micros {
        let (u, v) = (1.0 - self.rng.random::<f64>(), self.rng.random::<f64>());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let cpm = (median * (0.6 * normal).exp()).clamp(0.01, 100.0);
        Micros((cpm * 1_000.0) as i64 * 1_000)
    }
}
