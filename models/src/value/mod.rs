//! SyncValue's rules: what customers are worth.
//!
//! A purchase [`log`] becomes a [`summary::Summary`] per customer; the counting models ([`bg_nbd`],
//! [`mbg_nbd`], [`pareto_nbd`]) and [`gamma_gamma`] are fitted on those, and say how many purchases are
//! to come, how sure that is, and what they are worth.
//!
//! Rules that need no model say how good a forecast is ([`metrics`]), whether the world has changed
//! since ([`drift`]), how sure an answer may be ([`conformal`]), how forecasts are put right and joined
//! ([`isotonic`], [`recalibrate`], [`blend`]), who is shown what ([`split`]) and which version answers
//! ([`registry`]).

pub mod beta_geometric;
pub mod bg_nbd;
pub mod blend;
pub mod book;
#[cfg(test)]
mod cdnow;
pub mod clv;
pub mod cohort;
pub mod conformal;
pub mod counts;
#[cfg(test)]
mod degenerate;
pub mod drift;
pub mod evaluate;
pub mod fit;
pub mod forecast;
pub mod gamma_gamma;
pub mod history;
pub mod isotonic;
pub mod learned;
pub mod log;
pub mod math;
pub mod mbg_nbd;
pub mod metrics;
pub mod model;
pub mod pareto_nbd;
#[cfg(test)]
mod properties;
pub mod recalibrate;
pub mod registry;
pub mod report;
#[cfg(test)]
mod rows;
pub mod spend;
pub mod split;
pub mod summary;
pub mod values;
