//! A log of auctions, replayed through the pacer and the pricer that serve.
//!
//! What is known beforehand, and what is not. The campaign knows its budget and its schedule: when an episode
//! begins and when it ends. In a log without times, time is counted in auctions, one a second, so that the
//! schedule's length says how many auctions there will be, as a steady clock would; nothing else of the log is
//! known. In a log with times the schedule is from the first auction of an episode until after its last, and
//! how many auctions come is forecast from those that came. A bid knows the value of its own auction, and
//! learns whether it won, and in a second-price auction at what price, `notice_delay` auctions later. Values,
//! prices and clicks of auctions to come are never looked at. What was learned in an episode is kept in the
//! next, as a campaign keeps it from day to day.
//!
//! Strategies that do not change bids need a bid that an advertiser has set: [`Terms::mu_fixed`], or, without
//! it, twice the mean price per value of the log's first thousand auctions, the one thing that is read ahead.

#[cfg(test)]
mod bars;
mod csv;
mod engine;
mod hindsight;
mod html;
mod report;
mod terms;
#[cfg(test)]
mod tests;

pub use csv::{BadLog, Limits, Log};
pub use engine::{Simulation, simulate, simulate_log};
pub use html::page;
pub use report::{Point, Report};
pub use terms::{BadTerms, Terms};
