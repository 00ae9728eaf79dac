//! Purchase logs: lines of three formats to purchases, each bad line with its number and why.
//!
//! Lines come in by chunks of bytes ([`reader::Reader`]) or from anything that can be read
//! ([`rows::Rows`]); memory is bounded by one line. Whether one bad line spoils the rest is the
//! caller's choice: rows are independent.

pub mod amount;
pub mod cdnow;
pub mod csv;
pub mod day;
pub mod format;
pub mod purchase;
pub mod reader;
pub mod reject;
pub mod rows;
#[cfg(test)]
mod tests;
