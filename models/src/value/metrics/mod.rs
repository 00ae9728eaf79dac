//! How good a forecast was: figures of predicted against actual values, one pair per customer.
//!
//! The mean absolute error alone is no gate: where most customers do nothing, the forecast of nothing
//! at all nearly ties with the best. Order ([`gini`]), levels ([`decile`]), the total and the calibration
//! by frequency are looked at together ([`scores`]).

pub mod baseline;
pub mod calibration;
pub mod coverage;
pub mod decile;
pub mod gini;
pub mod loss;
pub mod order;
pub mod pairs;
pub mod rank;
#[cfg(test)]
pub(super) mod sample;
pub mod scores;
pub mod tracking;
