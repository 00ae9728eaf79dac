//! What is replayed, and how.

use kiki_models::shield::money::{AMOUNT_MAX, Micros};

use crate::opportunity::PriceType;
use crate::pacing::Strategy;

/// Slots of a report at most.
pub const SLOTS_MAX: usize = 10_000;
/// Bids in flight at most.
pub const DELAY_MAX: usize = 999_999;

/// The terms of a replay.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Of each episode.
    pub budget: Micros,
    pub strategy: Strategy,
    pub price: PriceType,
    /// Parts of an episode that spending is compared by.
    pub slots: usize,
    /// The log is played as episodes of this many auctions, each with the budget and with nothing carried over
    /// but what was learned. A shorter one at the end has the budget's share. `None`: as one.
    pub episode: Option<usize>,
    /// A bid's outcome is told after this many more auctions; 0: before the next one.
    pub notice_delay: usize,
    /// Whether a loss tells the price, as `${AUCTION_MIN_TO_WIN}` does, and so does a first-price win.
    pub min_to_win: bool,
    /// See [`crate::pacing::Terms`].
    pub mu_min: f64,
    pub mu_fixed: Option<f64>,
    pub roas_min: Option<f64>,
    /// Of the chances that throttling takes.
    pub seed: u64,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms {
            budget: Micros::ZERO,
            strategy: Strategy::Dual,
            price: PriceType::Second,
            slots: 96,
            episode: None,
            notice_delay: 0,
            min_to_win: false,
            mu_min: 0.0,
            mu_fixed: None,
            roas_min: None,
            seed: 1,
        }
    }
}

/// Terms that nothing can be replayed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTerms {
    #[error("the budget is 0 to 1e15 micros")]
    Budget,
    #[error("there are 1 to 10000 slots")]
    Slots,
    #[error("an episode has at least one auction")]
    Episode,
    #[error("the notice delay is below 1000000 auctions")]
    Delay,
    #[error(transparent)]
    Pacer(#[from] crate::pacing::BadTerms),
}

impl Terms {
    pub fn check(&self) -> Result<(), BadTerms> {
        if !(0..=AMOUNT_MAX).contains(&self.budget.0) {
            return Err(BadTerms::Budget);
        }
        if !(1..=SLOTS_MAX).contains(&self.slots) {
            return Err(BadTerms::Slots);
        }
        if self.episode == Some(0) {
            return Err(BadTerms::Episode);
        }
        if self.notice_delay > DELAY_MAX {
            return Err(BadTerms::Delay);
        }
        Ok(self.pacing(1.0, false).check()?)
    }

    /// The pacer's terms. `timed`: whether the log has times.
    pub(super) fn pacing(&self, mu_fixed: f64, timed: bool) -> crate::pacing::Terms {
        // A log without times has as many auctions in its day as are known beforehand, for sure.
        let per_day = self.episode.map_or(86_400.0, |episode| episode as f64);
        let steady = crate::traffic::Prior { per_day, days: 1_000.0 };
        // Without episodes it has no day that could come again.
        let slots = if timed || self.episode.is_some() { 96 } else { 1 };
        crate::pacing::Terms {
            strategy: self.strategy,
            mu_min: self.mu_min,
            mu_fixed: self.mu_fixed.unwrap_or(mu_fixed),
            roas_min: self.roas_min,
            value_prior: None,
            slots,
            traffic: (!timed).then_some(steady),
            open_max: u32::try_from(self.notice_delay + 1).unwrap_or(u32::MAX),
            open_age_us: i64::MAX,
        }
    }
}
