//! How many auctions are still to come: learned by time of day, for the pacers.

mod curve;
mod forecast;
#[cfg(test)]
mod tests;

pub(crate) use curve::{Curve, Told};
pub use forecast::{BadForecast, Forecast, Prior, SLOTS_MAX};

/// Microseconds in a day.
pub const DAY_US: i64 = 86_400_000_000;
