//! Why nothing was learned, or what was learned cannot be read.

use crate::value::log::day::Day;

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    #[error("{name} of {value} is not between {least} and {most}")]
    Term { name: &'static str, value: f64, least: f64, most: f64 },
    #[error("{rows} customers with purchases up to {cut} are fewer than {least}")]
    TooFew { rows: usize, cut: Day, least: usize },
    #[error("{active} customers who bought within the horizon are fewer than {least}")]
    NoneActive { active: usize, least: usize },
    #[error("there is no day {days} days after {cut}")]
    OutOfTime { cut: Day, days: u32 },
    #[error("the training of member {member} came to no finite loss")]
    Diverged { member: u32 },
    #[error("the training was given up")]
    GivenUp,
    #[error("a thread of the training panicked")]
    Panicked,
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
}

/// Bytes that are no network of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no learned model: {0}")]
pub struct BadBytes(pub String);
