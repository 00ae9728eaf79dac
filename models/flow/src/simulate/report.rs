//! What came of a replay.

use serde::Serialize;

/// The figures of a replay. Amounts are micros.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    pub auctions: u64,
    pub episodes: u64,
    pub budget_micros: i64,
    pub bids: u64,
    pub wins: u64,
    pub spend_micros: i64,
    /// Of the wins, in the log's unit.
    pub value: f64,
    pub clicks: u64,
    /// What the optimum in hindsight has: the fractional knapsack at the market prices. For first price it
    /// is a bound that no bidder reaches, since it pays the least that wins each time.
    pub hindsight_value: f64,
    /// `value / hindsight_value`; 1 where both are 0.
    pub value_ratio: f64,
    /// First price: the value of the best single multiplier in hindsight, bids of `a · value` that are paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uniform_value: Option<f64>,
    /// K/B · RMSE over the K slots between what was spent and what the optimum spends in them, B what it
    /// spends in all; the mean over the episodes.
    pub slot_error: f64,
    /// Wins of the optimum in a mean slot: with few of them, the error is that of small numbers.
    pub slot_wins: f64,
    /// `spend / budget`; 1 for a budget of 0.
    pub utilisation: f64,
    /// What all auctions with a value cost together: beyond it no budget can be used in a second-price log.
    pub market_micros: f64,
    /// What was spent beyond the budgets: 0.
    pub overspend_micros: i64,
    /// The most that was reserved at a time.
    pub held_max_micros: i64,
    /// By slot, all episodes together.
    #[serde(skip)]
    pub curve: Vec<Point>,
}

/// A slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Point {
    pub auctions: u64,
    pub spend_micros: f64,
    /// Of the optimum in hindsight.
    pub hindsight_micros: f64,
    /// Mean of ln of what was bid for a unit of value, over the auctions priced.
    pub ln_per_value: f64,
    pub priced: u64,
}
