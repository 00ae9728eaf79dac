//! What is said of one customer.

use serde::{Deserialize, Serialize};

/// Whether an answer is from this customer's purchases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// From the customer's own purchases.
    Success,
    /// No purchases of the customer are known: it is what new customers are worth, with the spread that they
    /// have.
    InsufficientData,
    /// No fitted model, or not one for this question: a documented rule of thumb.
    Fallback,
}

/// What one input adds to the value, in units of the currency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Contribution {
    pub name: &'static str,
    pub value: f64,
}

/// A customer's worth in a horizon. Every number is finite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// Expected spend within the horizon, in units of the currency, at least 0.
    pub value: f64,
    /// What the spend will be between, `lower ≤ upper`, at least 0. Spend is mostly nothing and sometimes
    /// much, so the expected value may lie above what most such customers reach.
    pub lower: f64,
    pub upper: f64,
    /// The share of such customers whose spend was within such bounds where it is known, 0 to 1.
    /// 0 where nobody knows ([`Status::Fallback`]).
    pub confidence: f64,
    /// Expected days with a purchase within the horizon.
    pub purchases: f64,
    /// Probability of at least one purchase within the horizon, 0 to 1.
    pub p_active: f64,
    pub status: Status,
    /// What the population's typical customer is worth; the contributions lead from there to `value`.
    pub baseline: f64,
    /// `baseline + Σ value of contributions = value`, within 1e-6 or a millionth of the value, whichever is
    /// more. Empty where none was asked for.
    pub contributions: Vec<Contribution>,
}
