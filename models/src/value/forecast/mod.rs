//! One interface to every model of value: what a customer will spend within a horizon, how sure that is,
//! and why.
//!
//! A [`customer::Customer`]'s purchases, or a [`hint::Hint`] where none are known, become a
//! [`answer::Forecast`]. A [`model::ValueModel`] is fitted on customers up to a cut, looks at nothing after it,
//! and comes back from its bytes.

pub mod account;
pub mod answer;
pub mod blended;
pub mod bytes;
pub mod counting;
pub mod customer;
pub mod features;
pub mod heuristic;
pub mod hint;
pub mod level;
pub mod model;
pub mod net;
pub mod prior;
pub mod probable;
mod rolling;
pub mod shapley;
#[cfg(test)]
pub(super) mod simulated;
pub mod terms;
#[cfg(test)]
mod tests;
