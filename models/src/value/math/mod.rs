//! Numerics of the probability models: logs that do not overflow, ratios of gamma functions that do
//! not cancel, ₂F₁, and integrals of bounded cost.
//!
//! Everything here is a total function of its documented domain: no NaN leaves it.

pub mod beta_mean;
pub mod chance;
pub mod concave;
pub mod decay;
pub mod gamma;
pub mod hyp2f1;
pub mod logs;
pub mod panel;
#[cfg(test)]
mod vectors;
