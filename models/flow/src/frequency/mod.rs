//! How often a person sees a campaign.
//!
//! A [`table::Table`] counts impressions of pairs of a person and a campaign, in a memory that is fixed when
//! it is made. A bid counts from when it is made until it is lost or over; a win counts for the period.
//! What is forgotten, and what that means for caps: see [`table`].

pub mod entry;
pub mod key;
pub mod overflow;
pub mod stored;
pub mod table;
#[cfg(test)]
mod tests;

pub use key::PersonKey;
pub use table::Table;
