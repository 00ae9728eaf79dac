//! One purchase, as a log tells of it.

use super::day::Day;

/// Longest customer id, in characters.
pub const CUSTOMER_CHARS_MAX: usize = 256;

/// A purchase, borrowed from its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purchase<'a> {
    pub customer: &'a str,
    pub day: Day,
    /// Micros of the log's currency, ≥ 0.
    pub amount: i64,
    /// The currency that the row names, upper case; none where the log has no such column.
    pub currency: Option<[u8; 3]>,
}
