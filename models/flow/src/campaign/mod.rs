//! What a campaign is, and what may become of it.

pub mod audience;
pub mod country;
pub mod creative;
pub mod definition;
pub mod edit;
pub mod fields;
#[cfg(test)]
mod hostile;
pub mod hours;
pub mod media;
pub mod mistake;
pub mod name;
pub mod native;
pub mod patch;
pub mod state;
pub mod strategy;
pub mod target;
pub mod taxonomy;
#[cfg(test)]
pub(crate) mod tests;
pub mod transparency;
