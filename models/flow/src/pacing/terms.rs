//! What a pacer is to do.

use serde::{Deserialize, Serialize};

use kiki_models::shield::money::Micros;

use crate::traffic::{Prior, SLOTS_MAX};

/// By what means spending is held to the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Bids are scaled by the dual of the budget: the impressions that are worth most for their price are
    /// bought, at all times.
    #[default]
    Dual,
    /// Bids stay; auctions are left out by chance (Agarwal et al. 2014).
    Throttle,
    /// Bids stay; auctions are left out while more is spent than the traffic so far has a share in. What the
    /// others are compared with.
    Linear,
}

/// How a pacer paces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    pub strategy: Strategy,
    /// The least `mu`. 1: nothing is bid above its value, and what is left of the budget is left; 0: the
    /// budget is spent on the most value that it buys.
    pub mu_min: f64,
    /// The `mu` of strategies that do not change bids.
    pub mu_fixed: f64,
    /// The least value that a unit of money has to bring over all wins; `None`: there is no such floor.
    pub roas_min: Option<f64>,
    /// Mean value of an auction, where it is known before any is seen. Without it the first auction is not
    /// bid on.
    pub value_prior: Option<f64>,
    /// Slots of a day in the forecast of traffic, 1 to 288.
    pub slots: u16,
    /// What is known of traffic; without it nothing is bid until the first auctions tell their rate.
    pub traffic: Option<Prior>,
    /// Bids that are waited for at most; of one more, the oldest is taken to be lost.
    pub open_max: u32,
    /// How long a bid is waited for, in microseconds; then it is taken to be lost.
    pub open_age_us: i64,
}

/// The most that `open_max` may be.
pub const OPEN_MAX: u32 = 1_000_000;

impl Default for Terms {
    fn default() -> Terms {
        Terms {
            strategy: Strategy::Dual,
            mu_min: 0.0,
            mu_fixed: 1.0,
            roas_min: None,
            value_prior: None,
            slots: 96,
            traffic: None,
            open_max: 16_384,
            open_age_us: 3_600_000_000,
        }
    }
}

/// Terms that cannot be worked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTerms {
    #[error("mu_min is 0 to 1e12, mu_fixed above 0 and up to 1e12")]
    Mu,
    #[error("roas_min is above 0 and up to 1e12")]
    RoasMin,
    #[error("value_prior is above 0 and finite")]
    ValuePrior,
    #[error("slots is 1 to 288")]
    Slots,
    #[error("open_max is 1 to 1,000,000 and open_age_us above 0")]
    Open,
}

impl Terms {
    pub fn check(&self) -> Result<(), BadTerms> {
        let above_0 = |v: f64, most: f64| v > 0.0 && v <= most;
        if !(0.0..=1e12).contains(&self.mu_min) || !above_0(self.mu_fixed, 1e12) {
            return Err(BadTerms::Mu);
        }
        if self.roas_min.is_some_and(|roas| !above_0(roas, 1e12)) {
            return Err(BadTerms::RoasMin);
        }
        if self.value_prior.is_some_and(|value| !above_0(value, 1e100)) {
            return Err(BadTerms::ValuePrior);
        }
        if !(1..=SLOTS_MAX).contains(&self.slots) {
            return Err(BadTerms::Slots);
        }
        if !(1..=OPEN_MAX).contains(&self.open_max) || self.open_age_us <= 0 {
            return Err(BadTerms::Open);
        }
        Ok(())
    }
}

/// A budget and the time that it is for: a day of a daily cap, or a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    pub from_us: i64,
    /// Exclusive.
    pub to_us: i64,
    pub budget: Micros,
}
