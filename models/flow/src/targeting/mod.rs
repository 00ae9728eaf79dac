//! Which campaigns an impression is for.
//!
//! An [`index::Index`] holds the campaigns that are active, compiled. For each dimension of a request it knows
//! which campaigns take a value, as sets of bits or lists ([`bits`]); a request's candidates are what is
//! left when all dimensions are laid over each other ([`narrow`]). What cannot be listed is checked campaign
//! by campaign ([`check`]). [`explain`] says the same of one campaign in words, from its definition alone: it
//! shares no code with the index, and tests hold the two against each other.

pub mod bits;
pub mod check;
pub mod compile;
pub mod dictionary;
pub mod explain;
pub mod geo;
pub mod index;
pub mod lists;
pub mod live;
pub mod marks;
pub mod narrow;
pub mod person;
#[cfg(test)]
pub(crate) mod samples;
pub mod scratch;
pub mod sieve;
#[cfg(test)]
pub(crate) mod tests;

pub use index::Index;
pub use person::{Ltv, LtvStatus, Person, Sight, Sights};
pub use scratch::Scratch;
