//! Why we bid that: the record of a decision, what became of it, and what of all that is kept.

pub mod digest;
pub mod line;
pub mod outcome;
pub mod proof;
pub mod rebuild;
pub mod record;
pub mod sample;
#[cfg(test)]
mod tests;
pub mod varint;

pub use digest::{BadDigest, Digest, Said, Text};
pub use outcome::{Event, Outcome};
pub use proof::Proof;
pub use record::{ChangeOf, Decision, Kind};
