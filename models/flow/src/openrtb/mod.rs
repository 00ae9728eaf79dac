//! OpenRTB 2.6 as a bidder reads and writes it (IAB Tech Lab, "OpenRTB Specification v2.6", and AdCOM 1.0
//! for its lists). What 2.5 put elsewhere is read there too; what is unknown is passed over.
//!
//! [`Request::parse`] takes the bytes, [`Request::signals`] what they say about consent,
//! [`Request::auction`] makes the neutral picture that the rules see, [`response::Response`] writes the
//! answer. Nothing here allocates for text without escapes.

mod auction;
pub mod chain;
pub mod decimal;
pub mod imp;
pub mod json;
pub mod macros;
pub mod malformed;
pub mod native;
pub mod nbr;
mod object;
pub mod person;
pub mod regs;
pub mod request;
pub mod response;
pub mod sample;
mod shape;
pub mod supply;
#[cfg(test)]
mod tests;
pub mod told;
pub mod value;

pub use malformed::{Fault, Malformed};
pub use request::{Limits, Request};

/// What the header `x-openrtb-version` says of our answers.
pub const VERSION: &str = "2.6";
