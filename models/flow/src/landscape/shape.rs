//! How a day goes, and what breaks it.

use serde::{Deserialize, Serialize};

/// Microseconds in a day.
pub const DAY_US: i64 = 86_400_000_000;

/// Traffic and prices by time of day: waves around 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// How far traffic goes from its mean, 0 to 1; least at night.
    pub traffic: f64,
    /// How far the prices go, 0 to 1.
    pub price: f64,
    /// When prices are highest, as a share of the day; traffic is highest at 0.75.
    pub price_peak: f64,
    /// What the traffic grows by from day to day: 0.1 is a tenth.
    pub growth: f64,
}

impl Day {
    fn wave(at_us: i64, peak: f64) -> f64 {
        let share = at_us.rem_euclid(DAY_US) as f64 / DAY_US as f64;
        (std::f64::consts::TAU * (share - peak)).cos()
    }

    /// Times the mean traffic. The second wave makes the rise of the morning steeper than the fall.
    pub(super) fn traffic(&self, at_us: i64) -> f64 {
        let days = at_us.div_euclid(DAY_US) as f64;
        let second = 0.3 * Day::wave(at_us.saturating_mul(2), 0.2);
        let wave = 1.0 + self.traffic * (Day::wave(at_us, 0.75) + second) / 1.3;
        wave.max(0.0) * (1.0 + self.growth).powf(days)
    }

    /// Times the mean price.
    pub(super) fn price(&self, at_us: i64) -> f64 {
        (1.0 + self.price * Day::wave(at_us, self.price_peak)).max(0.01)
    }
}

/// A time in which things are other than they were.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shock {
    pub from_us: i64,
    /// Exclusive.
    pub to_us: i64,
    /// Times the traffic.
    pub traffic: f64,
    /// Times the price.
    pub price: f64,
}

impl Shock {
    pub(super) fn holds(&self, at_us: i64) -> bool {
        (self.from_us..self.to_us).contains(&at_us)
    }
}
