//! The compliance report: what the records of a period say, and what follows from it.
//!
//! The service gathers [`facts::Facts`] from its rows; [`report::Report::of`] draws the sections,
//! the state of each framework's controls and the findings from them. Nothing is typed in: a
//! statement without a figure behind it is not made, and what was not measured is `not_assessed`.

pub mod facts;
pub mod finding;
pub mod framework;
pub mod period;
pub mod render;
pub mod report;
pub mod requests;
#[cfg(test)]
mod sample;
pub mod table;
pub mod time;
