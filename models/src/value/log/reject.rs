//! Why a line is no purchase.

use serde::{Deserialize, Serialize};

/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 4_096;

/// What is wrong with a line.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    #[error("is longer than 4096 bytes")]
    TooLong,
    #[error("is not UTF-8")]
    NotText,
    #[error("has fewer or more columns than the format")]
    Columns,
    #[error("has a quote that does not end on the line")]
    Quote,
    #[error("is a heading without customer_id, a date or timestamp, and amount, each once")]
    Heading,
    #[error("has no customer id, or one of more than 256 characters or with control characters")]
    Customer,
    #[error("has a date that is none, or not between 1900 and 2199")]
    Date,
    #[error("has a date in the future")]
    Future,
    #[error("has an amount that is not a decimal number")]
    Amount,
    #[error("has an amount below zero")]
    Negative,
    #[error("has an amount with more than 6 decimals")]
    TooFine,
    #[error("has an amount beyond one billion")]
    TooLarge,
    #[error("has a number of items that is none")]
    Items,
    #[error("has a currency that is not three letters")]
    Currency,
    #[error("is in another currency than the rows before it")]
    CurrencyMix,
}

/// A line that is no purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("line {line} {reason}")]
pub struct Rejected {
    /// From 1, as editors count.
    pub line: u64,
    pub reason: Reason,
}
